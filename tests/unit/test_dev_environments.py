from __future__ import annotations

import asyncio
from typing import Any

import pytest

from codecanvas_provider.cluster import (
    CLAIM,
    NAMESPACE,
    NODE,
    POD,
    POLICY,
    POLICY_BINDING,
    QUOTA,
    VOLUME,
    Kind,
    Refused,
)
from codecanvas_provider.delete_guard import DELETE_UNREACHABLE
from codecanvas_provider.dev_environments import DevEnvironments
from codecanvas_provider.freeze_block import ACCEPTED, disarm_block, freeze_block, try_worker_pod
from codecanvas_provider.resource import UNKNOWN, Context, Diff, PartialFailure
from codecanvas_provider.waiting import Cancelled, Pace
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.freeze import QUOTA_NAME
from pulumi_codecanvas.manifests import STACK_ANNOTATION
from tests.support.blocks import put_policy_block, put_quota_block
from tests.support.calls import Log, run
from tests.support.fake_cluster import FakeCluster, refusal
from tests.support.kubeconfigs import kubeconfig

PACE = Pace(first=0.001, longest=0.002, confirm=0.001, probe=0.001, probe_timeout=0.3)
POLICY_DENIAL = "ValidatingAdmissionPolicy '{name}' with binding '{name}' denied request: platform is frozen"


def make_inputs(**given: Any) -> dict[str, Any]:
    inputs, faults = DevEnvironments().check({"namespace": "eu", "platformName": "eu", **given})
    assert not faults
    return inputs


def worker(name: str, **given: Any) -> dict[str, Any]:
    claims = given.pop("claims", ())
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    return {
        "metadata": {"name": name, **given.pop("metadata", {})},
        "spec": {"containers": [{"name": "worker-main"}], "volumes": volumes, **given.pop("spec", {})},
        "status": {"phase": "Running", **given},
    }


def other_pod(name: str, *claims: str) -> dict[str, Any]:
    pod = worker(name, claims=claims)
    pod["spec"]["containers"][0]["name"] = "operator"
    return pod


def block(cluster: FakeCluster, name: str = "codecanvas-freeze-eu") -> None:
    """Have a freeze policy that is in force."""
    put_policy_block(cluster, name)
    enforce_policies(cluster)


def end_environments(cluster: FakeCluster) -> None:
    for name in ("ws-1", "ws-2", "ws-3"):
        del cluster.objects[("Pod", "eu", name)]


def enforce_policies(cluster: FakeCluster) -> None:
    def refuse(pod: dict[str, Any]) -> str | None:
        is_worker = any(container["name"] == "worker-main" for container in pod["spec"]["containers"])
        for name in cluster.names(POLICY_BINDING):
            binding = cluster.find(POLICY_BINDING, name)
            if is_worker and name.endswith("-eu") and binding and binding["spec"]["validationActions"] == ["Deny"]:
                return POLICY_DENIAL.format(name=name)
        for name in cluster.names(QUOTA, "eu"):
            quota = cluster.find(QUOTA, name, "eu")
            if quota and "pods" not in quota["spec"]["hard"]:
                continue
            return f"pods is forbidden: exceeded quota: {name}, requested: pods=1, used: pods=3, limited: pods=0"
        return None

    cluster.refuse_pod = refuse


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster("eu", "us")
    enforce_policies(fake)
    for name in ("ws-1", "ws-2", "ws-3"):
        fake.put(POD, worker(name, claims=[f"{name}-home"]), "eu")
        fake.put(CLAIM, {"metadata": {"name": f"{name}-home"}}, "eu")
    fake.put(POD, other_pod("operator"), "eu")
    fake.put(POD, worker("neighbour"), "us")
    return fake


@pytest.fixture
def resource(cluster: FakeCluster) -> DevEnvironments:
    return DevEnvironments(cluster.connect_to, PACE)


def test_inputs_get_their_defaults() -> None:
    assert make_inputs() == {
        "namespace": "eu",
        "platformName": "eu",
        "ownsNamespace": True,
        "frozen": False,
        "freezeMode": "policy",
        "stopTimeout": 600,
        "forceDelete": False,
        "retainVolumes": False,
        "templateClaims": [],
    }


def test_every_fault_of_the_inputs_is_told_at_once() -> None:
    _, faults = DevEnvironments().check(
        {"namespace": "", "frozen": "yes", "freezeMode": "Quota", "stopTimeout": 0, "forceDelete": UNKNOWN}
    )
    assert sorted(str(fault) for fault in faults) == [
        "freezeMode: is not known; use `policy` or `quota`",
        "frozen: is a text; give true or false",
        "namespace: is empty",
        "platformName: is missing",
        "stopTimeout: is 0; give at least 1",
    ]


def test_another_namespace_replaces_and_everything_else_updates() -> None:
    old = make_inputs(kubeconfig="old", context="a")
    new = make_inputs(kubeconfig="new", context="b", namespaceUid="2", stopTimeout=5)
    diff = DevEnvironments().diff(old, old, new)
    assert diff == Diff((), ("context", "kubeconfig", "namespaceUid", "stopTimeout"))
    assert DevEnvironments().diff(old, old, {**old, "namespace": "us"}) == Diff(("namespace",), ())
    assert DevEnvironments().diff(old, old, dict(old)) == Diff()


