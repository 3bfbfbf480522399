"""The stack's state: full, locked, or one of several that claim the same things."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.promises import assert_recovered
from tests.support import victims
from tests.support.faults import fault
from tests.support.names import unique

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster
    from tests.support.api_proxy import ApiProxy
    from tests.support.stack import Stack

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
