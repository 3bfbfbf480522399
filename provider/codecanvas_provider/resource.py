"""What a custom resource of this plugin implements; `server.py` does the rest.

Values are plain Python: dict, list, str, int, float, bool and None. Whole numbers arrive as int. Secrets
arrive unwrapped; the server marks them again on the way out. A value that a preview cannot know yet is
`UNKNOWN`, at any depth.
"""

from __future__ import annotations

import asyncio
import enum
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, Protocol

from pulumi_codecanvas.errors import CodeCanvasError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codecanvas_provider.inputs import Fields
    from pulumi_codecanvas.errors import Fault

Severity = Literal["debug", "info", "warning", "error"]


class Unknown(enum.Enum):
    """The type of `UNKNOWN`."""

    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown.UNKNOWN
"""Stands for a value that is not known during preview."""


def holds_unknown(value: object) -> bool:
    """Say whether a value is `UNKNOWN` or holds one at any depth."""
    if isinstance(value, dict):
        return any(holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_unknown(item) for item in value)
    return value is UNKNOWN


@dataclass(frozen=True)
class Diff:
    """What a change of inputs means; both empty: nothing to do.

    Attributes:
        replaces: input names whose change needs a new resource.
        updates: input names whose change `update` carries out, and output names that are wrong and that it puts right.

    """

    replaces: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()


class LogSink(Protocol):
    """Takes one message about one resource to the engine's display."""

    async def __call__(self, urn: str, message: str, severity: Severity, *, ephemeral: bool) -> None:
        """Show the message; an ephemeral one replaces the last on the resource's row and is not kept."""


async def _drop(urn: str, message: str, severity: Severity, *, ephemeral: bool) -> None:
    """Show nothing: the sink of a context that no engine stands behind."""


class _Row:
    """What stands on the resource's row in the engine's display."""

    text = ""


@dataclass(frozen=True)
class Context:
    """The circumstances of one operation.

    Attributes:
        urn: the resource's URN; empty in a function call.
        preview: nothing may be changed.
        timeout: seconds that the user's `customTimeouts` allow, or None.
        cancelled: set when the engine asks to stop; long waits should end soon after.
        sink: where `log` and `status` go.

    """

    urn: str = ""
    preview: bool = False
    timeout: float | None = None
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    sink: LogSink = _drop
    _row: _Row = field(default_factory=_Row, init=False, repr=False, compare=False)

    async def log(self, message: str, severity: Severity = "info") -> None:
        """Show a message that stays in the output of the command."""
        await self.sink(self.urn, message, severity, ephemeral=False)

    async def status(self, message: str) -> None:
        """Show progress on the resource's own row for as long as the operation runs.

        What stands there already is not shown again: where the display is no terminal, each text is a line of its own.
        """
        if message != self._row.text:
            self._row.text = message
            await self.sink(self.urn, message, "info", ephemeral=True)


class PartialFailure(CodeCanvasError):  # noqa: N818 - the resource exists, so it is no plain error
    """The resource exists but its create or update did not finish.

    The engine records `id` and `outputs` and fails the operation; the next `up` goes on through `update`.
    """

    def __init__(self, id: str, outputs: Mapping[str, Any], error: Exception | str) -> None:  # noqa: A002 - Pulumi's word
        self.id = id
        self.outputs = dict(outputs)
        super().__init__(str(error))


class CustomResource(ABC):
    """One resource type; its one instance serves every resource of the type, several calls side by side.

    What an instance remembers between calls, it knows of this run of the engine alone; the rest is in inputs and
    outputs. Every method must be quick or await; blocking work belongs in `waiting.in_thread`.
    """

    token: ClassVar[str]
    """The type token, such as `codecanvas:index:ConnectionKey`."""
    inputs: ClassVar[Fields]
    """Every input that users may give; others are refused before `check`."""
    outputs: ClassVar[Fields]
    """Every output; those that a preview does not return are unknown in it. What echoes a secret input is secret."""

    @abstractmethod
    def check(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
        """Give the inputs with their defaults, and every fault in them.

        Paths of faults are Pulumi property paths, such as `privateKey` or `checks[0].name`.
        """

    @abstractmethod
    def diff(self, old_inputs: dict[str, Any], old_outputs: dict[str, Any], new_inputs: dict[str, Any]) -> Diff:
        """Say which changed inputs replace the resource and which update it. `UNKNOWN` counts as changed."""

    async def forbid(  # noqa: B027 - most changes are fine
        self,
        context: Context,
        old_inputs: dict[str, Any],
        old_outputs: dict[str, Any],
        new_inputs: dict[str, Any],
    ) -> None:
        """Raise where a change, an update or a replacement, must not even begin; in a preview as well."""

    @abstractmethod
    async def create(self, context: Context, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make the resource; give its id and outputs. Runs again after a crash, so it must be idempotent.

        In a preview: change nothing, give what is known (the id is then ignored).
        """

    @abstractmethod
    async def read(
        self,
        context: Context,
        id: str,  # noqa: A002 - Pulumi's word
        inputs: dict[str, Any],
        outputs: dict[str, Any],
    ) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        """Give id, inputs and outputs as they are now, or None where the resource is gone.

        Inputs and outputs are empty for `pulumi import`.
        """

    @abstractmethod
    async def update(
        self,
        context: Context,
        id: str,  # noqa: A002 - Pulumi's word
        old_outputs: dict[str, Any],
        inputs: dict[str, Any],
    ) -> dict[str, Any]:
        """Carry out the changes that `diff` called updates; give the new outputs.

        Also called without a change of inputs when the last create or update raised `PartialFailure`.
        """

    @abstractmethod
    async def delete(self, context: Context, id: str, outputs: dict[str, Any]) -> None:  # noqa: A002 - Pulumi's word
        """Remove the resource. One that is gone already is no error."""
