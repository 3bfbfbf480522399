"""What the SDK tells the engine while a platform is registered: nothing but what people read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from pulumi.runtime.settings import SETTINGS

from pulumi_codecanvas.quiet import quiet_registrations

if TYPE_CHECKING:
    from pulumi.runtime.proto import engine_pb2


class Engine:
    """Takes what it is told.

    Attributes:
        told: the messages.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def Log(self, request: engine_pb2.LogRequest) -> None:  # noqa: N802 - the engine's word
        self.told.append(request.message)

    def GetRootResource(self) -> str:  # noqa: N802 - the engine's word
        return "root"


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    monkeypatch.setattr(SETTINGS, "engine", made)
    return made


def test_debug_messages_of_a_registration_are_kept_back(engine: Engine) -> None:
    async def register() -> None:
        await asyncio.sleep(0)
        pulumi.log.debug("registering")
        pulumi.log.warn("read this")

    async def program() -> None:
        with quiet_registrations():
            begun = asyncio.ensure_future(register())
            pulumi.log.debug("preparing")
        pulumi.log.debug("the program's own")
        await begun
        pulumi.log.debug("its last word")

    asyncio.run(program())
    assert engine.told == ["the program's own", "read this", "its last word"]


def test_the_engine_answers_everything_else(engine: Engine) -> None:
    with quiet_registrations():
        inner: Any = SETTINGS.engine
        assert inner.GetRootResource() == "root"
    assert SETTINGS.engine is engine


def test_the_engine_is_back_after_an_error(engine: Engine) -> None:
    with pytest.raises(ValueError, match="refused"), quiet_registrations():
        raise ValueError("refused")
    assert SETTINGS.engine is engine


def test_a_program_without_an_engine_stays_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SETTINGS, "engine", None)
    with quiet_registrations():
        assert SETTINGS.engine is None
