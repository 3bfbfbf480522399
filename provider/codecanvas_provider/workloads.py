"""A Helm release as the cluster shows it: its revisions and workloads, and why a workload is not ready.

Nothing secret is read: of Secrets, the metadata only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import (
    CONFIG_MAP,
    DAEMON_SET,
    DEPLOYMENT,
    EVENT,
    POD,
    SECRET,
    STATEFUL_SET,
    Kind,
    Refused,
)
from codecanvas_provider.worker_pods import is_worker_pod, name_of

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster

RELEASE_NAME = "meta.helm.sh/release-name"
RELEASE_NAMESPACE = "meta.helm.sh/release-namespace"
"""Annotations that Helm puts on every object that it installs."""

WORKLOAD_KINDS = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)
_TEXT_LENGTH = 300
_PODS_EXPLAINED = 3


@dataclass(frozen=True)
class Revision:
    """One revision of a release.

    Attributes:
        number: counts from 1 with each install, upgrade and rollback.
        status: Helm's word, such as `deployed`, `failed`, `pending-upgrade`.
        created: when Helm began with it, to the second.

    """

    number: int
    status: str
    created: str


@dataclass(frozen=True)
class Workload:
    """A Deployment, StatefulSet or DaemonSet."""

    kind: Kind
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """Its name."""
        return name_of(self.manifest)

    @property
    def title(self) -> str:
        """Kind and name, as in messages."""
        return f"{self.kind.name} {self.name}"

    @property
    def annotations(self) -> dict[str, str]:
        """Its own annotations, not those of its pods."""
        return self.manifest["metadata"].get("annotations") or {}

    @property
    def chart(self) -> str | None:
        """Name and version of the chart, where it bears Helm's customary label."""
        return (self.manifest["metadata"].get("labels") or {}).get("helm.sh/chart")

    @property
    def pod_spec(self) -> dict[str, Any]:
        """The spec of its pods."""
        spec: dict[str, Any] = ((self.manifest.get("spec") or {}).get("template") or {}).get("spec") or {}
        return spec

    @property
    def wanted(self) -> int:
        """How many pods it should have."""
        if self.kind is DAEMON_SET:
            return int(self._status.get("desiredNumberScheduled") or 0)
        replicas = (self.manifest.get("spec") or {}).get("replicas")
        return 1 if replicas is None else int(replicas)

    @property
    def available(self) -> int:
        """How many pods of the present template are ready, at least: Kubernetes counts older ones among them."""
        status = self._status
        names = ("replicas", "updatedReplicas", "availableReplicas")
        if self.kind is DAEMON_SET:
            names = ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
        total, updated, available = (int(status.get(name) or 0) for name in names)
        older = max(0, total - updated)
        return max(0, min(updated, available - older))

    @property
    def is_ready(self) -> bool:
        """Whether it has rolled out: every pod is of the present template and available, and no older one is left."""
        seen = int(self._status.get("observedGeneration") or 0) >= int(self.manifest["metadata"].get("generation") or 0)
        total = int(self._status.get("replicas") or 0)
        settled = self.kind is DAEMON_SET or total == self.wanted
        return seen and settled and self.available >= self.wanted and not self.is_scaled_down

    @property
    def is_scaled_down(self) -> bool:
        """Whether it was told to have no pods."""
        return self.kind is not DAEMON_SET and self.wanted == 0

    @property
    def waits_for_deletes(self) -> bool:
        """Whether its pods take a new template only once somebody deletes them."""
        return ((self.manifest.get("spec") or {}).get("updateStrategy") or {}).get("type") == "OnDelete"

    @property
    def _status(self) -> dict[str, Any]:
        return self.manifest.get("status") or {}

    def owns(self, pod: dict[str, Any]) -> bool:
        """Tell whether its selector matches a pod."""
        selector = (self.manifest.get("spec") or {}).get("selector") or {}
        labels = (pod["metadata"].get("labels")) or {}
        wanted = selector.get("matchLabels") or {}
        expressions = selector.get("matchExpressions") or []
        return bool(wanted or expressions) and (
            all(labels.get(key) == value for key, value in wanted.items())
            and all(_matches(expression, labels) for expression in expressions)
        )

    def references(self) -> list[tuple[Kind, str]]:
        """Give the Secrets and ConfigMaps that its pods cannot do without: those not marked as optional."""
        found: set[tuple[str, str]] = set()
        spec = self.pod_spec
        for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
            for source in container.get("envFrom") or []:
                found |= _reference(source, "secretRef", "configMapRef", "name")
            for variable in container.get("env") or []:
                found |= _reference(variable.get("valueFrom") or {}, "secretKeyRef", "configMapKeyRef", "name")
        for volume in spec.get("volumes") or []:
            found |= _reference(volume, "secret", "", "secretName") | _reference(volume, "", "configMap", "name")
            for source in (volume.get("projected") or {}).get("sources") or []:
                found |= _reference(source, "secret", "configMap", "name")
        kinds = {SECRET.name: SECRET, CONFIG_MAP.name: CONFIG_MAP}
        return [(kinds[kind], name) for kind, name in sorted(found)]


