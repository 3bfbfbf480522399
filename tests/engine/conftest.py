"""What the tests on the engine share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable

    from codecanvas_provider.cluster import Cluster
    from tools.cluster import LocalCluster


@pytest.fixture
def site(admin: Cluster, shared_cluster: LocalCluster) -> Callable[[str], Site]:
    """Give the onlooker's view of a namespace of the shared cluster, by its name."""
    return lambda namespace: Site(admin, shared_cluster, namespace)
