from __future__ import annotations

from typing import Any

import pytest

from codecanvas_provider import leftovers
from codecanvas_provider.cluster import CLAIM, CONFIG_MAP, NAMESPACE, POD_TEMPLATE, SERVICE_ACCOUNT, STORAGE_CLASS, Kind
from codecanvas_provider.leftovers import Leftovers
from codecanvas_provider.times import now
from codecanvas_provider.waiting import Pace
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.manifests import PLATFORM_LABEL, STACK_ANNOTATION
from tests.support.calls import Log, run
from tests.support.fake_cluster import NOW, FakeCluster

OWNER = "organization/codecanvas/prod"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    made = FakeCluster()
    monkeypatch.setattr(made, "discover", lambda: [CONFIG_MAP, CLAIM, SERVICE_ACCOUNT, POD_TEMPLATE])
    return made


def put(
    cluster: FakeCluster, kind: Kind, owner: str | None, namespace: str | None = None, made: str | None = None
) -> None:
    annotations = {STACK_ANNOTATION: owner} if owner else {}
    labels = {PLATFORM_LABEL: "eu"}
    metadata = {"name": "eu", "annotations": annotations, "labels": labels, "creationTimestamp": made or fresh()}
    cluster.put(kind, {"metadata": metadata}, namespace)


def fresh() -> str:
    return now().strftime("%Y-%m-%dT%H:%M:%SZ")


def clear(cluster: FakeCluster, kind: Kind, *, preview: bool = False, **given: Any) -> dict[str, Any]:
    arguments = {"kind": kind.name, "name": "eu", "owner": OWNER, "platformName": "eu", **given}
    return run(Leftovers(cluster.connect_to, Pace(first=0.001)).clear(Log().context(preview=preview), arguments))


def test_an_object_with_our_mark_is_cleared(cluster: FakeCluster) -> None:
    put(cluster, POD_TEMPLATE, OWNER, "eu")
    assert clear(cluster, POD_TEMPLATE, namespace="eu") == {"cleared": True, "reason": "", "adoptable": False}
    assert cluster.find(POD_TEMPLATE, "eu", "eu") is None


def test_a_preview_clears_nothing(cluster: FakeCluster) -> None:
    put(cluster, POD_TEMPLATE, OWNER, "eu")
    found = clear(cluster, POD_TEMPLATE, preview=True, namespace="eu")
    assert found == {"cleared": False, "reason": "", "adoptable": False}
    assert cluster.calls == []
    assert cluster.find(POD_TEMPLATE, "eu", "eu")


@pytest.mark.parametrize(
    ("owner", "reason"),
    [("organization/codecanvas/other", "of the stack organization/codecanvas/other"), (None, "not of this stack")],
)
def test_an_object_of_somebody_else_stays(cluster: FakeCluster, owner: str | None, reason: str) -> None:
    put(cluster, POD_TEMPLATE, owner, "eu")
    found = clear(cluster, POD_TEMPLATE, namespace="eu")
    assert (found["cleared"], found["adoptable"]) == (False, owner is None)
    assert reason in found["reason"]
    assert cluster.find(POD_TEMPLATE, "eu", "eu")


def test_nobody_is_told_to_adopt_a_namespace_that_another_stack_would_delete(cluster: FakeCluster) -> None:
    put(cluster, NAMESPACE, "organization/codecanvas/other")
    found = clear(cluster, NAMESPACE)
    assert found["adoptable"] is False
    assert found["reason"] == "and is of the stack organization/codecanvas/other; choose another"
    put(cluster, NAMESPACE, None)
    assert clear(cluster, NAMESPACE)["adoptable"] is True


def test_an_object_of_another_platform_of_the_stack_stays(cluster: FakeCluster) -> None:
    put(cluster, STORAGE_CLASS, OWNER)
    found = clear(cluster, STORAGE_CLASS, platformName="us")
    assert (found["cleared"], found["adoptable"]) == (False, False)
    assert found["reason"].startswith("and is of the platform eu of this stack; each needs its own.")
    assert cluster.find(STORAGE_CLASS, "eu")


@pytest.mark.parametrize("denied", ["list configmaps", "list serviceaccounts"])
def test_a_namespace_of_which_not_all_can_be_seen_stays(cluster: FakeCluster, denied: str) -> None:
    put(cluster, NAMESPACE, OWNER)
    cluster.denied.add(denied)
    assert "whose it is cannot be seen" in clear(cluster, NAMESPACE)["reason"]
    assert cluster.find(NAMESPACE, "eu")


