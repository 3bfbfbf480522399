from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest

from codecanvas_provider.resource import Context
from codecanvas_provider.waiting import Cancelled, Deadline, Pace, in_thread, pause, settle


def test_a_request_to_stop_does_not_wait_for_a_blocking_call() -> None:
    release = threading.Event()

    async def scenario() -> None:
        context = Context()
        asyncio.get_running_loop().call_later(0.05, context.cancelled.set)
        await in_thread(context, release.wait, 10)

    started = time.monotonic()
    with pytest.raises(Cancelled, match="stopped on request"):
        asyncio.run(scenario())
    release.set()
    assert time.monotonic() - started < 2


def test_a_request_to_stop_ends_a_pause() -> None:
    async def scenario() -> None:
        context = Context()
        asyncio.get_running_loop().call_later(0.05, context.cancelled.set)
        await pause(context, 10)

    with pytest.raises(Cancelled):
        asyncio.run(scenario())


def test_nothing_is_begun_after_a_request_to_stop() -> None:
    called: list[int] = []

    async def scenario() -> None:
        context = Context()
        context.cancelled.set()
        await in_thread(context, called.append, 1)

    with pytest.raises(Cancelled):
        asyncio.run(scenario())
    assert called == []


def test_settle_gives_results_and_errors_in_order_so_many_at_a_time() -> None:
    running = most = 0

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        if number == 3:
            raise ValueError(number)
        return number

    outcomes = asyncio.run(settle_all([work(number) for number in range(8)]))
    assert [outcome for outcome in outcomes if not isinstance(outcome, Exception)] == [0, 1, 2, 4, 5, 6, 7]
    assert isinstance(outcomes[3], ValueError)
    assert most == 3


async def settle_all(calls: list[object]) -> list[object]:
    return list(await settle(calls, at_a_time=3))  # type: ignore[arg-type] # coroutines, see the caller


def test_a_deadline_passes() -> None:
    assert not Deadline(60).passed
    assert 59 < Deadline(60).left <= 60
    assert Deadline(0).passed


def test_pauses_grow_up_to_the_longest_and_never_end() -> None:
    assert list(itertools.islice(Pace(first=1.0, longest=3.0).pauses(), 6)) == [1.0, 1.5, 2.25, 3.0, 3.0, 3.0]
