"""Why a worker pod that should be gone is still there."""

from __future__ import annotations

from typing import Any

import pytest

from codecanvas_provider.cluster import NODE
from codecanvas_provider.worker_pods import explain_survivor
from pulumi_codecanvas.errors import ClusterError
from tests.support.fake_cluster import NOW, FakeCluster

LATER = "2999-01-01T00:00:00Z"
GOING = {"deletionTimestamp": NOW, "deletionGracePeriodSeconds": 30}
HELD = {"finalizers": ["example.com/hold"]}


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster("eu")
    ready = {"type": "Ready", "status": "True"}
    fake.put(NODE, {"metadata": {"name": "n1"}, "status": {"conditions": [ready]}})
    return fake


def explain(cluster: FakeCluster, metadata: dict[str, Any], error: ClusterError | None = None) -> str:
    pod = {"metadata": {"name": "ws-1", **metadata}, "spec": {"nodeName": "n1"}}
    return explain_survivor(cluster, pod, error)


def test_a_refused_deletion_is_the_reason_whatever_else_holds_the_pod(cluster: FakeCluster) -> None:
    reason = explain(cluster, {**GOING, **HELD}, ClusterError("webhook keep-my-pods denied it"))
    assert reason == "its deletion is refused (webhook keep-my-pods denied it)"


@pytest.mark.parametrize("metadata", [{}, HELD])
def test_a_pod_that_nobody_deletes_was_made_anew(cluster: FakeCluster, metadata: dict[str, Any]) -> None:
    assert explain(cluster, metadata) == "it was made anew meanwhile; see that the freeze block is in force"


def test_a_pod_in_its_grace_period_is_to_be_waited_for_although_it_is_held(cluster: FakeCluster) -> None:
    assert "within its grace period of 30 s" in explain(cluster, {**GOING, **HELD, "deletionTimestamp": LATER})


@pytest.mark.parametrize("grace", [0, 30])
def test_a_pod_past_its_grace_period_is_held_by_its_finalizers(cluster: FakeCluster, grace: int) -> None:
    reason = explain(cluster, {**GOING, **HELD, "deletionGracePeriodSeconds": grace})
    assert reason.startswith("finalizer example.com/hold holds it")


def test_a_pod_past_its_grace_period_that_nothing_holds_is_its_nodes_fault(cluster: FakeCluster) -> None:
    assert "node n1 has not stopped it" in explain(cluster, GOING)
