"""`DevEnvironments` against a real API server; pods are played by kwok."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider import cluster
from codecanvas_provider.cluster import (
    CLAIM,
    CONFIG_MAP,
    NAMESPACE,
    POD,
    POLICY,
    POLICY_BINDING,
    QUOTA,
    Cluster,
    Refused,
)
from codecanvas_provider.delete_guard import DELETE_UNREACHABLE
from codecanvas_provider.dev_environments import DevEnvironments
from codecanvas_provider.freeze_block import ACCEPTED, freeze_block, remove_block, try_worker_pod
from codecanvas_provider.permissions import RULES
from codecanvas_provider.resource import Context, PartialFailure
from codecanvas_provider.waiting import MAX_THREADS, Pace
from codecanvas_provider.worker_pods import list_worker_pods, name_of
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.freeze import freeze_policy, freeze_quota
from tests.support.calls import Log, run
from tests.support.faults import fault
from tests.support.namespaces import granted, make_namespace, uid_of
from tests.support.operator import StandInOperator
from tests.support.waiting import wait_for
from tests.support.workers import connect, create_worker, worker_pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

REASON = "storage maintenance until 18:00"


class Platform:
    """One platform's namespace, and the resource as the plugin would call it."""

    def __init__(self, local: LocalCluster, admin: Cluster, core: Any, **inputs: Any) -> None:
        self.admin = admin
        self.core = core
        self.namespace = make_namespace(admin)
        self.resource = DevEnvironments()
        self.log = Log()
        self.given = {
            "kubeconfig": str(local.kubeconfig),
            "namespace": self.namespace,
            "namespaceUid": uid_of(admin, self.namespace),
            "platformName": self.namespace,
            "freezeReason": REASON,
            "stopTimeout": 60,
            **inputs,
        }

    def inputs(self, **given: Any) -> dict[str, Any]:
        checked, faults = self.resource.check({**self.given, **given})
        assert not faults
        return checked

    def start(self, *names: str, **options: Any) -> None:
        """Start dev environments and wait until they run."""
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda name: create_worker(self.core, self.namespace, name, **options), names))
        wait_for(lambda: self.running() >= set(names), f"{names} to run")

    def running(self) -> set[str]:
        pods = list_worker_pods(self.admin, self.namespace)
        return {name_of(pod) for pod in pods if pod["status"].get("phase") == "Running"}

    def pods(self) -> list[str]:
        return [name_of(pod) for pod in list_worker_pods(self.admin, self.namespace, finished=True)]

    def claims(self) -> dict[str, str]:
        return {name_of(claim): claim["metadata"]["uid"] for claim in self.admin.list_all(CLAIM, self.namespace)}

    def block(self, mode: str = "policy") -> None:
        """Do the kubernetes provider's part of a freeze."""
        facts: dict[str, Any] = {
            "namespace": self.namespace,
            "platform_name": self.namespace,
            "reason": REASON,
            "labels": {},
            "annotations": {},
        }
        if mode == "quota":
            self.admin.apply(QUOTA, freeze_quota(**facts), self.namespace)
        else:
            policy, binding = freeze_policy(**facts)
            self.admin.apply(POLICY, policy)
            self.admin.apply(POLICY_BINDING, binding)

    def unblock(self, mode: str = "policy") -> None:
        remove_block(self.admin, freeze_block(self.namespace, mode))

    def await_lifted(self) -> None:
        wait_for(lambda: try_worker_pod(self.admin, self.namespace) == ACCEPTED, "the block to be lifted")

    def freeze(self, seconds: float = 90, **given: Any) -> dict[str, Any]:
        _, outputs = run(self.resource.create(self.log.context(), self.inputs(frozen=True, **given)), seconds)
        return outputs

    def delete(self, **given: Any) -> None:
        # By another run of the plugin than the one that made it, as in a life with Pulumi.
        run(DevEnvironments().delete(self.log.context(), self.namespace, self.inputs(**given)), 90)

    def refusal_of(self, pod: dict[str, Any]) -> str:
        with pytest.raises(Refused) as caught:
            self.admin.create(POD, pod, self.namespace)
        return caught.value.message

    def leftovers(self) -> list[str]:
        """Name the cluster-wide objects and quotas that our blocks consist of."""
        kinds = ((POLICY, None), (POLICY_BINDING, None), (QUOTA, self.namespace))
        things = [thing for kind, place in kinds for thing in self.admin.list_all(kind, place)]
        return [name_of(thing) for thing in things if self.namespace in name_of(thing) or kind_is_ours(thing)]


