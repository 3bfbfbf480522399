"""Runs that are interrupted by Ctrl-C, and plugins that die under a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import DEPLOYMENT, Cluster
from tests.faults.promises import assert_recovered, release_status, signed_by_the_plugin
from tests.support import victims
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.site import Site
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.api_proxy import ApiProxy
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine


@fault(1, "SIGINT in namespace create", happens="the run ends; the next `up` goes on")
def test_an_interrupt_in_the_creation_of_the_namespace(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    hold = proxy.hold("POST", r"/api/v1/namespaces(\?|$)")
    with proxied.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        running.interrupt()
        hold.release()
        assert not running.wait().ok
    assert_recovered(proxied, admin, platform)


@fault(
    5,
    "SIGINT in Helm's wait",
    happens="Helm takes its release back, as it is atomic, and the run ends; the next `up` installs it",
)
def test_an_interrupt_while_helm_waits(stack: Stack, admin: Cluster) -> None:
    platform = unique("eu")
    stack.set(platform, values={"nodeSelector": {"no": "such-node"}})
    with stack.start("up", "--skip-preview", "--yes") as running:
        wait_for(lambda: admin.list_all(DEPLOYMENT, platform), "the operator's Deployment", 120)
        running.interrupt()
        assert not running.wait().ok
    assert release_status(admin, platform) == []
    stack.set(platform, values=None)
    assert_recovered(stack, admin, platform)


@fault(
    8,
    "the plugin of this package killed in a freeze",
    happens="the run fails with the block in place; the next `up` goes on and stops what still runs",
)
def test_our_plugin_dies_in_a_freeze(stack: Stack, shared_cluster: LocalCluster, admin: Cluster) -> None:
    platform = unique("eu")
    stack.set(platform)
    stack.up()
    site = Site(admin, shared_cluster, platform)
    site.start(2, ignores_sigterm=True, grace_seconds=8)
    stack.set(platform, freeze=True)
    with stack.start("up", "--skip-preview", "--yes") as running:
        site.wait_until_stopping()
        victims.kill(running, "codecanvas")
        assert not running.wait().ok
    assert_recovered(stack, admin, platform)
    assert not site.workers()
    assert stack.outputs(platform)["frozen"] is True


@fault(
    9,
    "the kubernetes plugin killed in a Helm install",
    happens="the run fails; the next `up` takes the release over, as after a SIGKILL of everything",
)
@signed_by_the_plugin
def test_the_kubernetes_plugin_dies_in_an_install(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform, timeout=20)
    hold = proxy.hold("POST", "/deployments")
    with proxied.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        victims.kill(running, "kubernetes")
        hold.drop()
        assert not running.wait().ok
    assert "it is taken over" in assert_recovered(proxied, admin, platform).text
