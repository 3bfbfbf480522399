"""A Helm release that an interrupted run left behind: proven ours and dead, then cleared, so that Helm goes on.

Helm refuses to work on a release that is `pending-...`, and to install one whose name has a record. After a killed
run both happen, for ever. A record is cleared only on proof:

- Ours: the kubernetes plugin wrote it last, not a person's Helm; its values hold the very private key (or, without
  one, all the values) that this stack's state holds or is about to hold; what was finished also names this stack in
  its description.
- Dead: Helm writes the record at each step, and no step outlasts the release's time-out. So a record that nobody
  wrote for longer than that, by the API server's clock, has nobody at work on it. Where it is younger, we wait:
  a Helm that outlived its engine ends by itself meanwhile.

What is not proven is left alone, and Helm's own refusal is explained to the user. Objects in the cluster stay: Helm
takes over what bears its annotations for the release.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import SECRET, Cluster
from codecanvas_provider.inputs import CLUSTER_FIELDS, Field, require_fields
from codecanvas_provider.server_clock import read_server_time
from codecanvas_provider.times import parse_time
from codecanvas_provider.waiting import Pace, in_thread, pause
from codecanvas_provider.worker_pods import name_of
from pulumi_codecanvas.connection import values_fingerprint
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.tokens import RECOVER_RELEASE

if TYPE_CHECKING:
    import datetime

    from codecanvas_provider.dev_environments import Connect
    from codecanvas_provider.resource import Context
    from codecanvas_provider.server import Function


MARGIN = 10.0
"""Seconds that a step of Helm may take beyond its time-out, and clocks of API servers may differ."""

_PENDING = "pending-"
_UNINSTALLING = "uninstalling"
_WRITER = "pulumi-kubernetes"

_FIELDS: dict[str, Field] = {
    **CLUSTER_FIELDS,
    "releaseName": Field(str, "Name of the Helm release.", required=True),
    "timeout": Field(int, "Seconds that one step of Helm may take.", default=600, least=1),
    "fingerprint": Field(str, "Of the release's values, as this stack has them.", required=True),
    "formerFingerprint": Field(str, "Of the values before this update, which a failed one puts back."),
    "owner": Field(str, "The stack, as it stands in the description of its releases.", required=True),
    "creating": Field(bool, "Whether the state knows no such release.", required=True),
}


@dataclass(frozen=True)
class _Record:
    """Helm's record of one revision."""

    secret: dict[str, Any]

    @property
    def name(self) -> str:
        return name_of(self.secret)

    @property
    def number(self) -> int:
        version = str(self._labels.get("version", ""))
        return int(version) if version.isdigit() else 0

    @property
    def status(self) -> str:
        return str(self._labels.get("status", ""))

    @property
    def is_unfinished(self) -> bool:
        """Whether Helm was at work on it when it was last written."""
        return self.status.startswith(_PENDING) or self.status == _UNINSTALLING

    @property
    def writers(self) -> set[str]:
        """Who has written it, as managed fields tell: the names of programs."""
        return {str(entry.get("manager")) for entry in self._writes}

    @property
    def written(self) -> datetime.datetime | None:
        """When it was last written, by the API server's clock."""
        writes = [self.secret["metadata"].get("creationTimestamp"), *(entry.get("time") for entry in self._writes)]
        return max((time for time in map(parse_time, writes) if time), default=None)

    @property
    def _writes(self) -> list[dict[str, Any]]:
        return self.secret["metadata"].get("managedFields") or []

    @property
    def _labels(self) -> dict[str, str]:
        return self.secret["metadata"].get("labels") or {}


