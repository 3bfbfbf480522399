"""The outputs inside a platform, waited for in a time that grows with their number and not with its square.

Pulumi's SDK waits at the end of a program until one output is known, then looks at all that are left, and so on: of a
fleet's thousands of outputs, most of which nobody sees, that took more time than everything else in the program.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import ResourceRegistrationFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator


@contextlib.contextmanager
def gathered_outputs() -> Iterator[None]:
    """Give the SDK one thing to wait for instead of all outputs that the block makes; it fails as the first of them."""
    known = set(SETTINGS.outputs)
    yield
    with SETTINGS.lock:
        made = SETTINGS.outputs - known
        if made:
            SETTINGS.outputs.difference_update(made)
            SETTINGS.outputs.add(_track(made))


def _track(outputs: Collection[asyncio.Future[object]]) -> asyncio.Task[None]:
    task = asyncio.ensure_future(_settle(outputs))

    def drop(ended: asyncio.Task[None]) -> None:
        # One that failed stays, for the SDK to tell; asked for its error, it is not told about a second time.
        if not ended.cancelled() and ended.exception() is None:
            with SETTINGS.lock:
                SETTINGS.outputs.discard(ended)

    task.add_done_callback(drop)
    return task


async def _settle(outputs: Collection[asyncio.Future[object]]) -> None:
    """Return when all are known; raise the first error, except that of a resource that the engine goes on without."""
    ended = asyncio.get_running_loop().create_future()
    left = len(outputs)

    def note(output: asyncio.Future[object]) -> None:
        nonlocal left
        left -= 1
        error = None if output.cancelled() else output.exception()
        if ended.done():
            return
        if error is not None and not isinstance(error, ResourceRegistrationFailed):
            ended.set_exception(error)
        elif not left:
            ended.set_result(None)

    for output in outputs:
        output.add_done_callback(note)
    await ended
