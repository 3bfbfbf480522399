"""`pulumi-language-python`, the stand-in, as the engine starts it."""

from __future__ import annotations

import asyncio
import os

from pulumi.runtime.proto import language_pb2_grpc

from codecanvas_provider.engine import Engine
from tools.pins import PULUMI_VERSION
from tools.standin.python_host.host import PythonHost
from tools.standin.serving import engine_address, serve

BANNER = """pulumi-language-python: a stand-in of the codecanvas project for Pulumi's language host for Python.

It runs programs and plugins that are written in Python, and nothing else: no code generation, no type check, no
debugger. The Pulumi engine starts it; there is no need to."""


async def _run(address: str | None) -> None:
    engine = Engine(address) if address else None
    host = PythonHost(address or "")
    await serve(lambda server: language_pb2_grpc.add_LanguageRuntimeServicer_to_server(host, server), engine, host.end)


def main() -> None:
    """Serve until the engine is gone."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    asyncio.run(_run(engine_address(BANNER, PULUMI_VERSION)))


if __name__ == "__main__":
    main()
