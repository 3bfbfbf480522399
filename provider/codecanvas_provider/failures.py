"""What goes wrong in a request, as the status that the engine shows to the user.

Only errors that this package raises on purpose speak in their own words. The text of any other could quote an
input, and an input could be secret, so such an error gives its type alone.
"""

from __future__ import annotations

import os
import traceback
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import grpc  # type: ignore[import-untyped] # grpc ships no types
import grpc.aio  # type: ignore[import-untyped] # as above
from pulumi.runtime.proto import provider_pb2, status_pb2

from pulumi_codecanvas.errors import CodeCanvasError, InvalidArgumentsError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from google.protobuf import struct_pb2  # type: ignore[import-untyped] # protobuf ships no types

    from codecanvas_provider.resource import LogSink

DEBUG_VARIABLE: Final = "CODECANVAS_DEBUG"
"""Environment variable that, set to 1, has tracebacks of unexpected errors logged, without the errors' texts."""


class NotServedError(CodeCanvasError):
    """The engine asks for a type, function or method that this plugin does not have."""


class RecordedFailure(Exception):  # noqa: N818 - named for what the engine does with it
    """A create or update that failed after the resource came to be: its state is to be recorded."""

    def __init__(self, id: str, outputs: struct_pb2.Struct, reason: str) -> None:  # noqa: A002 - Pulumi's word
        self.id = id
        self.outputs = outputs
        super().__init__(reason)


class Failure(NamedTuple):
    """A gRPC status: code, text, and trailing metadata with its details."""

    code: grpc.StatusCode
    text: str
    metadata: tuple[tuple[str, bytes], ...] = ()


class PlainErrors(grpc.aio.ServerInterceptor):  # type: ignore[misc] # an untyped base
    """Has whatever goes wrong in any method reach the user as one clean sentence."""

    def __init__(self, log: LogSink) -> None:
        self._log = log

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler:
        """Wrap the handler of a call; one that streams is left as it is."""
        handler = await continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler

        async def answer(request: Any, context: grpc.aio.ServicerContext) -> Any:
            try:
                return await handler.unary_unary(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary to the engine: nothing passes unexplained
                await self._trace(error, getattr(request, "urn", ""))
                await context.abort(*explain(error))

        return grpc.unary_unary_rpc_method_handler(answer, handler.request_deserializer, handler.response_serializer)

    async def _trace(self, error: Exception, urn: str) -> None:
        expected = isinstance(error, CodeCanvasError | RecordedFailure | NotImplementedError)
        if not expected and os.environ.get(DEBUG_VARIABLE) == "1":
            await self._log(urn, origin_of(error), "info", ephemeral=False)


def explain(error: Exception) -> Failure:
    """Give the status for an error.

    No code is one of those that make the engine doubt the state (UNKNOWN, INTERNAL, DATA_LOSS): a create that
    failed can always be run again.
    """
    if isinstance(error, RecordedFailure):
        return _recorded(error)
    if isinstance(error, InvalidArgumentsError):
        return Failure(grpc.StatusCode.INVALID_ARGUMENT, str(error))
    if isinstance(error, NotServedError):
        return Failure(grpc.StatusCode.UNIMPLEMENTED, str(error))
    if isinstance(error, NotImplementedError):
        # How the generated service answers methods of the protocol that nobody overrode.
        return Failure(grpc.StatusCode.UNIMPLEMENTED, "the codecanvas plugin does not serve this method")
    if isinstance(error, CodeCanvasError):
        return Failure(grpc.StatusCode.FAILED_PRECONDITION, str(error))
    return Failure(
        grpc.StatusCode.ABORTED,
        f"the codecanvas plugin failed unexpectedly ({type(error).__name__}); please report it, "
        f"with the traceback that {DEBUG_VARIABLE}=1 in the environment logs",
    )


def origin_of(error: BaseException) -> str:
    """Write where an error came from, first cause first: frames and error types, no texts and no values."""
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    before = f"{origin_of(cause)}which led to\n" if cause else ""
    frames = "".join(traceback.format_tb(error.__traceback__))
    return f"{before}{frames}{type(error).__name__}\n"


def _recorded(failure: RecordedFailure) -> Failure:
    code = grpc.StatusCode.ABORTED
    detail = provider_pb2.ErrorResourceInitFailed(id=failure.id, properties=failure.outputs, reasons=[str(failure)])
    status = status_pb2.Status(code=code.value[0], message=str(failure))
    status.details.add().Pack(detail)
    return Failure(code, str(failure), (("grpc-status-details-bin", status.SerializeToString()),))
