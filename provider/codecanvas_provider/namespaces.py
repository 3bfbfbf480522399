"""The platform's namespace as the plugin finds it, told apart from one of the same name in another cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import NAMESPACE
from pulumi_codecanvas.errors import ClusterError

if TYPE_CHECKING:
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
        f"create it, or let the platform do so (`createNamespace: true`); `kubectl get namespace {name}`",
    )
