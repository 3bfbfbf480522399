"""The freeze block as the cluster has it: which answers are about the block, and which are errors to be passed on."""

from __future__ import annotations

from typing import Any

import pytest

from codecanvas_provider.cluster import POLICY, QUOTA, Kind, Refused
from codecanvas_provider.freeze_block import (
    ACCEPTED,
    await_block,
    delete_blocks,
    find_delete_blocks,
    freeze_block,
    is_in_place,
    make_delete_block,
    see_objects,
    try_worker_pod,
)
from codecanvas_provider.waiting import Pace
from tests.support.calls import Log, run
from tests.support.fake_cluster import NOW, FakeCluster, refusal


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster("eu")


def fail_every(monkeypatch: pytest.MonkeyPatch, cluster: FakeCluster, method: str, status: int) -> None:
    """Have the API server answer each call of a method by an error."""

    def fail(*_: object, **__: object) -> None:
        raise refusal(status, "the answer")

    monkeypatch.setattr(cluster, method, fail)


@pytest.mark.parametrize("status", [400, 403, 409, 422])
def test_a_refusal_of_the_pod_is_an_answer(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    assert try_worker_pod(cluster, "eu") == ACCEPTED
    fail_every(monkeypatch, cluster, "create", status)
    assert try_worker_pod(cluster, "eu") == "the answer"


@pytest.mark.parametrize("status", [401, 404, 500])
def test_another_error_says_nothing_about_the_pod(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    fail_every(monkeypatch, cluster, "create", status)
    with pytest.raises(Refused, match=str(status)):
        try_worker_pod(cluster, "eu")


def test_a_missing_right_to_make_pods_is_no_block(cluster: FakeCluster) -> None:
    cluster.denied = {"create pods"}
    with pytest.raises(Refused, match="cannot create resource"):
        try_worker_pod(cluster, "eu")


@pytest.mark.parametrize("status", [401, 404])
def test_only_a_server_that_stumbles_is_probed_again(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    fail_every(monkeypatch, cluster, "create", status)
    waiting = await_block(Log().context(), cluster, freeze_block("eu", "quota"), Pace(probe=0.001, probe_timeout=0.1))
    with pytest.raises(Refused, match=str(status)):
        run(waiting)


def make_block(cluster: FakeCluster, **given: Any) -> list[str]:
    """Make the block of a delete; name what it consists of."""
    block = make_delete_block(cluster, "eu", "eu", **{"may_quota": True, "mode": "policy", **given})
    return [kind.name for kind, _, _ in block.objects] if block else []


@pytest.mark.parametrize("status", [403, 404])
def test_a_policy_that_cannot_be_made_gives_way_to_a_quota(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    apply = cluster.apply

    def refuse_policies(kind: Kind, *given: Any) -> dict[str, Any]:
        if kind is POLICY:
            raise refusal(status, "no policies")
        return apply(kind, *given)

    monkeypatch.setattr(cluster, "apply", refuse_policies)
    assert make_block(cluster, may_quota=False) == []
    assert make_block(cluster) == ["ResourceQuota"]
    assert cluster.names(QUOTA, "eu") == ["codecanvas-delete"]


@pytest.mark.parametrize("mode", ["policy", "quota"])
def test_an_error_while_a_block_is_made_is_passed_on(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    fail_every(monkeypatch, cluster, "apply", 500)
    with pytest.raises(Refused, match="500"):
        make_block(cluster, mode=mode)


def test_a_block_that_is_going_is_in_place_no_more(cluster: FakeCluster) -> None:
    make_block(cluster)
    block, _ = delete_blocks("eu")
    assert is_in_place(cluster, block)
    policy = cluster.find(POLICY, "codecanvas-delete-eu")
    assert policy is not None
    policy["metadata"]["deletionTimestamp"] = NOW
    assert not is_in_place(cluster, block)


def test_a_block_that_we_may_not_see_we_have_not_made(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    make_block(cluster)
    assert find_delete_blocks(cluster, "eu") == [delete_blocks("eu")[0]]
    fail_every(monkeypatch, cluster, "get", 403)
    assert find_delete_blocks(cluster, "eu") == []


def test_an_error_while_a_block_is_looked_for_is_passed_on(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_every(monkeypatch, cluster, "get", 500)
    for block in delete_blocks("eu"):
        with pytest.raises(Refused, match="500"):
            see_objects(cluster, block)
