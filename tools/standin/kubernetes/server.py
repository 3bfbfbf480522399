# ruff: noqa: N802, ARG002, D102 - methods and their parameters are the protocol's, which also says what they do
"""The plugin's gRPC service: from the engine's requests to objects and releases."""

from __future__ import annotations

import asyncio
import json
import sys
import traceback
from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2  # type: ignore[import-untyped] # protobuf ships no types
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc
from pulumi.runtime.proto import provider_pb2 as proto

from codecanvas_provider import wire
from codecanvas_provider.engine import Engine
from codecanvas_provider.failures import NotServedError, RecordedFailure, explain
from codecanvas_provider.resource import UNKNOWN, Context
from pulumi_codecanvas.errors import CodeCanvasError
from tools.pins import KUBERNETES_PLUGIN_VERSION
from tools.standin.kubernetes.diffs import replaces
from tools.standin.kubernetes.objects import Objects
from tools.standin.kubernetes.release import TOKEN, Releases
from tools.standin.kubernetes.target import Target, active_cluster
from tools.standin.kubernetes.values import encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from codecanvas_provider.resource import Severity

BANNER = f"""pulumi-resource-kubernetes: a stand-in of the codecanvas project for Pulumi's plugin kubernetes \
{KUBERNETES_PLUGIN_VERSION}.

It serves the kinds of objects and Helm releases that codecanvas makes, for development and CI of that project where
the real plugin cannot be had. The Pulumi engine starts it; there is no need to."""

