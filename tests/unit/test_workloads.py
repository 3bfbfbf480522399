from __future__ import annotations

from typing import Any

import pytest

from codecanvas_provider.cluster import CONFIG_MAP, DAEMON_SET, DEPLOYMENT, EVENT, POD, SECRET, STATEFUL_SET, Kind
from codecanvas_provider.workloads import (
    RELEASE_NAME,
    RELEASE_NAMESPACE,
    Revision,
    Workload,
    describe_unready,
    list_workloads,
    read_newest_revision,
)
from tests.support.fake_cluster import FakeCluster

READY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


def make_workload(kind: Kind = DEPLOYMENT, status: dict[str, Any] | None = None, **spec: Any) -> Workload:
    annotations = {RELEASE_NAME: "op", RELEASE_NAMESPACE: "eu"}
    return Workload(
        kind,
        {
            "metadata": {"name": "op", "generation": 1, "annotations": annotations},
            "spec": {"selector": {"matchLabels": {"app": "op"}}, **spec},
            "status": READY if status is None else status,
        },
    )


def make_pod(name: str, container: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    statuses = [{"name": "operator", "ready": False, **container}] if container else []
    return {
        "metadata": {"name": name, "labels": {"app": "op"}},
        "spec": {"containers": [{"name": "operator"}]},
        "status": {"containerStatuses": statuses, **status},
    }


def make_event(about: str, message: str, at: str, kind: str = "Warning") -> dict[str, Any]:
    return {
        "metadata": {"name": f"{about}.{message[:4]}.{at}"},
        "type": kind,
        "reason": "Failed",
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"kind": "Pod", "name": about},
    }


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster("eu")


def test_workloads_are_found_by_helms_annotations_alone(cluster: FakeCluster) -> None:
    for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET):
        cluster.put(kind, make_workload().manifest, "eu")
    other = make_workload().manifest
    other["metadata"] = {"name": "other", "annotations": {RELEASE_NAME: "op", RELEASE_NAMESPACE: "elsewhere"}}
    cluster.put(DEPLOYMENT, other, "eu")
    cluster.put(DEPLOYMENT, {"metadata": {"name": "op-foreign"}}, "eu")
    titles = [workload.title for workload in list_workloads(cluster, "eu", "op")]
    assert titles == ["DaemonSet op", "Deployment op", "StatefulSet op"]


def test_the_newest_revision_is_the_one_with_the_highest_number(cluster: FakeCluster) -> None:
    for number, status in ((9, "superseded"), (10, "deployed")):
        labels = {"owner": "helm", "name": "op", "version": str(number), "status": status}
        cluster.put(SECRET, {"metadata": {"name": f"v{number}", "labels": labels}}, "eu")
    assert read_newest_revision(cluster, "eu", "op") == Revision(10, "deployed", "2025-05-01T10:00:00Z")
    assert read_newest_revision(cluster, "eu", "other") is None


@pytest.mark.parametrize(
    ("status", "ready"),
    [
        (READY, True),
        ({**READY, "observedGeneration": 0}, False),
        ({**READY, "updatedReplicas": 0}, False),
        ({**READY, "availableReplicas": 0}, False),
        ({**READY, "replicas": 2}, False),
        ({}, False),
    ],
)
def test_ready_means_rolled_out(status: dict[str, Any], ready: bool) -> None:
    assert make_workload(status=status).is_ready is ready
    assert make_workload(STATEFUL_SET, status).is_ready is ready


def test_a_daemon_set_is_ready_on_every_node_it_is_meant_for() -> None:
    names = ("desiredNumberScheduled", "currentNumberScheduled", "updatedNumberScheduled", "numberAvailable")
    status = {"observedGeneration": 1, **dict.fromkeys(names, 2)}
    assert make_workload(DAEMON_SET, status).is_ready
    assert not make_workload(DAEMON_SET, {**status, "numberAvailable": 1}).is_ready


def test_pods_of_an_older_template_are_not_counted_as_ready() -> None:
    rolling = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1}
    assert make_workload(status=rolling).available == 0
    assert make_workload(status={**rolling, "availableReplicas": 2}).available == 1


def test_what_is_scaled_down_is_not_ready() -> None:
    workload = make_workload(status={"observedGeneration": 1}, replicas=0)
    assert not workload.is_ready
    assert workload.is_scaled_down


def test_references_are_all_that_pods_cannot_start_without() -> None:
    spec = {
        "initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "init"}}]}],
        "containers": [
            {
                "name": "c",
                "envFrom": [{"secretRef": {"name": "env"}}, {"secretRef": {"name": "may", "optional": True}}],
                "env": [
                    {"name": "A", "value": "x"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}},
                    {"name": "C", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
                ],
            }
        ],
        "volumes": [
            {"name": "a", "secret": {"secretName": "mounted"}},
            {"name": "b", "configMap": {"name": "config"}},
            {"name": "c", "projected": {"sources": [{"secret": {"name": "projected"}}, {"serviceAccountToken": {}}]}},
            {"name": "d", "emptyDir": {}},
        ],
    }
    assert make_workload(template={"spec": spec}).references() == [
        (CONFIG_MAP, "config"),
        (CONFIG_MAP, "init"),
        (SECRET, "env"),
        (SECRET, "key"),
        (SECRET, "mounted"),
        (SECRET, "projected"),
    ]


