"""Which volumes are dev environments' own, and what becomes of an error while they are deleted."""

from __future__ import annotations

from typing import Any

import pytest

from codecanvas_provider.cluster import CLAIM, VOLUME, Kind, Refused
from codecanvas_provider.volumes import claims_of, claims_of_environments, delete_claims, request_deletion
from codecanvas_provider.waiting import Pace
from tests.support.calls import Log, run
from tests.support.fake_cluster import FakeCluster, refusal


def pod(name: str | None, *volumes: dict[str, Any]) -> dict[str, Any]:
    metadata = {} if name is None else {"name": name}
    return {"metadata": metadata, "spec": {"containers": [{"name": "worker-main"}], "volumes": list(volumes)}}


def delete(cluster: FakeCluster, only: set[str] | None = None) -> list[str]:
    """Delete claims of a namespace; name those that stay."""
    pace = Pace(first=0.001, longest=0.002)
    return run(delete_claims(Log().context(), cluster, "eu", only=only, timeout=0.1, pace=pace))


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster("eu")
    for name in ("home", "work"):
        fake.put(CLAIM, {"metadata": {"name": name}, "spec": {"volumeName": f"disk-of-{name}"}}, "eu")
        fake.put(VOLUME, {"metadata": {"name": f"disk-of-{name}"}, "spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    return fake


def test_a_claim_that_is_made_for_a_pod_alone_bears_the_names_of_both() -> None:
    scratch = {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}
    home = {"name": "home", "persistentVolumeClaim": {"claimName": "ws-1-home"}}
    assert claims_of(pod("ws-1", scratch, home, {"name": "tmp", "emptyDir": {}})) == {"ws-1-scratch", "ws-1-home"}
    assert claims_of_environments([pod("ws-1", scratch), pod("ws-2", scratch)], []) == {"ws-1-scratch", "ws-2-scratch"}
    # A template has no name yet, nor have the claims of its pods.
    assert claims_of(pod(None, scratch, home)) == {"ws-1-home"}


def test_a_claim_that_may_not_be_deleted_is_told_and_not_waited_for(cluster: FakeCluster) -> None:
    cluster.denied = {"delete persistentvolumeclaims"}
    with pytest.raises(Refused, match="cannot delete resource"):
        delete(cluster)
    assert cluster.names(CLAIM, "eu") == ["home", "work"]


def test_an_error_of_one_deletion_that_was_asked_for_is_told_after_all_were(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleting = cluster.delete

    def stumble(kind: Kind, name: str, *given: Any) -> bool:
        if name == "home":
            raise refusal(500, "failed calling webhook")
        return deleting(kind, name, *given)

    monkeypatch.setattr(cluster, "delete", stumble)
    with pytest.raises(Refused, match="500"):
        run(request_deletion(Log().context(), cluster, "eu", {"home", "work"}))
    assert cluster.names(CLAIM, "eu") == ["home"]


def test_an_error_while_a_disk_is_looked_for_does_not_count_as_its_end(cluster: FakeCluster) -> None:
    def stumble(kind: Kind) -> None:
        if kind is VOLUME:
            raise refusal(500, "etcdserver: request timed out")

    cluster.on_get = stumble
    with pytest.raises(Refused, match="500"):
        delete(cluster)


def test_only_the_claims_that_are_named_are_deleted(cluster: FakeCluster) -> None:
    assert delete(cluster, {"home"}) == ["work"]
    assert cluster.names(CLAIM, "eu") == ["work"]


def test_claims_go_and_disks_that_are_to_stay_are_not_waited_for(cluster: FakeCluster) -> None:
    assert delete(cluster) == []
    assert cluster.names(CLAIM, "eu") == []
    assert cluster.names(VOLUME) == ["disk-of-home", "disk-of-work"]
