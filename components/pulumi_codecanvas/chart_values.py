"""The values of the operator's and the application's Helm charts. The only module that knows chart keys.

Keys are those of the CodeCanvas 2025.1 charts. Leaves may be opaque objects, such as Pulumi outputs and
secrets: they are passed on, never looked into and never written out.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pulumi_codecanvas.checks import join_path, type_name
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.helm_values import merge_values

DEFAULT_CHART = "oci://public.registry.jetbrains.space/p/codecanvas/release-charts/codecanvas-operator"
"""Where the operator's chart is expected. The public guides give the application's chart as
`.../release-charts/codecanvas`; the operator's name beside it is inferred from that."""

DEFAULT_CHART_VERSION = "2025.1.0"
"""The pinned chart version. CodeCanvas versions are year.major.minor, and the public update guide shows the
application's chart versioned alike (`codecanvas-2024.1.0`); that the operator's chart follows is inferred."""

DEFAULT_RELEASE_NAME = "codecanvas-operator"

# Never change it: instance ids of every platform that did not set one are derived from it.
_INSTANCE_NAMESPACE = uuid.UUID("6f1f2a0e-54d6-5c0f-9d0c-6a8a3c1be2d4")

# Each key of the operator's chart that we set, and the argument that sets it.
_OWNED_KEYS: Mapping[tuple[str, ...], str] = {
    ("operator", "secret", "operatorServerUrl"): "serverUrl",
    ("operator", "secret", "jwtPrivateKey"): "privateKey",
    ("operator", "secret", "instanceId"): "instanceId",
    ("operator", "targetNamespace"): "namespace",
}


@dataclass(frozen=True)
class InstanceType:
    """The size of a worker for dev environments, as the application offers it.

    The defaults fit the smallest supported node (4 CPU, 8 GB) beside what else runs there.

    Attributes:
        name: what users choose in the application.
        cpu_cores: CPU cores.
        memory_mib: memory in MiB.
        volume_mib: size of the volume in MiB.

    """

    name: str = "default"
    cpu_cores: int = 2
    memory_mib: int = 4096
    volume_mib: int = 32768


@dataclass(frozen=True)
class Connection:
    """What the CodeCanvas application must know of a platform. Every value may be an opaque object."""

    name: Any
    instance_id: Any
    namespace: Any
    public_key: Any
    instance_type: InstanceType = InstanceType()


def derive_instance_id(platform_name: str) -> str:
    """Derive a platform's instance id from its name: a UUID, the same for ever."""
    return str(uuid.uuid5(_INSTANCE_NAMESPACE, platform_name))


def operator_values(
    *,
    server_url: object,
    private_key: object,
    instance_id: object,
    target_namespace: object,
    values: Mapping[str, Any],
) -> dict[str, Any]:
    """Build the values of the operator's chart: the user's `values` with ours on top.

    Raises:
        InvalidArgumentsError: `values` sets a key that is ours, see `owned_key_faults`.

    """
    if faults := owned_key_faults(values):
        raise InvalidArgumentsError(faults)
    ours = {
        "operator": {
            "secret": {
                "operatorServerUrl": server_url,
                "jwtPrivateKey": private_key,
                "instanceId": instance_id,
            },
            "targetNamespace": target_namespace,
        }
    }
    return merge_values(values, ours)


def owned_key_faults(values: object) -> list[Fault]:
    """Report each key of ours that `values` sets, or whose parent it replaces, and what to use instead."""
    if not isinstance(values, Mapping):
        return [Fault("values", f"is {type_name(values)}, not a map", "write `key: value` pairs")]
    arguments: dict[str, list[str]] = {}
    for keys, argument in _OWNED_KEYS.items():
        if path := _overriding_path(values, keys):
            arguments.setdefault(path, []).append(argument)
    return [
        Fault(path, "is set by this package", f"use {_list_names(names)} instead") for path, names in arguments.items()
    ]


def _list_names(names: list[str]) -> str:
    *others, last = [f"`{name}`" for name in names]
    return f"{', '.join(others)} and {last}" if others else last


def _overriding_path(values: Mapping[object, Any], keys: tuple[str, ...]) -> str | None:
    # With dots, as for Helm's --set, it would be another key: unused, and a secret left in it.
    dotted = ".".join(keys)
    if dotted in values:
        return join_path("values", dotted)
    path = "values"
    level: Any = values
    for key in keys:
        if not isinstance(level, Mapping):
            return path
        if key not in level:
            return None
        path, level = join_path(path, key), level[key]
    return path


def application_values(connection: Connection) -> dict[str, Any]:
    """Build the fragment of the application chart's values that connects a platform with no click.

    `preloadConfiguration` is one mapping, so the application preloads one platform; connect further ones on
    the admin page, or with its connection snippet. That it is a mapping and not a list is assumed from the
    public description of its keys; the chart itself could not be read.
    """
    size = connection.instance_type
    preload = {
        "name": connection.name,
        "instanceId": connection.instance_id,
        "namespace": connection.namespace,
        "jwtPublicKey": connection.public_key,
        "instanceType": {
            "name": size.name,
            "cpuCores": size.cpu_cores,
            "memoryMiB": size.memory_mib,
            "volumeMiB": size.volume_mib,
        },
    }
    operator = {"operator": {"preloadConfiguration": preload}}
    return {"application": {"config": {"codecanvas": {"execution": {"k8s": operator}}}}}
