"""Registering a platform without the SDK's debug messages.

Pulumi's SDK tells the engine of each step of each registration, and waits for the answer before it does anything else:
twenty requests a platform, also where nothing changes and nobody reads them. What it writes there, such as outputs, is
in plain text, secret or not.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import engine_pb2
from pulumi.runtime.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator


class _QuietEngine:
    """The engine, which is told everything but debug messages."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def Log(self, request: engine_pb2.LogRequest) -> Any:  # noqa: N802 - the engine's word
        """Pass on what people read."""
        return None if request.severity == engine_pb2.DEBUG else self._engine.Log(request)


@contextlib.contextmanager
def quiet_registrations() -> Iterator[None]:
    """Keep the SDK's debug messages of what the block registers to itself, those of the rest of the program untouched.

    The engine to talk to is a context variable: what is begun in the block keeps what is set here.
    """
    engine = SETTINGS.engine
    if engine is None:
        yield
        return
    SETTINGS.engine = _QuietEngine(engine)
    try:
        yield
    finally:
        SETTINGS.engine = engine