def _matches(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    key, values = expression.get("key", ""), expression.get("values") or []
    operator = expression.get("operator")
    if operator == "In":
        return labels.get(key) in values
    if operator == "NotIn":
        return labels.get(key) not in values
    return (key in labels) == (operator == "Exists")


def _reference(source: dict[str, Any], secret: str, config_map: str, key: str) -> set[tuple[str, str]]:
    found = set()
    for kind, field in ((SECRET.name, secret), (CONFIG_MAP.name, config_map)):
        target = source.get(field) if field else None
        if isinstance(target, dict) and target.get(key) and not target.get("optional"):
            found.add((kind, str(target[key])))
    return found


def read_newest_revision(cluster: Cluster, namespace: str, release: str) -> Revision | None:
    """Give the newest revision of a release by the labels of Helm's Secrets; None where it is not installed."""
    secrets = cluster.list_all(SECRET, namespace, labels=f"owner=helm,name={release}", metadata_only=True)
    revisions = []
    for secret in secrets:
        labels = secret["metadata"].get("labels") or {}
        version = str(labels.get("version", ""))
        if version.isdigit():
            created = str(secret["metadata"].get("creationTimestamp", ""))
            revisions.append(Revision(int(version), str(labels.get("status", "")), created))
    return max(revisions, key=lambda revision: revision.number, default=None)


def list_workloads(cluster: Cluster, namespace: str, release: str) -> list[Workload]:
    """Give the workloads of a release, found by the annotations that Helm puts on all that it installs."""
    found = []
    for kind in WORKLOAD_KINDS:
        for manifest in cluster.list_all(kind, namespace):
            annotations = manifest["metadata"].get("annotations") or {}
            # An absent namespace annotation is how very old Helm versions left it.
            if annotations.get(RELEASE_NAME) == release and annotations.get(RELEASE_NAMESPACE, namespace) == namespace:
                found.append(Workload(kind, manifest))
    return sorted(found, key=lambda workload: workload.title)


def describe_unready(cluster: Cluster, namespace: str, release: str) -> list[str]:
    """Say of each workload of a release that is not ready why: its condition, its pods, the last warning event."""
    unready = [workload for workload in list_workloads(cluster, namespace, release) if not workload.is_ready]
    return explain_workloads(cluster, namespace, unready)


def explain_workloads(cluster: Cluster, namespace: str, workloads: list[Workload]) -> list[str]:
    """Say why workloads are not ready, one text each."""
    if not workloads:
        return []
    pods = cluster.list_all(POD, namespace)
    events = list_warnings(cluster, namespace)
    return [_explain(workload, pods, events) for workload in workloads]


def list_warnings(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    """Give the Warning events of a namespace, the oldest first; none where we may not read events."""
    try:
        events = cluster.list_all(EVENT, namespace)
    except Refused as error:
        if error.status != 403:
            raise
        return []
    return sorted((event for event in events if event.get("type") == "Warning"), key=event_time)


def event_time(event: dict[str, Any]) -> str:
    """Give when an event last happened, as Kubernetes wrote it; such texts sort by time."""
    series = event.get("series") or {}
    times = (
        series.get("lastObservedTime"),
        event.get("lastTimestamp"),
        event.get("eventTime"),
        event["metadata"].get("creationTimestamp"),
    )
    # Without its fraction, which only some of them have.
    return next((str(time)[:19] for time in times if time), "")


def describe_event(event: dict[str, Any]) -> str:
    """Put an event in one line."""
    thing = event.get("involvedObject") or {}
    what = f"{thing.get('kind', '')} {thing.get('name', '')}".strip()
    return f"{what}: {event.get('reason', '')}: {one_line(str(event.get('message', '')))}"


def one_line(text: str, length: int = _TEXT_LENGTH) -> str:
    """Put text on one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length]}..."


def _explain(workload: Workload, pods: list[dict[str, Any]], events: list[dict[str, Any]]) -> str:
    if workload.is_scaled_down:
        return f"{workload.title} is scaled down to 0 replicas"
    parts = [f"{workload.title}: {workload.available} of {workload.wanted} pods ready"]
    parts += _conditions(workload.manifest)
    if workload.waits_for_deletes:
        parts.append("its update strategy is OnDelete, so pods of an older template must be deleted by hand")
    own = [pod for pod in pods if workload.owns(pod) and not is_worker_pod(pod)]
    troubles = [trouble for pod in own for trouble in _pod_troubles(pod)]
    parts += troubles[:_PODS_EXPLAINED]
    about = {workload.name, *(name_of(pod) for pod in own)}
    # ReplicaSets and pods that are gone already bear the workload's name as a stem.
    last = next((event for event in reversed(events) if _is_about(event, about, workload.name)), None)
    if last is not None and not _is_told(last, parts):
        parts.append(f"last warning: {describe_event(last)}")
    return "; ".join(parts)


def _is_told(event: dict[str, Any], parts: list[str]) -> bool:
    """Say whether an event's message is among what was found already, as the scheduler's is the pod's own reason."""
    message = one_line(str(event.get("message", "")))
    return bool(message) and any(message in part for part in parts)


def _is_about(event: dict[str, Any], names: set[str], stem: str) -> bool:
    name = str((event.get("involvedObject") or {}).get("name", ""))
    return name in names or name.startswith(f"{stem}-")


def _conditions(manifest: dict[str, Any]) -> list[str]:
    """Give the conditions of a workload that say what is wrong."""
    texts = []
    for condition in (manifest.get("status") or {}).get("conditions") or []:
        bad = "True" if condition.get("type") == "ReplicaFailure" else "False"
        if condition.get("status") == bad:
            texts.append(
                f"condition {condition.get('type')}: {condition.get('reason', '')}:"
                f" {one_line(str(condition.get('message', '')))}"
            )
    return texts


def _pod_troubles(pod: dict[str, Any]) -> list[str]:
    """Say what keeps a pod from being ready: it is not scheduled, or what its containers wait for."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            return [f"pod {name_of(pod)} is not scheduled: {one_line(str(condition.get('message', '')))}"]
    troubles = []
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        state = container.get("state") or {}
        reason = _container_trouble(state, container)
        if reason:
            troubles.append(f"pod {name_of(pod)}, container {container.get('name')}: {reason}")
    return troubles


def _container_trouble(state: dict[str, Any], container: dict[str, Any]) -> str:
    waiting, ended = state.get("waiting"), state.get("terminated")
    if waiting and waiting.get("reason") not in {None, "ContainerCreating", "PodInitializing"}:
        return one_line(f"{waiting['reason']}: {waiting.get('message', '')}".rstrip(": "))
    if ended and ended.get("exitCode"):
        return one_line(f"ended with code {ended['exitCode']} ({ended.get('reason', '')})")
    if "running" in state and not container.get("ready"):
        return "runs but its readiness probe fails"
    return ""


def changed_at(metadata: dict[str, Any]) -> str:
    """Give when an object last changed, to the second, by what its metadata tells."""
    times = [str(metadata.get("creationTimestamp") or "")]
    times += [str(entry.get("time") or "") for entry in metadata.get("managedFields") or []]
    return max(times)
