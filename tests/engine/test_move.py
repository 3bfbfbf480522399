"""A platform that moves, that goes back, or that is to leave a namespace to others, on the real engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import (
    NAMESPACE,
    NETWORK_POLICY,
    POD,
    POD_TEMPLATE,
    POLICY_BINDING,
    SERVICE_ACCOUNT,
    Cluster,
)
from pulumi_codecanvas.freeze import freeze_name
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.site import Site
    from tests.support.stack import Stack

pytestmark = pytest.mark.engine

NEVER_READY = {"podAnnotations": {"local-cluster/never-ready": "true"}}


def test_a_namespace_in_use_is_left_to_others_only_when_it_is_retained(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    name, apart = unique("owned"), unique("apart")
    stack.set(name, operatorNamespace=apart)
    stack.up()
    place = site(name)
    place.start(1)
    there = place.inventory()
    stack.set(name, createOperatorNamespace=False)
    assert f"this stack made namespace {apart} and would delete it" in stack.preview(ok=False).errors
    stack.set(name, createNamespace=False)
    for run in (stack.preview(ok=False), stack.up(ok=False)):
        assert f"this stack made namespace {apart}, {name} and would delete it" in run.errors
        assert "first set `retainVolumes: true`" in run.errors
    assert place.inventory() == there

    stack.set(name, createNamespace=None, createOperatorNamespace=None, retainVolumes=True)
    stack.up()
    stack.set(name, createNamespace=False, createOperatorNamespace=True, retainVolumes=None)
    stack.up()
    assert f"{name}-namespace" not in stack.names()
    assert place.running() == {"env-0"}
    assert stack.up("--expect-no-changes").changes == {}
    stack.set(name, forceDelete=True)
    stack.up()
    stack.destroy()
    assert admin.get(NAMESPACE, name) is not None
    assert place.running() == set()
    admin.delete(NAMESPACE, name)
    wait_for(lambda: admin.get(NAMESPACE, name) is None, "the namespace to go", seconds=60)


def test_a_platform_does_not_move_away_from_running_dev_environments(stack: Stack, site: Callable[[str], Site]) -> None:
    name = unique("stayer")
    stack.set(name)
    stack.up()
    place = site(name)
    place.start(1)
    there, resources = place.inventory(), stack.names()
    # With a new key, which is another resource, as well as without.
    for more in ({}, {"tokenVersion": "2", "freeze": True, "forceDelete": True}):
        stack.set(name, namespace=f"{name}-2", **more)
        for run in (stack.preview(ok=False), stack.up(ok=False)):
            assert f"leave namespace {name}, but 1 dev environment is running there: env-0" in run.errors
        assert place.inventory() == there
        assert stack.names() == resources
    stack.set(name, namespace=None, tokenVersion=None, forceDelete=None)
    stack.up()
    assert place.running() == set()
    stack.set(name, namespace=f"{name}-2")
    stack.up()


def test_a_move_that_fails_can_be_taken_back(stack: Stack, admin: Cluster) -> None:
    name, first, second = unique("back"), make_namespace(admin, "first"), make_namespace(admin, "second")
    arguments = {
        "createNamespace": False,
        "freeze": True,
        "networkPolicy": True,
        "serviceAccounts": {"dev-environments": {}},
    }

    def children() -> list[bool]:
        inside = [(POD_TEMPLATE, name), (NETWORK_POLICY, name), (SERVICE_ACCOUNT, "dev-environments")]
        found = [admin.get(kind, child, first) is not None for kind, child in inside]
        return [*found, admin.get(POLICY_BINDING, freeze_name(first)) is not None]

    stack.set(name, namespace=first, **arguments)
    stack.up()
    assert all(children())
    stack.set(name, namespace=second, values=NEVER_READY, timeout=15)
    assert stack.up(ok=False).errors
    stack.set(name, namespace=first, values=None, timeout=None)
    run = stack.up()
    assert "left by an interrupted run" not in run.text
    assert all(children())
    stack.up("--refresh", "--expect-no-changes")


def test_a_namespace_that_waits_for_its_deletion_is_not_taken_for_somebody_elses(
    stack: Stack, site: Callable[[str], Site]
) -> None:
    name = unique("kept")
    stack.set(name)
    stack.up()
    place = site(name)
    place.start(1)
    place.admin.delete(POD, "env-0", name)
    wait_for(lambda: not place.workers(), "the dev environment to stop")
    claims = place.claims()
    stack.set(name, namespace=f"{name}-2", values=NEVER_READY, timeout=15)
    assert stack.up(ok=False).errors
    stack.set(name, namespace=None, values=None, timeout=None)
    refused = stack.up(ok=False).errors
    assert f"the Namespace {name} exists already and is this stack's and not empty" in refused
    assert "finish the move" in refused
    # Whoever takes the error for that of a lost state is stopped: the state has the namespace, and would delete it.
    stack.set(name, createNamespace=False)
    assert f"this stack made namespace {name} and would delete it" in stack.up(ok=False).errors
    assert place.claims() == claims
    stack.set(name, namespace=f"{name}-2", createNamespace=None)
    stack.up()


def test_a_guard_that_is_replaced_in_place_keeps_volumes(stack: Stack, site: Callable[[str], Site]) -> None:
    name = unique("guarded")
    stack.set(name)
    stack.up()
    place = site(name)
    place.start(1)
    claims = place.claims()
    run = stack.up("--replace", f"**{name}-environments")
    assert run.changes.keys() == {f"{name}-environments"}
    assert (place.running(), place.claims()) == ({"env-0"}, claims)
    assert stack.up("--expect-no-changes").changes == {}
    stack.set(name, forceDelete=True)
    stack.up()
