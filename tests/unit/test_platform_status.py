from __future__ import annotations

from typing import Any

import pytest

from codecanvas_provider.cluster import DEPLOYMENT, POD, POLICY, POLICY_BINDING
from codecanvas_provider.operator_rollout import FINGERPRINT
from codecanvas_provider.platform_status import PlatformStatus
from codecanvas_provider.resource import Context
from tests.support.calls import run
from tests.support.fake_cluster import FakeCluster
from tests.support.releases import NAME, describe_release

READY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster("eu", "ops")
    for kind, manifest, namespace in describe_release("ops", "eu", "key", 1):
        fake.put(kind, {**manifest, "status": READY} if kind is DEPLOYMENT else manifest, namespace)
    worker = {"metadata": {"name": "ws-1"}, "spec": {"containers": [{"name": "worker-main"}]}}
    fake.put(POD, worker, "eu")
    return fake


def get_status(cluster: FakeCluster, **given: Any) -> dict[str, Any]:
    arguments = {"namespace": "eu", "platformName": "europe", "operatorNamespace": "ops", "releaseName": NAME, **given}
    return run(PlatformStatus(cluster.connect_to).get_platform_status(Context(), arguments))


def test_status_of_a_platform_in_use(cluster: FakeCluster) -> None:
    deployment = cluster.find(DEPLOYMENT, NAME, "ops")
    assert deployment is not None
    deployment["metadata"]["annotations"][FINGERPRINT] = "fp"
    assert get_status(cluster) == {
        "platformName": "europe",
        "namespace": "eu",
        "namespacePhase": "Active",
        "frozen": False,
        "blockPresent": False,
        "runningDevEnvironments": 1,
        "operatorReady": True,
        "operatorMessages": [],
        "chartVersion": "2025.1.0",
        "keyFingerprint": "fp",
        "releaseStatus": "deployed",
        "releaseRevision": 1,
    }


def test_status_of_a_frozen_platform(cluster: FakeCluster) -> None:
    cluster.put(POLICY, {"metadata": {"name": "codecanvas-freeze-eu"}})
    half = get_status(cluster)
    assert (half["frozen"], half["blockPresent"]) == (False, True)
    binding = cluster.put(
        POLICY_BINDING, {"metadata": {"name": "codecanvas-freeze-eu"}, "spec": {"validationActions": ["Deny"]}}
    )
    whole = get_status(cluster)
    assert (whole["frozen"], whole["blockPresent"]) == (True, True)
    binding["spec"]["validationActions"] = ["Audit"]
    lifted = get_status(cluster)
    assert (lifted["frozen"], lifted["blockPresent"]) == (False, False)


def test_status_needs_no_right_to_see_policies(cluster: FakeCluster) -> None:
    cluster.denied = {"get validatingadmissionpolicies", "get validatingadmissionpolicybindings"}
    status = get_status(cluster)
    assert (status["frozen"], status["blockPresent"], status["operatorReady"]) == (False, False, True)


def test_status_of_a_platform_that_is_not_there() -> None:
    status = get_status(FakeCluster())
    assert status["namespacePhase"] is None
    assert status["operatorReady"] is False
    assert (status["releaseStatus"], status["chartVersion"], status["keyFingerprint"]) == (None, None, None)


def test_status_says_why_the_operator_is_not_ready(cluster: FakeCluster) -> None:
    deployment = cluster.find(DEPLOYMENT, NAME, "ops")
    assert deployment is not None
    deployment["spec"]["replicas"] = 0
    status = get_status(cluster)
    assert status["operatorReady"] is False
    assert status["operatorMessages"] == [f"Deployment {NAME} is scaled down to 0 replicas"]


@pytest.mark.parametrize(
    ("label", "version"),
    [("codecanvas-operator-1.2.3-rc.1_b5", "1.2.3-rc.1+b5"), ("operator-2025.1", "2025.1"), ("operator", None)],
)
def test_the_charts_version_is_taken_off_its_label(cluster: FakeCluster, label: str, version: str | None) -> None:
    deployment = cluster.find(DEPLOYMENT, NAME, "ops")
    assert deployment is not None
    deployment["metadata"]["labels"]["helm.sh/chart"] = label
    assert get_status(cluster)["chartVersion"] == version
