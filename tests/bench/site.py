"""Where a run takes place: a local cluster with an audit log, and a Pulumi home, under one directory."""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from codecanvas_provider.cluster import Cluster
from tests.bench.audit import AuditLog
from tests.support.clusters import make_cluster
from tools.pulumi_home import PulumiHome
from tools.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

_POLICY = Path(__file__).with_name("audit-policy.yaml")

PARALLEL = 8
"""What every peer does at a time."""


@dataclass(frozen=True)
class Site:
    """A place for the peers.

    Attributes:
        directory: everything is in it.
        kubeconfig: the cluster's.
        cluster: a client of the benchmark's own.
        home: the Pulumi home; its `state` is the file backend.
        audit: what is asked of the API server.
        helm: the program.
        kubectl: the program.
    """

    directory: Path
    kubeconfig: Path
    cluster: Cluster
    home: PulumiHome
    audit: AuditLog
    helm: Path
    kubectl: Path

    def environment(self) -> dict[str, str]:
        """Give the environment of a peer's commands."""
        return self.home.env() | {"KUBECONFIG": str(self.kubeconfig)}


@contextlib.contextmanager
def open_site(directory: Path) -> Iterator[Site]:
    """Start a cluster, fresh as a peer should find it, and end it afterwards with all that was written."""
    shutil.rmtree(directory / "home", ignore_errors=True)
    tools = ensure("helm", "kubectl", quiet=True)
    cluster = make_cluster(directory / "cluster", name="bench", audit=_POLICY, owner_pid=os.getpid())
    cluster.wipe()
    try:
        cluster.start()
        yield Site(
            directory,
            cluster.kubeconfig,
            Cluster(str(cluster.kubeconfig), None),
            PulumiHome(directory / "home"),
            AuditLog(cluster.audit_log),
            tools["helm"],
            tools["kubectl"],
        )
    finally:
        cluster.wipe()
        shutil.rmtree(directory / "home", ignore_errors=True)
