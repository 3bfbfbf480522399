"""A GKE cluster made for dev environments, and the CodeCanvas computing platform on it."""

from __future__ import annotations

import pulumi
import pulumi_gcp as gcp
from kubeconfig import kubeconfig_of
from network import PODS, SERVICES, create_network
from nodes import KEY, VALUE, Nodes
from settings import check_settings

from pulumi_codecanvas import ComputingPlatform

config = pulumi.Config()
place = check_settings(config)
stack = pulumi.get_stack()
name = f"codecanvas-{stack}"
account = "dev-environment"  # the ServiceAccount to name in the cloud policy in CodeCanvas


def grant(to: gcp.serviceaccount.Account, prefix: str, roles: list[str]) -> list[gcp.projects.IAMMember]:
    """Grant roles in the project to a Google service account."""
    member = to.email.apply(lambda email: f"serviceAccount:{email}")
    return [
        gcp.projects.IAMMember(f"{prefix}-{role.rpartition('/')[2]}", project=place.project, role=role, member=member)
        for role in roles
    ]


# The nodes' own identity, with what a node needs and no more.
node_identity = gcp.serviceaccount.Account("nodes", display_name=f"Nodes of {name}")
rights = grant(node_identity, "nodes", ["roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"])

# The cluster. Unless publicAccessCidrs says otherwise, its API server is reached from within the VPC only.
network, subnet, nat = create_network(name, place.region)
public_cidrs = config.require_object("publicAccessCidrs")
cluster = gcp.container.Cluster(
    name,
    name=name,
    location=place.region,
    node_locations=place.zones,
    network=network.id,
    subnetwork=subnet.id,
    ip_allocation_policy={"cluster_secondary_range_name": PODS, "services_secondary_range_name": SERVICES},
    datapath_provider="ADVANCED_DATAPATH",  # enforces network policies
    private_cluster_config={"enable_private_nodes": True, "enable_private_endpoint": not public_cidrs},
    master_authorized_networks_config={"cidr_blocks": [{"cidr_block": cidr} for cidr in public_cidrs]},
    release_channel={"channel": config.require("releaseChannel")},
    min_master_version=config.require("kubernetesVersion"),
    # Upgrades replace nodes and so stop dev environments: not on working days.
    maintenance_policy={
        "recurring_window": {
            "start_time": "2026-01-03T00:00:00Z",
            "end_time": "2026-01-04T00:00:00Z",
            "recurrence": "FREQ=WEEKLY;BYDAY=SA,SU",
        }
    },
    workload_identity_config={"workload_pool": f"{place.project}.svc.id.goog"},
    # Volumes and their snapshots; GKE brings the snapshot controller along.
    addons_config={"gce_persistent_disk_csi_driver_config": {"enabled": True}},
    # GKE insists on a pool to begin with; it goes at once, in favour of the two below.
    remove_default_node_pool=True,
    initial_node_count=1,
    node_config={"service_account": node_identity.email},
    deletion_protection=False,
    opts=pulumi.ResourceOptions(depends_on=[nat, *rights], ignore_changes=["nodeConfig"]),
)
nodes = Nodes(cluster, place, node_identity.email)
system = nodes.create_system(f"{name}-system", config)
workers = nodes.create_workers(f"{name}-worker", config)

# What dev environments may do in Google Cloud: an identity that only pods with this one ServiceAccount have.
identity = gcp.serviceaccount.Account(account, display_name=f"Dev environments of {name}")
granted = grant(identity, account, config.require_object("devEnvironmentRoles"))
bound = gcp.serviceaccount.IAMMember(
    account,
    service_account_id=identity.name,
    role="roles/iam.workloadIdentityUser",
    member=f"serviceAccount:{place.project}.svc.id.goog[{name}/{account}]",
    # The project's workload identity pool is there once a cluster uses it.
    opts=pulumi.ResourceOptions(depends_on=[cluster]),
)

# The platform comes last and, because it depends on all that dev environments need, goes first.
kubeconfig = kubeconfig_of(cluster)
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
    service_accounts={account: {"iam.gke.io/gcp-service-account": identity.email}},
    storage="gke",
    freeze=config.require_bool("freeze"),
    freeze_reason=config.require("freezeReason"),
    opts=pulumi.ResourceOptions(depends_on=[system, workers, *granted, bound]),
)

pulumi.export("kubeconfig", kubeconfig)
pulumi.export("namespace", platform.namespace)
pulumi.export("serviceAccount", account)
pulumi.export("devEnvironmentIdentity", identity.email)
pulumi.export("podTemplate", platform.pod_template_yaml)
pulumi.export("applicationValues", platform.application_values)
pulumi.export("connection", platform.connection)
pulumi.export("frozen", platform.frozen)
