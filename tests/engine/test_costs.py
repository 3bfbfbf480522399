"""What a platform costs, counted: numbers that no slow or busy machine changes, so that a growth fails here.

A limit that is exceeded is no reason to raise it: find out what asks, writes or keeps more than before.
"""

from __future__ import annotations

import collections
import json
from typing import TYPE_CHECKING

import pytest

from pulumi_codecanvas.tokens import COMPUTING_PLATFORM
from tests.bench.audit import AuditLog
from tests.support.names import unique

if TYPE_CHECKING:
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

ADDED = 3
RESOURCES = 7
WRITES = 22
READS = 300
STATE_BYTES = 22_500
REQUESTS_WITHOUT_CHANGES = 1
WRITES_TO_DESTROY = 30
READS_TO_DESTROY = 300


class Requests:
    """Counts what the engine's plugins ask of the API server."""

    def __init__(self, cluster: LocalCluster) -> None:
        self._log = AuditLog(cluster.audit_log)

    def take(self) -> collections.Counter[str]:
        """Give the number of requests since the last look, by verb and kind."""
        references = [(event["verb"], event.get("objectRef") or {}) for event in self._log.take()]
        return collections.Counter(f"{verb} {reference.get('resource', 'other')}" for verb, reference in references)


def test_a_platform_costs_no_more_than_it_did(stack: Stack, shared_cluster: LocalCluster) -> None:
    stack.set(unique("first"))
    stack.up()
    state, names = stack.export(), stack.names()
    requests = Requests(shared_cluster)
    for _ in range(ADDED):
        stack.set(unique("more"))
    stack.up()
    to_create = requests.take()
    assert len(stack.names() - names) / ADDED == RESOURCES
    made = [
        resource for resource in json.loads(state)["deployment"]["resources"] if "ComputingPlatform" in resource["urn"]
    ]
    assert len(made) == RESOURCES
    origins = {resource["type"]: len(resource["stackTrace"]) for resource in made if "stackTrace" in resource}
    assert origins == {COMPUTING_PLATFORM: 1}, "the line that declares a platform tells where all of it comes from"
    _expect(to_create, ADDED, writes=WRITES, reads=READS)
    assert (len(_compact(stack.export())) - len(_compact(state))) / ADDED <= STATE_BYTES
    requests.take()
    stack.up("--expect-no-changes")
    unchanged = requests.take()
    assert unchanged.total() / (ADDED + 1) <= REQUESTS_WITHOUT_CHANGES, unchanged.most_common()
    stack.destroy()
    to_destroy = requests.take()
    _expect(to_destroy, ADDED + 1, writes=WRITES_TO_DESTROY, reads=READS_TO_DESTROY)


def _expect(requests: collections.Counter[str], platforms: int, *, writes: int, reads: int) -> None:
    """Compare with the limits a platform; that of reads is wide: who waits looks the more often the longer it takes."""
    looks = sum(count for request, count in requests.items() if request.split()[0] in {"get", "list", "watch"})
    assert (requests.total() - looks) / platforms <= writes, requests.most_common()
    assert looks / platforms <= reads, requests.most_common()


def _compact(state: str) -> str:
    """Write a state without what is longer on one machine than on another."""
    deployment = json.loads(state)["deployment"]
    for resource in deployment["resources"]:
        for name in ("stackTrace", "sourcePosition"):
            resource.pop(name, None)
    return json.dumps(deployment, separators=(",", ":"))
