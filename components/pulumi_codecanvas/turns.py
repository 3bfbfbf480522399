"""Whose turn it is among the platforms of a program.

The engine does so many things at a time (`--parallel`), in the order in which they are declared. Of a fleet it would
begin every release before the first test: wait for Helm with all hands full and nothing to write, and only then write
the rest of the state, which a file backend does as a whole at each step. With no more platforms under way than it has
hands, waiting and writing go side by side; and what is wrong with all of them leaves a few half made, not each.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import pulumi
from pulumi.runtime.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterable

# A plugin's process constructs the platforms of one program one by one, all in its one loop.
_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Turn:
    """One platform's turn: it waits for what it needs from elsewhere, then for its place, and keeps that to its end.

    Args:
        needs: inputs that others make, such as the address of a cluster in the same program; no place is kept
            while they are not there yet.

    """

    def __init__(self, needs: Iterable[Any]) -> None:
        self._last: pulumi.Resource | None = None
        self.begun: pulumi.Output[list[pulumi.Resource]] | None = None
        """What the platform's first children depend on: nothing, once it is the platform's turn."""
        places = _find_places()
        if places:
            lifted = [pulumi.Output.from_input(need) for need in needs]
            self.begun = pulumi.Output.from_input(self._begin(places, lifted))

    def end_with(self, last: pulumi.Resource) -> None:
        """Give the place to another platform once the last child is made or has failed."""
        self._last = last

    async def _begin(self, places: asyncio.Semaphore, needs: list[pulumi.Output[Any]]) -> list[pulumi.Resource]:
        if self._last is None:
            return []  # the declaration itself failed
        # What fails tells so where it is used.
        await asyncio.gather(*(need.future(with_unknowns=True) for need in needs), return_exceptions=True)
        await places.acquire()
        made = asyncio.ensure_future(self._last.urn.future(with_unknowns=True))
        made.add_done_callback(lambda ended: _leave(places, ended))
        return []


def _leave(places: asyncio.Semaphore, ended: asyncio.Future[Any]) -> None:
    if not ended.cancelled():
        ended.exception()  # looked at, or asyncio reports it; the child itself tells the user
    places.release()


def _find_places() -> asyncio.Semaphore | None:
    """Give the places of this program; None where it runs without an engine, as in tests with mocks."""
    hands = SETTINGS.parallel
    if not hands:
        return None
    loop = asyncio.get_running_loop()
    if loop not in _places:
        _places[loop] = asyncio.Semaphore(hands)
    return _places[loop]
