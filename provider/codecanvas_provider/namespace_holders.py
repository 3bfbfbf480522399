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


def namespace_holders(cluster: Cluster, namespace: str) -> list[str]:
    """Name what is left in a namespace, those with finalizers first: `Kind name (finalizers a, b)`.

    Every namespaced kind that the cluster knows is looked at, by metadata only; kinds that we may not list, or whose
    API server does not answer as it should, are passed over. The list ends after `MAX_HOLDERS` with the number of
    the rest.

    Raises:
        Unreachable: the cluster does not answer.

    """
    kinds = [kind for kind in cluster.discover() if kind.plural not in _PASSING and kind.group not in _COMPUTED]
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="holders") as threads:
        found = [
            entry for entries in threads.map(lambda kind: _left(cluster, kind, namespace), kinds) for entry in entries
        ]
    texts = [text for _, text in sorted(found)]
    if len(texts) <= MAX_HOLDERS:
        return texts
    return [*texts[:MAX_HOLDERS], f"and {len(texts) - MAX_HOLDERS} more"]


def _left(cluster: Cluster, kind: Kind, namespace: str) -> list[tuple[bool, str]]:
    """Give the objects of a kind as (it has no finalizers, text)."""
    try:
        things = cluster.list_all(kind, namespace, metadata_only=True)
    except Refused:
        return []
    entries = []
    for thing in things:
        finalizers = ", ".join(thing["metadata"].get("finalizers") or [])
        suffix = f" (finalizers {finalizers})" if finalizers else ""
        entries.append((not finalizers, f"{kind.name} {name_of(thing)}{suffix}"))
    return entries
