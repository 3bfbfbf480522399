"""A freeze as its user sees it: one line of config, the real engine, a real API server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes import client

from codecanvas_provider.cluster import DEPLOYMENT, POD, POLICY, POLICY_BINDING, QUOTA, Cluster
from codecanvas_provider.freeze_block import ACCEPTED, try_worker_pod
from pulumi_codecanvas.freeze import QUOTA_NAME, freeze_name
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.operator import StandInOperator
from tests.support.site import Site
from tests.support.stack import failed_checks, make_stack
from tests.support.waiting import wait_for
from tests.support.workers import await_running, create_worker

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.stack import Run, Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

REASON = "storage maintenance until 18:00"


@dataclass
class Story:
    """What was seen in the course of a freeze of platform A beside platform B."""

    runs: dict[str, Run] = field(default_factory=dict)
    claims: dict[str, dict[str, str]] = field(default_factory=dict)
    workers: dict[str, dict[str, str]] = field(default_factory=dict)
    others: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)
    refusal: str = ""
    frozen: dict[str, Any] = field(default_factory=dict)

    def look(self, moment: str, a: Site, b: Site) -> None:
        self.claims |= {f"a {moment}": a.claims(), f"b {moment}": b.claims()}
        self.workers |= {f"a {moment}": a.workers(), f"b {moment}": b.workers()}
        self.others[f"a {moment}"] = {key: uid for key, uid in a.inventory().items() if key[0] != "Pod"}


@pytest.fixture(scope="module")
def story(home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster) -> Story:
    """Freeze platform A, with 12 dev environments, beside platform B, with 5; then unfreeze it."""
    a, b = (Site(admin, shared_cluster, name) for name in ("story-a", "story-b"))
    with make_stack(home, shared_cluster.kubeconfig, [admin]) as stack:
        return _tell(stack, a, b)


def _tell(stack: Stack, a: Site, b: Site) -> Story:
    story = Story()
    stack.set("story-a", serviceAccounts={"dev-environments": {}}, quota={"persistentvolumeclaims": 50})
    stack.set("story-b")
    stack.up()
    a.start(12)
    b.start(5)
    story.look("before", a, b)
    stack.set("story-a", freeze=True, freezeReason=REASON)
    story.runs["preview"] = stack.preview()
    story.look("previewed", a, b)
    story.runs["freeze"] = stack.up()
    story.look("frozen", a, b)
    with pytest.raises(client.ApiException) as refused:
        create_worker(a.core, a.namespace, "late", volume=False)
    story.refusal = str(refused.value.body)
    a.restart_operator()
    story.frozen = {name: stack.outputs(name)["frozen"] for name in ("story-a", "story-b")}
    story.runs["again"] = stack.up()
    stack.set("story-a", freeze=None, freezeReason=None)
    story.runs["unfreeze"] = stack.up()
    story.look("unfrozen", a, b)
    wait_for(lambda: try_worker_pod(a.admin, a.namespace) == ACCEPTED, "the block to be lifted")
    create_worker(a.core, a.namespace, "again", claim="env-3-home")
    await_running(a.core, a.namespace, 1)
    story.look("started", a, b)
    return story


def test_preview_of_a_freeze_tells_what_it_will_stop_and_stops_nothing(story: Story) -> None:
    assert "will stop 12 dev environments in namespace story-a: env-0, " in story.runs["preview"].text
    assert story.workers["a previewed"] == story.workers["a before"]


def test_freeze_stops_every_dev_environment_of_its_platform(story: Story) -> None:
    assert len(story.workers["a before"]) == 12
    assert story.workers["a frozen"] == {}
    assert "story-a-freeze-binding" in story.runs["freeze"].changes


def test_freeze_keeps_volumes(story: Story) -> None:
    assert len(story.claims["a before"]) == 12
    assert story.claims["a frozen"] == story.claims["a before"] == story.claims["a unfrozen"]


def test_freeze_keeps_secrets_service_accounts_and_the_operator(story: Story) -> None:
    kinds = {kind for kind, _ in story.others["a before"]}
    assert {"Secret", "ServiceAccount", "PersistentVolumeClaim", "Deployment", "ResourceQuota"} <= kinds
    assert story.others["a frozen"] == story.others["a before"] == story.others["a unfrozen"]


def test_freeze_shows_its_progress(story: Story) -> None:
    log = story.runs["freeze"].event_log
    assert "waiting until new dev environments are refused" in log
    assert "stopping dev environments: 12 of 12 still running" in log


def test_freeze_leaves_its_neighbour_alone(story: Story) -> None:
    assert len(story.workers["b before"]) == 5
    assert story.workers["b frozen"] == story.workers["b before"]
    assert story.claims["b frozen"] == story.claims["b before"]
    assert not [name for name in story.runs["freeze"].changes if name.startswith("story-b")]
    assert story.frozen == {"story-a": True, "story-b": False}


def test_freeze_tells_the_platform_and_the_reason_to_whoever_is_refused(story: Story) -> None:
    assert "story-a" in story.refusal
    assert REASON in story.refusal


def test_another_up_while_frozen_changes_nothing(story: Story) -> None:
    assert story.runs["again"].changes == {}


def test_unfreeze_shows_the_block_going_and_nothing_else(story: Story) -> None:
    assert story.runs["unfreeze"].changes == {
        "story-a-freeze-policy": "delete",
        "story-a-freeze-binding": "delete",
        "story-a-environments": "update",
        "story-a-test": "update",
    }


def test_unfreeze_starts_nothing(story: Story) -> None:
    assert story.workers["a unfrozen"] == {}


def test_dev_environment_starts_with_its_old_volume_after_a_freeze(story: Story) -> None:
    assert set(story.workers["a started"]) == {"again"}
    assert story.claims["a started"] == story.claims["a before"]


def test_freeze_names_a_held_dev_environment_and_goes_on_when_it_is_free(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    stack.set("held", stopTimeout=6)
    stack.up()
    held = site("held")
    held.start(1, finalizers=["example.com/holds"])
    stack.set("held", freeze=True)
    failed = stack.up(ok=False)
    assert "env-0" in failed.text
    assert "finalizer example.com/holds" in failed.text
    assert try_worker_pod(admin, "held") != ACCEPTED
    admin.patch(POD, "env-0", {"metadata": {"finalizers": None}}, "held")
    done = stack.up()
    assert held.workers() == {}
    assert "held-release" not in done.changes
    assert stack.up().changes == {}


@fault(
    31,
    "The operator starts dev environments again during a freeze",
    happens="The block comes first, so the operator is refused; what slipped in is stopped too, until two lists in a"
    " row are empty.",
)
def test_freeze_reaches_zero_although_the_operator_starts_pods_anew(
    stack: Stack, site: Callable[[str], Site], shared_cluster: LocalCluster
) -> None:
    stack.set("busy")
    stack.up()
    busy = site("busy")
    with StandInOperator(shared_cluster.kubeconfig, "busy", 8) as operator:
        wait_for(lambda: len(busy.running()) == 8, "8 dev environments")
        stack.set("busy", freeze=True)
        stack.up()
        assert busy.workers() == {}
        wait_for(lambda: operator.refusals, "the operator to be refused")
        assert busy.workers() == {}
    assert len(busy.claims()) == 8


def test_freeze_by_quota_does_the_same(stack: Stack, site: Callable[[str], Site], admin: Cluster) -> None:
    operator_home = make_namespace(admin, "operators")
    stack.set("metered", freezeMode="quota", operatorNamespace=operator_home)
    stack.set("metered", createOperatorNamespace=False)
    stack.up()
    metered = site("metered")
    metered.start(4)
    claims = metered.claims()
    stack.set("metered", freeze=True, freezeReason=REASON)
    frozen = stack.up()
    assert frozen.changes["metered-freeze-quota"] == "create"
    assert metered.workers() == {}
    assert metered.claims() == claims
    assert admin.get(POLICY, freeze_name("metered")) is None
    with pytest.raises(client.ApiException) as refused:
        create_worker(metered.core, "metered", "late", volume=False)
    assert QUOTA_NAME in str(refused.value.body)
    metered.restart_operator(operator_home)
    assert stack.up().changes == {}
    stack.set("metered", freeze=None, freezeReason=None)
    lifted = stack.up()
    assert lifted.changes == {
        "metered-freeze-quota": "delete",
        "metered-environments": "update",
        "metered-test": "update",
    }


def test_freeze_by_quota_in_the_operators_own_namespace_is_refused_in_preview(stack: Stack) -> None:
    stack.set("shared", freezeMode="quota", freeze=True)
    refused = stack.preview(ok=False)
    assert "operatorNamespace" in refused.text or "operator_namespace" in refused.text


@fault(
    35,
    "Destroy while frozen",
    happens="A frozen platform is at rest: it is destroyed without more ado, its block too. Where its block is gone and"
    " dev environments run again, the destroy is refused.",
)
def test_platform_can_be_created_frozen_and_destroyed_frozen(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    adopted = make_namespace(admin, "adopted")
    site(adopted).start(2)
    stack.set("asleep", freeze=True)
    stack.set("inherited", freeze=True, namespace=adopted, createNamespace=False)
    stack.up()
    for name, namespace in (("asleep", "asleep"), ("inherited", adopted)):
        assert try_worker_pod(admin, namespace) != ACCEPTED
        assert failed_checks(stack.outputs(name)) == []
    assert site(adopted).workers() == {}
    assert len(site(adopted).claims()) == 2
    stack.destroy()
    assert stack.names() == set()
    for namespace in ("asleep", adopted):
        assert admin.get(POLICY, freeze_name(namespace)) is None
        assert admin.get(POLICY_BINDING, freeze_name(namespace)) is None


def test_freeze_all_freezes_every_platform_side_by_side(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    for name in ("all-a", "all-b"):
        stack.set(name)
    stack.up()
    for name in ("all-a", "all-b"):
        site(name).start(2, ignores_sigterm=True, grace_seconds=8)
    stack.config["codecanvas:freezeAll"] = True
    frozen = stack.up()
    begun = [frozen.place_of("resourcePreEvent", f"{name}-environments") for name in ("all-a", "all-b")]
    ended = [frozen.place_of("resOutputsEvent", f"{name}-environments") for name in ("all-a", "all-b")]
    assert max(begun) < min(ended)
    assert all(try_worker_pod(admin, name) != ACCEPTED for name in ("all-a", "all-b"))
    assert all(stack.outputs(name)["frozen"] is True for name in ("all-a", "all-b"))


def test_an_unfreeze_reaches_every_platform_although_one_of_them_fails(stack: Stack, admin: Cluster) -> None:
    names = [unique("policy"), unique("quota"), unique("broken")]
    for name in names:
        stack.set(name)
    stack.set(names[1], freezeMode="quota", operatorNamespace=f"{names[1]}-operator")
    stack.config["codecanvas:freezeAll"] = True
    stack.up()
    for name in names:
        assert try_worker_pod(admin, name) != ACCEPTED
    admin.delete(DEPLOYMENT, "codecanvas-operator", names[2])
    stack.set(names[2], labels={"team": "blue"})
    stack.config["codecanvas:freezeAll"] = False
    assert "Operator" in stack.up(ok=False).errors
    for name in names:
        wait_for(lambda name=name: try_worker_pod(admin, name) == ACCEPTED, "the block to be lifted")  # type: ignore[misc] # mypy knows no default of a lambda
    # The state has their blocks still, so that Pulumi makes none for the next freeze.
    stack.config["codecanvas:freezeAll"] = True
    stack.set(names[2], freezeReason="another one")
    assert "Operator" in stack.up(ok=False).errors
    for name in names:
        assert try_worker_pod(admin, name) != ACCEPTED
    stack.config["codecanvas:freezeAll"] = False
    stack.platforms.pop(names[2])
    stack.up()
    for name in names[:2]:
        wait_for(lambda name=name: try_worker_pod(admin, name) == ACCEPTED, "the block to be gone")  # type: ignore[misc] # as above
    assert stack.up("--expect-no-changes").changes == {}


def test_another_argument_never_freezes_or_unfreezes(stack: Stack, site: Callable[[str], Site], admin: Cluster) -> None:
    stack.set("steady")
    stack.up()
    site("steady").start(2)
    stack.set("steady", labels={"team": "ide"}, stopTimeout=30)
    changed = stack.up()
    assert not [name for name in changed.changes if "freeze" in name]
    assert len(site("steady").running()) == 2
    stack.set("steady", freeze=True)
    stack.up()
    stack.set("steady", labels={"team": "tools"})
    stack.up()
    assert try_worker_pod(admin, "steady") != ACCEPTED


@fault(
    27,
    "Freeze block deleted while frozen",
    happens="A refresh sees it, and the dev environments that were started meanwhile; the next `up` puts the block back"
    " and stops them.",
    user="`pulumi refresh`, then `pulumi up`",
)
def test_refresh_sees_a_removed_block_and_pods_that_run_although_frozen(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    stack.set("pried", freeze=True)
    stack.up()
    admin.delete(POLICY_BINDING, freeze_name("pried"))
    wait_for(lambda: try_worker_pod(admin, "pried") == ACCEPTED, "the block to be off")
    site("pried").start(3)
    assert "run `pulumi up --refresh`" in stack.destroy(ok=False).errors
    assert len(site("pried").running()) == 3
    seen = stack.refresh()
    assert seen.changes["pried-freeze-binding"] in {"refresh", "delete"}
    running = [item["outputs"].get("running") for item in stack.state() if item["urn"].endswith("::pried-environments")]
    assert running == [3]
    assert "pried-freeze-binding" not in stack.names()
    stack.up()
    assert site("pried").workers() == {}
    assert try_worker_pod(admin, "pried") != ACCEPTED
    assert admin.get(QUOTA, QUOTA_NAME, "pried") is None