def kind_is_ours(thing: dict[str, Any]) -> bool:
    return name_of(thing) in {"codecanvas-freeze", "codecanvas-delete"}


@pytest.fixture(scope="module")
def core(shared_cluster: LocalCluster) -> Iterator[Any]:
    api = connect(shared_cluster.kubeconfig)
    yield api
    api.api_client.close()


@pytest.fixture
def platform(shared_cluster: LocalCluster, admin: Cluster, core: Any) -> Iterator[Platform]:
    made = Platform(shared_cluster, admin, core)
    yield made
    made.unblock()


def plain_pod(name: str, *, claim: str | None = None, finalizers: tuple[str, ...] = ()) -> dict[str, Any]:
    pod = worker_pod(name, claim=claim, finalizers=finalizers)
    pod["spec"]["containers"][0]["name"] = "operator"
    return pod


@pytest.mark.parametrize("mode", ["policy", "quota"])
def test_freeze_stops_this_platform_keeps_its_volumes_and_spares_the_neighbour(
    mode: str, platform: Platform, shared_cluster: LocalCluster, admin: Cluster, core: Any
) -> None:
    neighbour = Platform(shared_cluster, admin, core)
    platform.start(*(f"ws-{number}" for number in range(12)))
    neighbour.start(*(f"ws-{number}" for number in range(5)))
    claims, others = platform.claims(), neighbour.running()
    platform.block(mode)

    outputs = platform.freeze(freezeMode=mode)

    assert outputs["running"] == 0
    assert platform.pods() == []
    assert platform.claims() == claims
    assert len(claims) == 12
    assert neighbour.running() == others
    refusal = platform.refusal_of(worker_pod("ws-new"))
    if mode == "policy":
        assert f"computing platform {platform.namespace} is frozen" in refusal
        assert REASON in refusal
        admin.create(POD, plain_pod("operator"), platform.namespace)
    assert platform.log.progress[0] == "waiting until new dev environments are refused"
    assert "stopping dev environments: 12 of 12 still running" in platform.log.progress

    platform.unblock(mode)
    platform.await_lifted()
    platform.start("ws-back", claim="ws-3-home")
    assert platform.claims() == claims


def test_refresh_sees_pods_that_run_although_frozen_and_up_stops_them(platform: Platform) -> None:
    platform.block()
    outputs = platform.freeze()
    platform.unblock()
    platform.await_lifted()
    platform.start("ws-1", "ws-2")
    inputs = platform.inputs(frozen=True)
    found = run(platform.resource.read(Context(), platform.namespace, inputs, outputs))
    assert found is not None
    assert found[2]["running"] == 2
    assert platform.resource.diff(inputs, found[2], inputs).updates == ("running",)
    platform.block()
    assert run(platform.resource.update(Context(), platform.namespace, found[2], inputs))["running"] == 0
    assert platform.pods() == []


def test_a_finalizer_is_named_and_a_second_up_goes_on_after_it_is_gone(platform: Platform, admin: Cluster) -> None:
    platform.start("ws-1", "ws-2")
    platform.start("ws-held", finalizers=["example.com/hold"])
    platform.block()
    with pytest.raises(PartialFailure) as caught:
        platform.freeze(stopTimeout=3)
    text = str(caught.value)
    assert f"1 of 3 dev environments of platform {platform.namespace}" in text
    assert "ws-held: finalizer example.com/hold holds it" in text
    assert platform.pods() == ["ws-held"]
    assert "is frozen" in platform.refusal_of(worker_pod("ws-new"))

    admin.patch(POD, "ws-held", {"metadata": {"finalizers": None}}, platform.namespace)
    failed = caught.value
    outputs = run(platform.resource.update(Context(), failed.id, failed.outputs, platform.inputs(frozen=True)))
    assert outputs["running"] == 0


def test_a_pod_that_takes_its_time_is_named_with_its_grace_period(platform: Platform) -> None:
    platform.start("ws-slow", ignores_sigterm=True, grace_seconds=3600)
    platform.block()
    with pytest.raises(PartialFailure, match="ws-slow: it is shutting down within its grace period of 3600 s"):
        platform.freeze(stopTimeout=2)


