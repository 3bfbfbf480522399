"""Runs rounds: every peer lives through all operations, one after the other, each round in another order."""

from __future__ import annotations

import json
import os
import platform as host
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tenacity

from tests.bench.audit import writes_of
from tests.bench.fleet import OPERATIONS, Fleet
from tests.bench.meter import Cost, adopt_orphans, measure
from tests.bench.outcome import digest_of, explain_difference, find_left, find_open, find_unready, read_objects
from tests.bench.peers import TITLES, Floor, Raw, make_peer, recording_path
from tests.bench.site import open_site

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.site import Site

_READ_ONLY = frozenset({"no-op", "preview"})
_POLICY_SECONDS = 3.0


class BenchError(Exception):
    """A peer failed, left something that is not ready, or made other objects than the others."""


@dataclass(frozen=True)
class Plan:
    """What is to be run.

    Attributes:
        sizes: numbers of platforms.
        rounds: rounds of each size that there should be in the end.
        peers: names of the peers.
        operations: in this order; the last one is the destroy.
        results: JSON lines; those in it count as done.
    """

    sizes: tuple[int, ...]
    rounds: int
    peers: tuple[str, ...]
    operations: tuple[str, ...] = OPERATIONS
    results: Path = Path("bench.jsonl")


def run_plan(plan: Plan, directory: Path) -> None:
    """Run the rounds that are still missing, appending the results of each peer as soon as it has ended.

    Raises:
        BenchError: the results are no comparison; says why.
    """
    adopt_orphans()
    known = [line for line in read_results(plan.results) if line["operation"] in OPERATIONS]
    done = {(line["round"], line["size"], line["peer"]) for line in known}
    expected = _Expected(known)
    for number in range(1, plan.rounds + 1):
        for size in plan.sizes:
            order = _order(plan.peers, number)
            missing = [peer for peer in order if (number, size, peer) not in done]
            for peer in missing:
                say(f"round {number} of {plan.rounds}, {size} platforms: {TITLES[peer]}")
                with open_site(directory / "site") as site:
                    expected.round = number
                    life = _Life(site, peer, size, directory / "recordings", expected)
                    lines = [life.run(operation) for operation in plan.operations]
                append(plan.results, [{"round": number, "size": size, "peer": peer, **line} for line in lines])


def read_results(path: Path) -> list[dict[str, Any]]:
    """Give all results of a file; none where there is none."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


class _Expected:
    """The objects that the first peer of a round made after each operation, which all others have to make too."""

    def __init__(self, results: Sequence[dict[str, Any]]) -> None:
        self.round = 0
        self._digests = {
            (line["round"], line["size"], line["operation"]): line["objects"] for line in results if "objects" in line
        }
        self._objects: dict[tuple[int, int, str], dict[str, Any]] = {}

    def compare(self, size: int, operation: str, objects: dict[str, Any]) -> tuple[str, str]:
        """Give the digest of the objects, and what differs from those before; empty where nothing does."""
        place, digest = (self.round, size, operation), digest_of(objects)
        if self._digests.setdefault(place, digest) == digest:
            self._objects.setdefault(place, objects)
            return digest, ""
        if place in self._objects:
            return digest, explain_difference(self._objects[place], objects)
        return digest, "the objects are not those of the peers that this round has run earlier"


class _Life:
    """One peer from the first `up` to the destroy."""

    def __init__(self, site: Site, peer: str, size: int, recordings: Path, expected: _Expected) -> None:
        self._site = site
        self._fleet = Fleet.of(size)
        self._recordings = recordings
        self._expected = expected
        self._name = peer
        recordings.mkdir(parents=True, exist_ok=True)
        self._peer = make_peer(peer, site, recordings)
        self._peer.open()

    def run(self, operation: str) -> dict[str, Any]:
        """Run an operation, see that it did what it should, and give its result."""
        concerned = self._fleet.change(operation)
        command = self._peer.prepare(operation, self._fleet, concerned)
        if command is None:
            return {"operation": operation, "skipped": True}
        self._site.audit.skip()
        cost = measure(
            command.line,
            cwd=command.cwd,
            environment=self._site.environment(),
            watched=self._site.home.state / ".pulumi",
        )
        events = self._site.audit.take()
        if cost.exit_code:
            raise BenchError(f"{self._name}: {operation} failed:\n{cost.output[-4000:]}")
        if self._name == Raw.name:
            path = recording_path(self._recordings, len(self._fleet.platforms), operation)
            path.write_text(json.dumps([] if operation in _READ_ONLY else writes_of(events)))
        digest = self._judge(operation)
        say(f"  {operation:8} {cost.wall:6.1f} s  {cost.cpu:6.1f} s CPU  {len(events):6} requests")
        return {
            "operation": operation,
            **figures(cost),
            "requests": len(events),
            "objects": digest,
            **_circumstances(),
        }

    def _judge(self, operation: str) -> str:
        """Fail where the peer skipped readiness or made other objects than those before it; give their digest."""
        if operation == "destroy":
            left = find_left(self._site.cluster)
            if left:
                raise BenchError(f"{self._name}: the destroy has left {', '.join(left[:5])}")
            return ""
        unready = find_unready(self._site.cluster, self._fleet.platforms)
        unready += self._find_open()
        if unready:
            raise BenchError(f"{self._name}: {operation} did not wait: {'; '.join(unready[:5])}")
        objects = read_objects(self._site.cluster)
        digest, difference = self._expected.compare(len(self._fleet.platforms), operation, objects)
        if difference:
            raise BenchError(f"{self._name}: after {operation}: {difference}")
        return digest

    def _find_open(self) -> list[str]:
        """Name the frozen platforms that do not refuse new dev environments.

        A policy is in force a moment after it was made. Raw Pulumi and the bare writes do not wait for that, the
        former since it has no means to.
        """
        patience = _POLICY_SECONDS if self._name in {Raw.name, Floor.name} else 0.0
        look = tenacity.Retrying(
            stop=tenacity.stop_after_delay(patience),
            wait=tenacity.wait_fixed(0.1),
            retry=tenacity.retry_if_result(bool),
            retry_error_callback=lambda state: state.outcome.result() if state.outcome else [],
        )
        return look(find_open, self._site.cluster, self._fleet.platforms)


def figures(cost: Cost) -> dict[str, Any]:
    """Give what a command cost, and where and of what the figures are."""
    return {
        "wall": round(cost.wall, 3),
        "cpu": round(cost.cpu, 3),
        "memory": cost.memory,
        "written": cost.written,
        **_circumstances(),
    }


def _circumstances() -> dict[str, Any]:
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": _git("rev-parse", "--short=10", "HEAD") + ("+" if _git("status", "--porcelain") else ""),
        "machine": f"{host.system()} {host.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _order(peers: Sequence[str], number: int) -> list[str]:
    """Begin each round with another peer; the first one records for the floor, which has to come later."""
    known = [name for name in peers if name != "floor"]
    known.sort(key=lambda name: name != Raw.name)
    turn = (number - 1) % max(len(known), 1)
    return [*known[turn:], *known[:turn], *(["floor"] if "floor" in peers else [])]


def append(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Add lines to the results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as results:
        results.write("".join(json.dumps(line) + "\n" for line in lines))


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, flush=True)
