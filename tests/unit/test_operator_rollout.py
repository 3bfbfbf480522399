from __future__ import annotations

import asyncio
from typing import Any

import pytest

from codecanvas_provider.cluster import DEPLOYMENT, POD, SECRET
from codecanvas_provider.operator_rollout import (
    FINGERPRINT,
    REVISION,
    SOURCES,
    Sources,
    ensure_current_key,
    read_sources,
)
from codecanvas_provider.resource import Context
from codecanvas_provider.waiting import Pace
from codecanvas_provider.workloads import list_workloads
from pulumi_codecanvas.errors import ClusterError
from tests.support.fake_cluster import FakeCluster
from tests.support.releases import NAME, describe_release, revision_name

PACE = Pace(first=0.001, longest=0.002)
T0, T1, T2 = (f"2025-05-01T10:00:0{second}Z" for second in range(3))
READY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def put_release(cluster: FakeCluster, *, revision: int = 1, changed: str = T0, key: str = "one") -> None:
    for kind, manifest, namespace in describe_release("eu", "eu", key, revision):
        manifest["metadata"] = {**manifest["metadata"], "creationTimestamp": changed}
        known = cluster.find(kind, manifest["metadata"]["name"], namespace)
        if known is not None and kind is DEPLOYMENT:
            # Helm leaves annotations alone that it knows nothing of.
            manifest["metadata"]["annotations"] = known["metadata"]["annotations"]
        if kind is DEPLOYMENT:
            manifest["status"] = READY
        if kind is SECRET:
            created = known["metadata"]["creationTimestamp"] if known else changed
            manifest["metadata"] |= {"creationTimestamp": created, "managedFields": managed("helm", changed)}
        cluster.put(kind, manifest, namespace)


def managed(manager: str, at: str, *entries: str) -> list[dict[str, Any]]:
    fields: dict[str, Any] = {f"f:{entry}": {} for entry in entries or ("key",)}
    return [{"manager": manager, "time": at, "fieldsV1": {"f:data": {".": {}, **fields}}}]


def put_pod(cluster: FakeCluster, created: str, name: str = "op-1") -> None:
    metadata = {"name": name, "labels": {"app": NAME}, "creationTimestamp": created}
    cluster.put(POD, {"metadata": metadata, "spec": {"containers": [{"name": "operator"}]}}, "eu")


def ensure(cluster: FakeCluster, fingerprint: str, timeout: float = 1) -> list[str]:
    call = ensure_current_key(
        Context(), cluster, "eu", NAME, fingerprint, platform="europe", timeout=timeout, pace=PACE
    )
    return asyncio.run(call)


def annotations_of(cluster: FakeCluster) -> tuple[dict[str, Any], dict[str, Any]]:
    """Give those of the workload and those of its pod template."""
    deployment = cluster.find(DEPLOYMENT, NAME, "eu")
    assert deployment is not None
    return deployment["metadata"]["annotations"], deployment["spec"]["template"]["metadata"]["annotations"]


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster("eu")
    put_release(fake)
    put_pod(fake, T0)
    return fake


def test_what_we_may_not_look_at_in_config_maps_is_no_reason_to_fail(cluster: FakeCluster) -> None:
    deployment = cluster.find(DEPLOYMENT, NAME, "eu")
    assert deployment
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container.setdefault("envFrom", []).append({"configMapRef": {"name": "settings"}})
    cluster.denied.add("get configmaps")
    assert ensure(cluster, "fp-1") == []
    assert annotations_of(cluster)[0][SOURCES].startswith(f"Secret/{NAME}@")
    cluster.denied.add("get secrets")
    with pytest.raises(ClusterError, match="secrets is forbidden"):
        ensure(cluster, "fp-2")


def test_the_first_install_is_only_noted(cluster: FakeCluster) -> None:
    assert ensure(cluster, "fp-1") == []
    own, template = annotations_of(cluster)
    assert own[FINGERPRINT] == "fp-1"
    assert own[SOURCES].startswith(f"Secret/{NAME}@")
    assert template == {}


