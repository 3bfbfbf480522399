"""The platform's namespace as the plugin finds it, told apart from one of the same name in another cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import NAMESPACE
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.manifests import stack_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codecanvas_provider.cluster import Cluster

_REMEDY = (
    "if the cluster is another one than before, or than that of the program's kubernetes provider, give the platform"
    " the `kubeconfig` and `context` of its own (to move it by `context` alone, destroy it there first); if the"
    " namespace was deleted past this stack, run `pulumi up --refresh`"
)


class WrongClusterError(ClusterError):
    """The namespace found here is not the one that was made."""


def find_namespace(cluster: Cluster, name: str, uid: str | None) -> dict[str, Any] | None:
    """Give the namespace, or None where it does not exist.

    Raises:
        WrongClusterError: it exists with another uid than `uid`, the one that the kubernetes provider saw.

    """
    namespace = cluster.get(NAMESPACE, name)
    if namespace is not None and uid and namespace["metadata"].get("uid") != uid:
        raise WrongClusterError(f"namespace {name} is not the one that was made for the platform", _REMEDY)
    return namespace


def require_namespace(cluster: Cluster, name: str, uid: str | None) -> dict[str, Any]:
    """Give the namespace.

    Raises:
        WrongClusterError: it is another one, or it was made but is not in this cluster.
        ClusterError: it does not exist.

    """
    namespace = find_namespace(cluster, name, uid)
    if namespace is not None:
        return namespace
    if uid:
        raise WrongClusterError(f"namespace {name} was made for the platform but is not in this cluster", _REMEDY)
    raise ClusterError(
        f"namespace {name} does not exist",
        "create it, or let the platform do so (`createNamespace: true`)",
    )


def is_made_here(cluster: Cluster, namespace: str, urn: str) -> bool:
    """Tell whether a namespace bears the mark of the stack of this URN."""
    found = cluster.get(NAMESPACE, namespace, metadata_only=True)
    return _is_of_stack(stack_of(found["metadata"]) if found else None, urn)


def _is_of_stack(owner: str | None, urn: str) -> bool:
    stack, project = urn.split("::")[:2] if "::" in urn else ("", "")
    return owner is not None and owner.split("/")[1:] == [project, stack.rpartition(":")[2]]


def find_obstacles(cluster: Cluster, own: Mapping[str, str], theirs: Mapping[str, str], urn: str) -> list[str]:
    """Say which namespaces a new platform could not make, and which of those it is to use are missing.

    Args:
        cluster: the platform's cluster.
        own: namespaces that the platform is to make, each with the argument that says so.
        theirs: namespaces that are to be there, each with the argument that says so.
        urn: of a resource of the stack.

    """
    found = []
    for name, argument in own.items():
        there = cluster.get(NAMESPACE, name, metadata_only=True)
        owner = stack_of(there["metadata"]) if there else None
        if there is None or there["metadata"].get("deletionTimestamp") or _is_of_stack(owner, urn):
            continue
        if owner:
            found.append(f"namespace {name} exists already and is of the stack {owner}: choose another")
        else:
            found.append(
                f"namespace {name} exists already and is not of this stack: unless it was imported, choose another, or"
                f" adopt it (`{argument}: false`)"
            )
    return found + [
        f"namespace {name} does not exist: unless something else makes it in this update, create it, or let the"
        f" platform do so (`{argument}: true`)"
        for name, argument in theirs.items()
        if cluster.get(NAMESPACE, name, metadata_only=True) is None
    ]