def test_own_grace_periods_are_kept(platform: Platform) -> None:
    platform.start("ws-slow", ignores_sigterm=True, grace_seconds=3)
    platform.block()
    started = time.monotonic()
    platform.freeze()
    assert time.monotonic() - started > 3


def test_an_operator_that_makes_pods_anew_does_not_win(shared_cluster: LocalCluster, platform: Platform) -> None:
    with StandInOperator(shared_cluster.kubeconfig, platform.namespace, 6, every=0.05) as operator:
        wait_for(lambda: len(platform.running()) == 6, "six dev environments")
        platform.block()
        platform.freeze()
        seen = len(operator.refusals)
        wait_for(lambda: len(operator.refusals) > seen, "the operator to be refused")
        assert platform.pods() == []
    assert REASON in operator.refusals[-1]


@fault(
    36,
    "API server restarted in the middle of stopping",
    happens="The freeze waits for it and goes on.",
)
def test_freeze_survives_an_api_server_that_restarts(shared_cluster: LocalCluster, platform: Platform) -> None:
    platform.start("ws-1", "ws-2", ignores_sigterm=True, grace_seconds=8)
    platform.block()
    restart = threading.Timer(2, shared_cluster.restart_part, ["apiserver"])
    restart.start()
    try:
        outputs = platform.freeze()
    finally:
        restart.join()
    assert outputs["running"] == 0
    assert platform.pods() == []


def test_a_request_to_stop_is_heard_and_the_block_stays(platform: Platform) -> None:
    platform.start("ws-slow", ignores_sigterm=True, grace_seconds=3600)
    platform.block()

    async def scenario() -> None:
        context = Context()
        asyncio.get_running_loop().call_later(4, context.cancelled.set)
        await platform.resource.create(context, platform.inputs(frozen=True))

    started = time.monotonic()
    with pytest.raises(PartialFailure, match="stopped on request"):
        run(scenario())
    assert time.monotonic() - started < 6
    assert "is frozen" in platform.refusal_of(worker_pod("ws-new"))


def test_freeze_without_the_block_stops_nothing(platform: Platform) -> None:
    platform.start("ws-1")
    platform.resource = DevEnvironments(pace=Pace(probe_timeout=2))
    with pytest.raises(PartialFailure, match="is not blocked after 2 s"):
        platform.freeze()
    assert platform.running() == {"ws-1"}


def test_another_cluster_is_refused(platform: Platform) -> None:
    platform.start("ws-1")
    platform.block()
    with pytest.raises(ClusterError, match="the cluster is another one than before"):
        platform.freeze(namespaceUid="00000000-0000-0000-0000-000000000000")
    assert platform.running() == {"ws-1"}


def test_delete_is_refused_while_environments_run_and_changes_nothing(platform: Platform) -> None:
    platform.start("ws-1", "ws-2", "ws-3")
    claims = platform.claims()
    with pytest.raises(ClusterError, match=r"3 dev environments are running .*ws-1, ws-2, ws-3\. They were left"):
        platform.delete()
    assert platform.running() == {"ws-1", "ws-2", "ws-3"}
    assert platform.claims() == claims
    assert platform.leftovers() == []


@fault(35)
@pytest.mark.parametrize(
    "given", [{"forceDelete": True}, {"frozen": True}, {"forceDelete": True, "freezeMode": "quota"}]
)
def test_delete_ends_everything_and_leaves_nothing(given: dict[str, Any], platform: Platform) -> None:
    platform.start("ws-1", "ws-2", "ws-3")
    create_worker(platform.core, platform.namespace, "ws-done", template=finished())
    if "frozen" in given:
        platform.block()
    platform.delete(**given)
    if "frozen" in given:
        platform.unblock()
    assert platform.pods() == []
    assert platform.claims() == {}
    assert platform.leftovers() == []


def finished() -> dict[str, Any]:
    return {"metadata": {"annotations": {"local-cluster/fails": "true"}}, "spec": {"restartPolicy": "Never"}}


def test_delete_at_rest_needs_no_flag(platform: Platform) -> None:
    platform.start("ws-1")
    platform.admin.delete(POD, "ws-1", platform.namespace)
    wait_for(lambda: platform.pods() == [], "the dev environment to stop")
    platform.delete()
    assert platform.claims() == {}
    assert platform.leftovers() == []


