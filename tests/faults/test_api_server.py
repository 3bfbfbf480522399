"""An API server that is away, busy or slow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.faults.promises import assert_recovered
from tests.support.faults import fault
from tests.support.names import unique

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster
    from tests.support.api_proxy import ApiProxy
    from tests.support.stack import Stack

pytestmark = pytest.mark.engine


@fault(12, "every write delayed by 2 s", happens="it takes longer")
def test_slow_writes_only_take_longer(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    with proxy.slow(2):
        proxied.up()
    assert_recovered(proxied, admin, platform)
