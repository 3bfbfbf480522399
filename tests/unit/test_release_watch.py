from __future__ import annotations

import asyncio
import datetime
from typing import Any

import pytest

from codecanvas_provider import release_watch
from codecanvas_provider.cluster import DEPLOYMENT, EVENT, POD, Cluster
from codecanvas_provider.release_watch import ReleaseWatches
from codecanvas_provider.resource import Context
from codecanvas_provider.times import now
from pulumi_codecanvas.errors import InvalidArgumentsError
from tests.support.calls import run
from tests.support.fake_cluster import FakeCluster
from tests.support.releases import NAME, describe_release

ARGUMENTS = {"namespace": "eu", "releaseName": NAME, "timeout": 600, "kubeconfig": None, "context": None}
READY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def put_operator(cluster: FakeCluster, status: dict[str, Any] | None = None) -> None:
    for kind, manifest, namespace in describe_release("eu", "eu", "key", 1):
        if kind is DEPLOYMENT:
            cluster.put(kind, {**manifest, "status": status or {"observedGeneration": 1}}, namespace)


def put_pod(cluster: FakeCluster, reason: str) -> None:
    status = {"name": "operator", "state": {"waiting": {"reason": reason, "message": "no such image"}}}
    pod = {"metadata": {"name": "op-1", "labels": {"app": NAME}}, "spec": {"containers": [{"name": "operator"}]}}
    cluster.put(POD, {**pod, "status": {"containerStatuses": [status]}}, "eu")


def put_event(cluster: FakeCluster, about: str, message: str, at: str = "2999-01-01T00:00:00Z") -> None:
    event = {"type": "Warning", "reason": "Failed", "message": message, "lastTimestamp": at}
    thing = {"kind": "Job", "name": about}
    cluster.put(EVENT, {**event, "metadata": {"name": f"{about}{message[:3]}"}, "involvedObject": thing}, "eu")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster("eu")


@pytest.fixture
def watches(cluster: FakeCluster) -> ReleaseWatches:
    return ReleaseWatches(cluster.connect_to, interval=0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_watch, "_SECONDS_PER_WATCH", 0)


def test_what_was_seen_last_outlives_a_rollback(cluster: FakeCluster, watches: ReleaseWatches) -> None:
    async def scenario() -> dict[str, Any]:
        assert await watches.watch(Context(), dict(ARGUMENTS)) == {}
        put_operator(cluster)
        put_pod(cluster, "ImagePullBackOff")
        await asyncio.sleep(0.1)
        del cluster.objects[("Pod", "eu", "op-1")]
        await asyncio.sleep(0.05)
        put_operator(cluster, READY)
        await asyncio.sleep(0.05)
        del cluster.objects[("Deployment", "eu", NAME)]
        await asyncio.sleep(0.05)
        return await watches.explain(Context(), dict(ARGUMENTS))

    reasons = run(scenario())["reasons"]
    assert reasons == [
        f"Deployment {NAME}: 0 of 1 pods ready; pod op-1, container operator: ImagePullBackOff: no such image"
    ]


def test_starting_up_alone_explains_nothing(cluster: FakeCluster, watches: ReleaseWatches) -> None:
    put_event(cluster, "failing-hook", "Job has reached the specified backoff limit")

    async def scenario() -> dict[str, Any]:
        await watches.watch(Context(), dict(ARGUMENTS))
        put_operator(cluster)
        await asyncio.sleep(0.05)
        del cluster.objects[("Deployment", "eu", NAME)]
        await asyncio.sleep(0.02)
        return await watches.explain(Context(), dict(ARGUMENTS))

    assert run(scenario())["reasons"] == ["Job failing-hook: Failed: Job has reached the specified backoff limit"]


def test_never_getting_ready_explains_itself_in_the_end(
    cluster: FakeCluster, watches: ReleaseWatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_watch, "_STARTING", 0.05)

    async def scenario() -> dict[str, Any]:
        await watches.watch(Context(), dict(ARGUMENTS))
        put_operator(cluster)
        await asyncio.sleep(0.2)
        del cluster.objects[("Deployment", "eu", NAME)]
        return await watches.explain(Context(), dict(ARGUMENTS))

    assert run(scenario())["reasons"] == [f"Deployment {NAME}: 0 of 1 pods ready"]


def test_without_a_watch_the_present_and_the_events_are_asked(cluster: FakeCluster, watches: ReleaseWatches) -> None:
    put_event(cluster, "long-ago", "old news", "2001-01-01T00:00:00Z")
    worker = {"metadata": {"name": "ws-1"}, "spec": {"containers": [{"name": "worker-main"}]}}
    cluster.put(POD, worker, "eu")
    put_event(cluster, "ws-1", "a dev environment's own trouble")
    assert run(watches.explain(Context(), dict(ARGUMENTS))) == {"reasons": []}
    put_operator(cluster)
    assert run(watches.explain(Context(), dict(ARGUMENTS)))["reasons"] == [f"Deployment {NAME}: 0 of 1 pods ready"]


