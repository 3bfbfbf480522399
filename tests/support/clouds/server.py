# ruff: noqa: N802, ARG002 - methods and their parameters are the protocol's, used or not
"""The gRPC service of a stand-in: the provider protocol over a `Package`'s tables, or over components."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

import grpc.aio  # type: ignore[import-untyped] # grpc ships no types
from google.protobuf import empty_pb2  # type: ignore[import-untyped] # protobuf ships no types
from pulumi.provider.server import ProviderServicer
from pulumi.runtime.proto import plugin_pb2
from pulumi.runtime.proto import provider_pb2 as proto

from codecanvas_provider import wire
from codecanvas_provider.resource import UNKNOWN
from tests.support.clouds import sdk
from tests.support.clouds.eks import Eks
from tests.support.clouds.kubernetes import Kubernetes, read_place
from tests.support.clouds.package import Package, Place, RefusedError
from tests.support.clouds.store import Record, Store

if TYPE_CHECKING:
    from pathlib import Path

_REFUSED: Final = grpc.StatusCode.FAILED_PRECONDITION


class StandIn(ProviderServicer):
    """Serves a package's resources and functions, and the components of `eks`.

    A type or function that the tables do not have is an error: a stand-in answers nothing that it was not made for.
    """

    def __init__(self, package: Package, store: Store, kubeconfig: Path, engine: str) -> None:
        super().__init__(Eks(), [], engine)
        self._package = package
        self._store = store
        self._kubeconfig = kubeconfig
        self._place = Place({}, *read_place(kubeconfig))

    async def Handshake(self, request: proto.ProviderHandshakeRequest, context: Any) -> Any:
        return proto.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    async def GetPluginInfo(self, request: empty_pb2.Empty, context: Any) -> Any:
        return plugin_pb2.PluginInfo(version=sdk.version(self._package.name))

    async def CheckConfig(self, request: proto.CheckRequest, context: Any) -> Any:
        return proto.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: proto.DiffRequest, context: Any) -> Any:
        return proto.DiffResponse()

    async def Configure(self, request: proto.ConfigureRequest, context: Any) -> Any:
        settings = {key: str(value) for key, value in wire.decode(request.args).values.items() if value is not UNKNOWN}
        self._place = Place(settings, self._place.endpoint, self._place.certificate)
        return proto.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True
        )

    async def Invoke(self, request: proto.InvokeRequest, context: Any) -> Any:
        if request.tok not in self._package.functions:
            await context.abort(_REFUSED, f"the stand-in for {self._package.name} has no function {request.tok}")
        arguments = {key: value for key, value in wire.decode(request.args).values.items() if value is not None}
        try:
            result = self._package.functions[request.tok](self._place, arguments)
        except RefusedError as error:
            await context.abort(_REFUSED, str(error))
        await self._refuse(context, sdk.result_faults(request.tok, result))
        # `return` is a keyword, so the field cannot be named in a call.
        return proto.InvokeResponse(**{"return": wire.encode(result)})

    async def Check(self, request: proto.CheckRequest, context: Any) -> Any:
        token = _token(request.urn)
        if token not in self._package.resources:
            await context.abort(_REFUSED, f"the stand-in for {self._package.name} has no resource {token}")
        faults = sdk.input_faults(token, _given(wire.decode(request.news)))
        if faults:
            return proto.CheckResponse(failures=[proto.CheckFailure(reason=fault) for fault in faults])
        return proto.CheckResponse(inputs=request.news)

    async def Diff(self, request: proto.DiffRequest, context: Any) -> Any:
        old, new = _given(wire.decode(request.old_inputs)), _given(wire.decode(request.news))
        changed = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        kind = proto.DiffResponse.DIFF_SOME if changed else proto.DiffResponse.DIFF_NONE
        return proto.DiffResponse(changes=kind, diffs=changed)

    async def Create(self, request: proto.CreateRequest, context: Any) -> Any:
        token, inputs = _token(request.urn), wire.decode(request.properties)
        if request.preview:
            unknown = dict.fromkeys(sdk.output_names(token), UNKNOWN)
            return proto.CreateResponse(properties=wire.encode({**unknown, **_given(inputs)}, inputs.secrets))
        try:
            added = self._package.resources[token](self._place, request.urn.rpartition("::")[2], _given(inputs))
        except RefusedError as error:
            await context.abort(_REFUSED, str(error))
        id_ = str(added.pop("id"))
        await self._refuse(context, sdk.output_faults(token, added))
        outputs = {**_given(inputs), **added}
        await self._furnish(token, id_, outputs)
        self._store.put(Record(token, id_, _given(inputs), outputs))
        return proto.CreateResponse(id=id_, properties=wire.encode(outputs, inputs.secrets))

    async def Read(self, request: proto.ReadRequest, context: Any) -> Any:
        record = self._store.get(_token(request.urn), request.id)
        if record is None:
            return proto.ReadResponse()
        secrets = wire.decode(request.inputs).secrets
        return proto.ReadResponse(
            id=record.id, inputs=wire.encode(record.inputs, secrets), properties=wire.encode(record.outputs, secrets)
        )

    async def Update(self, request: proto.UpdateRequest, context: Any) -> Any:
        token, inputs = _token(request.urn), wire.decode(request.news)
        outputs = {**wire.decode(request.olds).values, **_given(inputs)}
        if not request.preview:
            if "latestVersion" in outputs:
                outputs["latestVersion"] += 1
            await self._furnish(token, request.id, outputs)
            self._store.put(Record(token, request.id, _given(inputs), outputs))
        return proto.UpdateResponse(properties=wire.encode(outputs, inputs.secrets))

    async def Delete(self, request: proto.DeleteRequest, context: Any) -> Any:
        token = _token(request.urn)
        if token in self._package.cluster_parts:
            left = await asyncio.to_thread(Kubernetes(self._kubeconfig).platform_objects)
            if left:
                await context.abort(_REFUSED, f"{request.id}: the cluster still holds {', '.join(left)}")
        try:
            self._store.delete(token, request.id)
        except RefusedError as error:
            await context.abort(_REFUSED, str(error))
        for node in self._nodes(token, request.id, wire.decode(request.properties).values):
            await asyncio.to_thread(Kubernetes(self._kubeconfig).remove_node, node["metadata"]["name"])
        return empty_pb2.Empty()

    async def _furnish(self, token: str, id_: str, outputs: dict[str, Any]) -> None:
        """Let a node group have its nodes."""
        for node in self._nodes(token, id_, outputs):
            await asyncio.to_thread(Kubernetes(self._kubeconfig).add_node, node)

    def _nodes(self, token: str, id_: str, outputs: dict[str, Any]) -> list[dict[str, Any]]:
        return self._package.nodes[token](id_, outputs) if token in self._package.nodes else []

    async def _refuse(self, context: Any, faults: list[str]) -> None:
        """Fail where the stand-in itself is not true to the SDK."""
        if faults:
            await context.abort(grpc.StatusCode.INTERNAL, "the stand-in is wrong: " + "; ".join(faults))


async def serve(package: Package, store: Store, kubeconfig: Path, engine: str) -> None:
    """Serve until the process is ended; the port goes to the standard output, as the engine expects."""
    from pulumi.runtime.proto import provider_pb2_grpc

    options = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]
    server = grpc.aio.server(options=options)
    servicer = StandIn(package, store, kubeconfig, engine)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # noqa: T201 - how the engine learns where to connect
    try:
        await server.wait_for_termination()
    finally:
        # An engine that is short of time does not wait for the end: it interrupts.
        await server.stop(None)


def _token(urn: str) -> str:
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _given(properties: wire.Properties) -> dict[str, Any]:
    """Leave out what is null: the SDK writes every input that has no value."""
    return {key: value for key, value in properties.values.items() if value is not None}