@dataclass(frozen=True)
class _Case:
    """One release to be looked after."""

    cluster: Cluster
    namespace: str
    release: str
    timeout: float
    fingerprints: frozenset[str]
    owner: str
    creating: bool

    def newest(self) -> _Record | None:
        """Give the newest record, by metadata alone."""
        return max(self.records(), key=lambda record: record.number, default=None)

    def records(self) -> list[_Record]:
        labels = f"owner=helm,name={self.release}"
        found = self.cluster.list_all(SECRET, self.namespace, labels=labels, metadata_only=True)
        return [_Record(secret) for secret in found]

    def is_ours(self, record: _Record, content: dict[str, Any]) -> bool:
        """Tell whether this stack made a revision."""
        if record.writers - {_WRITER} or values_fingerprint(content.get("config") or {}) not in self.fingerprints:
            return False
        # Two stacks may have been given one key by their users; what is finished also says whose it is.
        description = (content.get("info") or {}).get("description")
        return record.status != "deployed" or description == self.owner

    def seconds_left(self, record: _Record, content: dict[str, Any]) -> float:
        """Give the seconds after which nobody can be at work on a record any more."""
        written = record.written
        if written is None:
            return 0.0
        # With hooks, a wait for them and one for the workloads may lie between two writes.
        steps = 2 if content.get("hooks") else 1
        now = read_server_time(self.cluster, self.namespace)
        return steps * self.timeout + MARGIN - (now - written).total_seconds()

    def read(self, record: _Record) -> dict[str, Any] | None:
        """Give what a record holds, secrets included; None where it is gone or no record of Helm's."""
        secret = self.cluster.get(SECRET, record.name, self.namespace)
        try:
            packed = base64.b64decode(base64.b64decode((secret or {})["data"]["release"]))
            content = json.loads(gzip.decompress(packed))
        except (KeyError, ValueError, OSError, EOFError):
            return None
        return content if isinstance(content, dict) else None

    def clear(self, record: _Record) -> str:
        """Delete what stands in Helm's way; say what was done, or nothing where somebody was quicker."""
        # Only as it was seen: whoever has written it since is alive.
        if not self.cluster.delete(SECRET, record.name, self.namespace, seen=record.secret):
            return ""
        if self.creating:
            for other in self.records():
                self.cluster.delete(SECRET, other.name, self.namespace, seen=other.secret)
        state = f"{record.status} (revision {record.number})"
        what = f"Helm release {self.release} in namespace {self.namespace} was {state}"
        if self.creating:
            return f"{what} but not in the stack's state: an earlier run was cut off; it is taken over"
        return f"{what} with nobody at work on it: an earlier run was cut off; this revision was dropped"


class ReleaseRecovery:
    """The function that the component calls before a release is installed or upgraded; not meant for programs."""

    def __init__(self, connect: Connect = Cluster.connect, pace: Pace | None = None) -> None:
        """Take what tests replace: how to reach a cluster, and how often to look."""
        self._connect = connect
        self._pace = pace or Pace()

    def functions(self) -> dict[str, Function]:
        """Give the functions by token."""
        return {RECOVER_RELEASE: self.recover}

    async def recover(self, context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        """Clear what an interrupted run left in Helm's way, once it is proven ours and dead.

        Never fails for the cluster's sake: what stays in the way Helm itself will meet.

        Args:
            context: of the call; in a preview nothing is done.
            arguments: see `_FIELDS`.

        Returns:
            `done`: what was done, as a sentence; empty: nothing.

        """
        given = require_fields(arguments, _FIELDS)
        if context.preview:
            return {"done": ""}
        cluster = self._connect(given.get("kubeconfig"), given.get("context"))
        case = _Case(
            cluster,
            given["namespace"],
            given["releaseName"],
            float(given["timeout"]),
            frozenset(given[name] for name in ("fingerprint", "formerFingerprint") if name in given),
            given["owner"],
            given["creating"],
        )
        try:
            return {"done": await self._recover(context, case)}
        except ClusterError as error:
            await context.log(f"cannot see whether an earlier run left {case.release} unfinished: {error}", "debug")
            return {"done": ""}

    async def _recover(self, context: Context, case: _Case) -> str:
        told = False
        pauses = self._pace.pauses()
        while True:
            record = await in_thread(context, case.newest)
            # A plain update of a finished release is Helm's own business.
            if record is None or not (case.creating or record.status.startswith(_PENDING)):
                return ""
            content = await in_thread(context, case.read, record)
            if content is None or not case.is_ours(record, content):
                return ""
            left = await in_thread(context, case.seconds_left, record, content) if record.is_unfinished else 0.0
            if left <= 0:
                return await in_thread(context, case.clear, record)
            if not told:
                told = True
                await context.log(_explain_wait(case, record, left))
            await pause(context, min(next(pauses), left))


def _explain_wait(case: _Case, record: _Record, left: float) -> str:
    return (
        f"Helm release {case.release} is {record.status} since an earlier run of this stack was cut off. Its Helm may"
        f" still be at work: waiting until it ends, at most {left:.0f} s. If you know that none runs:"
        f" kubectl delete secret {record.name} --namespace {case.namespace}"
    )