def test_another_cluster_replaces_so_that_the_old_one_is_guarded_and_emptied() -> None:
    first, second = kubeconfig("https://a.example.com"), kubeconfig("https://b.example.com")
    old = make_inputs(kubeconfig=first, namespaceUid="1")
    resource = DevEnvironments()
    for uid in ("2", UNKNOWN):
        moved = {**old, "kubeconfig": second, "namespaceUid": uid}
        assert resource.diff(old, old, moved) == Diff(("kubeconfig",), ("namespaceUid",))
    adopted = make_inputs(kubeconfig=first, ownsNamespace=False)
    assert resource.diff(adopted, adopted, {**adopted, "kubeconfig": second}) == Diff(("kubeconfig",), ())
    known = {**adopted, "cluster": "1"}
    assert resource.diff(known, known, {**known, "kubeconfig": second}) == Diff((), ("kubeconfig",))
    away = {**known, "kubeconfig": second, "cluster": "2"}
    assert resource.diff(known, known, away) == Diff(("kubeconfig",), ("cluster",))
    # Behind a tunnel several clusters have one address.
    tunnelled = {**old, "kubeconfig": kubeconfig("https://a.example.com", "new"), "namespaceUid": "2"}
    assert resource.diff(old, old, tunnelled) == Diff(("kubeconfig",), ("namespaceUid",))
    assert resource.diff(old, old, {**old, "namespaceUid": "2"}) == Diff((), ("namespaceUid",))


@pytest.mark.parametrize("given", [kubeconfig("https://a.example.com", "new"), "/no/such/file", UNKNOWN])
def test_another_way_to_the_same_cluster_is_only_recorded(given: object) -> None:
    old = make_inputs(kubeconfig=kubeconfig("https://a.example.com"), namespaceUid="1")
    diff = DevEnvironments().diff(old, old, {**old, "kubeconfig": given, "namespaceUid": UNKNOWN})
    assert diff == Diff((), ("kubeconfig", "namespaceUid"))


def test_another_address_of_the_same_namespace_is_looked_at_and_not_replaced(resource: DevEnvironments) -> None:
    old = make_inputs(kubeconfig=kubeconfig("https://a.example.com"), namespaceUid="1")
    new = {**old, "kubeconfig": kubeconfig("https://b.example.com")}
    assert resource.diff(old, old, new) == Diff((), ("kubeconfig",))
    with pytest.raises(ClusterError, match="the cluster is another one than before"):
        run(resource.update(Context(), "eu", old, new))


def test_a_refresh_that_saw_running_environments_asks_for_an_update() -> None:
    inputs = make_inputs(frozen=True)
    assert DevEnvironments().diff(inputs, {**inputs, "running": 2}, inputs) == Diff((), ("running",))
    assert DevEnvironments().diff(inputs, {**inputs, "running": 0}, inputs) == Diff()


def test_without_a_freeze_nothing_is_touched(cluster: FakeCluster, resource: DevEnvironments) -> None:
    id_, outputs = run(resource.create(Context(), make_inputs()))
    assert (id_, outputs["running"]) == ("eu", None)
    assert cluster.calls == []


