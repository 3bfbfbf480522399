"""What the tests on real processes share: one local cluster a test run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import Cluster
from tools.cluster import LocalCluster
from tools.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Give a running cluster; each test keeps to namespaces of its own."""
    programs = ensure("controlplane", "kwok", quiet=True)
    directory = tmp_path_factory.mktemp("shared-cluster")
    with LocalCluster(
        directory, controlplane=programs["controlplane"], kwok=programs["kwok"], owner_pid=os.getpid()
    ) as running:
        yield running


@pytest.fixture(scope="session")
def admin(shared_cluster: LocalCluster) -> Cluster:
    """Give the plugin's own view of the shared cluster, as its administrator."""
    return Cluster.connect(str(shared_cluster.kubeconfig), None)
