"""What a stand-in for a cloud's provider is made of: a table of resources and one of functions."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Properties = dict[str, Any]


class RefusedError(Exception):
    """The cloud would refuse this."""


@dataclass(frozen=True)
class Place:
    """Where a stand-in is.

    Attributes:
        settings: the provider's config, such as `region`.
        endpoint: `host:port` of the cluster's API server.
        certificate: its certificate authority, PEM in base64.
    """

    settings: Mapping[str, str]
    endpoint: str
    certificate: str

    @property
    def region(self) -> str:
        """The provider's region."""
        return self.settings.get("region", "")


Resource = Callable[[Place, str, Properties], Properties]
"""From place, name and inputs to what the cloud adds to the inputs; `id` is the resource's id.

Raises `RefusedError` where the cloud would refuse the inputs.
"""

Function = Callable[[Place, Properties], Properties]
"""From place and arguments to the results."""

Nodes = Callable[[str, Properties], list[dict[str, Any]]]
"""From a node group's id and outputs to the manifests of its nodes."""


@dataclass(frozen=True)
class Package:
    """One stand-in.

    Attributes:
        name: the package that it stands in for.
        resources: token to what creates the resource.
        functions: token to what answers the function.
        cluster_parts: tokens of what a cluster cannot do without: not to be deleted before the platforms on it.
        nodes: token of a node group to what its nodes are.
    """

    name: str
    resources: Mapping[str, Resource]
    functions: Mapping[str, Function]
    cluster_parts: frozenset[str] = frozenset()
    nodes: Mapping[str, Nodes] = field(default_factory=dict)


def fresh(prefix: str) -> str:
    """Make an id up, or a physical name."""
    return f"{prefix}-{secrets.token_hex(4)}"


def node(name: str, *, zone: str, labels: Mapping[str, str], taints: list[dict[str, str]]) -> dict[str, Any]:
    """Write the manifest of a node, for kwok to play."""
    size = {"cpu": "8", "memory": "32Gi", "ephemeral-storage": "200Gi", "pods": "110"}
    common = {
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/os": "linux",
        "kubernetes.io/hostname": name,
        "topology.kubernetes.io/zone": zone,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {**common, **labels}},
        "spec": {"taints": taints},
        "status": {"allocatable": size, "capacity": size},
    }


def kubernetes_taints(taints: list[dict[str, str]] | None) -> list[dict[str, str]]:
    """Translate a cloud's taints into Kubernetes' own.

    Raises:
        RefusedError: an effect that the cloud does not know.
    """
    effects = {"NO_SCHEDULE": "NoSchedule", "NO_EXECUTE": "NoExecute", "PREFER_NO_SCHEDULE": "PreferNoSchedule"}
    for taint in taints or []:
        if taint["effect"] not in effects:
            raise RefusedError(f"taint {taint['key']}: there is no effect {taint['effect']}")
    return [{**taint, "effect": effects[taint["effect"]]} for taint in taints or []]
