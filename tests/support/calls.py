"""Calling the plugin's resources directly, as its server would, and seeing what a user would see."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from codecanvas_provider.resource import Context

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")


def run(call: Awaitable[T], seconds: float = 20) -> T:
    """Await something in an event loop of its own."""

    async def main() -> T:
        return await asyncio.wait_for(call, seconds)

    return asyncio.run(main())


class Log:
    """Collects what a user would see.

    Attributes:
        messages: what stays in the output.
        progress: what stood on the resource's row for a while.

    """

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.progress: list[str] = []

    async def __call__(self, urn: str, message: str, severity: str, *, ephemeral: bool) -> None:  # noqa: ARG002
        (self.progress if ephemeral else self.messages).append(message)

    def context(self, **options: Any) -> Context:
        """Make a context that logs here."""
        return Context(sink=self, **options)
