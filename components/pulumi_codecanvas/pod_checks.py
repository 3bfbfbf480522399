"""What must hold for a pod template and what the API server cannot know, or what would hide its answer.

The manifest is normalised, but of any shape: nothing here relies on more than it has looked at.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from pulumi_codecanvas.checks import (
    is_env_name,
    join_path,
    quantity_faults,
    show,
    suggest,
    type_name,
    unknown_key_faults,
)
from pulumi_codecanvas.errors import Fault
from pulumi_codecanvas.manifests import WORKER_CONTAINER

_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job")
_POD_INSIDE = {
    **dict.fromkeys(_WORKLOADS, "spec.template"),
    "CronJob": "spec.jobTemplate.spec.template",
    "PodTemplate": "template",
}
# CodeCanvas names every pod and the API server sets the rest: they come along when a running pod is copied.
_FOREIGN_METADATA = (
    "name",
    "generateName",
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)


def drop_foreign_fields(manifest: dict[str, Any]) -> list[str]:
    """Remove what others than the template's author set, in place; give the path of each.

    A namespace stays, and is a fault: whoever wrote it expects it to count.
    """
    metadata = manifest.get("metadata")
    foreign = [key for key in _FOREIGN_METADATA if key in metadata] if isinstance(metadata, dict) else []
    paths = [f"metadata.{key}" for key in foreign]
    for key in foreign:
        del manifest["metadata"][key]
    if manifest.get("status") == {}:
        del manifest["status"]
        paths.append("status")
    return paths


def pod_faults(manifest: object) -> list[Fault]:
    """Check a normalised pod template; of another kind of object nothing but the kind is reported."""
    if manifest is None:
        return [Fault("", "is empty", f"leave it out for a bare {WORKER_CONTAINER} pod")]
    if not isinstance(manifest, Mapping):
        remedy = "begin with `apiVersion: v1` and `kind: Pod`; the path of a file must end in .yaml or .yml"
        return [Fault("", f"is {type_name(manifest)}, not a mapping", remedy)]
    if manifest.get("kind", "Pod") != "Pod":
        return [_kind_fault(manifest["kind"])]
    missing = [fault for key in ("apiVersion", "kind", "spec") for fault in _missing_faults("", manifest, key)]
    reported = {fault.path for fault in missing}
    others = {key: manifest[key] for key in manifest if key not in {"status", *reported}}
    return [
        *missing,
        *unknown_key_faults("", others, _TOP_LEVEL),
        *_version_faults(manifest),
        *_metadata_faults(manifest.get("metadata", {})),
        *_status_faults(manifest),
        *(_spec_faults(manifest["spec"]) if "spec" in manifest else []),
    ]


def find_worker(manifest: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Give the worker's container and its path, from a manifest without faults."""
    containers = manifest["spec"]["containers"]
    index = next(i for i, container in enumerate(containers) if container.get("name") == WORKER_CONTAINER)
    return containers[index], f"spec.containers[{index}]"


def _kind_fault(kind: object) -> Fault:
    if not isinstance(kind, str):
        return Fault("kind", f"is {type_name(kind)}", "write `kind: Pod`")
    inside = _POD_INSIDE.get(kind)
    if inside:
        remedy = f"keep the metadata and spec under `{inside}`, and put `apiVersion: v1` and `kind: Pod` above them"
    else:
        remedy = suggest(kind, ["Pod"]) or "write `kind: Pod`"
    return Fault("kind", f"is {show(kind)}, not Pod", remedy)


def _missing_faults(path: str, mapping: Mapping[str, Any], key: str) -> list[Fault]:
    """Report a key that is not there, at the key that was probably meant to be it."""
    if key in mapping:
        return []
    meant = difflib.get_close_matches(key, [name[:60] for name in mapping], n=1, cutoff=0.7)
    if meant:
        return [Fault(join_path(path, meant[0]), "is not a field of a Pod", f"did you mean `{key}`?")]
    examples = {"apiVersion": "write `apiVersion: v1`", "kind": "write `kind: Pod`"}
    return [Fault(join_path(path, key), "is missing", examples.get(key, _container_example()))]


def _container_example() -> str:
    return f"a Pod needs `spec.containers` with `- name: {WORKER_CONTAINER}`"


def _version_faults(manifest: Mapping[str, Any]) -> list[Fault]:
    version = manifest.get("apiVersion", "v1")
    if version == "v1":
        return []
    cause = f"is {show(version) if isinstance(version, str) else type_name(version)}, not v1"
    return [Fault("apiVersion", cause, "write `apiVersion: v1`")]


def _metadata_faults(metadata: object) -> list[Fault]:
    if not isinstance(metadata, Mapping):
        return [Fault("metadata", f"is {type_name(metadata)}, not a mapping", "write labels and annotations in it")]
    faults = []
    if "namespace" in metadata:
        remedy = "remove it; pods run in the platform's `namespace`"
        faults.append(Fault("metadata.namespace", "does not belong into a pod template", remedy))
    for key in ("labels", "annotations"):
        if not isinstance(metadata.get(key, {}), Mapping):
            cause = f"is {type_name(metadata[key])}, not a mapping"
            faults.append(Fault(f"metadata.{key}", cause, "write `key: value` pairs"))
    return faults


