"""An API server that is away, busy or slow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import POD, Cluster
from tests.faults.promises import assert_recovered
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.site import Site
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.api_proxy import ApiProxy
    from tests.support.stack import Run, Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine


@fault(
    10,
    "API server away for 5 or 30 s",
    happens="a freeze waits for it and goes on; in the middle of a Helm install, the run fails and the next `up` goes"
    " on from there. 120 s were not tried",
)
@pytest.mark.parametrize("seconds", [5, 30])
def test_a_freeze_outlasts_an_outage(
    proxied: Stack, proxy: ApiProxy, shared_cluster: LocalCluster, admin: Cluster, seconds: int
) -> None:
    platform = unique("eu")
    proxied.set(platform)
    proxied.up()
    site = Site(admin, shared_cluster, platform)
    site.start(1, ignores_sigterm=True, grace_seconds=3)
    proxied.set(platform, freeze=True)
    with proxied.start("up", "--skip-preview", "--yes") as running:

        def is_stopping() -> bool:
            return any(pod["metadata"].get("deletionTimestamp") for pod in admin.list_all(POD, platform))

        wait_for(is_stopping, "the freeze to stop something", 120)
        with proxy.away():
            time.sleep(seconds)
        run = running.wait()
    assert run.ok, run.text
    assert not site.workers()
    assert_recovered(proxied, admin, platform)


@fault(10)
def test_the_next_up_mends_an_install_that_an_outage_cut_off(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform, timeout=20)
    hold = proxy.hold("POST", "/deployments")
    with proxied.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        with proxy.away():
            hold.drop()
            time.sleep(5)
        running.wait()
    assert_recovered(proxied, admin, platform)


@fault(
    11,
    "429 and 503 with `Retry-After`",
    happens="both plugins wait as long as they are asked to and try again: 8 s of it only take longer; a minute was not"
    " tried",
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_api_server_is_waited_for(proxied: Stack, proxy: ApiProxy, admin: Cluster, status: int) -> None:
    platform = unique("eu")
    proxied.set(platform)
    run = install_while_busy(proxied, proxy, status, seconds=8)
    assert run.ok, run.text
    assert_recovered(proxied, admin, platform)


def install_while_busy(stack: Stack, proxy: ApiProxy, status: int, *, seconds: float) -> Run:
    """Run `up`; from the pod template on, every request is refused for some seconds."""
    hold = proxy.hold("POST", "/podtemplates", after=True)
    with stack.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        with proxy.busy(status, retry_after=1):
            hold.release()
            time.sleep(seconds)
        return running.wait()


@fault(12, "every write delayed by 2 s", happens="it takes longer")
def test_slow_writes_only_take_longer(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    with proxy.slow(2):
        proxied.up()
    assert_recovered(proxied, admin, platform)
