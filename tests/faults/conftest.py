"""What the tests of faults share: a proxy in front of the shared cluster's API server, and a stack behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.api_proxy import ApiProxy
from tests.support.stack import make_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codecanvas_provider.cluster import Cluster
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome


@pytest.fixture
def proxy(shared_cluster: LocalCluster, tmp_path: Path) -> Iterator[ApiProxy]:
    """Give a proxy in front of the shared cluster."""
    with ApiProxy(shared_cluster.kubeconfig, tmp_path / "proxy") as made:
        yield made


@pytest.fixture
def proxied(home: PulumiHome, proxy: ApiProxy, admin: Cluster) -> Iterator[Stack]:
    """Give a stack that reaches the shared cluster by way of the proxy; in the end nothing of it may be left."""
    with make_stack(home, proxy.kubeconfig, [admin]) as made:
        yield made
