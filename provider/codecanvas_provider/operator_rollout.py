"""Bringing the operator onto its present key, whatever chart it comes from.

A new key reaches the cluster with the Helm release, but pods keep the one they started with unless the chart
restarts them. So each workload of the release bears, in annotations of its own, the fingerprint of the key, the
revision of the release and the state of the Secrets and ConfigMaps that its pods run on. Where the release has
brought another state since and a pod is older than the last change, the pods are replaced as
`kubectl rollout restart` does it. What was changed past the release is left alone; the connection test tells.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import CONFIG_MAP, POD, Refused
from codecanvas_provider.release_history import forget_superseded
from codecanvas_provider.waiting import Deadline, in_thread, pause
from codecanvas_provider.worker_pods import is_finished
from codecanvas_provider.workloads import (
    RELEASE_NAME,
    changed_at,
    explain_workloads,
    list_workloads,
    read_newest_revision,
)
from pulumi_codecanvas.errors import ClusterError

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster
    from codecanvas_provider.resource import Context
    from codecanvas_provider.waiting import Pace
    from codecanvas_provider.workloads import Revision, Workload

FINGERPRINT = "pulumi-codecanvas/key-fingerprint"
"""On a workload: the key that its pods run on. On its pod template: the key for which they were last restarted."""
SOURCES = "pulumi-codecanvas/key-sources"
"""On a workload: the release's Secrets and ConfigMaps that its pods run on, as `Kind/name@resourceVersion`."""
REVISION = "pulumi-codecanvas/key-revision"
"""On a workload: the revision of the release that brought them."""
OWNERS = "pulumi-codecanvas/key-owners"
"""On a workload: who wrote each entry of them, as JSON: `Kind/name/entry` to field manager."""


@dataclass(frozen=True)
class Sources:
    """The Secrets and ConfigMaps that a workload's pods need, as they are now.

    Only those that the release itself brought have a state: what others bring, such as certificates that are renewed,
    has nothing to do with the key.

    Attributes:
        state: one text for all of them, to be compared.
        changed: when the last of them changed, to the second; empty where there is none.
        owners: who wrote each entry, as in `OWNERS`; the entries themselves are not read.
        missing: those that do not exist, whoever brings them, as `Kind name`.

    """

    state: str
    changed: str
    owners: dict[str, str]
    missing: tuple[str, ...]

    def rewritten(self, workload: Workload) -> list[str]:
        """Name the entries that somebody else has written since they were noted, with who it was."""
        try:
            noted = json.loads(workload.annotations.get(OWNERS) or "{}")
        except ValueError:
            return []
        found = []
        for entry, owner in sorted(noted.items()):
            now = self.owners.get(entry, "nobody")
            if now != owner:
                found.append(f"{entry} by {now}")
        return found


def read_sources(cluster: Cluster, namespace: str, workload: Workload) -> Sources:
    """Look up what a workload's pods need, by metadata alone."""
    states, times, missing = [], [""], []
    owners: dict[str, str] = {}
    release = workload.annotations.get(RELEASE_NAME)
    for kind, name in workload.references():
        try:
            found = cluster.get(kind, name, namespace, metadata_only=True)
        except Refused as error:
            # To look at ConfigMaps is a right that is asked for but not needed: keys are in Secrets.
            if error.status != 403 or kind is not CONFIG_MAP:
                raise
            continue
        if found is None:
            missing.append(f"{kind.name} {name}")
            continue
        metadata = found["metadata"]
        if (metadata.get("annotations") or {}).get(RELEASE_NAME) == release:
            states.append(f"{kind.name}/{name}@{metadata.get('resourceVersion', '')}")
            times.append(changed_at(metadata))
            owners |= {f"{kind.name}/{name}/{entry}": owner for entry, owner in _owners(metadata).items()}
    return Sources(",".join(states), max(times), owners, tuple(missing))


def _owners(metadata: dict[str, Any]) -> dict[str, str]:
    """Give who wrote each entry of a Secret or ConfigMap, as managed fields tell."""
    owners: dict[str, str] = {}
    for manager in metadata.get("managedFields") or []:
        for part in ("f:data", "f:stringData", "f:binaryData"):
            for entry in (manager.get("fieldsV1") or {}).get(part) or {}:
                if entry.startswith("f:"):
                    owners[entry[2:]] = str(manager.get("manager"))
    return owners