def _status_faults(manifest: Mapping[str, Any]) -> list[Fault]:
    return [Fault("status", "is the cluster's to write", "remove it")] if "status" in manifest else []


def _spec_faults(spec: object) -> list[Fault]:
    if not isinstance(spec, Mapping):
        return [Fault("spec", f"is {type_name(spec)}, not a mapping", _container_example())]
    faults = _missing_faults("spec", spec, "containers")
    if not faults:
        faults += _worker_faults(spec)
    for key in ("initContainers", "containers"):
        for index, container in enumerate(_items(spec.get(key))):
            path = f"spec.{key}[{index}]"
            faults += _env_faults(f"{path}.env", container) + _resource_faults(f"{path}.resources", container)
    policy = spec.get("restartPolicy", "Never")
    if policy not in _RESTART_POLICIES:
        remedy = suggest(policy, _RESTART_POLICIES) if isinstance(policy, str) else ""
        remedy = remedy or f"use one of {', '.join(_RESTART_POLICIES)}"
        faults.append(Fault("spec.restartPolicy", "is not a restart policy", remedy))
    return faults


def _worker_faults(spec: Mapping[str, Any]) -> list[Fault]:
    containers = spec["containers"]
    path = "spec.containers"
    if not isinstance(containers, list):
        return [Fault(path, f"is {type_name(containers)}, not a list", f"write `- name: {WORKER_CONTAINER}`")]
    faults = [
        Fault(f"{path}[{index}]", f"is {type_name(item)}, not a mapping", f"write `- name: {WORKER_CONTAINER}`")
        for index, item in enumerate(containers)
        if not isinstance(item, Mapping)
    ]
    workers = [index for index, name in enumerate(_names(containers)) if name == WORKER_CONTAINER]
    faults += [Fault(f"{path}[{index}].name", f"is {WORKER_CONTAINER} a second time") for index in workers[1:]]
    if not workers:
        faults.append(Fault(path, f"no container is named {WORKER_CONTAINER}", _worker_remedy(spec)))
    return faults


def _worker_remedy(spec: Mapping[str, Any]) -> str:
    if WORKER_CONTAINER in _names(spec.get("initContainers")):
        return "move it from `initContainers` to `containers`"
    names = [show(name) for name in _names(spec["containers"]) if isinstance(name, str)][:5]
    found = f", found {', '.join(names)}" if names else ""
    return f"give this name to the container that is to run dev environments{found}"


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _names(containers: object) -> list[object]:
    return [item.get("name") if isinstance(item, Mapping) else None for item in _items(containers)]


def _env_faults(path: str, container: object) -> list[Fault]:
    env = container.get("env", []) if isinstance(container, Mapping) else []
    if not isinstance(env, list):
        return [Fault(path, f"is {type_name(env)}, not a list", "write `- name: KEY` and `value: ...` under it")]
    faults: list[Fault] = []
    seen: set[str] = set()
    for index, entry in enumerate(env):
        where = f"{path}[{index}]"
        if isinstance(entry, Mapping):
            faults += _variable_faults(where, entry, seen)
        else:
            faults.append(Fault(where, f"is {type_name(entry)}, not a mapping", "write `name` and `value`"))
    return faults


def _variable_faults(path: str, entry: Mapping[str, Any], seen: set[str]) -> list[Fault]:
    faults = []
    name = entry.get("name")
    if not isinstance(name, str):
        faults.append(Fault(f"{path}.name", f"is {type_name(name)}", "name the environment variable"))
    elif not is_env_name(name):
        allowed = "use letters, digits, `_`, `-` and `.`, not beginning with a digit"
        faults.append(Fault(f"{path}.name", f"{show(name)} is not a name for an environment variable", allowed))
    elif name in seen:
        faults.append(Fault(f"{path}.name", f"{show(name)} is set a second time", "keep one of them"))
    else:
        seen.add(name)
    # Kubernetes takes an empty value beside valueFrom as none.
    if entry.get("value") and "valueFrom" in entry:
        faults.append(Fault(path, "has both `value` and `valueFrom`", "keep one of them"))
    return faults


def _resource_faults(path: str, container: object) -> list[Fault]:
    """Check what a container asks for: of a quantity the API server says what is wrong with it, but not where."""
    resources = _within(container, "resources")
    return [
        fault
        for kind in ("limits", "requests")
        for name, amount in _within(resources, kind).items()
        if isinstance(name, str)
        for fault in quantity_faults(join_path(f"{path}.{kind}", name), amount)
    ]


def _within(mapping: object, key: str) -> Mapping[Any, Any]:
    """Give a mapping inside another; an empty one where there is none, which the API server explains well."""
    found = mapping.get(key) if isinstance(mapping, Mapping) else None
    return found if isinstance(found, Mapping) else {}
