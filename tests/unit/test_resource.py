from __future__ import annotations

import asyncio

from tests.support.calls import Log


def test_a_progress_text_that_stands_there_already_is_not_shown_again() -> None:
    log = Log()

    async def work() -> None:
        context, other = log.context(), log.context()
        for text in ("one", "one", "two", "two", "one"):
            await context.status(text)
        await other.status("one")
        for _ in range(2):
            await context.log("said")

    asyncio.run(work())
    assert log.progress == ["one", "two", "one", "one"]
    assert log.messages == ["said", "said"]
