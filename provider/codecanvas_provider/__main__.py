"""`pulumi-resource-codecanvas ENGINE-ADDRESS`: the plugin's process, as the engine starts it."""

from __future__ import annotations

import asyncio
import atexit
import functools
import os
import resource
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from codecanvas_provider.release_watch import ReleaseWatches
    from codecanvas_provider.resource import CustomResource
    from codecanvas_provider.server import Function

GRACE_SECONDS: Final = 2.0
"""How long running requests may take to end at a stop; the engine kills the process after 5."""

_USAGE: Final = """usage: pulumi-resource-codecanvas [ENGINE-ADDRESS]

The Pulumi plugin of the package codecanvas. Pulumi starts it; there is no need to."""


def main() -> None:
    """Serve until the engine is gone or asks to stop."""
    # Pulumi puts options such as --logtostderr before the address.
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(_USAGE)  # noqa: T201 - asked for by a person
        return
    if "--version" in sys.argv[1:]:
        from pulumi_codecanvas.version import VERSION

        print(VERSION)  # noqa: T201 - asked for by a person
        return
    # The memory of this process holds private keys, so a crash must leave none of it on a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # gRPC would write to stderr that the engine went away, which is how the plugin commonly ends.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    asyncio.run(_serve(arguments[-1] if arguments else None))


def custom_resources() -> list[CustomResource]:
    """List the resources that the plugin serves."""
    from codecanvas_provider.connection_key import ConnectionKey
    from codecanvas_provider.connection_test import ConnectionTest
    from codecanvas_provider.dev_environments import DevEnvironments

    return [ConnectionKey(), ConnectionTest(releases=_release_watches()), DevEnvironments()]


def functions() -> dict[str, Function]:
    """List the functions that the plugin serves, by token."""
    from codecanvas_provider.cluster_identity import ClusterIdentity
    from codecanvas_provider.leftovers import Leftovers
    from codecanvas_provider.missing_rights import MissingRights
    from codecanvas_provider.platform_status import PlatformStatus
    from codecanvas_provider.release_recovery import ReleaseRecovery

    served = (
        PlatformStatus(),
        _release_watches(),
        ReleaseRecovery(),
        Leftovers(),
        MissingRights(),
        ClusterIdentity(),
    )
    return {token: function for each in served for token, function in each.functions().items()}


@functools.cache
def _release_watches() -> ReleaseWatches:
    """Give the one set of watches that the functions begin and the connection test ends."""
    from codecanvas_provider.release_watch import ReleaseWatches

    return ReleaseWatches()


async def _serve(address: str | None) -> None:
    from codecanvas_provider.engine import Engine
    from codecanvas_provider.server import Servicer, make_server

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    engine = Engine(address) if address else None
    servicer = Servicer(custom_resources(), functions(), engine)
    server, port = make_server(servicer)
    await server.start()
    print(port, flush=True)  # noqa: T201 - how the engine learns where to connect

    ends: list[asyncio.Task[object]] = [asyncio.create_task(stop.wait())]
    if engine:
        ends.append(asyncio.create_task(engine.wait_until_gone()))
    await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    servicer.cancelled.set()
    await server.stop(GRACE_SECONDS)
    _leave()


def _leave() -> NoReturn:
    """End the process without waiting for its threads: one that waits for a cluster cannot be ended otherwise."""
    atexit._run_exitfuncs()  # noqa: SLF001 - no public way; traces that were asked for are sent here
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
