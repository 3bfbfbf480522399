"""The plugin's link to the engine that started it: messages for the user, and whether it is still there."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

import grpc  # type: ignore[import-untyped] # grpc ships no types
import grpc.aio  # type: ignore[import-untyped] # as above
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

if TYPE_CHECKING:
    from codecanvas_provider.resource import Severity

RECONNECT_SECONDS: Final = 2.0
"""How long an engine that stopped listening may take to come back before it counts as gone."""

_SEVERITIES: Final = {
    "debug": engine_pb2.DEBUG,
    "info": engine_pb2.INFO,
    "warning": engine_pb2.WARNING,
    "error": engine_pb2.ERROR,
}


class Engine:
    """An engine at an address such as `127.0.0.1:40123`. To be made inside the event loop."""

    def __init__(self, address: str) -> None:
        self.address = address
        # The engine is on this machine: a proxy from the environment must not come between.
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.enable_http_proxy", 0)])
        self._stub = engine_pb2_grpc.EngineStub(self._channel)

    async def log(self, urn: str, message: str, severity: Severity, *, ephemeral: bool) -> None:
        """Show a message on a resource's row. That it cannot be shown never fails the operation."""
        request = engine_pb2.LogRequest(severity=_SEVERITIES[severity], message=message, urn=urn, ephemeral=ephemeral)
        with contextlib.suppress(grpc.RpcError):
            await self._stub.Log(request)

    async def wait_until_gone(self) -> None:
        """Return once the engine no longer listens."""
        while True:
            state = self._channel.get_state(try_to_connect=True)
            if state is grpc.ChannelConnectivity.TRANSIENT_FAILURE and not await self._comes_back():
                return
            await self._channel.wait_for_state_change(state)

    async def _comes_back(self) -> bool:
        try:
            await asyncio.wait_for(self._channel.channel_ready(), RECONNECT_SECONDS)
        except asyncio.TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """Let go of the connection."""
        await self._channel.close()
