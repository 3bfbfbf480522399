"""Worker pods: the pods in which dev environments run. Finding them, stopping them, saying what holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import NODE, POD, Refused, Unreachable
from codecanvas_provider.times import now, parse_time
from codecanvas_provider.waiting import Deadline, in_thread, pause, settle
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.manifests import WORKER_CONTAINER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from codecanvas_provider.cluster import Cluster
    from codecanvas_provider.resource import Context
    from codecanvas_provider.waiting import Pace

NAMED = 10
"""Dev environments that an error names; of the rest it gives the number."""

_DELETES_AT_A_TIME = 16
_FINISHED = frozenset({"Succeeded", "Failed"})


def is_worker_pod(pod: dict[str, Any]) -> bool:
    """Tell whether a dev environment runs in this pod, or did."""
    containers = (pod.get("spec") or {}).get("containers") or []
    return any(container.get("name") == WORKER_CONTAINER for container in containers)


def is_finished(pod: dict[str, Any]) -> bool:
    """Tell whether all containers of a pod have ended for good: it takes no resources but its volumes' claims."""
    return (pod.get("status") or {}).get("phase") in _FINISHED


def list_worker_pods(cluster: Cluster, namespace: str, *, finished: bool = False) -> list[dict[str, Any]]:
    """Give the worker pods of a namespace by name; finished ones only on request."""
    pods = [pod for pod in cluster.list_all(POD, namespace) if is_worker_pod(pod)]
    return sorted((pod for pod in pods if finished or not is_finished(pod)), key=name_of)


def name_of(thing: dict[str, Any]) -> str:
    """Give an object's name."""
    return str(thing["metadata"]["name"])


def join_names(names: Iterable[str], limit: int = NAMED) -> str:
    """Write names as a list of bounded length: `a, b and 7 more`."""
    listed = list(names)
    shown = ", ".join(listed[:limit])
    return shown if len(listed) <= limit else f"{shown} and {len(listed) - limit} more"


def count_environments(number: int) -> str:
    """Write a number of dev environments."""
    return "1 dev environment" if number == 1 else f"{number} dev environments"


class StillRunningError(ClusterError):
    """Some dev environments did not stop in time.

    Attributes:
        running: how many.

    """

    def __init__(self, cause: str, remedy: str, running: int) -> None:
        self.running = running
        super().__init__(cause, remedy)


async def stop_worker_pods(
    context: Context,
    cluster: Cluster,
    namespace: str,
    *,
    platform: str,
    timeout: float,
    finished: bool = False,
    pace: Pace,
) -> int:
    """Delete worker pods, with their own grace periods and all at once, until two looks in a row find none.

    Pods that slip in while it runs, such as those of an operator that makes them anew, are deleted too. A
    cluster that does not answer for a while is waited for.

    Args:
        context: takes the progress, and ends the wait on request.
        cluster: the cluster.
        namespace: the platform's namespace.
        platform: its name, for messages.
        timeout: seconds until the wait is given up.
        finished: delete finished worker pods as well.
        pace: how often to look.

    Returns:
        The number of pods deleted.

    Raises:
        StillRunningError: at the time-out; names each survivor and what holds it.
        ClusterError: no deletion was allowed, or the cluster stayed away.

    """
    stopper = _Stopper(context, cluster, namespace, finished=finished, pace=pace)
    deadline = Deadline(timeout)
    pauses = pace.pauses()
    empty = 0
    while True:
        pods = await stopper.look(deadline)
        if pods:
            empty = 0
            await stopper.delete(pods)
            await stopper.show_progress(pods)
        elif (empty := empty + 1) == 2:
            return len(stopper.seen)
        if pods and deadline.passed:
            raise await stopper.give_up(pods, platform, timeout)
        await pause(context, pace.confirm if empty else next(pauses))


