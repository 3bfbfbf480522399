"""The stack's config, checked against what AWS offers: a mistake ends the preview, not the update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_aws as aws

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_KUBERNETES = (1, 30)  # CodeCanvas takes 1.29; to freeze by an admission policy takes 1.30
LEAST_CPUS, LEAST_MIB = 4, 8 * 1024
ZONES_WITHOUT_EKS = ["use1-az3", "usw1-az2", "cac1-az3"]  # no control plane there, says the guide to EKS
UBUNTU_IMAGE = "/aws/service/canonical/ubuntu/eks/24.04/{version}/stable/{release}/amd64/hvm/ebs-gp3/ami-id"


@dataclass(frozen=True)
class Offer:
    """What AWS offers for the config: the partition of the region, the zones to use and the workers' image."""

    partition: str
    zones: list[str]
    image: str


def check_settings(config: pulumi.Config) -> Offer:
    """Ask AWS about the region, the Kubernetes version, the machine type and the image.

    Raises:
        pulumi.RunError: with every fault, each with the config key that it is about.
    """
    region = pulumi.Config("aws").get("region")
    if region not in {known.value for known in aws.Region}:
        raise pulumi.RunError(f"aws:region: {region or 'nothing'} is not a region of AWS; set it, such as eu-central-1")
    faults: list[str] = []

    def ask(key: str, function: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return function(**arguments)
        except Exception as error:  # noqa: BLE001 - an invoke's failure has no type of its own
            faults.append(f"{key}: AWS refuses it in {region}: {error}")
            return None

    count = config.require_int("zones")
    ordinary = [{"name": "opt-in-status", "values": ["opt-in-not-required"]}]  # no local zones
    zones = ask(
        "aws:region",
        aws.get_availability_zones,
        state="available",
        filters=ordinary,
        exclude_zone_ids=ZONES_WITHOUT_EKS,
    )
    if zones and not 2 <= count <= len(zones.names):
        faults.append(f"{config.full_key('zones')}: {region} has {len(zones.names)}, and EKS needs 2; not {count}")

    key, version = config.full_key("kubernetesVersion"), config.require("kubernetesVersion")
    versions = ask("aws:region", aws.eks.get_cluster_versions)
    offered = [known.cluster_version for known in versions.cluster_versions] if versions else []
    fitting = [known for known in offered if _numbers(known) >= LEAST_KUBERNETES]
    if versions and version not in fitting:
        choice = ", ".join(sorted(fitting, key=_numbers))
        faults.append(f"{key}: Kubernetes {version} is not supported in {region}; choose one of {choice}")

    key, machine = config.full_key("workerInstanceType"), config.require("workerInstanceType")
    found = ask(key, aws.ec2.get_instance_type, instance_type=machine)
    if found and (
        found.default_vcpus < LEAST_CPUS
        or found.memory_size < LEAST_MIB
        or "x86_64" not in found.supported_architectures
    ):
        faults.append(f"{key}: {machine} is not an x86-64 machine with 4 CPUs and 8 GB or more")

    key, release = config.full_key("workerImageRelease"), config.require("workerImageRelease")
    name = UBUNTU_IMAGE.format(version=version, release=release)
    image = None if faults else ask(key, aws.ssm.get_parameter, name=name)
    if faults or not image:
        raise pulumi.RunError("the stack's config does not fit:\n" + "\n".join(f"  {fault}" for fault in faults))
    return Offer(aws.get_partition().partition, zones.names[:count], image.insecure_value)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
