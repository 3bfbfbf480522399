"""What the benchmark makes of an audit log, and of its results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.bench.audit import APPLY, AuditLog, writes_of
from tests.bench.report import TARGETS, describe_targets
from tools.localcluster.credentials import ADMIN

if TYPE_CHECKING:
    from pathlib import Path


def event(verb: str, path: str, body: Any = None, *, code: int = 200, resource: str = "podtemplates") -> dict[str, Any]:
    return {
        "verb": verb,
        "requestURI": path,
        "objectRef": {"resource": resource},
        "responseStatus": {"code": code},
        "requestObject": body,
    }


TEMPLATE = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "eu"}}


def test_an_apply_is_replayed_as_one() -> None:
    (write,) = writes_of([event("patch", "/podtemplates/eu?fieldManager=m", TEMPLATE)])
    assert write == {"method": "PATCH", "url": "/podtemplates/eu?fieldManager=m", "type": APPLY, "body": TEMPLATE}


def test_a_merge_patch_is_replayed_as_one() -> None:
    (write,) = writes_of([event("patch", "/deployments/eu", {"spec": {"replicas": 2}})])
    assert write["type"] == "application/merge-patch+json"


@pytest.mark.parametrize(
    "left_out",
    [
        event("get", "/podtemplates/eu"),
        event("create", "/podtemplates?dryRun=All", TEMPLATE),
        event("create", "/podtemplates", TEMPLATE, code=409),
        event("create", "/selfsubjectrulesreviews", {}, resource="selfsubjectrulesreviews"),
        event("patch", "/podtemplates/eu", [{"op": "replace", "path": "/metadata/managedFields", "value": []}]),
    ],
    ids=["a read", "a dry run", "a failure", "a review", "managed fields"],
)
def test_what_changes_nothing_is_not_replayed(left_out: dict[str, Any]) -> None:
    assert writes_of([left_out]) == []


def test_what_fits_only_the_objects_of_its_day_is_taken_out() -> None:
    metadata: dict[str, Any] = {
        "name": "eu",
        "resourceVersion": "7",
        "uid": "u",
        "managedFields": [],
        "creationTimestamp": None,
    }
    (write,) = writes_of([event("update", "/secrets/eu", {"metadata": metadata})])
    assert write["body"] == {"metadata": {"name": "eu"}}


def line(number: int, user: str = ADMIN) -> str:
    return json.dumps({"auditID": str(number), "user": {"username": user}}) + "\n"


def test_a_log_is_read_by_whole_lines_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text(line(1) + line(2)[:20])
    log = AuditLog(path)
    path.write_text(line(1) + line(2) + line(3) + line(4, "kwok") + line(5)[:20])
    assert [event["auditID"] for event in log.take()] == ["3"]
    path.write_text(line(1) + line(2) + line(3) + line(4, "kwok") + line(5) + line(6))
    assert [event["auditID"] for event in log.take()] == ["5", "6"]
    assert log.take() == []


def verdict(text: str, *results: tuple[str, str, float]) -> list[str]:
    """Give the row of a target, by peer, operation and seconds of runs of 50 platforms."""
    lines = [
        {"size": 50, "peer": peer, "operation": operation, "wall": wall, "round": number}
        for number, (peer, operation, wall) in enumerate(results)
    ]
    (table,) = describe_targets(lines)
    (row,) = (line for line in table.splitlines() if line.startswith(f"| {text} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


DESTROY = "destroy <= 1.1 x Helm + kubectl"


def test_a_target_holds_at_its_factor() -> None:
    row = verdict(DESTROY, ("ours", "destroy", 44.0), ("shell", "destroy", 40.0))
    assert row == [DESTROY, "44.0 / 40.0", "1.10", "holds"]


def test_a_target_is_judged_by_medians() -> None:
    ours = [("ours", "destroy", seconds) for seconds in (1.0, 44.1, 99.0)]
    assert verdict(DESTROY, *ours, ("shell", "destroy", 40.0))[-1] == "**does not hold**"


def test_a_target_that_was_not_run_is_said_to_be_so() -> None:
    assert verdict(DESTROY, ("ours", "destroy", 1.0))[-1] == "not measured"


def test_every_target_has_a_row() -> None:
    (table,) = describe_targets([])
    assert all(f"| {target.text} |" in table for target in TARGETS)
