"""The nodes: a few for system pods and the operator, and workers that take dev environments only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_gcp as gcp

if TYPE_CHECKING:
    from settings import Place

KEY, VALUE = "dedicated", "dev-environments"
"""The workers' label and taint; worker pods select the one and tolerate the other."""


class Nodes:
    """The pools of one cluster, which share an identity."""

    def __init__(self, cluster: gcp.container.Cluster, place: Place, email: pulumi.Output[str]) -> None:
        self._cluster = cluster
        self._place = place
        self._common: gcp.container.NodePoolNodeConfigArgsDict = {
            "service_account": email,
            "oauth_scopes": ["https://www.googleapis.com/auth/cloud-platform"],
            "disk_type": "pd-balanced",
            # Pods see their own identity at the metadata address, never the node's.
            "workload_metadata_config": {"mode": "GKE_METADATA"},
            "shielded_instance_config": {"enable_secure_boot": True, "enable_integrity_monitoring": True},
        }

    def create_system(self, name: str, config: pulumi.Config) -> gcp.container.NodePool:
        """Create the pool that runs everything but dev environments."""
        machine = config.require("systemMachineType")
        return self._create(name, 1, 3, {"machine_type": machine, "image_type": "COS_CONTAINERD"})

    def create_workers(self, name: str, config: pulumi.Config) -> gcp.container.NodePool:
        """Create the workers. They run Ubuntu: a worker pod is privileged and has containers of its own."""
        node: gcp.container.NodePoolNodeConfigArgsDict = {
            "machine_type": config.require("workerMachineType"),
            "image_type": "UBUNTU_CONTAINERD",
            "disk_size_gb": 200,
            "labels": {KEY: VALUE},
            "taints": [{"key": KEY, "value": VALUE, "effect": "NO_SCHEDULE"}],
        }
        return self._create(name, config.require_int("workersPerZone"), config.require_int("maxWorkersPerZone"), node)

    def _create(
        self, name: str, least: int, most: int, node: gcp.container.NodePoolNodeConfigArgsDict
    ) -> gcp.container.NodePool:
        """Create a pool that grows in each zone from `least` to `most` nodes."""
        return gcp.container.NodePool(
            name,
            cluster=self._cluster.id,
            node_locations=self._place.zones,
            initial_node_count=least,
            autoscaling={"min_node_count": least, "max_node_count": most, "location_policy": "BALANCED"},
            management={"auto_repair": True, "auto_upgrade": True},
            node_config={**self._common, **node},
            # A change of it would replace the pool, and the autoscaler minds the number anyway.
            opts=pulumi.ResourceOptions(ignore_changes=["initialNodeCount"]),
        )
