"""Storage for dev environments: a StorageClass and its VolumeSnapshotClass, as plain manifests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi_codecanvas.checks import (
    as_text,
    dns_subdomain_faults,
    join_path,
    key_fault,
    suggest,
    type_name,
    unknown_key_faults,
)
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.manifests import object_metadata
from pulumi_codecanvas.plain_values import leaf_faults

# What the CodeCanvas installation guides for EKS and GKE create.
PRESETS: Mapping[str, Mapping[str, Any]] = {
    "eks": {
        "driver": "ebs.csi.aws.com",
        "parameters": {"type": "gp3", "iops": "16000", "throughput": "750"},
    },
    "gke": {"driver": "pd.csi.storage.gke.io", "parameters": {"type": "pd-balanced"}},
}
STORAGE_KEYS = (
    "driver",
    "name",
    "parameters",
    "snapshotParameters",
    "reclaimPolicy",
    "deletionPolicy",
    "volumeBindingMode",
    "allowVolumeExpansion",
    "default",
)
_CHOICES = {
    "reclaimPolicy": ("Delete", "Retain"),
    "deletionPolicy": ("Delete", "Retain"),
    "volumeBindingMode": ("WaitForFirstConsumer", "Immediate"),
}
_FLAGS = ("allowVolumeExpansion", "default")
_PARAMETER_MAPS = ("parameters", "snapshotParameters")


def storage_name(storage: str | Mapping[str, Any], platform_name: str) -> str:
    """Name both classes of a platform: the mapping's `name`, else `codecanvas-<platform name>`."""
    given = storage.get("name") if isinstance(storage, Mapping) else None
    return given if isinstance(given, str) else f"codecanvas-{platform_name}"


def storage_objects(
    storage: str | Mapping[str, Any],
    *,
    name: str,
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Describe the StorageClass and the VolumeSnapshotClass of a platform, in this order.

    Args:
        storage: `eks`, `gke`, or a mapping with `driver` and any other of `STORAGE_KEYS`.
        name: the name of both classes, see `storage_name`.
        labels: put on both; values may be opaque.
        annotations: put on both; values may be opaque.

    Raises:
        InvalidArgumentsError: with the faults of `storage_faults("storage", storage)`.

    """
    if faults := storage_faults("storage", storage):
        raise InvalidArgumentsError(faults)
    settings = PRESETS[storage] if isinstance(storage, str) else storage
    is_default = settings.get("default", False)
    storage_class = {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": _class_metadata(name, labels, annotations, "storageclass.kubernetes.io", is_default),
        "provisioner": settings["driver"],
        "parameters": _as_texts(settings.get("parameters")),
        "reclaimPolicy": settings.get("reclaimPolicy", "Delete"),
        "volumeBindingMode": settings.get("volumeBindingMode", "WaitForFirstConsumer"),
        "allowVolumeExpansion": settings.get("allowVolumeExpansion", True),
    }
    snapshot_class = {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotClass",
        "metadata": _class_metadata(name, labels, annotations, "snapshot.storage.kubernetes.io", is_default),
        "driver": settings["driver"],
        "parameters": _as_texts(settings.get("snapshotParameters")),
        "deletionPolicy": settings.get("deletionPolicy", "Delete"),
    }
    return [_without_empty_parameters(manifest) for manifest in (storage_class, snapshot_class)]


def storage_faults(path: str, storage: object) -> list[Fault]:
    """Check the `storage` argument."""
    if isinstance(storage, str):
        if storage in PRESETS:
            return []
        remedy = suggest(storage, PRESETS) or "use `eks`, `gke` or a mapping with `driver`"
        return [Fault(path, "is not a known kind of storage", remedy)]
    if not isinstance(storage, Mapping):
        return [Fault(path, f"is {type_name(storage)}", "use `eks`, `gke` or a mapping with `driver`")]
    faults = unknown_key_faults(path, storage, STORAGE_KEYS)
    if "driver" not in storage:
        faults.append(Fault(join_path(path, "driver"), "is missing", "name the CSI driver, such as `ebs.csi.aws.com`"))
    for key in STORAGE_KEYS:
        if key in storage:
            faults += _setting_faults(join_path(path, key), key, storage[key])
    return faults


def _setting_faults(path: str, key: str, value: object) -> list[Fault]:
    if key in _CHOICES:
        return _choice_faults(path, value, _CHOICES[key])
    if key in _FLAGS:
        return [] if isinstance(value, bool) else [Fault(path, f"is {type_name(value)}", "use true or false")]
    if key in _PARAMETER_MAPS:
        return _parameter_faults(path, value)
    return dns_subdomain_faults(path, value)


def _choice_faults(path: str, value: object, choices: tuple[str, ...]) -> list[Fault]:
    if value in choices:
        return []
    cause = "is not a known choice" if isinstance(value, str) else f"is {type_name(value)}"
    return [Fault(path, cause, f"use {' or '.join(choices)}")]


def _parameter_faults(path: str, parameters: object) -> list[Fault]:
    if not isinstance(parameters, Mapping):
        return [Fault(path, f"is {type_name(parameters)}, not a map", "write `key: value` pairs")]
    faults = []
    for key, value in parameters.items():
        if not isinstance(key, str):
            faults.append(key_fault(path, key))
        elif value is None or isinstance(value, Mapping | list | tuple):
            faults.append(Fault(join_path(path, key), f"is {type_name(value)}, not a text", "write a text or number"))
        else:
            faults += leaf_faults(join_path(path, key), value)
    return faults


def _as_texts(parameters: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: as_text(value) for key, value in (parameters or {}).items()}


def _class_metadata(
    name: str, labels: Mapping[str, Any], annotations: Mapping[str, Any], group: str, is_default: bool
) -> dict[str, Any]:
    marks = {f"{group}/is-default-class": "true"} if is_default else {}
    return object_metadata(name, labels=labels, annotations={**annotations, **marks})


def _without_empty_parameters(manifest: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in manifest.items() if key != "parameters" or value}