async def ensure_current_key(
    context: Context,
    cluster: Cluster,
    namespace: str,
    release: str,
    fingerprint: str,
    *,
    platform: str,
    timeout: float,
    pace: Pace,
) -> list[str]:
    """Have every workload of a release run on the key with this fingerprint.

    Args:
        context: takes the progress, and ends the wait on request.
        cluster: the cluster.
        namespace: the release's namespace.
        release: the release's name.
        fingerprint: the key that the release has been given.
        platform: the platform's name, for messages.
        timeout: seconds until the wait for restarted pods is given up.
        pace: how often to look.

    Returns:
        The workloads that were restarted, as `Kind name`.

    Raises:
        ClusterError: a restarted workload did not become ready; says which and why.

    """
    restarted = await in_thread(context, _record_or_restart, cluster, namespace, release, fingerprint)
    if not restarted:
        return []
    deadline = Deadline(timeout)
    pauses = pace.pauses()
    while True:
        workloads = await in_thread(context, list_workloads, cluster, namespace, release)
        waiting = [workload for workload in workloads if workload.title in restarted and not workload.is_ready]
        # One that was told to have no pods has none with an old key either.
        waiting = [workload for workload in waiting if not workload.is_scaled_down]
        if not waiting:
            return restarted
        if deadline.passed:
            reasons = await in_thread(context, explain_workloads, cluster, namespace, waiting)
            raise ClusterError(
                f"platform {platform} (namespace {namespace}): the operator was restarted onto its new key but is not"
                f" ready after {timeout:.0f} s: {'; '.join(reasons)}",
                "mend this, then run `pulumi up` again",
            )
        await context.status(f"restarting the operator onto its new key: waiting for {waiting[0].title}")
        await pause(context, next(pauses))


def _record_or_restart(cluster: Cluster, namespace: str, release: str, fingerprint: str) -> list[str]:
    """Note down the present key on each workload, and replace pods that may run on another; name the latter."""
    workloads = list_workloads(cluster, namespace, release)
    revision = read_newest_revision(cluster, namespace, release) if workloads else None
    if any(workload.annotations.get(FINGERPRINT) != fingerprint for workload in workloads):
        # Before the marks below, so that a run that is cut off here does it again.
        forget_superseded(cluster, namespace, release)
    restarted = []
    for workload in workloads:
        sources = read_sources(cluster, namespace, workload)
        template_marks = {FINGERPRINT: fingerprint, SOURCES: sources.state}
        number = str(revision.number) if revision else ""
        noted = workload.annotations
        of_this_revision = (noted.get(FINGERPRINT), noted.get(REVISION)) == (fingerprint, number)
        if of_this_revision or sources.missing:
            continue
        owners = json.dumps(sources.owners, sort_keys=True)
        patch: dict[str, Any] = {"metadata": {"annotations": {**template_marks, REVISION: number, OWNERS: owners}}}
        same = all(noted.get(key) == value for key, value in template_marks.items())
        if not same and not _runs_on(cluster, namespace, workload, sources, revision):
            patch["spec"] = {"template": {"metadata": {"annotations": template_marks}}}
            restarted.append(workload.title)
        cluster.patch(workload.kind, workload.name, patch, namespace)
    return restarted


def _runs_on(cluster: Cluster, namespace: str, workload: Workload, sources: Sources, revision: Revision | None) -> bool:
    """Tell whether all pods of a workload were started after what they need last changed.

    Kubernetes notes times to the second, so what happened within one second counts as the wrong way round.
    """
    if revision is None:
        return False
    if revision.number == 1 and FINGERPRINT not in workload.annotations:
        # The first install: its pods cannot be older than what it brought.
        return True
    changed = sources.changed or revision.created
    pods = [pod for pod in cluster.list_all(POD, namespace) if workload.owns(pod) and not is_finished(pod)]
    return all(str(pod["metadata"].get("creationTimestamp") or "") > changed for pod in pods)
