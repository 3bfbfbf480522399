"""What the tests on real processes share: one local cluster and one Pulumi home a test run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from codecanvas_provider.cluster import Cluster
from tests.support.clusters import make_cluster
from tests.support.parts import (  # noqa: F401 - hooks, found here by pytest
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_report_header,
    pytest_runtest_setup,
    pytest_terminal_summary,
)
from tests.support.stack import make_stack
from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

# How long an example takes says more about the machine's load than about the code.
settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same examples in every run of CI, so that a change is judged by what it changed.
settings.register_profile("ci", settings.get_profile("here"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def shared_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Give a running cluster; each test keeps to namespaces of its own."""
    yield from _run_cluster(tmp_path_factory.mktemp("shared-cluster"), "shared")


@pytest.fixture(scope="session")
def other_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    """Give a second running cluster, for platforms on several; it costs 1 GB and some seconds."""
    yield from _run_cluster(tmp_path_factory.mktemp("other-cluster"), "other")


def _run_cluster(directory: Path, name: str) -> Iterator[LocalCluster]:
    cluster = make_cluster(directory, name=name, audit=True, owner_pid=os.getpid())
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.wipe()


@pytest.fixture(scope="session")
def admin(shared_cluster: LocalCluster) -> Cluster:
    """Give the plugin's own view of the shared cluster, as its administrator."""
    return Cluster.connect(str(shared_cluster.kubeconfig), None)


@pytest.fixture(scope="session")
def other_admin(other_cluster: LocalCluster) -> Cluster:
    """Give the plugin's own view of the second cluster, as its administrator."""
    return Cluster.connect(str(other_cluster.kubeconfig), None)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> PulumiHome:
    """Give a Pulumi home with a file backend for all stacks of the run."""
    return PulumiHome(tmp_path_factory.mktemp("pulumi"))


@pytest.fixture
def stack(home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster) -> Iterator[Stack]:
    """Give a stack of the root program without a platform; in the end nothing of it may be left."""
    with make_stack(home, shared_cluster.kubeconfig, [admin]) as made:
        yield made
