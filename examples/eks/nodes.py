"""The nodes: a few for the add-ons and the operator, and workers that take dev environments only."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from network import Network

KEY, VALUE = "dedicated", "dev-environments"
"""The workers' label and taint; worker pods select the one and tolerate the other."""

JOIN = """#!/bin/bash
set -euo pipefail
/etc/eks/bootstrap.sh {0} --apiserver-endpoint {1} --b64-cluster-ca {2} \\
  --kubelet-extra-args '--node-labels={key}={value} --register-with-taints={key}={value}:NoSchedule'
"""


def create_system_nodes(
    name: str, config: pulumi.Config, cluster: Any, role: Any, network: Network, **opts: Any
) -> Any:
    """Create two nodes or more, spread over the zones."""
    template = _create_template(name, "/dev/xvda", 50)
    return aws.eks.NodeGroup(
        name,
        cluster_name=cluster.name,
        node_role_arn=role.arn,
        subnet_ids=[subnet.id for subnet in network.subnets.values()],
        version=config.require("kubernetesVersion"),
        ami_type="AL2023_x86_64_STANDARD",
        launch_template=_newest(template),
        instance_types=[config.require("systemInstanceType")],
        scaling_config={"desired_size": 2, "min_size": 2, "max_size": 4},
        opts=pulumi.ResourceOptions(ignore_changes=["scalingConfig.desiredSize"], **opts),
    )


def create_workers(
    name: str, config: pulumi.Config, cluster: Any, role: Any, network: Network, image: str, **opts: Any
) -> list[Any]:
    """Create a group of workers in each zone: a volume is of one zone, so whoever adds a node has to choose it."""
    joins = pulumi.Output.all(cluster.name, cluster.endpoint, cluster.certificate_authority.data)
    script = joins.apply(lambda known: JOIN.format(*known, key=KEY, value=VALUE))
    keeps_image = config.require("workerImageRelease") == "current"
    template = _create_template(
        name,
        "/dev/sda1",
        200,
        image_id=image,
        user_data=script.apply(lambda text: base64.b64encode(text.encode()).decode()),
        opts=pulumi.ResourceOptions(ignore_changes=["imageId"] if keeps_image else None),
    )
    least = config.require_int("workersPerZone")
    most = config.require_int("maxWorkersPerZone")
    return [
        aws.eks.NodeGroup(
            f"{name}-{zone}",
            cluster_name=cluster.name,
            node_role_arn=role.arn,
            subnet_ids=[subnet.id],
            launch_template=_newest(template),
            instance_types=[config.require("workerInstanceType")],
            scaling_config={"desired_size": least, "min_size": least, "max_size": most},
            labels={KEY: VALUE},
            taints=[{"key": KEY, "value": VALUE, "effect": "NO_SCHEDULE"}],
            opts=pulumi.ResourceOptions(ignore_changes=["scalingConfig.desiredSize"], **opts),
        )
        for zone, subnet in network.subnets.items()
    ]


def _create_template(name: str, device: str, gib: int, **more: Any) -> aws.ec2.LaunchTemplate:
    return aws.ec2.LaunchTemplate(
        name,
        # One hop: no pod, and so no dev environment, gets at the node's own rights through the metadata service.
        metadata_options={"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1},
        block_device_mappings=[
            {"device_name": device, "ebs": {"volume_size": gib, "volume_type": "gp3", "encrypted": "true"}},
        ],
        update_default_version=True,
        **more,
    )


def _newest(template: aws.ec2.LaunchTemplate) -> aws.eks.NodeGroupLaunchTemplateArgsDict:
    return {"id": template.id, "version": template.latest_version.apply(str)}
