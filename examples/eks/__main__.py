"""An EKS cluster made for dev environments, and the CodeCanvas computing platform on it."""

from __future__ import annotations

import pulumi
import pulumi_aws as aws
import pulumi_eks as eks
from network import create_network
from nodes import KEY, VALUE, create_system_nodes, create_workers
from roles import create_role, trust, trust_account
from settings import check_settings

from pulumi_codecanvas import ComputingPlatform

config = pulumi.Config()
offer = check_settings(config)
stack = pulumi.get_stack()
name = f"codecanvas-{stack}"
account = "dev-environment"  # the ServiceAccount to name in the cloud policy in CodeCanvas
policies = f"arn:{offer.partition}:iam::aws:policy"

# The cluster. Unless publicAccessCidrs says otherwise, its API server is reached from within the VPC only.
network = create_network(name, offer.zones)
public_cidrs = config.require_object("publicAccessCidrs")
administrator: eks.AccessPolicyAssociationArgsDict = {
    "policy_arn": f"arn:{offer.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
    "access_scope": {"type": "cluster"},
}
cluster = eks.Cluster(
    name,
    name=name,
    version=config.require("kubernetesVersion"),
    vpc_id=network.vpc.id,
    private_subnet_ids=[subnet.id for subnet in network.subnets.values()],
    endpoint_private_access=True,
    endpoint_public_access=bool(public_cidrs),
    public_access_cidrs=public_cidrs or None,
    authentication_mode=eks.AuthenticationMode.API,
    access_entries={
        arn.rpartition("/")[2]: {"principal_arn": arn, "access_policies": {"admin": administrator}}
        for arn in config.require_object("adminRoleArns")
    },
    create_oidc_provider=True,
    enabled_cluster_log_types=["api", "audit", "authenticator"],
    skip_default_node_group=True,
    skip_default_security_groups=True,
    opts=pulumi.ResourceOptions(depends_on=network.routes),
)
control_plane = cluster.eks_cluster

# Nodes for the add-ons and the operator, and workers for dev environments, which run nothing else.
node_role, node_rights = create_role(
    f"{name}-node",
    trust({"Service": "ec2.amazonaws.com"}, "sts:AssumeRole"),
    [
        f"{policies}/AmazonEKSWorkerNodePolicy",
        f"{policies}/AmazonEKS_CNI_Policy",
        f"{policies}/AmazonEC2ContainerRegistryPullOnly",
    ],
)
after = [cluster, *node_rights]
system = create_system_nodes(f"{name}-system", config, control_plane, node_role, network, depends_on=after)
workers = create_workers(f"{name}-worker", config, control_plane, node_role, network, offer.image, depends_on=after)

# Add-ons: DNS, identity for pods, and volumes with snapshots.
driver_role, driver_rights = create_role(
    f"{name}-ebs-csi",
    trust({"Service": "pods.eks.amazonaws.com"}, "sts:AssumeRole", "sts:TagSession"),
    [f"{policies}/service-role/AmazonEBSCSIDriverPolicy"],
)
driver_identity: aws.eks.AddonPodIdentityAssociationArgsDict = {
    "service_account": "ebs-csi-controller-sa",
    "role_arn": driver_role.arn,
}
addons: list[pulumi.Resource] = []
for addon in ("coredns", "eks-pod-identity-agent", "aws-ebs-csi-driver", "snapshot-controller"):
    addons.append(
        aws.eks.Addon(
            f"{name}-{addon}",
            cluster_name=control_plane.name,
            addon_name=addon,
            pod_identity_associations=[driver_identity] if addon == "aws-ebs-csi-driver" else None,
            resolve_conflicts_on_create="OVERWRITE",
            resolve_conflicts_on_update="PRESERVE",
            opts=pulumi.ResourceOptions(depends_on=[system, *driver_rights, *addons]),
        )
    )

# What dev environments may do in AWS: a role that only pods with this one ServiceAccount can take.
environment_role, environment_rights = create_role(
    f"{name}-{account}", trust_account(cluster, name, account), config.require_object("devEnvironmentPolicyArns")
)

# The platform comes last and, because it depends on all that dev environments need, goes first.
kubeconfig: pulumi.Output[str] = pulumi.Output.secret(cluster.kubeconfig_json)
platform = ComputingPlatform(
    stack,
    namespace=name,
    server_url=config.require("serverUrl"),
    chart=config.require("chart"),
    kubeconfig=kubeconfig,
    pod_template={
        "apiVersion": "v1",
        "kind": "Pod",
        "spec": {
            "containers": [{"name": "worker-main"}],
            "nodeSelector": {KEY: VALUE, "kubernetes.io/arch": "amd64"},
            "tolerations": [{"key": KEY, "operator": "Equal", "value": VALUE, "effect": "NoSchedule"}],
            "restartPolicy": "Never",
        },
    },
    service_accounts={account: {"eks.amazonaws.com/role-arn": environment_role.arn}},
    # What EKS puts into a pod with the ServiceAccount has to reach the dev-environment container inside.
    propagate_env=["AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_REGION"],
    propagate_paths=["/var/run/secrets/eks.amazonaws.com/serviceaccount/token"],
    storage="eks",
    freeze=config.require_bool("freeze"),
    freeze_reason=config.require("freezeReason"),
    opts=pulumi.ResourceOptions(depends_on=[*workers, *addons, *environment_rights]),
)

pulumi.export("kubeconfig", kubeconfig)
pulumi.export("namespace", platform.namespace)
pulumi.export("serviceAccount", account)
pulumi.export("devEnvironmentRoleArn", environment_role.arn)
pulumi.export("podTemplate", platform.pod_template_yaml)
pulumi.export("applicationValues", platform.application_values)
pulumi.export("connection", platform.connection)
pulumi.export("frozen", platform.frozen)
