import * as pulumi from "@pulumi/pulumi";
import * as codecanvas from "pulumi-codecanvas";

const config = new pulumi.Config();

const platform = new codecanvas.ComputingPlatform("eu", {
    namespace: "codecanvas-eu",
    serverUrl: config.require("serverUrl"),
    podTemplate: "worker-pod.yaml",
    serviceAccounts: {
        "dev-environments": { "eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/dev-environments" },
    },
    propagateEnv: ["TEAM"],
    quota: { "requests.cpu": "64", pods: 40 },
    networkPolicy: true,
    values: { podLabels: { team: "platform" } },
    chart: config.require("chart"),
    freeze: config.requireBoolean("freeze"),
    freezeReason: "maintenance",
});

export const namespace = platform.namespace;
export const podTemplate = platform.podTemplateYaml;
export const applicationValues = platform.applicationValues;
export const connection = platform.connection;
export const frozen = platform.frozen;
