from __future__ import annotations

import base64
import datetime
import gzip
import json
from typing import Any

import pytest

from codecanvas_provider import release_recovery
from codecanvas_provider.cluster import SECRET
from codecanvas_provider.release_recovery import ReleaseRecovery
from codecanvas_provider.waiting import Pace
from pulumi_codecanvas.connection import values_fingerprint
from pulumi_codecanvas.errors import InvalidArgumentsError
from tests.support.calls import Log, run
from tests.support.fake_cluster import NOW, FakeCluster

OWNER = "organization/codecanvas/prod"
VALUES = {"operator": {"secret": {"jwtPrivateKey": "our key"}}, "replicaCount": 1}
THEIRS = {"operator": {"secret": {"jwtPrivateKey": "their key"}}, "replicaCount": 1}
LONG_AGO = "2025-05-01T09:00:00Z"


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster("eu")


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The API server's clock stands at NOW."""
    time = datetime.datetime.fromisoformat(NOW.replace("Z", "+00:00"))
    monkeypatch.setattr(release_recovery, "read_server_time", lambda _cluster, _namespace: time)
    monkeypatch.setattr(release_recovery, "MARGIN", 0.0)


def put_record(
    cluster: FakeCluster,
    status: str,
    *,
    number: int = 1,
    values: dict[str, Any] = VALUES,
    description: str = "",
    written: str = LONG_AGO,
    manager: str = "pulumi-kubernetes",
    hooks: int = 0,
) -> str:
    content = {"config": values, "info": {"description": description}, "hooks": [{}] * hooks}
    packed = base64.b64encode(base64.b64encode(gzip.compress(json.dumps(content).encode()))).decode()
    name = f"sh.helm.release.v1.operator.v{number}"
    metadata = {
        "name": name,
        "labels": {"owner": "helm", "name": "operator", "status": status, "version": str(number)},
        "creationTimestamp": LONG_AGO,
        "managedFields": [{"manager": manager, "time": written}],
    }
    cluster.put(SECRET, {"metadata": metadata, "data": {"release": packed}}, "eu")
    return name


def recover(
    cluster: FakeCluster,
    *,
    creating: bool,
    timeout: int = 600,
    log: Log | None = None,
    values: dict[str, Any] = VALUES,
    former: dict[str, Any] | None = None,
) -> str:
    recovery = ReleaseRecovery(cluster.connect_to, Pace(first=0.01, longest=0.01))
    arguments = {
        "namespace": "eu",
        "releaseName": "operator",
        "timeout": timeout,
        "fingerprint": values_fingerprint(values),
        "formerFingerprint": None if former is None else values_fingerprint(former),
        "owner": OWNER,
    }
    done = run(recovery.recover((log or Log()).context(), {**arguments, "creating": creating}))
    return str(done["done"])


@pytest.mark.parametrize("status", ["pending-install", "failed", "uninstalling", "pending-rollback"])
def test_an_unrecorded_release_of_ours_is_taken_over(cluster: FakeCluster, status: str) -> None:
    put_record(cluster, "superseded")
    put_record(cluster, status, number=2)
    assert "it is taken over" in recover(cluster, creating=True)
    assert cluster.names(SECRET, "eu") == []


def test_a_finished_release_is_taken_over_by_the_stack_that_its_description_names(cluster: FakeCluster) -> None:
    put_record(cluster, "deployed", description="organization/codecanvas/other")
    assert recover(cluster, creating=True) == ""
    assert len(cluster.names(SECRET, "eu")) == 1
    put_record(cluster, "deployed", description=OWNER)
    assert "it is taken over" in recover(cluster, creating=True)


def test_a_dead_upgrade_is_dropped_and_the_deployed_revision_kept(cluster: FakeCluster) -> None:
    deployed = put_record(cluster, "deployed", description=OWNER)
    put_record(cluster, "pending-upgrade", number=2)
    assert "this revision was dropped" in recover(cluster, creating=False)
    assert cluster.names(SECRET, "eu") == [deployed]


