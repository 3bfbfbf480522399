"""Pulumi's mocks in the engine's place: what a program registers, and with which options, seen without an engine."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime.mocks import MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.settings import SETTINGS

from pulumi_codecanvas.keys import generate_private_key, public_key_pem
from pulumi_codecanvas.tokens import IDENTIFY_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pulumi.runtime.proto import resource_pb2

KEY = generate_private_key()
"""What every connection key has for its private half."""

IDENTITY = "6f1f2a0e-54d6-4c0f-9d0c-6a8a3c1be2d4"
"""What tells every cluster."""

RELEASE = "kubernetes:helm.sh/v3:Release"
CONNECTION_KEY = "codecanvas:index:ConnectionKey"
CONNECTION_TEST = "codecanvas:index:ConnectionTest"


class Seen(Mocks):
    """Takes every registration, with what the engine would add to it.

    Attributes:
        resources: the registrations by type; of a repeated type, the last one.
        names: of the resources.
        requests: what the engine would have been asked for, by the resource's name, in the order of the requests.
        registered_outputs: of components, by the component's name; as on the wire.
    """

    def __init__(self) -> None:
        self.resources: dict[str, MockResourceArgs] = {}
        self.names: set[str] = set()
        self.requests: dict[str, resource_pb2.RegisterResourceRequest] = {}
        self.registered_outputs: dict[str, Any] = {}

    def new_resource(self, args: MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        self.resources[args.typ] = args
        self.names.add(args.name)
        added: dict[str, Any] = {}
        if args.typ == CONNECTION_KEY:
            added = {"privateKey": KEY, "publicKey": public_key_pem(KEY), "fingerprint": "SHA256:1"}
            added["cluster"] = IDENTITY
        elif args.typ == RELEASE:
            added = {"status": {"status": "deployed", "revision": 1}, "version": "2025.1.0"}
        elif args.typ == CONNECTION_TEST:
            added = {"checks": [{"name": "cluster", "status": "Success", "message": "v1.33.1"}]}
        return f"{args.name}-id", {**args.inputs, **added}

    def call(self, args: Any) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        if args.token != IDENTIFY_CLUSTER:
            raise AssertionError(args)
        return {"cluster": IDENTITY}, []

    def inputs(self, token: str) -> dict[str, Any]:
        return dict(self.resources[token].inputs)

    def waits_for(self, name: str) -> set[str]:
        """Name the resources that come before one, and go after it."""
        return names_of(self.requests[name].dependencies)

    def goes_with(self, name: str) -> set[str]:
        """Name the resource whose deletion takes another along."""
        request = self.requests[name]
        return names_of([request.deletedWith] if request.deletedWith else [])


def names_of(urns: Iterable[str]) -> set[str]:
    return {urn.rpartition("::")[2] for urn in urns}


class _Monitor(MockMonitor):
    """Notes the requests, of which the mocks only tell the inputs."""

    def __init__(self, seen: Seen) -> None:
        super().__init__(seen)
        self._seen = seen

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> Any:  # noqa: N802 - the engine's word
        # The first program of a process registers its stack as well.
        if request.type != "pulumi:pulumi:Stack":
            self._seen.requests[request.name] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call] # the SDK's

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> Any:  # noqa: N802 - as above
        (name,) = names_of([request.urn])
        self._seen.registered_outputs[name] = request.outputs
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call] # the SDK's


@contextlib.contextmanager
def mocked_engine() -> Iterator[Seen]:
    """Give what programs register that run in here, in an event loop of its own."""
    loop = asyncio.new_event_loop()
    # Pulumi's language host keeps asyncio as quiet about Outputs that failed and that nobody asked for.
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    # As `pulumi.runtime.test` does it: what an earlier test left belongs to another loop.
    SETTINGS.rpc_manager.clear()
    SETTINGS.outputs.clear()
    seen = Seen()
    set_mocks(seen, preview=False, monitor=_Monitor(seen))
    yield seen
    pulumi.runtime.set_all_config({})
    # A program that failed leaves Outputs that nobody will resolve.
    left = asyncio.all_tasks(loop)
    for task in left:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
    loop.close()