def test_selectors_match_as_kubernetes_does() -> None:
    expressions = [
        {"key": "a", "operator": "In", "values": ["1", "2"]},
        {"key": "b", "operator": "NotIn", "values": ["3"]},
        {"key": "c", "operator": "Exists"},
        {"key": "d", "operator": "DoesNotExist"},
    ]
    workload = make_workload(selector={"matchExpressions": expressions})

    def owns(**labels: str) -> bool:
        return workload.owns({"metadata": {"name": "p", "labels": labels}})

    assert owns(a="1", c="")
    assert not owns(a="3", c="")
    assert not owns(a="1", b="3", c="")
    assert not owns(a="1")
    assert not owns(a="1", c="", d="")
    assert not make_workload(selector={}).owns({"metadata": {"name": "p"}})


def test_a_ready_release_has_nothing_to_explain(cluster: FakeCluster) -> None:
    cluster.put(DEPLOYMENT, make_workload().manifest, "eu")
    assert describe_unready(cluster, "eu", "op") == []


def test_what_is_not_ready_is_explained_by_condition_pod_and_last_warning(cluster: FakeCluster) -> None:
    condition = {
        "type": "Progressing",
        "status": "False",
        "reason": "ProgressDeadlineExceeded",
        "message": 'ReplicaSet "op-1"\nhas timed out progressing.',
    }
    status = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "conditions": [condition]}
    cluster.put(DEPLOYMENT, make_workload(status=status).manifest, "eu")
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image x"}}}
    cluster.put(POD, make_pod("op-1-a", waiting), "eu")
    cluster.put(EVENT, make_event("op-1-a", "older", "2025-05-01T10:00:00Z"), "eu")
    cluster.put(EVENT, make_event("op-1-a", "no such image", "2025-05-01T10:00:09Z"), "eu")
    cluster.put(EVENT, make_event("op-1-a", "all is well", "2025-05-01T10:00:10Z", "Normal"), "eu")
    cluster.put(EVENT, make_event("other", "not ours", "2025-05-01T10:00:11Z"), "eu")
    expected = (
        'Deployment op: 0 of 1 pods ready; condition Progressing: ProgressDeadlineExceeded: ReplicaSet "op-1" has'
        " timed out progressing.; pod op-1-a, container operator: ImagePullBackOff: Back-off pulling image x; last"
        " warning: Pod op-1-a: Failed: no such image"
    )
    assert describe_unready(cluster, "eu", "op") == [expected]


@pytest.mark.parametrize(
    ("pod", "text"),
    [
        (
            make_pod("p", conditions=[{"type": "PodScheduled", "status": "False", "message": "0/3 nodes available"}]),
            "pod p is not scheduled: 0/3 nodes available",
        ),
        (
            make_pod("p", {"state": {"terminated": {"exitCode": 2, "reason": "Error"}}}),
            "pod p, container operator: ended with code 2 (Error)",
        ),
        (make_pod("p", {"state": {"running": {}}}), "runs but its readiness probe fails"),
    ],
)
def test_a_pods_trouble_is_told(pod: dict[str, Any], text: str, cluster: FakeCluster) -> None:
    cluster.put(DEPLOYMENT, make_workload(status={"observedGeneration": 1}).manifest, "eu")
    cluster.put(POD, pod, "eu")
    assert text in describe_unready(cluster, "eu", "op")[0]


def test_what_the_scheduler_says_of_a_pod_is_told_once(cluster: FakeCluster) -> None:
    said = "0/3 nodes are available: 3 node(s) were unschedulable."
    cluster.put(DEPLOYMENT, make_workload(status={"observedGeneration": 1}).manifest, "eu")
    cluster.put(POD, make_pod("p", conditions=[{"type": "PodScheduled", "status": "False", "message": said}]), "eu")
    cluster.put(EVENT, make_event("p", said, "2025-05-01T10:00:09Z"), "eu")
    assert describe_unready(cluster, "eu", "op") == [
        f"Deployment op: 0 of 1 pods ready; pod p is not scheduled: {said}"
    ]


def test_starting_up_is_no_trouble(cluster: FakeCluster) -> None:
    cluster.put(DEPLOYMENT, make_workload(status={"observedGeneration": 1}).manifest, "eu")
    cluster.put(POD, make_pod("p", {"state": {"waiting": {"reason": "ContainerCreating"}}}), "eu")
    assert describe_unready(cluster, "eu", "op") == ["Deployment op: 0 of 1 pods ready"]


def test_a_refused_pod_is_told_by_its_condition(cluster: FakeCluster) -> None:
    condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}
    cluster.put(DEPLOYMENT, make_workload(status={"conditions": [condition]}).manifest, "eu")
    assert "condition ReplicaFailure: FailedCreate: exceeded quota" in describe_unready(cluster, "eu", "op")[0]


def test_a_strategy_that_waits_for_deletes_is_told(cluster: FakeCluster) -> None:
    cluster.put(STATEFUL_SET, make_workload(STATEFUL_SET, {}, updateStrategy={"type": "OnDelete"}).manifest, "eu")
    assert "must be deleted by hand" in describe_unready(cluster, "eu", "op")[0]


def test_events_are_not_needed(cluster: FakeCluster) -> None:
    cluster.denied = {"list events"}
    cluster.put(DEPLOYMENT, make_workload(status={}).manifest, "eu")
    assert describe_unready(cluster, "eu", "op") == ["Deployment op: 0 of 1 pods ready"]


def test_long_texts_are_cut(cluster: FakeCluster) -> None:
    waiting = {"state": {"waiting": {"reason": "Bad", "message": "x" * 5000}}}
    cluster.put(DEPLOYMENT, make_workload(status={}).manifest, "eu")
    cluster.put(POD, make_pod("p", waiting), "eu")
    assert len(describe_unready(cluster, "eu", "op")[0]) < 500
