"""The volumes of dev environments: PersistentVolumeClaims and the disks behind them.

Which ones are the platform's, and deleting them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import CLAIM, POD, VOLUME, Refused
from codecanvas_provider.waiting import Deadline, in_thread, pause, settle
from codecanvas_provider.worker_pods import NAMED, is_worker_pod, join_names, name_of
from pulumi_codecanvas.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from codecanvas_provider.cluster import Cluster
    from codecanvas_provider.resource import Context
    from codecanvas_provider.waiting import Pace

_DELETES_AT_A_TIME = 16
_IN_USE = "kubernetes.io/pvc-protection"


def claims_of(pod: dict[str, Any]) -> set[str]:
    """Name the PersistentVolumeClaims that a pod mounts, those made for it alone (ephemeral ones) included."""
    names = set()
    for volume in (pod.get("spec") or {}).get("volumes") or []:
        if "persistentVolumeClaim" in volume:
            names.add(str(volume["persistentVolumeClaim"].get("claimName")))
        elif "ephemeral" in volume and (pod.get("metadata") or {}).get("name"):
            names.add(f"{name_of(pod)}-{volume['name']}")
    return names


def claims_of_environments(pods: Iterable[dict[str, Any]], shared: Collection[str]) -> set[str]:
    """Name the claims in a namespace that belong to dev environments for certain.

    These are the claims that worker pods mount, except those that another pod mounts too, that several worker
    pods mount, or that are named as `shared` (the pod template itself mounts them): such data is not a dev
    environment's own. No public label marks the volume of a stopped dev environment, so it is not found here.
    """
    counts: dict[str, int] = {}
    foreign: set[str] = set(shared)
    for pod in pods:
        claims = claims_of(pod)
        if not is_worker_pod(pod):
            foreign |= claims
        for claim in claims:
            counts[claim] = counts.get(claim, 0) + 1
    return {claim for claim, count in counts.items() if count == 1 and claim not in foreign}


def list_claims(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """Give the claims of a namespace by name."""
    return sorted(cluster.list_all(CLAIM, namespace), key=name_of)


async def delete_claims(
    context: Context,
    cluster: Cluster,
    namespace: str,
    *,
    only: Collection[str] | None,
    timeout: float,
    pace: Pace,
) -> list[str]:
    """Delete claims and wait until they and their disks are gone.

    The cluster may be deleted right after, and with it the storage driver: a disk that is left then is an orphan.

    Args:
        context: takes the progress, and ends the wait on request.
        cluster: the cluster.
        namespace: the platform's namespace.
        only: names of the claims to delete; None: all.
        timeout: seconds until the wait is given up.
        pace: how often to look.

    Returns:
        The names of the claims that stay because they are not in `only`.

    Raises:
        ClusterError: at the time-out; names each claim that is left and what holds it, or each disk.

    """
    deadline = Deadline(timeout)
    pauses = pace.pauses()
    disks: set[str] = set()
    while True:
        claims = await in_thread(context, list_claims, cluster, namespace)
        ours = [claim for claim in claims if only is None or name_of(claim) in only]
        if not ours:
            await _await_disks(context, cluster, disks, deadline, pace)
            return [name_of(claim) for claim in claims]
        disks |= {claim["spec"]["volumeName"] for claim in ours if (claim.get("spec") or {}).get("volumeName")}
        waiting = [claim for claim in ours if not claim["metadata"].get("deletionTimestamp")]
        outcomes = await settle(
            (
                in_thread(context, cluster.delete, CLAIM, name_of(claim), namespace, uid=str(claim["metadata"]["uid"]))
                for claim in waiting
            ),
            at_a_time=_DELETES_AT_A_TIME,
        )
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        await context.status(f"deleting volumes: {len(ours)} left")
        if deadline.passed:
            raise await in_thread(context, _explain_left, cluster, namespace, ours, timeout)
        await pause(context, next(pauses))


async def _await_disks(context: Context, cluster: Cluster, names: set[str], deadline: Deadline, pace: Pace) -> None:
    """Wait until the storage driver has deleted the disks of claims that are gone."""
    pauses = pace.pauses()
    while names:
        found = await settle(
            (in_thread(context, _find_disk, cluster, name) for name in names), at_a_time=_DELETES_AT_A_TIME
        )
        for outcome in found:
            if isinstance(outcome, Exception):
                raise outcome
        left = [disk for disk in found if isinstance(disk, dict)]
        names = {name_of(disk) for disk in left}
        if not names:
            return
        await context.status(f"deleting disks: {len(names)} left")
        if deadline.passed:
            lines = [f"  - {name_of(disk)}: {_explain_disk(disk)}" for disk in left[:NAMED]]
            raise ClusterError(
                f"{len(left)} disks (PersistentVolumes) are not deleted after {deadline.seconds:g} s:\n"
                + "\n".join(lines)
                + "\nsee that the storage driver deletes them while it is still there, then run the command again"
            )
        await pause(context, next(pauses))


def _find_disk(cluster: Cluster, name: str) -> dict[str, Any] | None:
    """Give a PersistentVolume that goes with its claim; None where it is gone, stays, or is not for us to see."""
    try:
        volume = cluster.get(VOLUME, name)
    except Refused as error:
        if error.status == 403:
            return None
        raise
    deletes = volume is not None and (volume.get("spec") or {}).get("persistentVolumeReclaimPolicy") == "Delete"
    return volume if deletes else None


def _explain_disk(disk: dict[str, Any]) -> str:
    status = disk.get("status") or {}
    return str(status.get("message") or f"it is {status.get('phase', 'there')}; see that its storage driver runs")


def _explain_left(cluster: Cluster, namespace: str, claims: Sequence[dict[str, Any]], timeout: float) -> ClusterError:
    pods = cluster.list_all(POD, namespace)
    lines = [f"  - {name_of(claim)}: {_explain_claim(claim, pods)}" for claim in claims[:NAMED]]
    if len(claims) > NAMED:
        lines.append(f"  - and {len(claims) - NAMED} more")
    return ClusterError(
        f"{len(claims)} volumes (PersistentVolumeClaims) in namespace {namespace} are not gone after {timeout:g} s:\n"
        + "\n".join(lines)
        + "\nwhen nothing holds them any more, run the command again: it goes on from here"
    )


def _explain_claim(claim: dict[str, Any], pods: Sequence[dict[str, Any]]) -> str:
    finalizers = [str(finalizer) for finalizer in claim["metadata"].get("finalizers") or []]
    users = [name_of(pod) for pod in pods if name_of(claim) in claims_of(pod)]
    if _IN_USE in finalizers and users:
        return f"pod {join_names(users)} still mounts it; delete this pod"
    if finalizers:
        return f"finalizer {', '.join(finalizers)} holds it; see that the controller which set it runs"
    return "it was made anew meanwhile"


async def request_deletion(context: Context, cluster: Cluster, namespace: str, names: Collection[str]) -> None:
    """Ask for the deletion of claims; each stays for as long as a pod mounts it."""
    outcomes = await settle(
        (in_thread(context, cluster.delete, CLAIM, name, namespace) for name in sorted(names)),
        at_a_time=_DELETES_AT_A_TIME,
    )
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
