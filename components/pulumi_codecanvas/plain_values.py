"""Values of any shape that a program hands on to a chart or a class: what JSON cannot hold is a fault by its path.

Values may be secret, so no fault holds one. Outputs are left for the time when they are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pulumi_codecanvas.checks import as_whole, is_output, is_storable, join_path, key_fault, type_name
from pulumi_codecanvas.errors import Fault

MAX_DEPTH = 100
"""The deepest nesting of mappings and lists."""
MAX_NODES = 100_000
"""The most values, each counted as often as it is reached."""
MAX_FAULTS = 20
"""How many faults are shown at most."""


def read_plain(path: str, tree: object) -> tuple[Any, list[Fault]]:
    """Give a copy of a tree in plain types, and what is wrong with it; with faults the copy is not whole.

    Keys are texts; leaves are null, booleans, 64-bit integers, finite numbers, texts and Outputs. Depth, number of
    values and of faults are bounded, so a tree that contains itself ends too.
    """
    walk = _Walk()
    try:
        return walk.visit(path, tree, 0), walk.faults
    except _TooLargeError as error:
        return None, [*walk.faults, Fault(path, str(error))]


def leaf_faults(path: str, value: object) -> list[Fault]:
    """Check one value that is neither a mapping nor a list."""
    if value is None or isinstance(value, str) or is_output(value):
        return []
    if not isinstance(value, bool | int | float):
        return [Fault(path, f"is {type_name(value)}", "use texts, numbers, booleans, lists and mappings only")]
    return [] if is_storable(value) else [Fault(path, "is no number of 64 bits", "quote it if it is a text")]


class _TooLargeError(Exception):
    """The tree is not worth going on with."""


class _Walk:
    """One pass over a tree."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._nodes = 0

    def visit(self, path: str, value: object, depth: int) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _TooLargeError(f"holds more than {MAX_NODES} values")
        if depth > MAX_DEPTH:
            raise _TooLargeError(f"nests deeper than {MAX_DEPTH} levels, or contains itself")
        if isinstance(value, Mapping):
            return self._visit_mapping(path, value, depth)
        if isinstance(value, list | tuple):
            return [self.visit(f"{path}[{index}]", item, depth + 1) for index, item in enumerate(value)]
        self._report(leaf_faults(path, value))
        return as_whole(value)

    def _visit_mapping(self, path: str, mapping: Mapping[object, object], depth: int) -> dict[str, Any]:
        copy: dict[str, Any] = {}
        for key, value in mapping.items():
            if isinstance(key, str):
                copy[key] = self.visit(join_path(path, key), value, depth + 1)
            else:
                self._report([key_fault(path, key)])
        return copy

    def _report(self, faults: list[Fault]) -> None:
        self.faults += faults
        if len(self.faults) >= MAX_FAULTS:
            raise _TooLargeError("has further faults")