def test_delete_wins_against_an_operator_that_makes_pods_anew(shared_cluster: LocalCluster, platform: Platform) -> None:
    with StandInOperator(shared_cluster.kubeconfig, platform.namespace, 4, every=0.05, volume=False) as operator:
        wait_for(lambda: len(platform.running()) == 4, "four dev environments")
        platform.delete(forceDelete=True)
    assert "codecanvas-delete" in operator.refusals[0]
    assert platform.leftovers() == []


def test_delete_retains_volumes_on_request(platform: Platform) -> None:
    platform.start("ws-1")
    claims = platform.claims()
    platform.delete(forceDelete=True, retainVolumes=True)
    assert platform.pods() == []
    assert platform.claims() == claims


def test_delete_in_an_adopted_namespace_leaves_foreign_things(platform: Platform, core: Any) -> None:
    platform.start("ws-1")
    platform.start("ws-2", claim="team-cache")
    create_worker(core, platform.namespace, "stopped")
    platform.admin.delete(POD, "stopped", platform.namespace)
    platform.admin.apply(
        CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}}, platform.namespace
    )
    platform.admin.create(POD, plain_pod("theirs"), platform.namespace)
    wait_for(lambda: platform.pods() == ["ws-1", "ws-2"], "the third to stop")
    platform.delete(forceDelete=True, ownsNamespace=False, templateClaims=["team-cache"])
    assert platform.pods() == []
    assert set(platform.claims()) == {"stopped-home", "team-cache"}
    assert platform.admin.get(CONFIG_MAP, "theirs", platform.namespace) is not None
    assert platform.admin.get(POD, "theirs", platform.namespace) is not None
    assert "stopped-home, team-cache" in platform.log.messages[0]
    assert platform.leftovers() == []


def test_a_volume_in_use_is_reported_with_its_pod(platform: Platform) -> None:
    platform.start("ws-1")
    platform.admin.create(POD, plain_pod("viewer", claim="ws-1-home"), platform.namespace)
    wait_for(
        lambda: (platform.admin.get(POD, "viewer", platform.namespace) or {}).get("spec", {}).get("nodeName"),
        "the viewer to be scheduled",
    )
    with pytest.raises(ClusterError, match="ws-1-home: pod viewer still mounts it"):
        platform.delete(forceDelete=True, stopTimeout=4)
    assert platform.leftovers() == []
    platform.admin.delete(POD, "viewer", platform.namespace)
    platform.delete(forceDelete=True)
    assert platform.claims() == {}


def test_delete_after_the_namespace_is_gone_succeeds(platform: Platform) -> None:
    platform.admin.delete(NAMESPACE, platform.namespace)
    wait_for(lambda: platform.admin.get(NAMESPACE, platform.namespace) is None, "the namespace to go")
    platform.delete()
    assert run(platform.resource.read(Context(), platform.namespace, platform.inputs(), {})) is None


def test_delete_of_a_lost_cluster(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Path(platform.given["kubeconfig"]).read_text()
    kubeconfig = re.sub(r"https://127\.0\.0\.1:\d+", "https://127.0.0.1:1", known)
    monkeypatch.setattr(cluster, "FIRST_PATIENCE", 1.0)
    monkeypatch.delenv(DELETE_UNREACHABLE, raising=False)
    with pytest.raises(ClusterError, match=f"no answer from .*{DELETE_UNREACHABLE}=true"):
        platform.delete(kubeconfig=kubeconfig)
    monkeypatch.setenv(DELETE_UNREACHABLE, "true")
    platform.delete(kubeconfig=kubeconfig)


def test_what_finalizers_would_keep_is_named_and_the_next_delete_goes_on(platform: Platform, admin: Cluster) -> None:
    platform.start("ws-1")
    held = {"name": "held", "finalizers": ["example.com/hold"]}
    admin.apply(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}, platform.namespace)
    for _ in range(2):
        with pytest.raises(ClusterError, match=r"after 3 s: ConfigMap held \(finalizers example\.com/hold\); see that"):
            platform.delete(forceDelete=True, stopTimeout=3)
        assert platform.pods() == []
        assert platform.leftovers() == []
    found = admin.get(CONFIG_MAP, "held", platform.namespace)
    assert found is not None
    assert found["metadata"]["finalizers"] == ["example.com/hold"]
    admin.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}}, platform.namespace)
    platform.delete()
    assert platform.claims() == {}


