"""Why a Helm release did not become ready.

An atomic release that fails is rolled back or uninstalled before anyone hears of it, and the error says no more
than that time ran out. So a release is watched while it is installed or upgraded, and what was seen last is told
on request. Two functions that the component calls from resource hooks; they are not meant for programs.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import POD, Cluster
from codecanvas_provider.inputs import CLUSTER_FIELDS, Field, require_fields
from codecanvas_provider.server_clock import read_server_time
from codecanvas_provider.times import now
from codecanvas_provider.waiting import Cancelled, Deadline, in_thread
from codecanvas_provider.worker_pods import is_worker_pod, name_of
from codecanvas_provider.workloads import describe_event, describe_unready, event_time, list_warnings
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.tokens import EXPLAIN_RELEASE, WATCH_RELEASE

if TYPE_CHECKING:
    from codecanvas_provider.dev_environments import Connect
    from codecanvas_provider.resource import Context
    from codecanvas_provider.server import Function


MAX_WATCHES = 256
"""Releases watched at a time; of more, the oldest are given up."""
MAX_REASONS = 5
INTERVAL = 2.0
"""Seconds between two looks, where few releases are watched."""
# With many releases each is looked at less often, so that all of them together cost the same.
_SECONDS_PER_WATCH = 0.2
_MARGIN = 60.0
# Every release is not ready at first; that alone is no reason for a failure.
_STARTING = 10.0
_SECOND = datetime.timedelta(seconds=1)

_FIELDS: dict[str, Field] = {
    **CLUSTER_FIELDS,
    "releaseName": Field(str, "Name of the Helm release.", required=True),
    "timeout": Field(int, "Seconds that the release may take.", default=600, least=1),
}

_Key = tuple[str, str, str, str]


@dataclass
class _Finding:
    """What was last seen of one workload that was not ready.

    Attributes:
        text: why.
        first: when it was first seen not ready, on the monotonic clock.
        last: when it was last seen so.

    """

    text: str
    first: float
    last: float


@dataclass
class _Watch:
    """One release under observation; `began` is by this machine's clock."""

    cluster: Cluster
    namespace: str
    release: str
    timeout: float
    began: datetime.datetime = field(default_factory=now)
    findings: dict[str, _Finding] = field(default_factory=dict)
    task: asyncio.Task[None] | None = None

    def note(self, texts: list[str]) -> None:
        """Keep what tells most: a later text without pods and warnings does not supersede one with them."""
        moment = time.monotonic()
        for text in texts:
            title = text.split(":", 1)[0]
            known = self.findings.setdefault(title, _Finding(text, moment, moment))
            known.last = moment
            if _tells_much(text) or not _tells_much(known.text):
                known.text = text

    def reasons(self) -> list[str]:
        """Give what explains a failure."""
        least = min(_STARTING, self.timeout / 2)
        return [
            found.text
            for found in self.findings.values()
            if _tells_much(found.text) or found.last - found.first >= least
        ]


def _tells_much(text: str) -> bool:
    return "; pod " in text or "; last warning: " in text or "ReplicaFailure" in text


class ReleaseWatches:
    """The releases under observation in this process."""

    def __init__(self, connect: Connect = Cluster.connect, interval: float = INTERVAL) -> None:
        """Take what tests replace: how to reach a cluster, and how often to look."""
        self._connect = connect
        self._interval = interval
        self._watches: dict[_Key, _Watch] = {}

    def functions(self) -> dict[str, Function]:
        """Give the functions by token."""
        return {WATCH_RELEASE: self.watch, EXPLAIN_RELEASE: self.explain}

    async def watch(self, context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        """Begin to watch a release and return at once; a watch of the same release begins anew.

        Args:
            context: of the call; in a preview nothing is watched.
            arguments: `kubeconfig`, `context`, `namespace`, `releaseName`, and `timeout`, how many seconds the release
                may take.

        """
        watch = self._make(arguments)
        if context.preview:
            return {}
        self._forget(_key(arguments))
        while len(self._watches) >= MAX_WATCHES:
            self._forget(next(iter(self._watches)))
        self._watches[_key(arguments)] = watch
        watch.task = asyncio.create_task(self._observe(context, watch))
        # Heard, lest asyncio complain: a watch that breaks off has nothing more to tell.
        watch.task.add_done_callback(lambda task: task.cancelled() or task.exception())
        return {}

    def is_untested(self, kubeconfig: str | None, context: str | None, namespace: str, release: str) -> bool:
        """Say whether a release was installed or upgraded in this run and `end` was not called for it yet."""
        return (kubeconfig or "", context or "", namespace, release) in self._watches

    def end(self, kubeconfig: str | None, context: str | None, namespace: str, release: str) -> None:
        """End the watch of a release that was installed or upgraded, if there is one."""
        self._forget((kubeconfig or "", context or "", namespace, release))

    async def explain(self, context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        """End the watch of a release; give `reasons`, texts that say why it did not become ready, or none.

        Never fails: it is asked on the way to an error that is to be shown.
        """
        watch = self._watches.get(_key(arguments)) or self._make(arguments)
        self._forget(_key(arguments))
        reasons = watch.reasons()
        with contextlib.suppress(ClusterError):
            reasons = reasons or await in_thread(context, _look_back, watch)
        return {"reasons": reasons[:MAX_REASONS]}

    def _make(self, arguments: dict[str, Any]) -> _Watch:
        given = require_fields(arguments, _FIELDS)
        cluster = self._connect(given.get("kubeconfig"), given.get("context"))
        return _Watch(cluster, given["namespace"], given["releaseName"], float(given["timeout"]))

    def _forget(self, key: _Key) -> None:
        watch = self._watches.pop(key, None)
        if watch is not None and watch.task is not None:
            watch.task.cancel()

    async def _observe(self, context: Context, watch: _Watch) -> None:
        deadline = Deadline(watch.timeout + _MARGIN)
        while not (deadline.passed or context.cancelled.is_set()):
            # First of all: most releases are through before there is anything to look at.
            await asyncio.sleep(max(self._interval, _SECONDS_PER_WATCH * len(self._watches)))
            with contextlib.suppress(ClusterError, Cancelled):
                watch.note(await in_thread(context, describe_unready, watch.cluster, watch.namespace, watch.release))


def _key(arguments: dict[str, Any]) -> _Key:
    names = ("kubeconfig", "context", "namespace", "releaseName")
    kubeconfig, context, namespace, release = (str(arguments.get(name) or "") for name in names)
    return kubeconfig, context, namespace, release


def _began(watch: _Watch) -> str:
    """Give when a watch began, by the API server's clock and in its notation."""
    skew = datetime.timedelta(0)
    with contextlib.suppress(ClusterError):
        skew = read_server_time(watch.cluster, watch.namespace) - now()
    # Where the server's time is told to the second only, an event of the first one counts.
    return (watch.began + skew - _SECOND).strftime("%Y-%m-%dT%H:%M:%S")


def _look_back(watch: _Watch) -> list[str]:
    """Say what is wrong now or, where all is gone already, what the events since then still say."""
    present = describe_unready(watch.cluster, watch.namespace, watch.release)
    if present:
        return present
    began = _began(watch)
    workers = {name_of(pod) for pod in watch.cluster.list_all(POD, watch.namespace) if is_worker_pod(pod)}
    texts = [
        describe_event(event)
        for event in list_warnings(watch.cluster, watch.namespace)
        if event_time(event) >= began and (event.get("involvedObject") or {}).get("name") not in workers
    ]
    # The newest last, each once.
    return list(dict.fromkeys(reversed(texts)))[:MAX_REASONS][::-1]
