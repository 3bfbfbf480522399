import * as pulumi from "@pulumi/pulumi";
import * as codecanvas from "pulumi-codecanvas";

class Group extends pulumi.ComponentResource {
    constructor(name: string) {
        super("tests:index:Group", name);
        this.registerOutputs({});
    }
}

// As in @pulumi/kubernetes, which would be a large package for this one class.
class KubernetesProvider extends pulumi.ProviderResource {
    constructor(name: string, kubeconfig: pulumi.Input<string>) {
        super("kubernetes", name, { kubeconfig }, { version: "4.30.0" });
    }
}

const config = new pulumi.Config();
const renamed = config.requireBoolean("renamed");
const cluster = new KubernetesProvider("cluster", config.requireSecret("kubeconfig"));
// Any custom resource: of a component, dependsOn takes the custom resources in it.
const first = new KubernetesProvider("first", config.requireSecret("kubeconfig"));

new codecanvas.ComputingPlatform(
    renamed ? "renamed" : "original",
    {
        platformName: config.require("platform"),
        serverUrl: config.require("serverUrl"),
        chart: config.require("chart"),
        labels: { team: config.require("team") },
    },
    {
        parent: new Group("parent"),
        dependsOn: [first],
        providers: { kubernetes: cluster },
        protect: config.requireBoolean("protect"),
        retainOnDelete: config.requireBoolean("retain"),
        aliases: renamed ? [{ name: "original" }] : [],
        transforms: [
            args => {
                if (args.type === "kubernetes:core/v1:Namespace") {
                    const annotations = args.props.metadata.annotations;
                    args.props.metadata.annotations = { ...annotations, "example.com/transformed": "yes" };
                    return { props: args.props, opts: args.opts };
                }
                if (args.type === "kubernetes:core/v1:PodTemplate") {
                    const opts = pulumi.mergeOptions(args.opts, { ignoreChanges: ["metadata.labels"] });
                    return { props: args.props, opts };
                }
                return undefined;
            },
        ],
    },
);