def test_events_are_judged_by_the_clock_that_wrote_them(
    cluster: FakeCluster, watches: ReleaseWatches, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind = now() - datetime.timedelta(days=1)
    monkeypatch.setattr(release_watch, "read_server_time", lambda _cluster, _namespace: behind)
    for about, seconds in (("before", -60), ("during", 0)):
        at = behind + datetime.timedelta(seconds=seconds)
        put_event(cluster, about, f"{about} it", at.strftime("%Y-%m-%dT%H:%M:%SZ"))
    [reason] = run(watches.explain(Context(), dict(ARGUMENTS)))["reasons"]
    assert "during it" in reason


def test_reasons_are_few(cluster: FakeCluster, watches: ReleaseWatches) -> None:
    for number in range(30):
        put_event(cluster, f"thing-{number}", "trouble", f"2999-01-01T00:00:{number:02}Z")
    reasons = run(watches.explain(Context(), dict(ARGUMENTS)))["reasons"]
    assert len(reasons) == release_watch.MAX_REASONS
    assert "thing-29" in reasons[-1]


def test_a_lost_cluster_is_no_further_error(cluster: FakeCluster, watches: ReleaseWatches) -> None:
    cluster.away = True

    async def scenario() -> dict[str, Any]:
        await watches.watch(Context(), dict(ARGUMENTS))
        await asyncio.sleep(0.02)
        return await watches.explain(Context(), dict(ARGUMENTS))

    assert run(scenario()) == {"reasons": []}


def test_a_watch_ends_with_its_time_with_the_engine_or_when_told(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_watch, "_MARGIN", 0.05 - 1)
    looks: list[object] = []
    cluster.on_list = looks.append

    async def count() -> int:
        before = len(looks)
        await asyncio.sleep(0.05)
        return len(looks) - before

    async def scenario() -> None:
        watches = ReleaseWatches(cluster.connect_to, interval=0.005)
        await watches.watch(Context(), {**ARGUMENTS, "timeout": 1})
        await asyncio.sleep(0.1)
        assert await count() == 0
        context = Context()
        await watches.watch(context, dict(ARGUMENTS))
        assert await count() > 0
        context.cancelled.set()
        await asyncio.sleep(0.02)
        assert await count() == 0
        await watches.watch(Context(), dict(ARGUMENTS))
        await watches.explain(Context(), dict(ARGUMENTS))
        await asyncio.sleep(0.02)
        assert await count() == 0

    run(scenario())


def test_watches_are_bounded_in_number(watches: ReleaseWatches, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_watch, "MAX_WATCHES", 3)

    async def scenario() -> int:
        for number in range(10):
            await watches.watch(Context(), {**ARGUMENTS, "releaseName": f"r{number}"})
        return len(watches._watches)

    assert run(scenario()) == 3


def test_a_release_that_is_through_is_watched_no_more(watches: ReleaseWatches) -> None:
    async def scenario() -> tuple[int, int]:
        for name in ("one", "two"):
            await watches.watch(Context(), {**ARGUMENTS, "releaseName": name})
        before = len(watches._watches)
        watches.end(None, None, "eu", "one")
        watches.end(None, None, "eu", "unknown")
        return before, len(watches._watches)

    assert run(scenario()) == (2, 1)


def test_a_preview_watches_nothing(watches: ReleaseWatches) -> None:
    run(watches.watch(Context(preview=True), dict(ARGUMENTS)))
    assert watches._watches == {}


def test_faults_of_the_arguments_are_told(watches: ReleaseWatches) -> None:
    with pytest.raises(InvalidArgumentsError, match=r"(?s)2 faults.*releaseName: is missing.*unknown"):
        run(watches.watch(Context(), {"namespace": "eu", "unknown": 1}))


def test_kubeconfigs_tell_releases_apart(cluster: FakeCluster) -> None:
    seen: list[str | None] = []

    def connect(kubeconfig: str | None, _context: str | None) -> Cluster:
        seen.append(kubeconfig)
        return cluster

    async def scenario() -> int:
        watches = ReleaseWatches(connect, interval=0.005)
        for kubeconfig in ("a", "b", "a"):
            await watches.watch(Context(), {**ARGUMENTS, "kubeconfig": kubeconfig})
        return len(watches._watches)

    assert run(scenario()) == 2
    assert seen == ["a", "b", "a"]
