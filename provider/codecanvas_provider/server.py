# ruff: noqa: N802, ARG002 - methods and their parameters are the protocol's, used or not
"""The plugin's gRPC service: from the engine's requests to the resources, the functions and the component.

Methods bear the names of the protocol (`provider.proto`). Requests run side by side. What a method raises is
turned into a status in one place, `PlainErrors`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import grpc.aio  # type: ignore[import-untyped] # grpc ships no types
import pulumi
from google.protobuf import empty_pb2  # type: ignore[import-untyped] # protobuf ships no types
from pulumi.provider.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2 as proto
from pulumi.runtime.proto import provider_pb2_grpc

from codecanvas_provider import wire
from codecanvas_provider.component import ComponentProvider
from codecanvas_provider.engine import Engine
from codecanvas_provider.failures import NotServedError, PlainErrors, RecordedFailure
from codecanvas_provider.inputs import secret_names
from codecanvas_provider.resource import UNKNOWN, Context, PartialFailure
from pulumi_codecanvas.checks import unknown_key_faults
from pulumi_codecanvas.errors import CodeCanvasError

if TYPE_CHECKING:
    from google.protobuf import struct_pb2
    from pulumi.runtime.proto import plugin_pb2

    from codecanvas_provider.inputs import Fields
    from codecanvas_provider.resource import CustomResource, Severity

Function = Callable[[Context, dict[str, Any]], Awaitable[dict[str, Any]]]
"""A function of the package: from plain arguments to plain results."""

_SCHEMA: Final = Path(__file__).with_name("schema.json")
_MAX_MESSAGE_BYTES: Final = 400 * 1024 * 1024  # the engine's own limit


class Servicer(ProviderServicer):
    """Serves custom resources, functions and the component.

    Attributes:
        cancelled: set once the engine asks to stop.

    """

    def __init__(
        self,
        resources: Iterable[CustomResource],
        functions: Mapping[str, Function],
        engine: Engine | None = None,
    ) -> None:
        super().__init__(ComponentProvider(), [], engine.address if engine else "")
        self.cancelled = asyncio.Event()
        self._engine = engine
        self._resources = {resource.token: resource for resource in resources}
        self._functions = dict(functions)

    async def log(self, urn: str, message: str, severity: Severity, *, ephemeral: bool) -> None:
        """Show a message in the engine's display, if there is an engine."""
        if self._engine:
            await self._engine.log(urn, message, severity, ephemeral=ephemeral)

    async def Handshake(
        self, request: proto.ProviderHandshakeRequest, context: grpc.aio.ServicerContext
    ) -> proto.ProviderHandshakeResponse:
        """Tell the engine which kinds of values this plugin understands."""
        self._attach(request.engine_address)
        return proto.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    async def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.aio.ServicerContext) -> empty_pb2.Empty:
        """Take the address of an engine that did not start this process itself."""
        self._attach(request.address)
        return empty_pb2.Empty()

    async def GetSchema(
        self, request: proto.GetSchemaRequest, context: grpc.aio.ServicerContext
    ) -> proto.GetSchemaResponse:
        """Give the package's schema."""
        return proto.GetSchemaResponse(schema=_SCHEMA.read_text(encoding="utf-8"))

    async def CheckConfig(self, request: proto.CheckRequest, context: grpc.aio.ServicerContext) -> proto.CheckResponse:
        """Take no configuration.

        The engine offers every stack setting under `codecanvas:`. Those belong to the program: kept here, each
        platform's settings would stand in the state once more, and each change of them would change the provider.
        """
        return proto.CheckResponse(inputs=wire.encode({}))

    async def DiffConfig(self, request: proto.DiffRequest, context: grpc.aio.ServicerContext) -> proto.DiffResponse:
        """Leave the comparison of provider versions to the engine."""
        return proto.DiffResponse()

    async def Configure(
        self, request: proto.ConfigureRequest, context: grpc.aio.ServicerContext
    ) -> proto.ConfigureResponse:
        """Tell engines without a handshake what `Handshake` tells."""
        return proto.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True
        )

    async def Cancel(self, request: empty_pb2.Empty, context: grpc.aio.ServicerContext) -> empty_pb2.Empty:
        """Ask every running operation to end soon."""
        self.cancelled.set()
        return empty_pb2.Empty()

    async def Check(self, request: proto.CheckRequest, context: grpc.aio.ServicerContext) -> proto.CheckResponse:
        """Check a resource's inputs and complete them by defaults."""
        resource = self._resource(request.urn)
        news = wire.decode(request.news)
        given: dict[Any, Any] = {name: value for name, value in news.values.items() if value is not None}
        known = {name: value for name, value in given.items() if name in resource.inputs}
        inputs, faults = resource.check(known)
        faults = [*unknown_key_faults("", given, sorted(resource.inputs)), *faults]
        if faults:
            # A failure that names a property has the engine print the property's value, secret or not, so the
            # path stays within the reason.
            return proto.CheckResponse(failures=[proto.CheckFailure(reason=str(fault)) for fault in faults])
        return proto.CheckResponse(inputs=wire.encode(inputs, _secrets(resource.inputs, news)))

    async def Diff(self, request: proto.DiffRequest, context: grpc.aio.ServicerContext) -> proto.DiffResponse:
        """Say what a change of inputs means."""
        resource = self._resource(request.urn)
        old_inputs = wire.decode(request.old_inputs).values
        new_inputs = wire.decode(request.news).values
        old_outputs = wire.decode(request.olds).values
        diff = resource.diff(old_inputs, old_outputs, new_inputs)
        if diff.replaces or diff.updates:
            asked = Context(urn=request.urn, cancelled=self.cancelled, sink=self.log)
            await resource.forbid(asked, old_inputs, old_outputs, new_inputs)
        details = {
            name: _property_diff(name, old_inputs, new_inputs, replace=name in diff.replaces)
            for name in (*diff.updates, *diff.replaces)
        }
        return proto.DiffResponse(
            replaces=diff.replaces,
            diffs=list(details),
            changes=proto.DiffResponse.DIFF_SOME if details else proto.DiffResponse.DIFF_NONE,
            detailedDiff=details,
            hasDetailedDiff=True,
        )

    async def Create(self, request: proto.CreateRequest, context: grpc.aio.ServicerContext) -> proto.CreateResponse:
        """Create a resource."""
        resource = self._resource(request.urn)
        inputs = wire.decode(request.properties)
        try:
            id_, outputs = await resource.create(self._context(request), inputs.values)
        except PartialFailure as failure:
            raise _recorded(resource, failure, inputs) from failure
        return proto.CreateResponse(
            id=id_, properties=_encode_outputs(resource, outputs, inputs, preview=request.preview)
        )

    async def Read(self, request: proto.ReadRequest, context: grpc.aio.ServicerContext) -> proto.ReadResponse:
        """Read a resource as it is now; no ID in the answer says that it is gone."""
        resource = self._resource(request.urn)
        inputs, outputs = wire.decode(request.inputs), wire.decode(request.properties)
        found = await resource.read(self._context(request), request.id, inputs.values, outputs.values)
        if found is None:
            return proto.ReadResponse()
        id_, new_inputs, new_outputs = found
        return proto.ReadResponse(
            id=id_,
            inputs=wire.encode(new_inputs, _secrets(resource.inputs, inputs)),
            properties=wire.encode(new_outputs, _secrets(resource.outputs, inputs, outputs)),
        )

    async def Update(self, request: proto.UpdateRequest, context: grpc.aio.ServicerContext) -> proto.UpdateResponse:
        """Update a resource."""
        resource = self._resource(request.urn)
        inputs = wire.decode(request.news)
        old_outputs = wire.decode(request.olds).values
        try:
            outputs = await resource.update(self._context(request), request.id, old_outputs, inputs.values)
        except PartialFailure as failure:
            raise _recorded(resource, failure, inputs) from failure
        return proto.UpdateResponse(properties=_encode_outputs(resource, outputs, inputs, preview=request.preview))

    async def Delete(self, request: proto.DeleteRequest, context: grpc.aio.ServicerContext) -> empty_pb2.Empty:
        """Delete a resource."""
        resource = self._resource(request.urn)
        await resource.delete(self._context(request), request.id, wire.decode(request.properties).values)
        return empty_pb2.Empty()

    async def Invoke(self, request: proto.InvokeRequest, context: grpc.aio.ServicerContext) -> proto.InvokeResponse:
        """Call a function."""
        if request.tok not in self._functions:
            raise NotServedError(f"the package codecanvas has no function {request.tok}")
        arguments = wire.decode(request.args)
        function_context = Context(preview=request.preview, cancelled=self.cancelled, sink=self.log)
        results = await self._functions[request.tok](function_context, arguments.values)
        # `return` is a keyword, so the field cannot be named in a call.
        return proto.InvokeResponse(**{"return": wire.encode(results, arguments.secrets)})

    async def Call(self, request: proto.CallRequest, context: grpc.aio.ServicerContext) -> proto.CallResponse:
        """Refuse: the component has no methods."""
        raise NotServedError(f"the package codecanvas has no method {request.tok}")

    async def Construct(
        self, request: proto.ConstructRequest, context: grpc.aio.ServicerContext
    ) -> proto.ConstructResponse:
        """Construct the component."""
        try:
            return await super().Construct(request, context)
        except Exception as error:  # noqa: BLE001 - only to find the error within
            raise _construct_error(error) from None

    def _attach(self, address: str) -> None:
        if self._engine is None:
            self._engine = Engine(address)
            self.engine_address = address

    def _resource(self, urn: str) -> CustomResource:
        token = urn.split("::")[2].rsplit("$", 1)[-1]
        if token not in self._resources:
            raise NotServedError(f"the package codecanvas has no resource {token}")
        return self._resources[token]

    def _context(
        self, request: proto.CreateRequest | proto.ReadRequest | proto.UpdateRequest | proto.DeleteRequest
    ) -> Context:
        preview = isinstance(request, proto.CreateRequest | proto.UpdateRequest) and request.preview
        return Context(request.urn, preview, request.timeout or None, self.cancelled, self.log)