class _Stopper:
    """What one run of `stop_worker_pods` has seen and done."""

    def __init__(self, context: Context, cluster: Cluster, namespace: str, *, finished: bool, pace: Pace) -> None:
        self.context = context
        self.cluster = cluster
        self.namespace = namespace
        self.finished = finished
        self.pace = pace
        self.seen: set[str] = set()
        self.refusals: dict[str, ClusterError] = {}

    async def look(self, deadline: Deadline) -> list[dict[str, Any]]:
        """Give the worker pods; wait for a cluster that does not answer."""
        while (pods := await self._try_to_look(deadline)) is None:
            await pause(self.context, self.pace.longest)
        self.seen.update(_uid(pod) for pod in pods)
        return pods

    async def _try_to_look(self, deadline: Deadline) -> list[dict[str, Any]] | None:
        try:
            return await in_thread(self.context, list_worker_pods, self.cluster, self.namespace, finished=self.finished)
        except Unreachable:
            if deadline.passed:
                raise
            return None

    async def delete(self, pods: Sequence[dict[str, Any]]) -> None:
        """Ask for the deletion of all that are not on their way out yet."""
        waiting = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        outcomes = await settle((self._delete(pod) for pod in waiting), at_a_time=_DELETES_AT_A_TIME)
        self.refusals = {}
        for pod, outcome in zip(waiting, outcomes, strict=True):
            if isinstance(outcome, ClusterError):
                self.refusals[_uid(pod)] = outcome
            elif isinstance(outcome, Exception):
                raise outcome
        forbidden = [error for error in self.refusals.values() if isinstance(error, Refused) and error.status == 403]
        if waiting and len(forbidden) == len(waiting):
            raise forbidden[0]

    async def _delete(self, pod: dict[str, Any]) -> bool:
        return await in_thread(self.context, self.cluster.delete, POD, name_of(pod), self.namespace, uid=_uid(pod))

    async def show_progress(self, pods: Sequence[dict[str, Any]]) -> None:
        await self.context.status(f"stopping dev environments: {len(pods)} of {len(self.seen)} still running")

    async def give_up(self, pods: Sequence[dict[str, Any]], platform: str, timeout: float) -> StillRunningError:
        """Put together the error that names the survivors."""
        reasons = await settle(
            (
                in_thread(self.context, explain_survivor, self.cluster, pod, self.refusals.get(_uid(pod)))
                for pod in pods[:NAMED]
            ),
            at_a_time=_DELETES_AT_A_TIME,
        )
        lines = [f"  - {name_of(pod)}: {reason}" for pod, reason in zip(pods, reasons, strict=False)]
        if len(pods) > NAMED:
            lines.append(f"  - and {len(pods) - NAMED} more")
        cause = (
            f"{len(pods)} of {count_environments(len(self.seen))} of platform {platform}"
            f" (namespace {self.namespace}) did not stop within {timeout:g} s:\n" + "\n".join(lines) + "\n"
        )
        return StillRunningError(cause, "", len(pods))


def explain_survivor(cluster: Cluster, pod: dict[str, Any], refusal: ClusterError | None) -> str:
    """Say what keeps a pod that should be gone, and what to do about it."""
    metadata = pod["metadata"]
    finalizers = ", ".join(str(finalizer) for finalizer in metadata.get("finalizers") or [])
    going_until = parse_time(metadata.get("deletionTimestamp"))
    grace = metadata.get("deletionGracePeriodSeconds")
    held = f"finalizer {finalizers} holds it; see that the controller which set it runs, so that it takes it off"
    if refusal is not None:
        return f"its deletion is refused ({refusal.cause})"
    if going_until is None:
        return "it was made anew meanwhile; see that the freeze block is in force"
    if finalizers and grace == 0:
        return held
    node = (pod.get("spec") or {}).get("nodeName")
    lost = _explain_node(cluster, node) if node else ""
    if lost:
        return lost
    if now() < going_until:
        return (
            f"it is shutting down within its grace period of {grace} s (a preStop hook, or it saves its work);"
            " wait, or set a longer `stopTimeout`"
        )
    if finalizers:
        return held
    return f"its grace period is over but node {node or '?'} has not stopped it; look at the kubelet there"


def _explain_node(cluster: Cluster, name: str) -> str:
    """Say that a pod's node cannot stop it any more; empty where it can, or we may not look."""
    try:
        node = cluster.get(NODE, name)
    except ClusterError:
        return ""
    if node is None:
        return f"its node {name} is gone; the cluster clears it away soon, or `kubectl delete pod --force` does"
    conditions = (node.get("status") or {}).get("conditions") or []
    ready: dict[str, Any] = next((condition for condition in conditions if condition.get("type") == "Ready"), {})
    if ready.get("status", "True") == "True":
        return ""
    return (
        f"its node {name} is not ready ({ready.get('reason') or 'no reason given'}), so nothing there can stop it;"
        " bring the node back or delete it"
    )


def _uid(pod: dict[str, Any]) -> str:
    return str(pod["metadata"].get("uid", ""))
