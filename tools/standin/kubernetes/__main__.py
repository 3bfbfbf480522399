"""`pulumi-resource-kubernetes`, the stand-in, as the engine starts it."""

from __future__ import annotations

import asyncio
import os

from pulumi.runtime.proto import provider_pb2_grpc

from codecanvas_provider.engine import Engine
from tools.pins import KUBERNETES_PLUGIN_VERSION
from tools.standin.kubernetes.server import BANNER, Servicer
from tools.standin.serving import engine_address, serve


async def _run(address: str | None) -> None:
    engine = Engine(address) if address else None
    servicer = Servicer(engine)
    await serve(
        lambda server: provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server),
        engine,
        servicer.cancelled,
    )


def main() -> None:
    """Serve until the engine is gone."""
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    asyncio.run(_run(engine_address(BANNER, KUBERNETES_PLUGIN_VERSION)))


if __name__ == "__main__":
    main()
