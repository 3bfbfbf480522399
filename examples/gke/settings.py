"""The stack's config, checked against what Google Cloud offers: a mistake ends the preview, not the update."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_gcp as gcp

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_KUBERNETES = (1, 30)  # CodeCanvas takes 1.29; to freeze by an admission policy takes 1.30
LEAST_CPUS, LEAST_MB = 4, 8 * 1024


@dataclass(frozen=True)
class Place:
    """Where the cluster goes: the project, the region and the zones to use."""

    project: str
    region: str
    zones: list[str]


def check_settings(config: pulumi.Config) -> Place:
    """Ask Google Cloud about the project, the region, the Kubernetes version and the machine type.

    Raises:
        pulumi.RunError: with every fault, each with the config key that it is about.
    """
    faults: list[str] = []

    def ask(key: str, function: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return function(**arguments)
        except Exception as error:  # noqa: BLE001 - an invoke's failure has no type of its own
            faults.append(f"{key}: Google Cloud refuses it: {error}")
            return None

    project, region = (pulumi.Config("gcp").get(key) or "" for key in ("project", "region"))
    faults += [
        f"gcp:{key}: is missing; set it, such as: pulumi config set gcp:{key} {example}"
        for key, value, example in (("project", project, "my-project"), ("region", region, "europe-west3"))
        if not value
    ]
    regions = ask("gcp:project", gcp.compute.get_regions, project=project) if project else None
    if region and regions and region not in regions.names:
        near = ", ".join(name for name in regions.names if name[:4] == region[:4]) or "see: gcloud compute regions list"
        faults.append(f"gcp:region: {region} is not a region of Google Cloud; there are {near}")
    _end(faults)

    count = config.require_int("zones")
    found = ask("gcp:region", gcp.compute.get_zones, project=project, region=region, status="UP")
    zones = found.names if found else []
    if found and not 1 <= count <= len(zones):
        faults.append(f"{config.full_key('zones')}: {region} has {len(zones)}, not {count}")

    key, version = config.full_key("kubernetesVersion"), config.require("kubernetesVersion")
    versions = ask("gcp:region", gcp.container.get_engine_versions, project=project, location=region)
    offered = {_minor(known) for known in versions.valid_master_versions} if versions else set()
    fitting = {".".join(map(str, known)): known for known in sorted(offered) if known >= LEAST_KUBERNETES}
    if fitting and _is_outgrown(version, min(fitting.values())):
        # A release channel has long upgraded the cluster that was made with it, and no freeze should wait for this.
        pulumi.log.warn(
            f"{key}: {region} has no {version} any more; a new cluster needs {next(iter(fitting))} or newer"
        )
    elif versions and version not in fitting:
        faults.append(f"{key}: Kubernetes {version} is not supported in {region}; choose one of {', '.join(fitting)}")

    key, machine = config.full_key("workerMachineType"), config.require("workerMachineType")
    for zone in zones[:count]:
        filter_ = f'name = "{machine}"'
        found = ask(key, gcp.compute.get_machine_types, project=project, zone=zone, filter=filter_)
        faults += [f"{key}: {fault}" for fault in _machine_faults(found, machine, zone)]
    _end(faults)
    return Place(project, region, zones[:count])


def _machine_faults(found: Any, machine: str, zone: str) -> list[str]:
    if found is None:
        return []
    if not found.machine_types:
        return [f"there is no {machine} in {zone}"]
    kind = found.machine_types[0]
    fits = kind.guest_cpus >= LEAST_CPUS and kind.memory_mb >= LEAST_MB and kind.architecture != "ARM64"
    return [] if fits else [f"{machine} is not an x86-64 machine with 4 CPUs and 8 GB or more"]


def _is_outgrown(version: str, oldest: tuple[int, int]) -> bool:
    parts = version.split(".")
    return len(parts) == 2 and all(map(str.isdigit, parts)) and LEAST_KUBERNETES <= _minor(version) < oldest


def _minor(version: str) -> tuple[int, int]:
    major, minor, *_ = version.split(".")
    return int(major), int(minor)


def _end(faults: list[str]) -> None:
    if faults:
        raise pulumi.RunError("the stack's config does not fit:\n" + "\n".join(f"  {fault}" for fault in faults))
