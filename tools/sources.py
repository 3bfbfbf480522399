"""What every place that tools come from has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from tools.pins import Tool


class UnavailableError(Exception):
    """A source cannot give the tool, and why; the next source is tried."""


@dataclass(frozen=True)
class Plan:
    """What a source would do for a tool: a phrase, and about how many seconds it takes."""

    action: str
    seconds: int


class Source(Protocol):
    """A place that tools come from."""

    @property
    def label(self) -> str:
        """One word for messages."""

    def plan(self, tool: Tool) -> Plan:
        """Say what `fill` would do. Raises UnavailableError where it is clear already that it would fail."""

    def fill(self, tool: Tool, directory: Path) -> str:
        """Write the tool's checked files into `directory`; give their origin or raise UnavailableError."""


def consider(source: Source, tool: Tool) -> Plan | str:
    """Give the source's plan for a tool, or as text which source it is and why it has none."""
    try:
        return source.plan(tool)
    except UnavailableError as error:
        return f"{source.label}: {error}"
