"""Where a platform comes from, as Pulumi keeps it in the state: the line of the program that declared it.

Pulumi's SDK records every frame below that line as well, down to its own start, and all of it again with each child: a
fifth of the state, which a file backend writes as a whole at each step, and other paths on every machine.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_SDK_FRAMES = 4
"""Frames of the SDK above a resource's class at the moment when it looks at the stack."""


@contextlib.contextmanager
def brief_origin() -> Iterator[None]:
    """Have a component that is made in the block record where it was declared and nothing below."""
    # From the block to the component's constructor, whose caller is the program.
    frame, depth = sys._getframe(2), _SDK_FRAMES + 2  # noqa: SLF001 - the documented way to look at the stack
    while frame.f_back and frame.f_code.co_name != "__init__":
        frame, depth = frame.f_back, depth + 1
    with _seen_frames(depth):
        yield


@contextlib.contextmanager
def no_origin() -> Iterator[None]:
    """Have a child that is made in the block record no place: it comes from where its platform does."""
    with _seen_frames(1):
        yield


@contextlib.contextmanager
def _seen_frames(number: int) -> Iterator[None]:
    before = getattr(sys, "tracebacklimit", None)
    sys.tracebacklimit = number
    try:
        yield
    finally:
        if before is None:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = before
