"""Changes that break dev environments, and their mending, on the real engine: the connection test runs for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider.cluster import DEPLOYMENT, LIMITS, QUOTA, Cluster
from tests.support.names import unique
from tests.support.printed import run_printed
from tests.support.releases import NAME

if TYPE_CHECKING:
    from tests.support.stack import Stack

pytestmark = pytest.mark.engine

BREAKING: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "quota": ({"quota": {"pods": 5}}, {"quota": {"pods": 1}}, "exceeded quota"),
    "limits": ({"limits": {"max": {"cpu": 4}}}, {"limits": {"max": {"cpu": 1}}}, "maximum cpu usage per Container"),
    "security": ({}, {"podSecurity": "restricted"}, 'violates PodSecurity "restricted'),
    "account": ({"serviceAccounts": {"builder": {}}}, {"serviceAccounts": None}, "ServiceAccount builder goes at"),
}


def template(account: str | None) -> dict[str, Any]:
    worker = {"name": "worker-main", "resources": {"limits": {"cpu": 2}}}
    spec = {"containers": [worker], "restartPolicy": "Never", **({"serviceAccountName": account} if account else {})}
    return {"apiVersion": "v1", "kind": "Pod", "spec": spec}


def test_each_change_that_breaks_dev_environments_fails_the_update(stack: Stack, admin: Cluster) -> None:
    names = {kind: unique(kind) for kind in BREAKING}
    for kind, (whole, _, _) in BREAKING.items():
        stack.set(names[kind], podTemplate=template("builder" if kind == "account" else None), **whole)
    stack.up()
    for kind, (_, broken, _) in BREAKING.items():
        stack.set(names[kind], **broken)
    errors = stack.up("--continue-on-error", ok=False).errors
    for kind, (_, _, refusal) in BREAKING.items():
        assert f"the connection test of platform {names[kind]} failed" in errors
        assert refusal in errors
    for kind, (whole, broken, _) in BREAKING.items():
        stack.set(names[kind], **{**dict.fromkeys(broken), **whole})
    stack.set(names["quota"], quota=None)
    stack.up()
    seen = stack.outputs(names["quota"])["connection"]["Quota"]
    assert seen.startswith(f"Skipped: ResourceQuota {names['quota']} goes at the end of this update")
    assert admin.get(QUOTA, names["quota"], names["quota"]) is None
    assert stack.up("--expect-no-changes").changes == {}


def test_a_removed_operator_is_named_and_put_back_by_the_printed_commands(stack: Stack, admin: Cluster) -> None:
    platform = unique("eu")
    stack.set(platform)
    stack.up()
    admin.delete(DEPLOYMENT, NAME, platform)
    failed = stack.up("--refresh", ok=False)
    assert f"platform {platform} failed: Operator\n" in failed.errors
    shown = stack.preview("--diff").stdout
    # Nothing that the program gives is another, so nothing is shown as such.
    assert "triggers" not in shown
    assert "[diff: ~checks]" in stack.preview().stdout
    run_printed(failed.errors, "helm rollback", stack)
    assert "pulumi up --refresh" in failed.errors
    stack.up("--refresh")
    assert admin.get(DEPLOYMENT, NAME, platform) is not None
    assert stack.up("--expect-no-changes").changes == {}


def test_limits_that_refuse_worker_pods_can_be_taken_out_again(stack: Stack, admin: Cluster) -> None:
    platform = unique("tight")
    stack.set(platform, podTemplate=template(None), limits={"max": {"cpu": 1}})
    assert "maximum cpu usage per Container is 1, but limit is 2" in stack.up(ok=False).errors
    stack.set(platform, limits=None)
    stack.up()
    seen = stack.outputs(platform)["connection"]["Pod template"]
    assert seen.startswith(f"Skipped: LimitRange {platform} goes at the end of this update")
    assert admin.get(LIMITS, platform, platform) is None
    assert stack.up("--expect-no-changes").changes == {}
