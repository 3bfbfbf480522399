"""What is in a namespace, and what of it would keep it from going: finalizers that Kubernetes itself leaves on.

What they hold is asked to go before the operator and its namespace do, while whoever set them still runs. Nobody takes
a finalizer off here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import CLAIM, NAMESPACE, Refused
from codecanvas_provider.waiting import Deadline, in_thread, pause
from codecanvas_provider.worker_pods import join_names
from codecanvas_provider.workloads import RELEASE_NAME
from pulumi_codecanvas.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from codecanvas_provider.cluster import Cluster, Kind
    from codecanvas_provider.resource import Context
    from codecanvas_provider.waiting import Pace

_AT_A_TIME = 8
# Gone since it was discovered, or nothing that can be listed so.
_NOT_LISTED = frozenset({404, 405, 406})
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


@dataclass(frozen=True)
class Holder:
    """An object in a namespace.

    Attributes:
        kind: its kind.
        metadata: its metadata.
        finalizers: those on it that Kubernetes itself does not take off.

    """

    kind: Kind
    metadata: dict[str, Any]
    finalizers: tuple[str, ...]

    def __str__(self) -> str:
        held = f" (finalizers {', '.join(self.finalizers)})" if self.finalizers else ""
        return f"{self.kind.name} {self.metadata['name']}{held}"

    @property
    def is_owned(self) -> bool:
        """Whether its going is somebody else's business: the Helm release's, or that of the object that owns it."""
        owners = self.metadata.get("ownerReferences") or []
        in_release = RELEASE_NAME in (self.metadata.get("annotations") or {})
        return in_release or any(owner.get("controller") for owner in owners)


def namespace_holders(cluster: Cluster, namespace: str) -> list[str]:
    """Name everything that is in a namespace.

    Raises:
        ClusterError: not all of it can be seen.

    """
    kinds = _listed_kinds(cluster)
    if not any(kind.api_version == CLAIM.api_version for kind in kinds):
        raise ClusterError("the cluster does not tell which kinds of objects it knows")
    return [str(holder) for holder in _look(cluster, namespace, kinds, _list)]


def find_holders(cluster: Cluster, namespace: str) -> list[Holder]:
    """Give what may keep a namespace from going, by kind and name; volumes are seen to in `volumes.py`.

    Every namespaced kind that the cluster knows is looked at, by metadata only; kinds that we may not list, or whose
    API server does not answer as it should, are passed over.

    Raises:
        Unreachable: the cluster does not answer.

    """
    # What an API server does not answer that is known to be away would be asked for over and over.
    kinds = [kind for kind in _listed_kinds(cluster) if not kind.away]
    holders = _look(cluster, namespace, kinds, _list_if_possible)
    return [holder for holder in holders if holder.finalizers and holder.kind.plural != CLAIM.plural]


def _listed_kinds(cluster: Cluster) -> list[Kind]:
    return [kind for kind in cluster.discover() if kind.plural not in _PASSING and kind.group not in _COMPUTED]


def _look(
    cluster: Cluster, namespace: str, kinds: list[Kind], find: Callable[[Cluster, Kind, str], list[Holder]]
) -> list[Holder]:
    with ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="holders") as threads:
        looks = threads.map(lambda kind: find(cluster, kind, namespace), kinds)
        return sorted((holder for holders in looks for holder in holders), key=str)


def _list_if_possible(cluster: Cluster, kind: Kind, namespace: str) -> list[Holder]:
    try:
        return _list(cluster, kind, namespace)
    except Refused:
        return []


def _list(cluster: Cluster, kind: Kind, namespace: str) -> list[Holder]:
    try:
        things = cluster.list_all(kind, namespace, metadata_only=True)
    except Refused as error:
        if error.status not in _NOT_LISTED:
            raise
        return []
    return [
        Holder(kind, thing["metadata"], tuple(sorted(set(thing["metadata"].get("finalizers") or []) - _BUILT_IN)))
        for thing in things
    ]


async def release_holders(
    context: Context, cluster: Cluster, namespace: str, *, timeout: float, pace: Pace
) -> list[Holder]:
    """Delete what would keep a namespace from going, and wait until whoever set the finalizers has let it go.

    Args:
        context: takes the progress, and ends the wait on request.
        cluster: the cluster.
        namespace: a namespace that is about to be deleted with everything in it.
        timeout: seconds until the wait is given up.
        pace: how often to look.

    Returns:
        What is left because it goes with its owner, or because we may not delete it.

    Raises:
        ClusterError: at the time-out; names each object and its finalizers.

    """
    deadline = Deadline(timeout)
    pauses = pace.pauses()
    forbidden: set[str] = set()
    while True:
        holders = await in_thread(context, find_holders, cluster, namespace)
        waiting = [holder for holder in holders if not holder.is_owned and holder.metadata["uid"] not in forbidden]
        if not waiting:
            return holders
        for holder in waiting:
            if not holder.metadata.get("deletionTimestamp") and not await in_thread(
                context, _delete, cluster, holder, namespace
            ):
                forbidden.add(holder.metadata["uid"])
        if deadline.passed:
            raise ClusterError(
                f"namespace {namespace} cannot go, as finalizers hold what is in it after {timeout:g} s:"
                f" {join_names(str(holder) for holder in waiting)}",
                "see that the controllers that set them run, so that they take them off; then run the command again:"
                " it goes on from here",
            )
        await context.status(f"waiting for what finalizers hold: {join_names(str(holder) for holder in waiting)}")
        await pause(context, next(pauses))


async def await_end(
    context: Context, cluster: Cluster, namespaces: Iterable[str], *, timeout: float, pace: Pace
) -> None:
    """Wait until namespaces that are going are gone; one that is not going stays and is not waited for.

    Args:
        context: takes the progress, and ends the wait on request.
        cluster: the cluster.
        namespaces: their names.
        timeout: seconds until the wait is given up.
        pace: how often to look.

    Raises:
        ClusterError: at the time-out; names what is still in them.

    """
    deadline = Deadline(timeout)
    for namespace in namespaces:
        while await in_thread(context, _is_going, cluster, namespace):
            if deadline.passed:
                held = [str(holder) for holder in await in_thread(context, find_holders, cluster, namespace)]
                by = f"; what finalizers hold in it: {join_names(held)}" if held else ""
                raise ClusterError(
                    f"namespace {namespace} was deleted and is not gone after {timeout:g} s{by}",
                    f"`kubectl get namespace {namespace} -o yaml` shows what it waits for; see that whoever set a"
                    " finalizer runs and takes it off; then run the command again: it goes on from here",
                )
            await context.status(f"waiting until namespace {namespace} is gone")
            await pause(context, pace.first)


def _is_going(cluster: Cluster, namespace: str) -> bool:
    found = cluster.get(NAMESPACE, namespace, metadata_only=True)
    return found is not None and bool(found["metadata"].get("deletionTimestamp"))


def _delete(cluster: Cluster, holder: Holder, namespace: str) -> bool:
    """Ask for its deletion; tell whether we may."""
    try:
        cluster.delete(holder.kind, str(holder.metadata["name"]), namespace, uid=str(holder.metadata["uid"]))
    except Refused as error:
        if error.status not in {403, 405}:
            raise
        return False
    return True