def test_the_same_key_again_changes_nothing(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    cluster.calls.clear()
    assert ensure(cluster, "fp-1") == []
    assert cluster.calls == []


@pytest.mark.parametrize("pod_created", [T0, T1])
def test_a_new_key_restarts_pods_that_may_be_older(cluster: FakeCluster, pod_created: str) -> None:
    ensure(cluster, "fp-1")
    put_pod(cluster, pod_created)
    put_release(cluster, revision=2, changed=T1, key="two")
    assert ensure(cluster, "fp-2") == [f"Deployment {NAME}"]
    own, template = annotations_of(cluster)
    assert own[FINGERPRINT] == template[FINGERPRINT] == "fp-2"
    assert own[SOURCES] == template[SOURCES]
    assert cluster.calls[-1] == f"patch Deployment {NAME}"


def test_pods_that_the_chart_restarted_itself_are_left_alone(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    put_release(cluster, revision=2, changed=T1, key="two")
    put_pod(cluster, T2)
    assert ensure(cluster, "fp-2") == []
    own, template = annotations_of(cluster)
    assert (own[FINGERPRINT], template) == ("fp-2", {})


def test_one_old_pod_among_new_ones_is_enough_for_a_restart(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    put_release(cluster, revision=2, changed=T1, key="two")
    put_pod(cluster, T2, "op-2")
    assert ensure(cluster, "fp-2") == [f"Deployment {NAME}"]


def test_a_changed_secret_restarts_even_with_the_same_key(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    put_release(cluster, revision=2, changed=T1, key="one")
    assert ensure(cluster, "fp-1") == [f"Deployment {NAME}"]


def test_an_operator_that_was_never_noted_is_restarted_after_an_upgrade(cluster: FakeCluster) -> None:
    put_release(cluster, revision=2, changed=T1)
    assert ensure(cluster, "fp-1") == [f"Deployment {NAME}"]


def test_without_a_secret_of_its_own_the_revision_counts(cluster: FakeCluster) -> None:
    deployment = cluster.find(DEPLOYMENT, NAME, "eu")
    assert deployment is not None
    del deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    put_pod(cluster, T1)
    ensure(cluster, "fp-1")
    labels = {"owner": "helm", "name": NAME, "status": "deployed", "version": "2"}
    cluster.put(SECRET, {"metadata": {"name": revision_name(2), "labels": labels, "creationTimestamp": T2}}, "eu")
    assert ensure(cluster, "fp-2") == [f"Deployment {NAME}"]
    put_pod(cluster, "2025-05-01T10:00:09Z")
    assert ensure(cluster, "fp-3") == []


def test_what_changes_past_the_release_is_left_for_the_test_to_tell(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    cluster.calls.clear()
    secret = cluster.find(SECRET, NAME, "eu")
    assert secret is not None
    secret["metadata"] |= {"resourceVersion": "99", "managedFields": managed("kubectl-edit", T2)}
    assert ensure(cluster, "fp-1") == []
    assert cluster.calls == []
    (workload,) = list_workloads(cluster, "eu", NAME)
    assert read_sources(cluster, "eu", workload).rewritten(workload) == [f"Secret/{NAME}/key by kubectl-edit"]


def test_entries_that_an_operator_adds_itself_are_no_change(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    secret = cluster.find(SECRET, NAME, "eu")
    assert secret is not None
    secret["metadata"]["managedFields"] += managed("operator", T2, "tls.crt")
    (workload,) = list_workloads(cluster, "eu", NAME)
    assert read_sources(cluster, "eu", workload).rewritten(workload) == []


def test_what_others_bring_is_only_missed_never_watched(cluster: FakeCluster) -> None:
    secret = cluster.find(SECRET, NAME, "eu")
    assert secret is not None
    del secret["metadata"]["annotations"]
    (workload,) = list_workloads(cluster, "eu", NAME)
    assert read_sources(cluster, "eu", workload) == Sources("", "", {}, ())


def test_a_revision_that_brings_no_change_is_noted_without_a_restart(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    labels = {"owner": "helm", "name": NAME, "status": "deployed", "version": "2"}
    cluster.put(SECRET, {"metadata": {"name": revision_name(2), "labels": labels, "creationTimestamp": T2}}, "eu")
    assert ensure(cluster, "fp-1") == []
    own, template = annotations_of(cluster)
    assert (own[REVISION], template) == ("2", {})


def test_a_missing_secret_is_no_reason_to_stop_a_running_operator(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    del cluster.objects[("Secret", "eu", NAME)]
    cluster.calls.clear()
    assert ensure(cluster, "fp-2") == []
    assert cluster.calls == []


def upgrade(cluster: FakeCluster, *, key: str) -> None:
    """Have Helm bring a second revision, which supersedes the first."""
    put_release(cluster, revision=2, changed=T1, key=key)
    first = cluster.find(SECRET, revision_name(1), "eu")
    assert first is not None
    first["metadata"]["labels"]["status"] = "superseded"


def test_an_old_key_leaves_helms_history_before_the_new_one_is_noted(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    upgrade(cluster, key="two")
    failed = {"owner": "helm", "name": NAME, "status": "failed", "version": "3"}
    cluster.put(SECRET, {"metadata": {"name": revision_name(3), "labels": failed}}, "eu")
    cluster.calls.clear()
    ensure(cluster, "fp-2")
    assert cluster.calls == [f"delete Secret {revision_name(1)}", f"patch Deployment {NAME}"]
    assert cluster.names(SECRET, "eu") == [NAME, revision_name(2), revision_name(3)]


def test_helms_history_stays_where_the_key_does(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    upgrade(cluster, key="one")
    ensure(cluster, "fp-1")
    assert cluster.names(SECRET, "eu") == [NAME, revision_name(1), revision_name(2)]


def test_an_operator_that_does_not_come_back_is_named_with_the_reason(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    put_release(cluster, revision=2, changed=T1, key="two")
    deployment = cluster.find(DEPLOYMENT, NAME, "eu")
    assert deployment is not None
    deployment["status"] = {"observedGeneration": 0}
    with pytest.raises(ClusterError, match=rf"not ready after 0 s: Deployment {NAME}: 0 of 1 pods ready") as caught:
        ensure(cluster, "fp-2", timeout=0.05)
    assert str(caught.value).startswith("platform europe (namespace eu): the operator was restarted")


def test_a_scaled_down_operator_is_not_waited_for(cluster: FakeCluster) -> None:
    ensure(cluster, "fp-1")
    put_release(cluster, revision=2, changed=T1, key="two")
    deployment = cluster.find(DEPLOYMENT, NAME, "eu")
    assert deployment is not None
    deployment["spec"]["replicas"] = 0
    deployment["status"] = {"observedGeneration": 1}
    assert ensure(cluster, "fp-2") == [f"Deployment {NAME}"]
