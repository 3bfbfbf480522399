"""A freeze of platforms on which dev environments run, beside kubectl that only deletes their pods."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import POD, Cluster
from tests.bench.fleet import Fleet
from tests.bench.meter import adopt_orphans, measure
from tests.bench.peers import Command, Ours, Shell, make_peer
from tests.bench.rounds import BenchError, append, figures, read_results, say
from tests.bench.site import PARALLEL, open_site
from tests.support.waiting import wait_for
from tests.support.workers import worker_pod

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.fleet import Platform
    from tests.bench.site import Site

OPERATION = "stop"


def run_stops(results: Path, directory: Path, *, size: int, pods: int, rounds: int) -> None:
    """Freeze a fleet with so many worker pods a platform, and delete as many with kubectl, in turn.

    Raises:
        BenchError: a command failed, or left pods.
    """
    adopt_orphans()
    done = {line["round"] for line in read_results(results) if (line["operation"], line["size"]) == (OPERATION, size)}
    missing = [number for number in range(1, rounds + 1) if number not in done]
    if not missing:
        return
    with open_site(directory / "site") as site:
        scene = _Scene(site, Fleet.of(size), pods)
        for number in missing:
            say(f"round {number} of {rounds}: {size} platforms with {pods} worker pods each")
            lines = [scene.freeze(), scene.delete()]
            append(results, [{"round": number, "size": size, "pods": pods, **line} for line in lines])


class _Scene:
    """A fleet of ours that is there already."""

    def __init__(self, site: Site, fleet: Fleet, pods: int) -> None:
        self._site = site
        self._fleet = fleet
        self._pods = pods
        self._ours = make_peer(Ours.name, site, site.directory)
        self._ours.open()
        self._run(self._prepare("up"))

    def freeze(self) -> dict[str, Any]:
        """Freeze all platforms while their pods run; lift it again."""
        self._start_pods()
        result = self._run(self._prepare("freeze"))
        self._expect_none(Ours.name)
        for platform in self._fleet.platforms:
            platform.frozen = False
        self._run(self._prepare("up"))
        return {"peer": Ours.name, "operation": OPERATION, **result}

    def delete(self) -> dict[str, Any]:
        """Delete the pods with kubectl, which waits until they are gone."""
        self._start_pods()
        folder = self._site.directory / "stop"
        folder.mkdir(exist_ok=True)
        (folder / "names").write_text("".join(f"{platform.name}\n" for platform in self._fleet.platforms))
        delete = f"{self._site.kubectl} delete pods -n $1 -l tests/stand-in=worker"
        line = ["xargs", "-a", "names", "-P", str(PARALLEL), "-n", "1", "sh", "-euc", delete, "sh"]
        result = self._run(Command(line, folder))
        self._expect_none(Shell.name)
        return {"peer": Shell.name, "operation": OPERATION, **result}

    def _prepare(self, operation: str) -> Command:
        concerned = self._fleet.change(operation)
        command = self._ours.prepare(operation, self._fleet, concerned)
        if command is None:
            raise AssertionError("ours has something to do in every operation")
        return command

    def _run(self, command: Command) -> dict[str, Any]:
        self._site.audit.skip()
        environment, watched = self._site.environment(), self._site.home.state / ".pulumi"
        cost = measure(command.line, cwd=command.cwd, environment=environment, watched=watched)
        if cost.exit_code:
            raise BenchError(cost.output[-4000:])
        requests = len(self._site.audit.take())
        say(f"  {' '.join(command.line)[:60]}: {cost.wall:.1f} s, {requests} requests")
        return {**figures(cost), "requests": requests}

    def _start_pods(self) -> None:
        cluster = self._site.cluster
        with ThreadPoolExecutor(PARALLEL) as threads:
            for platform in self._fleet.platforms:
                threads.submit(_create_pods, cluster, platform, self._pods)
        wanted = self._pods * len(self._fleet.platforms)
        wait_for(lambda: _count_running(cluster) == wanted, f"{wanted} running worker pods", seconds=300, every=1)

    def _expect_none(self, peer: str) -> None:
        left = [pod["metadata"]["name"] for pod in _list(self._site.cluster)]
        if left:
            raise BenchError(f"{peer}: {len(left)} worker pods are left: {', '.join(left[:5])}")


def _create_pods(cluster: Cluster, platform: Platform, count: int) -> None:
    for number in range(count):
        cluster.create(POD, worker_pod(f"env-{number}"), platform.name)


def _list(cluster: Cluster) -> Sequence[dict[str, Any]]:
    return cluster.list_all(POD, labels="tests/stand-in=worker")


def _count_running(cluster: Cluster) -> int:
    return sum((pod.get("status") or {}).get("phase") == "Running" for pod in _list(cluster))
