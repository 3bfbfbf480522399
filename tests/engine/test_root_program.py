"""The root program on the real engine: platforms come, go and stay as the config says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.checkout_copy import copy_checkout
from tests.support.names import unique

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stack import Stack

pytestmark = pytest.mark.engine


def test_second_up_changes_nothing(stack: Stack) -> None:
    stack.set(unique("eu"))
    stack.set(unique("us"))
    stack.up()
    assert stack.up("--expect-no-changes").changes == {}


def test_up_from_a_clone_elsewhere_changes_nothing(stack: Stack, tmp_path: Path) -> None:
    name = unique("moved")
    stack.set(name, chart="./tools/charts/codecanvas-operator", podTemplate="tools/charts/worker-pod.yaml")
    stack.up()
    copy = copy_checkout(tmp_path / "clone")
    (copy / "components" / "pulumi_codecanvas" / "stack.py").open("a").write("\nprint('this is the clone')\n")
    stack.program = stack.cwd = copy
    again = stack.up("--expect-no-changes")
    assert again.changes == {}
    # It was the clone's code that ran.
    assert "this is the clone" in again.text
    assert str(copy) not in stack.export()
