"""What keeps a namespace from going: every object that is left in it, with its finalizers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from codecanvas_provider.cluster import Refused
from codecanvas_provider.worker_pods import name_of

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster, Kind

MAX_HOLDERS = 20
_AT_A_TIME = 8
# They come and go by themselves and hold nothing.
_PASSING = frozenset({"events", "leases", "endpoints", "endpointslices"})
# Computed on request, never stored.
_COMPUTED = frozenset({"metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"})
# Controllers that every cluster runs take these off when their object is deleted.
_BUILT_IN = frozenset(
    {
        "batch.kubernetes.io/job-tracking",
        "foregroundDeletion",
        "kubernetes.io/pvc-protection",
        "orphan",
        "service.kubernetes.io/load-balancer-cleanup",
    }
)


def namespace_holders(cluster: Cluster, namespace: str) -> list[str]:
    """Name what is left in a namespace, those with finalizers first: `Kind name (finalizers a, b)`.

    Every namespaced kind that the cluster knows is looked at, by metadata only; kinds that we may not list, or whose
    API server does not answer as it should, are passed over. The list ends after `MAX_HOLDERS` with the number of
    the rest.

    Raises:
        Unreachable: the cluster does not answer.

    """
    return _bounded([text for _, text in sorted(_find(cluster, namespace))])


def foreign_finalizers(cluster: Cluster, namespace: str) -> list[str]:
    """Name what may keep a namespace from going: each object with a finalizer that Kubernetes itself does not clear.

    Looked at and bounded as in `namespace_holders`.

    Raises:
        Unreachable: the cluster does not answer.

    """
    found = _find(cluster, namespace, passing=_BUILT_IN)
    return _bounded([text for bare, text in sorted(found) if not bare])


def _find(cluster: Cluster, namespace: str, *, passing: frozenset[str] = frozenset()) -> list[tuple[bool, str]]:
    """Give what is in a namespace as (it has no finalizers, text); finalizers that are `passing` do not count."""
    kinds = [kind for kind in cluster.discover() if kind.plural not in _PASSING and kind.group not in _COMPUTED]
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="holders") as threads:
        looks = threads.map(lambda kind: _left(cluster, kind, namespace, passing), kinds)
        return [entry for entries in looks for entry in entries]


def _bounded(texts: list[str]) -> list[str]:
    if len(texts) <= MAX_HOLDERS:
        return texts
    return [*texts[:MAX_HOLDERS], f"and {len(texts) - MAX_HOLDERS} more"]


def _left(cluster: Cluster, kind: Kind, namespace: str, passing: frozenset[str]) -> list[tuple[bool, str]]:
    """Give the objects of a kind as (it has no finalizers, text)."""
    try:
        things = cluster.list_all(kind, namespace, metadata_only=True)
    except Refused:
        return []
    entries = []
    for thing in things:
        held_by = thing["metadata"].get("finalizers") or []
        finalizers = ", ".join(finalizer for finalizer in held_by if finalizer not in passing)
        suffix = f" (finalizers {finalizers})" if finalizers else ""
        entries.append((not finalizers, f"{kind.name} {name_of(thing)}{suffix}"))
    return entries
