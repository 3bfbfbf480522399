"""An API server that is away, busy or slow."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.faults.promises import assert_recovered, signed_by_the_plugin
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.site import Site

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster
    from tests.support.api_proxy import ApiProxy
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine


@fault(
    10,
    "API server away for 5, 30 or 120 s",
    happens="a freeze that is stopping dev environments waits for it, up to `stopTimeout`, and goes on (any other"
    " request of ours up to 75 s, or 15 s where it has not answered yet in this run); in the middle of a Helm install,"
    " the run fails and the next `up` goes on from there",
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
        site.wait_until_stopping()
        with proxy.away():
            time.sleep(seconds)
        run = running.wait()
    assert run.ok, run.text
    assert not site.workers()
    assert_recovered(proxied, admin, platform)


@fault(10)
@pytest.mark.parametrize("seconds", [5, pytest.param(120, marks=pytest.mark.slow)])
@signed_by_the_plugin
def test_the_next_up_mends_an_install_that_an_outage_cut_off(
    proxied: Stack, proxy: ApiProxy, admin: Cluster, seconds: int
) -> None:
    platform = unique("eu")
    proxied.set(platform, timeout=20)
    hold = proxy.hold("POST", "/deployments")
    with proxied.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        with proxy.away():
            hold.drop()
            time.sleep(seconds)
        running.wait()
    assert_recovered(proxied, admin, platform)


@fault(
    11,
    "429 and 503 with `Retry-After` for a minute",
    happens="both plugins wait and try again, ours after 10 s at the longest and for up to 75 s a request: the run"
    " takes longer",
)
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("seconds", [8, pytest.param(60, marks=pytest.mark.slow)])
def test_a_busy_api_server_is_waited_for(
    proxied: Stack, proxy: ApiProxy, admin: Cluster, status: int, seconds: int
) -> None:
    platform = unique("eu")
    proxied.set(platform)
    hold = proxy.hold("POST", "/podtemplates", after=True)
    with proxied.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        with proxy.busy(status, retry_after=1):
            hold.release()
            time.sleep(seconds)
        run = running.wait()
    assert run.ok, run.text
    assert_recovered(proxied, admin, platform)


@fault(11)
def test_a_freeze_waits_for_a_busy_api_server(
    proxied: Stack, proxy: ApiProxy, shared_cluster: LocalCluster, admin: Cluster
) -> None:
    platform = unique("eu")
    proxied.set(platform)
    proxied.up()
    site = Site(admin, shared_cluster, platform)
    site.start(1, ignores_sigterm=True, grace_seconds=10)
    proxied.set(platform, freeze=True)
    with proxied.start("up", "--skip-preview", "--yes") as running:
        site.wait_until_stopping()
        for status in (429, 503):
            with proxy.busy(status, retry_after=1):
                time.sleep(4)
        run = running.wait()
    assert run.ok, run.text
    assert not site.workers()
    assert_recovered(proxied, admin, platform)


@fault(12, "every write delayed by 2 s", happens="it takes longer")
def test_slow_writes_only_take_longer(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    with proxy.slow(2):
        proxied.up()
    assert_recovered(proxied, admin, platform)
