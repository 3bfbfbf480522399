"""Where the examples run: the local cluster and the stand-ins for the clouds, or a real cloud on request.

`CODECANVAS_CLOUD=eks` (or `gke`) runs that example's tests on the real cloud, with the credentials that the
environment has, and `CODECANVAS_CLOUD_CONFIG` names a file with the stack's config for it. It costs money.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.clouds.install import install
from tests.support.clouds.kubernetes import Kubernetes
from tests.support.clouds.store import Store
from tests.support.clusters import make_cluster
from tests.support.example_stack import CHART, ExampleStack
from tests.support.waiting import wait_for
from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.examples import Example
    from tools.cluster import LocalCluster

REAL_CLOUD = os.environ.get("CODECANVAS_CLOUD", "")


@dataclass(frozen=True)
class Site:
    """The local cluster and what stands in for the clouds.

    Attributes:
        cluster: the cluster that every example gets.
        home: the engine's place.
        commands: the folder with the clouds' commands.
        cloud: what is in the clouds.
    """

    cluster: LocalCluster
    home: PulumiHome
    commands: Path
    cloud: Store

    @property
    def kubernetes(self) -> Kubernetes:
        """The cluster, as its administrator."""
        return Kubernetes(self.cluster.kubeconfig)

    def wait_until_empty(self) -> None:
        """Wait until no platform has anything left in the cluster."""
        wait_for(lambda: not self.kubernetes.platform_objects(), "an empty cluster")

    def stack(self, example: Example, name: str, **settings: Any) -> ExampleStack:
        """Make a stack of an example, with the stand-in for the operator's chart."""
        chart = {"chart": str(CHART)} if "chart" in example.project["config"] else {}
        return ExampleStack(example, self.home, name, commands=self.commands, settings={**chart, **settings})


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the stand-ins' site; tests of one example use it at a time."""
    if REAL_CLOUD:
        pytest.skip(f"only the example for {REAL_CLOUD} runs, on the real cloud")
    root = tmp_path_factory.mktemp("examples")
    with make_cluster(root / "cluster", owner_pid=os.getpid()) as cluster:
        home = PulumiHome(root / "pulumi")
        home.prepare()
        commands = install(home, root / "cloud", cluster.kubeconfig)
        yield Site(cluster, home, commands, Store(root / "cloud"))


def real_stack(example: Example, root: Path) -> ExampleStack:
    """Make a stack of an example on the real cloud."""
    settings = yaml.safe_load(Path(os.environ["CODECANVAS_CLOUD_CONFIG"]).read_text(encoding="utf-8"))
    return ExampleStack(example, PulumiHome(root, acquire_plugins=True), "test", settings=settings["config"])
