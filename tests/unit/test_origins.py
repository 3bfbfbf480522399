"""What a platform records of where it comes from: the line that declared it; its children nothing."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from pulumi_codecanvas.origins import brief_origin, no_origin

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager


def look_at_stack() -> list[str]:
    """Stand in for the SDK's four frames: give the names that it would see, the program's first."""

    def register() -> list[str]:
        def construct() -> list[str]:
            def trace() -> list[str]:
                return [frame.name for frame in traceback.extract_stack()]

            return trace()

        return construct()

    return register()


class Component:
    def __init__(self, depth: int) -> None:
        self.seen = self.declare(depth)

    def declare(self, depth: int) -> list[str]:
        if depth:
            return self.declare(depth - 1)
        with brief_origin():
            return look_at_stack()


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_the_outermost_frame_recorded_is_the_caller_of_the_component(depth: int) -> None:
    def program() -> Component:
        return Component(depth)

    assert program().seen[:2] == ["program", "__init__"]


@pytest.mark.parametrize("origin", [brief_origin, no_origin])
def test_tracebacks_are_as_long_as_before_afterwards(origin: Callable[[], AbstractContextManager[None]]) -> None:
    before = getattr(sys, "tracebacklimit", None)
    with pytest.raises(ValueError, match="refused"), origin():
        raise ValueError("refused")
    assert getattr(sys, "tracebacklimit", None) == before
