"""Where the examples run: a local cluster and the stand-ins for the clouds."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.clouds.install import install
from tests.support.clouds.kubernetes import Kubernetes
from tests.support.clouds.store import Store
from tests.support.clusters import make_cluster
from tests.support.example_stack import CHART, ExampleStack
from tests.support.waiting import wait_for
from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.examples import Example
    from tools.cluster import LocalCluster


@dataclass(frozen=True)
class Site:
    """The local cluster and what stands in for the clouds.

    Attributes:
        cluster: the cluster that every example gets.
        home: the engine's place.
        commands: the folder with the clouds' commands.
        cloud: what is in the clouds.
        show: is given each line that the engine prints.
    """

    cluster: LocalCluster
    home: PulumiHome
    commands: Path
    cloud: Store
    show: Callable[[str], None] | None = None

    @property
    def kubernetes(self) -> Kubernetes:
        """The cluster, as its administrator."""
        return Kubernetes(self.cluster.kubeconfig)

    @property
    def token(self) -> str:
        """The administrator's token: what must not be seen anywhere."""
        return self.kubernetes.token

    def leftovers(self) -> list[str]:
        """Name what is left of the examples in the cluster and in the clouds."""
        nodes = [f"Node {name}" for name in self.kubernetes.nodes() if name != "local"]
        return [*self.kubernetes.platform_objects(), *nodes, *(record.id for record in self.cloud.all())]

    def wait_until_empty(self) -> None:
        """Wait until no platform has anything left in the cluster."""
        wait_for(lambda: not self.kubernetes.platform_objects(), "an empty cluster")

    def stack(self, example: Example, name: str, **settings: Any) -> ExampleStack:
        """Make a stack of an example, with the stand-in for the operator's chart."""
        chart = {"chart": str(CHART)} if "chart" in example.project["config"] else {}
        return ExampleStack(
            example, self.home, name, commands=self.commands, settings={**chart, **settings}, show=self.show
        )


@contextlib.contextmanager
def open_site(root: Path, show: Callable[[str], None] | None = None) -> Iterator[Site]:
    """Start the cluster and install the stand-ins, all in a folder; the cluster ends with the block."""
    with make_cluster(root / "cluster", owner_pid=os.getpid()) as cluster:
        home = PulumiHome(root / "pulumi")
        home.prepare()
        commands = install(home, root / "cloud", cluster.kubeconfig)
        yield Site(cluster, home, commands, Store(root / "cloud"), show)