def test_a_namespace_in_a_cluster_that_does_not_tell_its_kinds_stays(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cluster, NAMESPACE, OWNER)
    monkeypatch.setattr(cluster, "discover", list)
    assert "does not tell which kinds" in clear(cluster, NAMESPACE)["reason"]
    assert cluster.find(NAMESPACE, "eu")


def test_a_cluster_wide_object_that_is_older_than_any_run_stays(cluster: FakeCluster) -> None:
    put(cluster, STORAGE_CLASS, OWNER, made=NOW)
    found = clear(cluster, STORAGE_CLASS)
    assert (found["cleared"], found["adoptable"]) == (False, False)
    assert f"this stack's, made at {NOW}: too long ago" in found["reason"]
    assert "`kubectl delete storageclasses eu`" in found["reason"]
    assert cluster.find(STORAGE_CLASS, "eu")
    put(cluster, POD_TEMPLATE, OWNER, "eu", made=NOW)
    assert clear(cluster, POD_TEMPLATE, namespace="eu")["cleared"]


def test_a_namespace_goes_only_when_it_holds_nothing(cluster: FakeCluster) -> None:
    put(cluster, NAMESPACE, OWNER, made=NOW)
    cluster.put(CONFIG_MAP, {"metadata": {"name": "kube-root-ca.crt"}}, "eu")
    cluster.put(SERVICE_ACCOUNT, {"metadata": {"name": "default"}}, "eu")
    cluster.put(CONFIG_MAP, {"metadata": {"name": "work"}}, "eu")
    found = clear(cluster, NAMESPACE)
    assert found["cleared"] is False
    assert found["adoptable"] is False
    assert found["reason"].startswith(
        "and is this stack's and not empty (ConfigMap work). Where a move of the platform"
    )
    assert "`kubectl delete namespace eu`" in found["reason"]
    assert cluster.find(NAMESPACE, "eu")
    cluster.delete(CONFIG_MAP, "work", "eu")
    old = clear(cluster, NAMESPACE)
    assert (old["cleared"], old["adoptable"]) == (False, False)
    assert f"this stack's, made at {NOW}" in old["reason"]
    namespace = cluster.find(NAMESPACE, "eu")
    assert namespace
    namespace["metadata"]["creationTimestamp"] = fresh()
    assert clear(cluster, NAMESPACE)["cleared"]


def test_a_namespace_with_volumes_is_to_be_adopted_and_not_to_be_deleted(cluster: FakeCluster) -> None:
    put(cluster, NAMESPACE, OWNER, made=NOW)
    cluster.put(CONFIG_MAP, {"metadata": {"name": "a-first-thing"}}, "eu")
    cluster.put(CLAIM, {"metadata": {"name": "home-1"}}, "eu")
    reason = clear(cluster, NAMESPACE)["reason"]
    assert "not empty (PersistentVolumeClaim home-1, ConfigMap a-first-thing)" in reason
    assert "`createNamespace: false` adopts it with the volumes in it" in reason
    assert "kubectl delete" not in reason


def test_a_namespace_of_ours_that_is_going_is_waited_for(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    put(cluster, NAMESPACE, OWNER)
    cluster.put(CONFIG_MAP, {"metadata": {"name": "still-there"}}, "eu")
    found = cluster.find(NAMESPACE, "eu")
    assert found
    found["metadata"]["deletionTimestamp"] = NOW
    looks: list[Kind] = []

    def look(kind: Kind) -> None:
        looks.append(kind)
        if len(looks) == 3:
            cluster.objects.pop(("Namespace", "", "eu"))

    monkeypatch.setattr(cluster, "on_get", look)
    assert clear(cluster, NAMESPACE)["cleared"]
    assert (len(looks), cluster.calls) == (3, [])


def test_an_object_that_does_not_go_is_named(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leftovers, "PATIENCE", 0.01)
    put(cluster, POD_TEMPLATE, OWNER, "eu")
    cluster.claims_held.add("eu")
    assert "does not go within" in clear(cluster, POD_TEMPLATE, namespace="eu")["reason"]


def test_a_cluster_that_does_not_answer_is_said_so(cluster: FakeCluster) -> None:
    cluster.away = True
    assert "whose it is cannot be seen" in clear(cluster, POD_TEMPLATE, namespace="eu")["reason"]


def test_only_kinds_of_ours_are_taken(cluster: FakeCluster) -> None:
    with pytest.raises(InvalidArgumentsError, match="kind"):
        clear(cluster, CONFIG_MAP, namespace="eu")