def make_server(servicer: Servicer) -> tuple[grpc.aio.Server, int]:
    """Put a service on a free port of the loopback interface; gives the server and the port."""
    options = [
        ("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", _MAX_MESSAGE_BYTES),
        # A request may wait for its turn much longer than gRPC's 30 seconds.
        ("grpc.server_max_unrequested_time_in_server", 30 * 60),
    ]
    server = grpc.aio.server(interceptors=[PlainErrors(servicer.log)], options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(servicer, server)
    return server, server.add_insecure_port("127.0.0.1:0")


def _secrets(fields: Fields, *origins: wire.Properties) -> frozenset[wire.Path]:
    """Give the paths to mark secret: the declared names, and wherever a secret arrived."""
    return frozenset({(name,) for name in secret_names(fields)}).union(*(origin.secrets for origin in origins))


def _encode_outputs(
    resource: CustomResource, outputs: Mapping[str, Any], inputs: wire.Properties, *, preview: bool
) -> struct_pb2.Struct:
    if preview:
        outputs = {**dict.fromkeys(resource.outputs, UNKNOWN), **outputs}
    return wire.encode(outputs, _secrets(resource.outputs, inputs))


def _recorded(resource: CustomResource, failure: PartialFailure, inputs: wire.Properties) -> RecordedFailure:
    outputs = _encode_outputs(resource, failure.outputs, inputs, preview=False)
    return RecordedFailure(failure.id, outputs, str(failure))


def _property_diff(name: str, old: Mapping[str, Any], new: Mapping[str, Any], *, replace: bool) -> proto.PropertyDiff:
    kinds = proto.PropertyDiff
    if old.get(name) == new.get(name):
        # An output, of which no inputs tell what it was and will be: the engine then shows its name alone.
        kind = kinds.UPDATE_REPLACE if replace else kinds.UPDATE
    elif old.get(name) is None:
        kind = kinds.ADD_REPLACE if replace else kinds.ADD
    elif new.get(name) is None:
        kind = kinds.DELETE_REPLACE if replace else kinds.DELETE
    else:
        kind = kinds.UPDATE_REPLACE if replace else kinds.UPDATE
    return proto.PropertyDiff(kind=kind, inputDiff=True)


def _construct_error(error: Exception) -> Exception:
    """Find what went wrong beneath the SDK's own error, whose text is a traceback."""
    if type(error) is Exception and isinstance(error.__context__, Exception):
        error = error.__context__
    if type(error) in (Exception, pulumi.RunError):
        # The SDK hands on the engine's words, such as a failed registration's, in these two.
        return CodeCanvasError(str(error))
    return error
