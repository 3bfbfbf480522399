"""How a stand-in runs as a process of the Pulumi engine: arguments, port, end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import grpc.aio  # type: ignore[import-untyped] # grpc ships no types

if TYPE_CHECKING:
    from collections.abc import Callable

    from codecanvas_provider.engine import Engine

_MAX_MESSAGE_BYTES = 400 * 1024 * 1024
_GRACE_SECONDS = 2.0


def engine_address(banner: str, version: str) -> str | None:
    """Give the engine's address from the command line; answer `--help` and `--version` and leave."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(banner)
        sys.exit(0)
    if {"-version", "--version"} & set(sys.argv[1:]):
        print(f"{version} (stand-in)")
        sys.exit(0)
    # Pulumi puts options such as --logtostderr before the address.
    addresses = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    return addresses[-1] if addresses else None


async def serve(add_to: Callable[[Any], None], engine: Engine | None, cancelled: asyncio.Event) -> None:
    """Serve until the engine is gone or asks to stop; the port goes to the standard output, as the engine expects.

    Args:
        add_to: puts the service on a gRPC server.
        engine: who started us.
        cancelled: set when the end has come, so that what still runs ends.
    """
    options = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.server_max_unrequested_time_in_server", 30 * 60),
    ]
    server = grpc.aio.server(options=options)
    add_to(server)
    port = server.add_insecure_port("127.0.0.1:0")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await server.start()
    print(port, flush=True)
    ends: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    if engine:
        ends.append(asyncio.create_task(engine.wait_until_gone()))
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    cancelled.set()
    await server.stop(_GRACE_SECONDS)
    sys.stdout.flush()
    sys.stderr.flush()
    # A thread that still waits for a cluster would hold the process up.
    os._exit(0)
