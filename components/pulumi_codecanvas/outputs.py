"""The outputs inside a platform: waited for in a time that grows with their number, and what they hang on.

Pulumi's SDK waits at the end of a program until one output is known, then looks at all that are left, and so on: of a
fleet's thousands of outputs, most of which nobody sees, that took more time than everything else in the program.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pulumi
from pulumi.runtime.settings import SETTINGS

try:
    from pulumi.runtime.stack import ResourceRegistrationFailed
except ImportError:

    class ResourceRegistrationFailed(Exception):  # type: ignore[no-redef] # noqa: N818 - its name in the SDK
        """Stands in for the SDK's from 3.271 on, where the outputs of a failed resource are unknown instead."""


if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Generator, Iterator

__all__ = ["ResourceRegistrationFailed", "gathered_outputs", "without_dependencies"]

T = TypeVar("T")


@dataclass(frozen=True)
class _Later(Awaitable[T]):
    """A coroutine that begins when it is awaited: of an output that fails not all are."""

    begin: Callable[[], Coroutine[Any, Any, T]]

    def __await__(self) -> Generator[Any, Any, T]:
        return self.begin().__await__()


def without_dependencies(output: pulumi.Output[T]) -> pulumi.Output[T | None]:
    """Give an output's value to a child that comes later anyhow, by what it depends on.

    Else the state names the resource that the output is of twice more: among the child's dependencies and as the
    property's.
    """
    value = _Later(lambda: output.future(with_unknowns=True))
    return pulumi.Output(set(), value, _Later(output.is_known), _Later(output.is_secret))


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
