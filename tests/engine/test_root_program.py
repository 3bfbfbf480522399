"""The root program on the real engine: platforms come, go and stay as the config says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.names import unique

if TYPE_CHECKING:
    from tests.support.stack import Stack

pytestmark = pytest.mark.engine


def test_second_up_changes_nothing(stack: Stack) -> None:
    stack.set(unique("eu"))
    stack.set(unique("us"))
    stack.up()
    assert stack.up("--expect-no-changes").changes == {}
