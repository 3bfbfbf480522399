"""Freezes under adverse circumstances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import Cluster, Kind
from codecanvas_provider.freeze_block import ACCEPTED, try_worker_pod
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.site import Site
from tests.support.workers import STAND_IN_LABEL

if TYPE_CHECKING:
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

BUDGET = Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets")
TEMPLATE = (
    "apiVersion: v1\nkind: Pod\nmetadata: {labels: {generation: second}}\nspec: {containers: [{name: worker-main}]}"
)


@fault(
    32,
    "A preStop hook without an end",
    happens="At `stopTimeout` the update fails, naming the pod and its grace period; new dev environments stay blocked."
    " No pod is killed before its own grace period is over.",
    user="Wait, or set a longer `stopTimeout`; then `pulumi up`, which goes on",
)
def test_freeze_waits_for_a_pod_that_will_not_stop_and_goes_on_later(
    stack: Stack, admin: Cluster, shared_cluster: LocalCluster
) -> None:
    name = unique("prestop")
    stack.set(name, stopTimeout=3)
    stack.up()
    site = Site(admin, shared_cluster, name)
    site.start(1, ignores_sigterm=True, grace_seconds=30)
    stack.set(name, freeze=True)
    failed = stack.up(ok=False)
    assert "env-0: it is shutting down within its grace period of 30 s" in failed.errors
    assert "env-0" in site.workers()
    assert try_worker_pod(admin, name) != ACCEPTED
    stack.set(name, stopTimeout=120)
    stack.up()
    assert site.workers() == {}
    assert len(site.claims()) == 1
    assert stack.up("--expect-no-changes").changes == {}


@fault(
    33,
    "A PodDisruptionBudget on worker pods",
    happens="It does not hold a freeze up: budgets count for evictions, a freeze deletes with grace. The budget stays.",
)
@fault(
    34,
    "Pod template and freeze changed in one `up`",
    happens="Both happen: the API server checks the new template, then the platform freezes.",
)
def test_freeze_beside_a_budget_and_a_changed_template(
    stack: Stack, admin: Cluster, shared_cluster: LocalCluster
) -> None:
    name = unique("budgeted")
    stack.set(name)
    stack.up()
    site = Site(admin, shared_cluster, name)
    site.start(3)
    budget = {
        "apiVersion": BUDGET.api_version,
        "kind": BUDGET.name,
        "metadata": {"name": "keep"},
        "spec": {"minAvailable": "100%", "selector": {"matchLabels": {STAND_IN_LABEL: "worker"}}},
    }
    admin.create(BUDGET, budget, name)
    stack.set(name, freeze=True, podTemplate=TEMPLATE)
    frozen = stack.up()
    assert frozen.changes[f"{name}-pod-template"] == "update"
    assert site.workers() == {}
    assert len(site.claims()) == 3
    assert admin.get(BUDGET, "keep", name) is not None
    assert "generation: second" in str(stack.state())
    assert stack.up("--expect-no-changes").changes == {}


@fault(36)
def test_freeze_goes_on_when_the_api_server_is_restarted_under_it(
    stack: Stack, admin: Cluster, shared_cluster: LocalCluster
) -> None:
    name = unique("restarted")
    stack.set(name)
    stack.up()
    site = Site(admin, shared_cluster, name)
    site.start(2, ignores_sigterm=True, grace_seconds=8)
    stack.set(name, freeze=True)
    with stack.start("up", "--skip-preview", "--yes") as running:
        site.wait_until_stopping()
        shared_cluster.restart_part("apiserver")
        run = running.wait()
    assert run.ok, run.text
    assert site.workers() == {}
    assert len(site.claims()) == 2
    assert try_worker_pod(admin, name) != ACCEPTED
    assert stack.up("--expect-no-changes").changes == {}
