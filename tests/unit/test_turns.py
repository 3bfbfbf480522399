"""The turns of platforms: no more are under way than the engine does things at a time, and none keeps its for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pulumi
import pytest
from pulumi.runtime.settings import SETTINGS

from pulumi_codecanvas.turns import Turn

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator


def pending() -> Any:
    """Make a future; Pulumi's types know no other awaitable of which the result is open."""
    return asyncio.get_running_loop().create_future()


class Child:
    """Stands in for a platform's last child: only its `urn` counts."""

    def __init__(self) -> None:
        self.made = pending()
        self.urn: pulumi.Output[str] = pulumi.Output.from_input(self.made)


@pytest.fixture(autouse=True)
def two_hands() -> Iterator[None]:
    before = SETTINGS.parallel
    SETTINGS.parallel = 2
    yield
    SETTINGS.parallel = before


def declare(*needs: object) -> tuple[Turn, Child]:
    turn, last = Turn(needs), Child()
    turn.end_with(cast("pulumi.Resource", last))
    return turn, last


async def has_begun(turn: Turn) -> bool:
    assert turn.begun is not None
    for _ in range(50):
        await asyncio.sleep(0)
    ready = asyncio.ensure_future(turn.begun.future())
    done, _ = await asyncio.wait([ready], timeout=0.02)
    return bool(done)


def run(test: Coroutine[object, object, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_no_more_platforms_are_under_way_than_the_engine_has_hands() -> None:
    async def check() -> None:
        platforms = [declare() for _ in range(3)]
        assert [await has_begun(turn) for turn, _ in platforms] == [True, True, False]
        platforms[1][1].made.set_result("urn")
        assert await has_begun(platforms[2][0])

    run(check())


def test_a_platform_that_fails_gives_its_place_away() -> None:
    async def check() -> None:
        platforms = [declare() for _ in range(3)]
        assert not await has_begun(platforms[2][0])
        platforms[0][1].made.set_exception(ValueError("refused"))
        assert await has_begun(platforms[2][0])

    run(check())


def test_a_platform_that_waits_for_its_cluster_keeps_no_place() -> None:
    async def check() -> None:
        cluster = pending()
        waiting = [declare(pulumi.Output.from_input(cluster)) for _ in range(2)]
        ready, _ = declare()
        assert await has_begun(ready)
        assert not await has_begun(waiting[0][0])
        cluster.set_result("kubeconfig")
        assert await has_begun(waiting[0][0])

    run(check())


def test_a_need_that_fails_or_is_unknown_lets_the_platform_begin_and_tell() -> None:
    async def check() -> None:
        failed, nothing, no = pending(), pending(), pending()
        failed.set_exception(ValueError("no cluster"))
        nothing.set_result(None)
        no.set_result(False)
        unknown: pulumi.Output[str] = pulumi.Output(set(), nothing, no)
        needs = [pulumi.Output.from_input(failed), unknown]
        assert [await has_begun(turn) for turn, _ in map(declare, needs)] == [True, True]

    run(check())


def test_a_declaration_that_fails_takes_no_place() -> None:
    async def check() -> None:
        half = [Turn([]) for _ in range(2)]
        assert [await has_begun(turn) for turn in half] == [True, True]
        assert [await has_begun(turn) for turn, _ in [declare(), declare()]] == [True, True]

    run(check())


def test_a_program_without_an_engine_has_no_turns() -> None:
    SETTINGS.parallel = None
    assert Turn([]).begun is None
