"""Stacks that earlier versions brought up: this version replaces nothing of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.languages.recording import RECORDED, STACK, declare, make_home
from tests.support.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path

    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

RECORDINGS = sorted(RECORDED.glob("*.json"))


def test_there_is_a_recording() -> None:
    assert RECORDINGS


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_a_preview_on_a_recorded_state_replaces_nothing(
    recording: Path, shared_cluster: LocalCluster, tmp_path: Path
) -> None:
    stack = Stack(make_home(tmp_path / "home"), shared_cluster.kubeconfig, name=STACK)
    stack._manage("stack", "import", "--file", str(recording))
    declare(stack)
    known = stack.names()
    changes = stack.preview().changes
    # What is new may be created, what changed updated; nothing that a user has goes or is made anew.
    assert {name: op for name, op in changes.items() if op not in {"create", "update"}} == {}
    assert {name for name, op in changes.items() if op == "create"} & known == set()