def test_freeze_stops_worker_pods_and_keeps_volumes(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    log = Log()
    _, outputs = run(resource.create(log.context(), make_inputs(frozen=True)))
    assert outputs["running"] == 0
    assert cluster.names(POD, "eu") == ["operator"]
    assert cluster.names(POD, "us") == ["neighbour"]
    assert cluster.names(CLAIM, "eu") == ["ws-1-home", "ws-2-home", "ws-3-home"]
    assert sorted(cluster.calls) == ["delete Pod ws-1", "delete Pod ws-2", "delete Pod ws-3"]
    assert "stopping dev environments: 3 of 3 still running" in log.progress


def test_freeze_stops_nothing_before_the_block_is_seen_at_work(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    denies = cluster.refuse_pod
    tries: list[int] = []

    def comes_late(pod: dict[str, Any]) -> str | None:
        tries.append(len(cluster.calls))
        return denies(pod) if len(tries) > 5 else None

    cluster.refuse_pod = comes_late
    run(resource.create(Context(), make_inputs(frozen=True)))
    assert len(tries) >= 7
    assert set(tries) == {0}


def test_freeze_without_a_block_fails_and_stops_nothing(cluster: FakeCluster, resource: DevEnvironments) -> None:
    with pytest.raises(PartialFailure, match=r"namespace eu is not blocked after 0\.3 s.*it would be accepted"):
        run(resource.create(Context(), make_inputs(frozen=True)))
    assert cluster.calls == []


def test_a_refusal_by_somebody_else_is_not_taken_for_the_block(cluster: FakeCluster, resource: DevEnvironments) -> None:
    cluster.refuse_pod = lambda _pod: "minimum cpu usage per Container is 100m"
    with pytest.raises(PartialFailure, match="minimum cpu usage"):
        run(resource.create(Context(), make_inputs(frozen=True)))
    assert cluster.calls == []


def test_a_block_that_cannot_be_probed_counts_once_its_objects_exist(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    block(cluster)
    cluster.refuse_pod = lambda _pod: "minimum cpu usage per Container is 100m"
    log = Log()
    run(resource.create(log.context(), make_inputs(frozen=True)))
    assert cluster.names(POD, "eu") == ["operator"]
    assert "could not be seen at work" in log.messages[0]


def test_freeze_by_quota_waits_for_the_quota(cluster: FakeCluster, resource: DevEnvironments) -> None:
    put_quota_block(cluster)
    run(resource.create(Context(), make_inputs(frozen=True, freezeMode="quota")))
    assert cluster.names(POD, "eu") == ["operator"]


def test_freeze_may_change_from_policy_to_quota(cluster: FakeCluster, resource: DevEnvironments) -> None:
    cluster.refuse_pod = lambda _pod: POLICY_DENIAL.format(name="codecanvas-freeze-eu")
    log = Log()
    by_quota = make_inputs(frozen=True, freezeMode="quota")
    with pytest.raises(PartialFailure, match="is not blocked"):
        run(resource.create(log.context(), by_quota))
    put_quota_block(cluster)
    run(resource.create(log.context(), by_quota))
    assert cluster.names(POD, "eu") == ["operator"]
    assert log.messages == []


def test_freeze_by_policy_waits_for_the_policy_though_a_quota_blocks(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    block(cluster)
    cluster.refuse_pod = lambda _pod: "pods is forbidden: exceeded quota: codecanvas-freeze, requested: pods=1"
    log = Log()
    run(resource.create(log.context(), make_inputs(frozen=True)))
    assert "could not be seen at work" in log.messages[0]


def test_freeze_leaves_finished_pods(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    cluster.put(POD, worker("done", phase="Succeeded"), "eu")
    _, outputs = run(resource.create(Context(), make_inputs(frozen=True)))
    assert cluster.names(POD, "eu") == ["done", "operator"]
    assert outputs["running"] == 0


def test_pods_that_slip_in_while_it_runs_are_stopped_too(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    late = iter(["late-1", "late-2", None, "late-3"])

    def slip_in(kind: Kind) -> None:
        name = next(late, None) if kind is POD and not cluster.names(POD, "eu")[:-1] else None
        if name:
            cluster.put(POD, worker(name), "eu")

    cluster.on_list = slip_in
    run(resource.create(Context(), make_inputs(frozen=True)))
    assert cluster.names(POD, "eu") == ["operator"]
    # After late-2 one look found nothing, and late-3 came before the second.
    assert "delete Pod late-3" in cluster.calls


def test_the_time_out_names_each_survivor_and_what_holds_it(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    far = "2999-01-01T00:00:00Z"
    cluster.put(NODE, {"metadata": {"name": "n1"}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    lost = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown"}
    cluster.put(NODE, {"metadata": {"name": "n2"}, "status": {"conditions": [lost]}})
    for name, node in (("ws-1", "n1"), ("ws-2", "n1"), ("ws-3", "n2"), ("ws-4", "n3"), ("ws-5", "n1")):
        cluster.put(POD, worker(name, spec={"nodeName": node}), "eu")
        cluster.holds[name] = {"deletionGracePeriodSeconds": 30}
    cluster.holds["ws-1"] = {"finalizers": ["example.com/hold"], "deletionGracePeriodSeconds": 0}
    cluster.holds["ws-2"] = {"deletionTimestamp": far, "deletionGracePeriodSeconds": 3600}
    with pytest.raises(PartialFailure) as caught:
        run(resource.create(Context(), make_inputs(frozen=True, stopTimeout=1)))
    text = str(caught.value)
    assert text.startswith("5 of 5 dev environments of platform eu (namespace eu) did not stop within 1 s:\n")
    lines = [line for line in text.splitlines() if line.startswith("  - ")]
    assert [line[4:8] for line in lines] == ["ws-1", "ws-2", "ws-3", "ws-4", "ws-5"]
    assert "finalizer example.com/hold holds it" in lines[0]
    assert "grace period of 3600 s" in lines[1]
    assert "`stopTimeout`" in lines[1]
    assert "node n2 is not ready (NodeStatusUnknown)" in lines[2]
    assert "node n3 is gone" in lines[3]
    assert "grace period is over but node n1 has not stopped it" in lines[4]
    assert text.endswith("run `pulumi up` again: it goes on from here")
    assert caught.value.outputs["running"] == 5
    assert cluster.names(POLICY) == ["codecanvas-freeze-eu"]


def test_a_second_up_goes_on_where_the_first_timed_out(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    inputs = make_inputs(frozen=True, stopTimeout=1)
    cluster.holds["ws-1"] = {"finalizers": ["example.com/hold"], "deletionGracePeriodSeconds": 0}
    with pytest.raises(PartialFailure) as caught:
        run(resource.create(Context(), inputs))
    del cluster.objects[("Pod", "eu", "ws-1")]
    outputs = run(resource.update(Context(), "eu", caught.value.outputs, inputs))
    assert outputs["running"] == 0


def test_a_cluster_that_goes_away_for_a_while_is_waited_for(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    looks = iter([False, True, True])

    def go_away(kind: Kind) -> None:
        if kind is POD and next(looks, False):
            cluster.away = True
            raise_away(cluster)

    cluster.on_list = go_away
    run(resource.create(Context(), make_inputs(frozen=True, stopTimeout=2)))
    assert cluster.names(POD, "eu") == ["operator"]


def raise_away(cluster: FakeCluster) -> None:
    try:
        cluster.read_version()
    finally:
        cluster.away = False


def test_a_missing_right_is_told_at_once(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    cluster.denied = {"delete pods"}
    with pytest.raises(PartialFailure, match=r"cannot delete resource"):
        run(resource.create(Context(), make_inputs(frozen=True)))


def test_who_may_not_probe_the_block_stops_nothing(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    cluster.denied = {"create pods"}
    with pytest.raises(PartialFailure, match="cannot create resource") as caught:
        run(resource.create(Context(), make_inputs(frozen=True)))
    assert isinstance(caught.value.__cause__, Refused)
    assert cluster.calls == []


def test_a_request_to_stop_ends_the_wait(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    cluster.holds["ws-1"] = {"finalizers": ["example.com/hold"]}

    async def scenario() -> None:
        context = Context()
        asyncio.get_running_loop().call_later(0.2, context.cancelled.set)
        await resource.create(context, make_inputs(frozen=True))

    with pytest.raises(PartialFailure, match="stopped on request") as caught:
        run(scenario())
    assert isinstance(caught.value.__cause__, Cancelled)


def test_what_is_only_recorded_reaches_no_cluster(cluster: FakeCluster, resource: DevEnvironments) -> None:
    cluster.away = True
    for frozen, running in ((False, None), (True, 0)):
        old = {**make_inputs(frozen=frozen), "running": running, "leftBlocked": False}
        changed = make_inputs(frozen=frozen, stopTimeout=9, forceDelete=True, kubeconfig="new", freezeReason="why")
        assert run(resource.update(Context(), "eu", old, changed))["stopTimeout"] == 9


@pytest.mark.parametrize("mode", ["policy", "quota"])
def test_unfreezing_lifts_the_block_and_touches_nothing_else(
    cluster: FakeCluster, resource: DevEnvironments, mode: str
) -> None:
    block(cluster)
    put_quota_block(cluster)
    old = {**make_inputs(frozen=True, freezeMode=mode), "running": 0, "leftBlocked": False}
    before = sorted(cluster.objects)
    run(resource.update(Context(preview=True), "eu", old, make_inputs()))
    assert cluster.calls == []
    run(resource.update(Context(), "eu", old, make_inputs()))
    binding, quota = cluster.find(POLICY_BINDING, "codecanvas-freeze-eu"), cluster.find(QUOTA, QUOTA_NAME, "eu")
    assert binding and quota
    lifted = (["Audit"], {"pods": "0"}) if mode == "policy" else (["Deny"], {})
    assert (binding["spec"]["validationActions"], quota["spec"]["hard"]) == lifted
    assert sorted(cluster.objects) == before


@pytest.mark.parametrize("mode", ["policy", "quota"])
def test_a_freeze_blocks_again_what_an_unfreeze_that_failed_elsewhere_has_lifted(
    cluster: FakeCluster, resource: DevEnvironments, mode: str
) -> None:
    if mode == "policy":
        block(cluster)
    else:
        put_quota_block(cluster)
    frozen = make_inputs(frozen=True, freezeMode=mode)
    lifted = run(resource.update(Context(), "eu", {**frozen, "running": 0}, make_inputs(freezeMode=mode)))
    assert try_worker_pod(cluster, "eu") == ACCEPTED
    # Pulumi's state has the objects still, so it makes none.
    outputs = run(resource.update(Context(), "eu", lifted, frozen))
    assert (outputs["running"], cluster.names(POD, "eu")) == (0, ["operator"])
    assert try_worker_pod(cluster, "eu") != ACCEPTED


def test_an_unfreeze_of_a_block_that_is_gone_has_nothing_to_lift(resource: DevEnvironments) -> None:
    old = {**make_inputs(frozen=True), "running": 0, "leftBlocked": False}
    assert run(resource.update(Context(), "eu", old, make_inputs()))["frozen"] is False


@pytest.mark.parametrize("mode", ["policy", "quota"])
def test_a_block_that_may_not_be_lifted_is_lifted_by_the_next_update(
    cluster: FakeCluster, resource: DevEnvironments, mode: str
) -> None:
    new = make_inputs(freezeMode=mode)
    block(cluster)
    old = {**make_inputs(frozen=True), "running": 0, "leftBlocked": False}
    cluster.denied = {"patch validatingadmissionpolicybindings"}
    with pytest.raises(PartialFailure) as caught:
        run(resource.update(Context(), "eu", old, new))
    cluster.denied = set()
    assert run(resource.update(Context(), "eu", caught.value.outputs, new))["freezeMode"] == mode
    assert try_worker_pod(cluster, "eu") == ACCEPTED


def test_what_a_failed_update_left_is_a_difference_after_a_refresh_too(resource: DevEnvironments) -> None:
    frozen, thawed = make_inputs(frozen=True), make_inputs()
    reached = {**thawed, "running": None, "leftBlocked": False}
    assert resource.diff(frozen, reached, frozen) == Diff((), ("frozen",))
    assert resource.diff(frozen, {**frozen, "running": 0, "leftBlocked": False}, frozen) == Diff()


def test_preview_of_a_freeze_tells_what_it_will_stop(cluster: FakeCluster, resource: DevEnvironments) -> None:
    log = Log()
    old = {**make_inputs(), "running": None}
    run(resource.update(log.context(preview=True), "eu", old, make_inputs(frozen=True)))
    assert log.messages == ["the freeze of platform eu will stop 3 dev environments in namespace eu: ws-1, ws-2, ws-3"]
    assert cluster.calls == []


@pytest.mark.parametrize(
    "given",
    [{}, {"frozen": True, "namespaceUid": UNKNOWN}],
    ids=["not frozen", "frozen where the namespace is yet to be made"],
)
def test_preview_without_a_freeze_of_what_is_there_looks_at_no_pod_and_warns_of_none(
    cluster: FakeCluster, resource: DevEnvironments, given: dict[str, Any]
) -> None:
    looks: list[Kind] = []
    cluster.on_list = looks.append
    log = Log()
    run(resource.create(log.context(preview=True), make_inputs(**given)))
    assert (log.messages, looks, cluster.calls) == ([], [], [])


def test_preview_needs_no_cluster(cluster: FakeCluster, resource: DevEnvironments) -> None:
    cluster.away = True
    _, outputs = run(resource.create(Context(preview=True), make_inputs(frozen=True, namespaceUid=UNKNOWN)))
    assert outputs["running"] == 0
    run(resource.create(Context(preview=True), make_inputs(frozen=True)))


@pytest.mark.parametrize("namespace", ["eu", "nowhere"])
def test_another_cluster_than_the_providers_is_refused(
    cluster: FakeCluster, resource: DevEnvironments, namespace: str
) -> None:
    block(cluster)
    with pytest.raises(ClusterError, match="the cluster is another one than before") as caught:
        run(resource.create(Context(), make_inputs(frozen=True, namespace=namespace, namespaceUid="foreign")))
    assert "`kubeconfig`" in str(caught.value)
    assert cluster.calls == []


def test_refresh_counts_what_runs_although_frozen(resource: DevEnvironments) -> None:
    inputs = make_inputs(frozen=True)
    found = run(resource.read(Context(), "eu", inputs, {**inputs, "running": 0}))
    assert found is not None
    assert found[2]["running"] == 3


def test_refresh_without_a_freeze_shows_no_drift(resource: DevEnvironments) -> None:
    inputs = make_inputs()
    outputs = {**inputs, "running": None, "leftBlocked": False}
    assert run(resource.read(Context(), "eu", inputs, outputs)) == ("eu", inputs, outputs)


def test_refresh_finds_a_deleted_or_remade_namespace_gone(cluster: FakeCluster, resource: DevEnvironments) -> None:
    inputs = make_inputs(namespaceUid="foreign")
    assert run(resource.read(Context(), "eu", inputs, inputs)) is None
    del cluster.objects[("Namespace", "", "eu")]
    assert run(resource.read(Context(), "eu", make_inputs(), {})) is None


def test_delete_is_refused_while_environments_run(cluster: FakeCluster, resource: DevEnvironments) -> None:
    with pytest.raises(ClusterError) as caught:
        run(resource.delete(Context(), "eu", make_inputs()))
    text = str(caught.value)
    assert "3 dev environments are running on platform eu (namespace eu): ws-1, ws-2, ws-3" in text
    assert "`freeze: true`" in text
    assert "`forceDelete: true`" in text
    assert cluster.calls == []


def test_refused_delete_names_a_bounded_number(cluster: FakeCluster, resource: DevEnvironments) -> None:
    for number in range(40):
        cluster.put(POD, worker(f"more-{number:02}"), "eu")
    with pytest.raises(ClusterError, match=r"^43 dev environments are .* more-09 and 33 more\."):
        run(resource.delete(Context(), "eu", make_inputs()))


def test_delete_of_a_platform_at_rest_just_works(cluster: FakeCluster, resource: DevEnvironments) -> None:
    end_environments(cluster)
    cluster.put(POD, worker("done", phase="Failed", claims=["done-home"]), "eu")
    run(resource.delete(Context(), "eu", make_inputs()))
    assert cluster.names(POD, "eu") == ["operator"]
    assert cluster.names(CLAIM, "eu") == []
    assert cluster.names(POLICY) == cluster.names(POLICY_BINDING) == []


def test_delete_by_force_blocks_first_and_removes_its_block_last(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    run(resource.delete(Context(), "eu", make_inputs(forceDelete=True)))
    assert cluster.names(POD, "eu") == ["operator"]
    assert cluster.names(CLAIM, "eu") == []
    name = "codecanvas-delete-eu"
    assert cluster.calls[:2] == [
        f"apply ValidatingAdmissionPolicy {name}",
        f"apply ValidatingAdmissionPolicyBinding {name}",
    ]
    assert cluster.calls[-2:] == [
        f"delete ValidatingAdmissionPolicyBinding {name}",
        f"delete ValidatingAdmissionPolicy {name}",
    ]


def test_delete_at_rest_blocks_by_a_quota_of_the_namespace(cluster: FakeCluster, resource: DevEnvironments) -> None:
    for name in ("ws-1", "ws-2", "ws-3"):
        cluster.delete(POD, name, "eu")
    cluster.calls.clear()
    run(resource.delete(Context(), "eu", make_inputs()))
    assert cluster.calls[0] == "apply ResourceQuota codecanvas-delete"
    assert cluster.calls[-1] == "delete ResourceQuota codecanvas-delete"
    assert not [call for call in cluster.calls if "Policy" in call]


def test_delete_while_frozen_uses_the_freezes_block(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    run(resource.delete(Context(), "eu", make_inputs(frozen=True)))
    assert not [call for call in cluster.calls if "Policy" in call]
    assert cluster.names(POLICY) == ["codecanvas-freeze-eu"]


@pytest.mark.parametrize("lost", ["deleted", "disarmed"])
def test_a_freeze_whose_block_is_gone_lets_no_delete_take_what_runs_since(
    cluster: FakeCluster, resource: DevEnvironments, lost: str
) -> None:
    if lost == "disarmed":
        block(cluster)
        disarm_block(cluster, freeze_block("eu", "policy"))
    before, calls = sorted(cluster.objects), list(cluster.calls)
    with pytest.raises(
        ClusterError, match=r"3 dev environments are running .* either run `pulumi up --refresh`"
    ) as caught:
        run(resource.delete(Context(), "eu", make_inputs(frozen=True)))
    assert "set `freeze: true`" not in str(caught.value)
    assert (sorted(cluster.objects), cluster.calls) == (before, calls)


def test_delete_while_frozen_makes_a_block_where_the_freezes_is_gone(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    end_environments(cluster)
    cluster.put(POD, worker("done", phase="Failed", claims=["done-home"]), "eu")
    run(resource.delete(Context(), "eu", make_inputs(frozen=True)))
    assert "apply ValidatingAdmissionPolicy codecanvas-delete-eu" in cluster.calls
    assert cluster.names(POLICY) == []


def test_delete_falls_back_to_a_quota_where_no_policy_may_be_made(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    cluster.denied = {"patch validatingadmissionpolicies", "get validatingadmissionpolicies"}
    cluster.denied |= {"get validatingadmissionpolicybindings"}
    run(resource.delete(Context(), "eu", make_inputs(forceDelete=True)))
    assert cluster.calls[0] == "apply ResourceQuota codecanvas-delete"
    assert cluster.calls[-1] == "delete ResourceQuota codecanvas-delete"
    assert cluster.names(QUOTA, "eu") == []


def test_delete_puts_no_quota_on_an_adopted_namespace(cluster: FakeCluster, resource: DevEnvironments) -> None:
    cluster.denied = {"patch validatingadmissionpolicies"}
    log = Log()
    run(resource.delete(log.context(), "eu", make_inputs(forceDelete=True, ownsNamespace=False)))
    assert not [call for call in cluster.calls if "ResourceQuota" in call]
    assert "cannot be blocked while it is emptied" in log.messages[0]
    assert cluster.names(POD, "eu") == ["operator"]


def test_a_failed_delete_takes_its_block_away(cluster: FakeCluster, resource: DevEnvironments) -> None:
    cluster.holds["ws-1"] = {"finalizers": ["example.com/hold"], "deletionGracePeriodSeconds": 0}
    with pytest.raises(ClusterError, match=r"(?s)1 of 3 dev environments.*example.com/hold.*run the command again"):
        run(resource.delete(Context(), "eu", make_inputs(forceDelete=True, stopTimeout=1)))
    assert cluster.names(POLICY) == cluster.names(POLICY_BINDING) == []
    assert cluster.names(CLAIM, "eu") == ["ws-1-home", "ws-2-home", "ws-3-home"]


def test_a_cancelled_delete_takes_its_block_away(cluster: FakeCluster, resource: DevEnvironments) -> None:
    cluster.holds["ws-1"] = {"finalizers": ["example.com/hold"]}

    async def scenario() -> None:
        context = Context()
        asyncio.get_running_loop().call_later(0.2, context.cancelled.set)
        await resource.delete(context, "eu", make_inputs(forceDelete=True))

    with pytest.raises(Cancelled):
        run(scenario())
    assert cluster.names(POLICY) == cluster.names(POLICY_BINDING) == []


def test_the_block_of_a_killed_delete_is_seen_by_refresh_and_taken_away_by_up(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    block(cluster, "codecanvas-delete-eu")
    inputs = make_inputs()
    found = run(resource.read(Context(), "eu", inputs, {**inputs, "running": None, "leftBlocked": False}))
    assert found is not None
    assert found[2]["leftBlocked"] is True
    assert resource.diff(inputs, found[2], inputs) == Diff((), ("leftBlocked",))
    assert run(resource.update(Context(), "eu", found[2], inputs))["leftBlocked"] is False
    assert cluster.names(POLICY) == cluster.names(POLICY_BINDING) == []
    assert len(cluster.names(POD, "eu")) == 4


def test_a_freeze_takes_over_from_the_block_of_a_killed_delete(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    block(cluster, "codecanvas-delete-eu")
    run(resource.create(Context(), make_inputs(frozen=True)))
    assert cluster.names(POLICY) == cluster.names(POLICY_BINDING) == ["codecanvas-freeze-eu"]


def test_a_resource_that_was_replaced_in_place_leaves_all_to_its_successor(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    before = sorted(cluster.objects)
    resource.check(make_inputs())
    log = Log()
    run(resource.delete(log.context(), "eu", make_inputs(forceDelete=True)))
    assert sorted(cluster.objects) == before
    assert log.messages == ["the dev environments in namespace eu go on in its successor"]


def test_the_successor_may_be_of_an_earlier_run_or_have_another_way_to_the_namespace(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    uid = cluster.objects[("Namespace", "", "eu")]["metadata"]["uid"]
    new = make_inputs(context="vpn", namespaceUid=uid)
    resource.check(new)
    before = sorted(cluster.objects)
    run(resource.delete(Context(), "eu", make_inputs(context="public", namespaceUid=uid, forceDelete=True)))
    assert sorted(cluster.objects) == before


def test_an_adopted_namespace_with_a_successor_by_another_address_is_left_to_it() -> None:
    here, there = FakeCluster("eu"), FakeCluster("else", "eu")
    for cluster in (here, there):
        enforce_policies(cluster)
        cluster.put(POD, worker("ws-1"), "eu")
    clusters = {"public": here, "vpn": here, "other": there}
    resource = DevEnvironments(lambda _kubeconfig, context: clusters[str(context)], PACE)
    resource.check(make_inputs(context="vpn", ownsNamespace=False))
    old = {"ownsNamespace": False, "forceDelete": True}
    run(resource.delete(Context(), "eu", make_inputs(context="public", **old)))
    run(resource.delete(Context(), "eu", make_inputs(context="other", **old)))
    assert (here.names(POD, "eu"), there.names(POD, "eu")) == (["ws-1"], [])
    # Of another cluster that is away, or known for another one, nothing is asked.
    there.put(POD, worker("ws-1"), "eu")
    here.away = True
    run(resource.delete(Context(), "eu", make_inputs(context="other", **old)))
    assert there.names(POD, "eu") == []


def test_a_cluster_that_is_known_is_not_asked_whether_an_adopted_namespace_goes_on() -> None:
    here, there = FakeCluster("eu"), FakeCluster("eu")
    clusters = {"here": here, "there": there}
    resource = DevEnvironments(lambda _kubeconfig, context: clusters[str(context)], PACE)
    resource.check(make_inputs(context="there", ownsNamespace=False, cluster="2"))
    looks: list[Kind] = []
    there.on_get = looks.append
    enforce_policies(here)
    run(resource.delete(Context(), "eu", make_inputs(context="here", ownsNamespace=False, cluster="1")))
    assert looks == []
    log = Log()
    run(resource.delete(log.context(), "eu", make_inputs(context="here", ownsNamespace=False, cluster="2")))
    assert log.messages == ["the dev environments in namespace eu go on in its successor"]


def test_a_namespace_that_a_delete_leaves_belongs_to_no_stack(cluster: FakeCluster, resource: DevEnvironments) -> None:
    log = Log()
    metadata = cluster.objects[("Namespace", "", "eu")]["metadata"]
    for owns in (False, True):
        metadata["annotations"] = {STACK_ANNOTATION: "acme/platforms/prod"}
        inputs = make_inputs(forceDelete=True, retainVolumes=True, ownsNamespace=owns)
        run(resource.delete(log.context(), "eu", inputs))
        assert (metadata["annotations"].get(STACK_ANNOTATION) is None) is owns
    stays = "namespace eu stays, with the volumes ws-1-home, ws-2-home, ws-3-home: `createNamespace: false` adopts it"
    assert log.messages == [stays, stays]


def test_what_a_refresh_looks_at_has_no_successor(cluster: FakeCluster, resource: DevEnvironments) -> None:
    inputs = make_inputs(forceDelete=True)
    # The engine asks for the difference in a refresh, too, and a destroy may follow in the same process.
    resource.diff(inputs, inputs, inputs)
    run(resource.delete(Context(), "eu", inputs))
    assert cluster.names(POD, "eu") == ["operator"]


def test_a_namespace_that_stays_in_use_is_not_disowned(resource: DevEnvironments) -> None:
    owned, adopted = make_inputs(), make_inputs(ownsNamespace=False)
    with pytest.raises(
        ClusterError, match=r"this stack made namespace eu and would delete it.*first set `retainVolumes: true`"
    ):
        run(resource.forbid(Context(preview=True), owned, owned, adopted))
    for before, after in [
        (make_inputs(retainVolumes=True), adopted),
        (owned, make_inputs(ownsNamespace=False, namespace="us")),
        (adopted, owned),
        (owned, make_inputs(ownsNamespace=UNKNOWN)),
    ]:
        run(resource.forbid(Context(), before, before, after))


def test_a_refresh_looks_for_what_a_failed_freeze_wanted(cluster: FakeCluster, resource: DevEnvironments) -> None:
    block(cluster)
    outputs = {**make_inputs(frozen=True), "running": 1, "leftBlocked": False}
    found = run(resource.read(Context(), "eu", make_inputs(), outputs))
    assert found
    assert found[2]["running"] == 3


@pytest.mark.parametrize("force", [False, True])
def test_what_starts_between_the_look_and_the_block_is_not_killed_without_force(
    cluster: FakeCluster, resource: DevEnvironments, *, force: bool
) -> None:
    end_environments(cluster)
    blocking = cluster.apply

    def start_meanwhile(kind: Kind, body: Any, namespace: str | None = None) -> dict[str, Any]:
        cluster.put(POD, worker("just-started"), "eu")
        return blocking(kind, body, namespace)

    cluster.apply = start_meanwhile  # type: ignore[method-assign] # a moment of the cluster's life
    deleting = resource.delete(Context(), "eu", make_inputs(forceDelete=force))
    if force:
        run(deleting)
        assert "just-started" not in cluster.names(POD, "eu")
        return
    with pytest.raises(ClusterError, match=r"1 dev environment is running .*: just-started\. They were left alone"):
        run(deleting)
    assert "just-started" in cluster.names(POD, "eu")
    assert cluster.names(QUOTA, "eu") == cluster.names(POLICY) == []


def test_a_freeze_outlasts_an_api_server_that_stumbles(
    cluster: FakeCluster, resource: DevEnvironments, monkeypatch: pytest.MonkeyPatch
) -> None:
    block(cluster)
    create, stumbles = cluster.create, [500, 503]

    def stumble(*args: Any, **given: Any) -> dict[str, Any]:
        if stumbles:
            raise refusal(stumbles.pop(), "failed calling webhook")
        return create(*args, **given)

    monkeypatch.setattr(cluster, "create", stumble)
    run(resource.create(Context(), make_inputs(frozen=True)))
    assert cluster.names(POD, "eu") == ["operator"]


def test_delete_keeps_volumes_on_request(cluster: FakeCluster, resource: DevEnvironments) -> None:
    run(resource.delete(Context(), "eu", make_inputs(forceDelete=True, retainVolumes=True)))
    assert cluster.names(POD, "eu") == ["operator"]
    assert cluster.names(CLAIM, "eu") == ["ws-1-home", "ws-2-home", "ws-3-home"]


def test_delete_in_an_adopted_namespace_keeps_what_may_be_somebody_elses(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    cluster.put(POD, other_pod("database", "data", "ws-3-home"), "eu")
    cluster.put(POD, worker("ws-4", claims=["cache", "team-cache"]), "eu")
    cluster.put(POD, worker("ws-5", claims=["cache", "ws-5-home"]), "eu")
    for name in ("cache", "data", "team-cache", "unknown", "ws-5-home"):
        cluster.put(CLAIM, {"metadata": {"name": name}}, "eu")
    log = Log()
    inputs = make_inputs(forceDelete=True, ownsNamespace=False, templateClaims=["team-cache"])
    run(resource.delete(log.context(), "eu", inputs))
    assert cluster.names(CLAIM, "eu") == ["cache", "data", "team-cache", "unknown", "ws-3-home"]
    assert cluster.names(POD, "eu") == ["database", "operator"]
    assert "these volumes stay" in log.messages[0]
    assert "cache, data, team-cache, unknown, ws-3-home" in log.messages[0]


def test_a_volume_that_does_not_go_is_reported_with_what_holds_it(
    cluster: FakeCluster, resource: DevEnvironments
) -> None:
    cluster.put(POD, other_pod("viewer", "ws-1-home"), "eu")
    protected = {"name": "ws-1-home", "finalizers": ["kubernetes.io/pvc-protection"]}
    cluster.put(CLAIM, {"metadata": protected}, "eu")
    cluster.put(CLAIM, {"metadata": {"name": "ws-2-home", "finalizers": ["example.com/backup"]}}, "eu")
    cluster.claims_held = {"ws-1-home", "ws-2-home"}
    with pytest.raises(ClusterError) as caught:
        run(resource.delete(Context(), "eu", make_inputs(forceDelete=True, stopTimeout=1)))
    text = str(caught.value)
    assert "2 volumes (PersistentVolumeClaims) in namespace eu are not gone after 1 s" in text
    assert "ws-1-home: pod viewer still mounts it" in text
    assert "ws-2-home: finalizer example.com/backup holds it" in text


def bind_disk(cluster: FakeCluster, claim: str, policy: str = "Delete") -> None:
    cluster.put(CLAIM, {"metadata": {"name": claim}, "spec": {"volumeName": f"disk-of-{claim}"}}, "eu")
    spec = {"persistentVolumeReclaimPolicy": policy}
    cluster.put(VOLUME, {"metadata": {"name": f"disk-of-{claim}"}, "spec": spec, "status": {"phase": "Released"}})


def test_delete_waits_until_the_disks_are_deleted(cluster: FakeCluster, resource: DevEnvironments) -> None:
    bind_disk(cluster, "ws-1-home")
    bind_disk(cluster, "ws-2-home")
    log = Log()
    seen: list[str] = []

    def drive() -> None:
        """Delete one disk at each look, as a storage driver in its own time."""
        if not cluster.names(CLAIM, "eu") and (left := cluster.names(VOLUME)):
            seen.append(left[0])
            cluster.delete(VOLUME, left[0])

    cluster.on_get = lambda kind: drive() if kind is VOLUME else None
    run(resource.delete(log.context(), "eu", make_inputs(forceDelete=True)))
    assert seen == ["disk-of-ws-1-home", "disk-of-ws-2-home"]
    assert cluster.names(VOLUME) == []


def test_delete_does_not_wait_for_disks_that_are_to_stay(cluster: FakeCluster, resource: DevEnvironments) -> None:
    bind_disk(cluster, "ws-1-home", "Retain")
    run(resource.delete(Context(), "eu", make_inputs(forceDelete=True)))
    assert cluster.names(VOLUME) == ["disk-of-ws-1-home"]


def test_delete_does_without_the_right_to_see_disks(cluster: FakeCluster, resource: DevEnvironments) -> None:
    bind_disk(cluster, "ws-1-home")
    cluster.denied = {"get persistentvolumes"}
    run(resource.delete(Context(), "eu", make_inputs(forceDelete=True)))
    assert cluster.names(CLAIM, "eu") == []


def test_a_disk_that_does_not_go_is_reported_by_name(cluster: FakeCluster, resource: DevEnvironments) -> None:
    bind_disk(cluster, "ws-1-home")
    with pytest.raises(ClusterError) as caught:
        run(resource.delete(Context(), "eu", make_inputs(forceDelete=True, stopTimeout=1)))
    assert "1 disks (PersistentVolumes) are not deleted after 1 s" in str(caught.value)
    assert "disk-of-ws-1-home: it is Released; see that its storage driver runs" in str(caught.value)


def test_delete_of_a_namespace_that_is_gone_succeeds(resource: DevEnvironments) -> None:
    run(resource.delete(Context(), "nowhere", make_inputs(namespace="nowhere")))


def test_delete_in_another_cluster_is_refused(cluster: FakeCluster, resource: DevEnvironments) -> None:
    with pytest.raises(ClusterError, match="is not the one that was made"):
        run(resource.delete(Context(), "eu", make_inputs(namespaceUid="foreign", forceDelete=True)))
    assert cluster.calls == []


def test_delete_of_a_lost_cluster_needs_the_kubernetes_plugins_variable(
    cluster: FakeCluster, resource: DevEnvironments, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.away = True
    monkeypatch.delenv(DELETE_UNREACHABLE, raising=False)
    with pytest.raises(ClusterError, match=f"`{DELETE_UNREACHABLE}=true pulumi up --refresh` with its platforms"):
        run(resource.delete(Context(), "eu", make_inputs()))
    monkeypatch.setenv(DELETE_UNREACHABLE, "true")
    log = Log()
    run(resource.delete(log.context(), "eu", make_inputs()))
    assert "given up" in log.messages[0]


def test_many_platforms_are_stopped_side_by_side() -> None:
    fake = FakeCluster()
    names = [f"p{number}" for number in range(50)]
    fake.refuse_pod = lambda _pod: "exceeded quota: codecanvas-freeze, requested: pods=1"
    for name in names:
        fake.put(NAMESPACE, {"metadata": {"name": name}})
        for number in range(20):
            fake.put(POD, worker(f"ws-{number}"), name)
    resource = DevEnvironments(fake.connect_to, PACE)

    async def scenario() -> None:
        inputs = [make_inputs(namespace=name, frozen=True, freezeMode="quota") for name in names]
        await asyncio.gather(*(resource.create(Context(), each) for each in inputs))

    run(scenario())
    assert len([call for call in fake.calls if call.startswith("delete Pod")]) == 1000
