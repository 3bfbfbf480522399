"""The stack's state: full, locked, or one of several that claim the same things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.promises import assert_recovered
from tests.support import victims
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.stack import make_stack

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster
    from tests.support.api_proxy import ApiProxy
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine


@fault(
    14,
    "two `up` at once",
    happens="the second is refused by the backend's lock and changes nothing",
    user="nothing, or wait for the first",
)
def test_the_second_of_two_ups_changes_nothing(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    hold = proxy.hold("POST", "/podtemplates")
    with proxied.start("up", "--skip-preview", "--yes") as first:
        hold.wait(first)
        second = proxied.up(ok=False)
        assert "the stack is currently locked by 1 lock(s)" in second.text
        assert second.changes == {}
        hold.release()
        assert first.wait().ok
    assert_recovered(proxied, admin, platform)


@fault(
    16,
    "stale stack lock",
    happens="Pulumi names whose lock it is",
    user="`pulumi cancel`, once that run is known to be dead",
)
def test_a_stale_lock_is_cancelled(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    hold = proxy.hold("POST", "/podtemplates")
    with proxied.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        victims.kill(running)
        hold.drop()
        running.wait()
    refused = proxied.up(ok=False).text
    assert "the stack is currently locked by 1 lock(s)" in refused
    assert "pulumi cancel" in refused
    proxied.cancel()
    assert_recovered(proxied, admin, platform)


@fault(
    15,
    "two stacks on one namespace or release",
    happens="the second is refused by name, before it touches anything of the first",
    user="choose another `namespace` or `release_name`",
)
def test_a_second_stack_touches_nothing_of_the_first(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster
) -> None:
    platform, shared = unique("eu"), make_namespace(admin, "shared")
    with make_stack(home, shared_cluster.kubeconfig, [admin]) as first:
        first.set(platform)
        first.set("one", namespace=shared, createNamespace=False)
        first.up()
        with make_stack(home, shared_cluster.kubeconfig, [admin]) as second:
            owner = f"organization/codecanvas/{first.name}"
            second.set("other", namespace=platform)
            refused = second.up(ok=False).text
            assert f"the Namespace {platform} exists already and is of the stack {owner}" in refused
            del second.platforms["other"]
            second.set("one", namespace=shared, createNamespace=False)
            refused = second.up(ok=False).text
            assert f"the PodTemplate one exists already and is of the stack {owner}" in refused
            del second.platforms["one"]
            second.set("two", namespace=shared, createNamespace=False)
            refused = second.up(ok=False).text
            assert f"namespace {shared} has a Helm release codecanvas-operator already" in refused
            second.destroy()
        first.up("--refresh", "--expect-no-changes")
        assert_recovered(first, admin, platform, "one")
