from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import wait_for_rpcs

from pulumi_codecanvas.outputs import ResourceRegistrationFailed, gathered_outputs, without_dependencies

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

FLEET = 100


@pytest.fixture(autouse=True)
def _nothing_else_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SETTINGS, "outputs", set())


def run(program: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await program()

    return asyncio.run(asyncio.wait_for(main(), 10))


def promise() -> tuple[asyncio.Future[str], pulumi.Output[str]]:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    return future, pulumi.Output.from_input(future)


def test_the_sdk_waits_for_one_thing_instead_of_all_outputs() -> None:
    async def program() -> tuple[int, list[str]]:
        before, outside = promise()
        known = set(SETTINGS.outputs)
        with gathered_outputs():
            made = [promise() for _ in range(FLEET)]
        added = SETTINGS.outputs - known
        assert outside._data in SETTINGS.outputs
        before.set_result("known as well")
        heard: list[str] = []
        for future, output in made:
            output.apply(heard.append)
            future.set_result("known")
        await wait_for_rpcs()
        assert not SETTINGS.outputs
        return len(added), heard

    assert run(program) == (1, ["known"] * FLEET)


def test_the_first_error_ends_the_wait_while_others_are_unknown() -> None:
    async def program() -> None:
        with gathered_outputs():
            made = [promise() for _ in range(3)]
        made[1][0].set_exception(ValueError("the second one fails"))
        await wait_for_rpcs()

    with pytest.raises(ValueError, match="the second one fails"):
        run(program)


def test_a_resource_that_the_engine_goes_on_without_is_no_error() -> None:
    async def program() -> str:
        with gathered_outputs():
            made = [promise() for _ in range(3)]
        last: list[str] = []
        made[0][1].apply(last.append)
        made[1][0].set_exception(ResourceRegistrationFailed())
        made[2][0].set_exception(ResourceRegistrationFailed())
        made[0][0].set_result("the first one is made")
        await wait_for_rpcs()
        return last[0]

    assert run(program) == "the first one is made"


def test_nothing_is_added_where_nothing_was_made() -> None:
    async def program() -> int:
        with gathered_outputs():
            pass
        return len(SETTINGS.outputs)

    assert run(program) == 0


def test_a_value_can_be_given_without_what_it_hangs_on() -> None:
    async def program() -> tuple[Any, ...]:
        future = asyncio.get_running_loop().create_future()
        known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        known.set_result(True)
        secret: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        secret.set_result(True)
        maker: pulumi.Resource = object.__new__(pulumi.Resource)
        bare = without_dependencies(pulumi.Output({maker}, future, known, secret))
        future.set_result("value")
        return await bare.future(), await bare.resources(), await bare.is_known(), await bare.is_secret()

    assert run(program) == ("value", set(), True, True)