def test_whoever_set_a_finalizer_is_waited_for(platform: Platform, admin: Cluster) -> None:
    held = {"name": "held", "finalizers": ["example.com/hold"]}
    admin.apply(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}, platform.namespace)

    def play_the_controller() -> None:
        def is_going() -> bool:
            found = admin.get(CONFIG_MAP, "held", platform.namespace)
            return found is not None and "deletionTimestamp" in found["metadata"]

        wait_for(is_going, "the deletion")
        admin.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}}, platform.namespace)

    with ThreadPoolExecutor(1) as threads:
        controller = threads.submit(play_the_controller)
        platform.delete()
        controller.result()
    assert admin.get(CONFIG_MAP, "held", platform.namespace) is None
    assert platform.log.messages == []


@pytest.mark.parametrize("mode", ["policy", "quota"])
def test_freeze_and_delete_need_the_listed_rights_and_no_others(
    mode: str, shared_cluster: LocalCluster, platform: Platform, admin: Cluster
) -> None:
    rules = [*RULES["freeze"], *RULES["freeze by quota" if mode == "quota" else "freeze by policy"], *RULES["delete"]]
    needed = [rule for rule in rules if not rule.optional]
    platform.start("ws-1", "ws-2")
    platform.block(mode)
    with granted(shared_cluster, admin, needed, platform=platform.namespace, operator=platform.namespace) as config:
        platform.freeze(freezeMode=mode, kubeconfig=str(config))
        assert platform.pods() == []
        platform.delete(frozen=True, freezeMode=mode, kubeconfig=str(config))
    assert platform.claims() == {}


def test_delete_by_force_blocks_with_the_optional_rights(
    shared_cluster: LocalCluster, platform: Platform, admin: Cluster
) -> None:
    platform.start("ws-1")
    with granted(
        shared_cluster, admin, RULES["delete"], platform=platform.namespace, operator=platform.namespace
    ) as config:
        platform.delete(forceDelete=True, kubeconfig=str(config))
    assert platform.log.messages == []
    assert platform.pods() == []
    assert platform.leftovers() == []


def test_delete_by_force_without_them_says_that_nothing_blocks(
    shared_cluster: LocalCluster, platform: Platform, admin: Cluster
) -> None:
    needed = [rule for rule in RULES["delete"] if not rule.optional]
    platform.start("ws-1")
    with granted(shared_cluster, admin, needed, platform=platform.namespace, operator=platform.namespace) as config:
        platform.delete(forceDelete=True, kubeconfig=str(config))
    assert "cannot be blocked while it is emptied" in platform.log.messages[0]
    assert platform.pods() == []


class Traffic:
    """Watches the requests that delete pods.

    Attributes:
        most: the most that were under way at a time.
        platforms: the platform of each, in the order in which they were sent.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.most = 0
        self.platforms: list[str] = []
        self._under_way = 0
        self._lock = threading.Lock()
        send = Cluster.delete

        def count(api: Cluster, kind: Any, name: str, namespace: str | None = None, **options: Any) -> bool:
            if kind is not POD:
                return send(api, kind, name, namespace, **options)
            with self._lock:
                self._under_way += 1
                self.most = max(self.most, self._under_way)
                self.platforms.append(str(namespace))
            try:
                return send(api, kind, name, namespace, **options)
            finally:
                with self._lock:
                    self._under_way -= 1

        patch.setattr(Cluster, "delete", count)


def test_many_platforms_freeze_side_by_side_and_bounded(
    shared_cluster: LocalCluster, admin: Cluster, core: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    platforms = [Platform(shared_cluster, admin, core) for _ in range(10)]
    for each in platforms:
        each.start(*(f"ws-{number}" for number in range(5)), volume=False, ignores_sigterm=True, grace_seconds=15)
        each.block()
    traffic = Traffic(monkeypatch)
    begun_by_the_first_end: list[set[str]] = []

    async def freeze(platform: Platform) -> None:
        await platform.resource.create(Context(), platform.inputs(frozen=True))
        begun_by_the_first_end.append(set(traffic.platforms))

    async def scenario() -> None:
        await asyncio.gather(*(freeze(each) for each in platforms))

    run(scenario(), 120)
    assert [each.pods() for each in platforms] == [[]] * 10
    # When the first had ended, all the others had been told to stop: each takes the grace period of its pods.
    assert begun_by_the_first_end[0] == {each.namespace for each in platforms}
    assert 1 < traffic.most <= MAX_THREADS
    assert len(traffic.platforms) == 50, "one request a pod"
    for each in platforms:
        each.unblock()
