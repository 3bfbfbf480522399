"""Waiting that neither blocks the event loop nor outlives the engine's wish to stop."""

from __future__ import annotations

import asyncio
import functools
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from pulumi_codecanvas.errors import CodeCanvasError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from codecanvas_provider.resource import Context

P = ParamSpec("P")
T = TypeVar("T")

MAX_THREADS = 32
"""Calls to API servers that run at a time in this process, over all platforms."""

# Not asyncio's own executor: that one has as few as five threads, and a call that waits for an API server to
# come back would hold up everything else in the process.
_threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="cluster")


@dataclass(frozen=True)
class Pace:
    """How often a wait looks again, in seconds.

    Attributes:
        first: the wait before the second look; it then grows.
        longest: the longest wait between two looks.
        confirm: between the two looks that must both find nothing.
        probe: between two tries whether a freeze block is in force.
        probe_timeout: how long a block may take to come into force; under a second is usual.

    """

    first: float = 0.3
    longest: float = 2.0
    confirm: float = 0.3
    probe: float = 0.2
    probe_timeout: float = 30.0

    def pauses(self) -> Iterator[float]:
        """Give the waits between looks, without end: each half as long again as the last, up to the longest."""
        wait = self.first
        while True:
            yield wait
            wait = min(self.longest, wait * 1.5)


class Cancelled(CodeCanvasError):  # noqa: N818 - the user's own wish is no error
    """The engine asked to stop while something was waited for."""

    def __init__(self) -> None:
        super().__init__("stopped on request before it was finished; the next `pulumi up` goes on from here")


class Deadline:
    """A point in time some seconds from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds until the deadline, never negative."""
        return max(0.0, self._end - time.monotonic())

    @property
    def passed(self) -> bool:
        """Whether the deadline is over."""
        return self.left == 0.0


async def in_thread(context: Context, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a blocking call in a thread and give its result.

    Raises `Cancelled` as soon as the engine asks to stop; the thread then finishes on its own, unheard.
    """
    if context.cancelled.is_set():
        raise Cancelled
    loop = asyncio.get_running_loop()
    work: asyncio.Future[Any] = loop.run_in_executor(_threads, functools.partial(call, *args, **kwargs))
    work.add_done_callback(_hear)
    stop: asyncio.Future[Any] = loop.create_task(context.cancelled.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.cancel()
    if not work.done():
        raise Cancelled
    result: T = work.result()
    return result


def _hear(work: asyncio.Future[Any]) -> None:
    """Take note of an outcome that nobody waits for any more, lest asyncio complain about it."""
    if not work.cancelled():
        work.exception()


async def pause(context: Context, seconds: float) -> None:
    """Wait; raise `Cancelled` as soon as the engine asks to stop."""
    try:
        await asyncio.wait_for(context.cancelled.wait(), seconds)
    except asyncio.TimeoutError:
        return
    raise Cancelled


async def settle(calls: Iterable[Awaitable[T]], *, at_a_time: int) -> list[T | Exception]:
    """Await all, so many at a time; give results and errors in order. `Cancelled` is raised at the end."""
    gate = asyncio.Semaphore(at_a_time)

    async def run(call: Awaitable[T]) -> T:
        async with gate:
            return await call

    outcomes: list[T | Exception] = []
    for outcome in await asyncio.gather(*(run(call) for call in calls), return_exceptions=True):
        if isinstance(outcome, BaseException) and (
            isinstance(outcome, Cancelled) or not isinstance(outcome, Exception)
        ):
            raise outcome
        outcomes.append(outcome)
    return outcomes
