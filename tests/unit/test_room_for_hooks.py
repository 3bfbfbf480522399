"""What the hooks need of the loop that they run in."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from pulumi_codecanvas.hooks import make_room


def test_hooks_have_a_thread_to_ask_with_while_all_others_wait_for_them() -> None:
    async def ask_while_registrations_wait() -> str:
        loop, answered = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(2))
        registrations = [loop.run_in_executor(None, answered.wait, 30) for _ in range(2)]
        make_room()
        make_room()
        more = [loop.run_in_executor(None, answered.wait, 30) for _ in range(100)]
        try:
            return await asyncio.wait_for(loop.run_in_executor(None, lambda: "answer"), 10)
        finally:
            answered.set()
            await asyncio.gather(*registrations, *more)

    assert asyncio.run(ask_while_registrations_wait()) == "answer"


def test_no_room_is_made_where_no_loop_runs() -> None:
    make_room()