def test_a_dead_rollback_holds_the_key_of_before(cluster: FakeCluster) -> None:
    deployed = put_record(cluster, "deployed", values=THEIRS, description=OWNER)
    put_record(cluster, "pending-rollback", number=3, values=THEIRS)
    assert recover(cluster, creating=False) == ""
    assert "this revision was dropped" in recover(cluster, creating=False, former=THEIRS)
    assert cluster.names(SECRET, "eu") == [deployed]


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "deployed", "failed"])
@pytest.mark.parametrize("creating", [True, False])
def test_a_release_with_another_key_is_left_alone(cluster: FakeCluster, status: str, *, creating: bool) -> None:
    put_record(cluster, status, values=THEIRS, description=OWNER)
    assert recover(cluster, creating=creating) == ""
    assert len(cluster.names(SECRET, "eu")) == 1


@pytest.mark.parametrize("creating", [True, False])
def test_what_a_person_runs_with_our_values_is_left_alone(cluster: FakeCluster, *, creating: bool) -> None:
    put_record(cluster, "pending-upgrade", manager="helm")
    assert recover(cluster, creating=creating) == ""
    assert len(cluster.names(SECRET, "eu")) == 1


@pytest.mark.parametrize("status", ["deployed", "failed", "superseded", "uninstalling"])
def test_an_update_of_a_release_that_is_not_pending_is_left_to_helm(cluster: FakeCluster, status: str) -> None:
    put_record(cluster, status, description=OWNER)
    assert recover(cluster, creating=False) == ""
    assert len(cluster.names(SECRET, "eu")) == 1


def test_a_record_that_may_still_be_worked_on_is_waited_for(cluster: FakeCluster) -> None:
    name = put_record(cluster, "pending-install", written=NOW)
    log = Log()
    looks = 0

    def finish(_kind: object) -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            put_record(cluster, "deployed", description=OWNER)

    cluster.on_list = finish
    assert "was deployed" in recover(cluster, creating=True, log=log)
    assert looks >= 3
    [waiting] = log.messages
    assert f"kubectl delete secret {name} --namespace eu" in waiting


@pytest.mark.parametrize(("hooks", "timeout", "cleared"), [(0, 3000, True), (1, 3000, False), (1, 1500, True)])
def test_a_release_with_hooks_gets_two_timeouts(
    cluster: FakeCluster, hooks: int, timeout: int, *, cleared: bool
) -> None:
    put_record(cluster, "pending-install", hooks=hooks, written="2025-05-01T09:05:00Z")
    if not cleared:
        # Waiting, until somebody ends it by hand.
        looks: list[object] = []
        cluster.on_list = lambda kind: looks.append(kind) if len(looks) < 3 else cluster.objects.clear()
        assert recover(cluster, creating=True, timeout=timeout) == ""
        return
    assert "it is taken over" in recover(cluster, creating=True, timeout=timeout)


def test_a_record_written_since_it_was_read_is_not_cleared(cluster: FakeCluster) -> None:
    put_record(cluster, "pending-upgrade", number=2)
    read = cluster.get

    def get_and_meddle(*args: Any, **options: Any) -> Any:
        found = read(*args, **options)
        put_record(cluster, "pending-upgrade", number=2, written=NOW)
        cluster.get = read  # type: ignore[method-assign] # once only
        return found

    cluster.get = get_and_meddle  # type: ignore[method-assign] # what a live Helm does
    assert recover(cluster, creating=False) == ""
    assert len(cluster.names(SECRET, "eu")) == 1


def test_a_cluster_that_does_not_answer_is_left_to_helm(cluster: FakeCluster) -> None:
    cluster.away = True
    assert recover(cluster, creating=True) == ""


def test_nothing_is_touched_in_a_preview(cluster: FakeCluster) -> None:
    put_record(cluster, "pending-install")
    arguments = {
        "namespace": "eu",
        "releaseName": "operator",
        "fingerprint": values_fingerprint(VALUES),
        "owner": OWNER,
        "creating": True,
    }
    recovery = ReleaseRecovery(cluster.connect_to)
    assert run(recovery.recover(Log().context(preview=True), arguments)) == {"done": ""}
    assert len(cluster.names(SECRET, "eu")) == 1


def test_without_a_key_all_values_tell_whose_a_release_is(cluster: FakeCluster) -> None:
    token = {"auth": {"token": "of a snippet"}, "replicas": 2}
    put_record(cluster, "pending-install", values=token)
    assert recover(cluster, creating=True, values={**token, "replicas": 3}) == ""
    assert "it is taken over" in recover(cluster, creating=True, values=dict(reversed(token.items())))


def test_arguments_are_checked() -> None:
    with pytest.raises(InvalidArgumentsError, match="owner"):
        run(ReleaseRecovery().recover(Log().context(), {"namespace": "eu"}))
