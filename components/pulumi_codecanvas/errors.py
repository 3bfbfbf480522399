"""The package's errors: each states a cause and the way out.

Raise them where the fault is known; `format_faults` is the one place that turns them into text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, order=True)
class Fault:
    """One thing that is wrong with the input.

    Attributes:
        path: where it is, as the user wrote it, such as `platforms.eu.podTemplate`.
        cause: what is wrong, without secret values.
        remedy: what to do about it; empty where the cause already says so.
    """

    path: str
    cause: str
    remedy: str = ""

    def __str__(self) -> str:
        text = f"{self.path}: {self.cause}" if self.path else self.cause
        return f"{text}; {self.remedy}" if self.remedy else text

    def within(self, prefix: str) -> Fault:
        """Give the same fault as seen from an outer mapping."""
        joint = "" if prefix.endswith(":") or self.path.startswith("[") else "."
        path = joint.join(part for part in (prefix, self.path) if part)
        return Fault(path, self.cause, self.remedy)


class CodeCanvasError(Exception):
    """The root of every error that this package raises on purpose."""


class InvalidArgumentsError(CodeCanvasError):
    """The input has faults; nothing was changed. Holds all of them at once."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(format_faults(self.faults))


class ClusterError(CodeCanvasError):
    """The cluster refused or did not do what was asked of it."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        self.cause = cause
        self.remedy = remedy
        super().__init__(f"{cause}; {remedy}" if remedy else cause)


def format_faults(faults: tuple[Fault, ...]) -> str:
    """Write faults as text: one a line, with a count when there are several."""
    if len(faults) == 1:
        return str(faults[0])
    lines = [f"{len(faults)} faults:"]
    lines += [f"  - {fault}" for fault in faults]
    return "\n".join(lines)
