"""Stacks that earlier versions brought up: this version replaces nothing of them."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from codecanvas_provider import cluster as cluster_module
from codecanvas_provider.cluster import Cluster, Kind
from tests.languages.recording import RECORDED, STACK, declare, make_home
from tests.support.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

RECORDINGS = sorted(RECORDED.glob("*.json"))
KINDS = {kind.name: kind for kind in vars(cluster_module).values() if isinstance(kind, Kind)}


@contextmanager
def recorded_objects(recording: Path, admin: Cluster) -> Iterator[None]:
    """Have a recording's objects in the cluster: a preview of an update of one that is not there fails."""
    resources = json.loads(recording.read_text())["deployment"]["resources"]
    objects = [
        resource["inputs"]
        for resource in resources
        if resource["type"].startswith("kubernetes:") and "metadata" in resource["inputs"]
    ]
    objects.sort(key=lambda manifest: manifest["kind"] != "Namespace")
    try:
        for manifest in objects:
            admin.apply(KINDS[manifest["kind"]], manifest, manifest["metadata"].get("namespace"))
        yield
    finally:
        for manifest in objects:
            admin.delete(KINDS[manifest["kind"]], manifest["metadata"]["name"], manifest["metadata"].get("namespace"))


def test_there_is_a_recording() -> None:
    assert RECORDINGS


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_a_preview_on_a_recorded_state_replaces_nothing(
    recording: Path, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path
) -> None:
    stack = Stack(make_home(tmp_path / "home"), shared_cluster.kubeconfig, name=STACK)
    stack._manage("stack", "import", "--file", str(recording))
    declare(stack)
    known = stack.names()
    with recorded_objects(recording, admin):
        changes = stack.preview().changes
    # What is new may be created, what changed updated; nothing that a user has goes or is made anew.
    assert {name: op for name, op in changes.items() if op not in {"create", "update"}} == {}
    assert {name for name, op in changes.items() if op == "create"} & known == set()