_ACCESS = ("kubeconfig", "context", "cluster")


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """Serves one provider.

    Attributes:
        cancelled: set once the engine asks to stop.
    """

    def __init__(self, engine: Engine | None) -> None:
        self.cancelled = asyncio.Event()
        self._engine = engine
        self._target = Target()

    async def Handshake(self, request: Any, context: Any) -> proto.ProviderHandshakeResponse:
        self._engine = self._engine or Engine(request.engine_address)
        return proto.ProviderHandshakeResponse(accept_secrets=True)

    async def Attach(self, request: plugin_pb2.PluginAttach, context: Any) -> empty_pb2.Empty:
        self._engine = self._engine or Engine(request.address)
        return empty_pb2.Empty()

    async def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=KUBERNETES_PLUGIN_VERSION)

    async def GetSchema(self, request: Any, context: Any) -> proto.GetSchemaResponse:
        schema = {"name": "kubernetes", "version": KUBERNETES_PLUGIN_VERSION, "description": BANNER}
        return proto.GetSchemaResponse(schema=json.dumps(schema))

    async def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        self.cancelled.set()
        return empty_pb2.Empty()

    async def CheckConfig(self, request: proto.CheckRequest, context: Any) -> proto.CheckResponse:
        return proto.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: proto.DiffRequest, context: Any) -> proto.DiffResponse:
        """Say that a provider for another cluster makes everything anew."""
        old, new = wire.decode(request.olds).values, wire.decode(request.news).values
        diffs = [key for key in sorted({*old, *new}) if old.get(key) != new.get(key)]
        if not diffs:
            return proto.DiffResponse(changes=proto.DiffResponse.DIFF_NONE)
        unknown = [key for key in _ACCESS if new.get(key) is UNKNOWN]
        before, after = (active_cluster(settings) if not unknown else None for settings in (old, new))
        another = before and after and before != after
        moved = [key for key in _ACCESS if another and key in diffs]
        return proto.DiffResponse(changes=proto.DiffResponse.DIFF_SOME, diffs=diffs, replaces=unknown or moved)

    async def Configure(self, request: proto.ConfigureRequest, context: Any) -> proto.ConfigureResponse:
        settings = wire.decode(request.args).values
        if any(settings.get(key) is UNKNOWN for key in _ACCESS):
            self._target = Target(unreachable="unable to load kubeconfig before it is known")
        else:
            self._target = await asyncio.to_thread(Target.find, settings)
        return proto.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    async def Check(self, request: proto.CheckRequest, context: Any) -> Any:
        async def check() -> proto.CheckResponse:
            old, new = wire.decode(request.olds), wire.decode(request.news)
            if _is_release(request.urn):
                inputs, fault = await self._releases.check(request.urn, old, new)
                failures = [proto.CheckFailure(property="chart", reason=fault)] if fault else []
                return proto.CheckResponse(inputs=encode(inputs, new.secrets), failures=failures)
            manifest = await self._objects.check(self._context(request), old, new)
            return proto.CheckResponse(inputs=encode(manifest, new.secrets))

        return await self._answer(context, check)

    async def Diff(self, request: proto.DiffRequest, context: Any) -> Any:
        async def diff() -> proto.DiffResponse:
            old, new = wire.decode(request.olds), wire.decode(request.news)
            first = False
            if _is_release(request.urn):
                found = self._releases.diff(old, new)
            else:
                found, first = self._objects.diff(old, new)
            ignored = list(request.ignoreChanges)
            found = {path: change for path, change in found.items() if not _is_ignored(path, ignored)}
            return proto.DiffResponse(
                changes=proto.DiffResponse.DIFF_SOME if found else proto.DiffResponse.DIFF_NONE,
                diffs=sorted({_top_level(path) for path in found}) if _is_release(request.urn) else [],
                replaces=replaces(found),
                deleteBeforeReplace=first,
                detailedDiff=found,
                hasDetailedDiff=bool(found),
            )

        return await self._answer(context, diff)

    async def Create(self, request: proto.CreateRequest, context: Any) -> Any:
        async def create() -> proto.CreateResponse:
            circumstances, inputs = self._context(request), wire.decode(request.properties)
            kind = self._releases if _is_release(request.urn) else self._objects
            made = await kind.create(circumstances, inputs)
            if made is None:
                return proto.CreateResponse(properties=request.properties)
            return proto.CreateResponse(id="" if request.preview else made.id, properties=made.outputs)

        return await self._answer(context, create)

    async def Read(self, request: proto.ReadRequest, context: Any) -> Any:
        async def read() -> proto.ReadResponse:
            kind = self._releases if _is_release(request.urn) else self._objects
            inputs, state = wire.decode(request.inputs), wire.decode(request.properties)
            found = await kind.read(self._context(request), request.id, inputs, state)
            if found is None:
                return proto.ReadResponse()
            return proto.ReadResponse(id=found.id, inputs=found.inputs, properties=found.outputs)

        return await self._answer(context, read)

    async def Update(self, request: proto.UpdateRequest, context: Any) -> Any:
        async def update() -> proto.UpdateResponse:
            circumstances = self._context(request)
            state, inputs = wire.decode(request.olds), wire.decode(request.news)
            if _is_release(request.urn):
                outputs = await self._releases.update(circumstances, request.id, state, inputs)
                return proto.UpdateResponse(properties=outputs)
            updated = await self._objects.update(circumstances, state, inputs)
            return proto.UpdateResponse(properties=request.news if updated is None else updated.outputs)

        return await self._answer(context, update)

    async def Delete(self, request: proto.DeleteRequest, context: Any) -> Any:
        async def delete() -> empty_pb2.Empty:
            state = wire.decode(request.properties)
            if _is_release(request.urn):
                await self._releases.delete(state)
            else:
                await self._objects.delete(self._context(request), request.id, state)
            return empty_pb2.Empty()

        return await self._answer(context, delete)

    async def Invoke(self, request: proto.InvokeRequest, context: Any) -> Any:
        async def refuse() -> None:
            raise NotServedError(f"the stand-in for the kubernetes plugin has no function {request.tok}")

        return await self._answer(context, refuse)

    @property
    def _objects(self) -> Objects:
        return Objects(self._target)

    @property
    def _releases(self) -> Releases:
        return Releases(self._target, self.cancelled)

    def _context(self, request: Any) -> Context:
        preview, timeout = getattr(request, "preview", False), getattr(request, "timeout", 0)
        return Context(request.urn, preview, timeout or None, self.cancelled, self._log)

    async def _log(self, urn: str, message: str, severity: Severity, *, ephemeral: bool) -> None:
        if self._engine:
            await self._engine.log(urn, message, severity, ephemeral=ephemeral)

    async def _answer(self, context: Any, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do the work; what goes wrong becomes the status that the engine shows."""
        try:
            return await work()
        except (CodeCanvasError, RecordedFailure) as error:
            failure = explain(error)
        except Exception as error:  # noqa: BLE001 - the boundary to the engine: nothing passes unexplained
            # Without the error's own text, which might quote a secret.
            frames = "".join(traceback.format_tb(error.__traceback__))
            print(f"the stand-in for the kubernetes plugin failed:\n{frames}{type(error).__name__}", file=sys.stderr)
            failure = explain(CodeCanvasError(f"the stand-in failed unexpectedly: {type(error).__name__}"))
        return await context.abort(*failure)


def _is_release(urn: str) -> bool:
    return urn.split("::")[2].rsplit("$", 1)[-1] == TOKEN


def _top_level(path: str) -> str:
    return path.partition(".")[0].partition("[")[0]


def _is_ignored(path: str, ignored: list[str]) -> bool:
    return any(path == prefix or path.startswith((f"{prefix}.", f"{prefix}[")) for prefix in ignored)
