"""The values of a snippet: what `--values` and the `--set` family give together, in Helm's order.

Values are secret, and so may be the name of a file, where the quotes of a snippet are broken: the faults name the
flag and its line only.
"""

from __future__ import annotations

import csv
import re
from typing import TYPE_CHECKING

from pulumi_codecanvas.errors import CodeCanvasError, Fault
from pulumi_codecanvas.helm_set import HelmSetError, SetMerger
from pulumi_codecanvas.helm_values import MAX_FILE_BYTES, HelmValuesError, merge_values, read_values

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pulumi_codecanvas.helm_flags import FlagUse, Invocation
    from pulumi_codecanvas.helm_set import Json

MAX_VALUES_FILES = 20
"""How many values files are read at most."""

_MAX_PLAIN_NUMBER = 999_999
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_PLACEHOLDER = re.compile(
    r"<[^<>]*>|%[A-Z_][A-Z0-9_]*%|\.{3,}|\u2026|\*{3,}|x{3,}"
    r"|(?:your|insert|paste)[ _-](?:the[ _-])?(?:generated[ _-])?token(?:[ _-]here)?|token[ _-]here",
    re.IGNORECASE,
)
PATHS_START = "paths start from the directory of the Pulumi program"


def read_snippet_values(invocation: Invocation, base_dir: Path) -> tuple[dict[str, Json], list[Fault]]:
    """Read and merge the values that a command gives.

    Args:
        invocation: the command, taken apart.
        base_dir: the directory that relative paths start from.

    Returns:
        The values, and what is wrong with them; with faults, the values are not complete.
    """
    reader = _Reader(invocation, base_dir)
    return reader.read(), reader.faults


class _Reader:
    """One reading of values: files first, then JSON, typed, text, file and literal values, as in Helm."""

    def __init__(self, invocation: Invocation, base_dir: Path) -> None:
        self.invocation = invocation
        self.base_dir = base_dir
        self.faults: list[Fault] = []

    def read(self) -> dict[str, Json]:
        values: dict[str, Json] = {}
        for use, path in self.list_values_files():
            values = merge_values(values, self.read_values_file(use, path))
        merger = SetMerger(values)
        steps: dict[str, Callable[[str], None]] = {
            "set-json": merger.set_json,
            "set": merger.set,
            "set-string": merger.set_string,
            "set-file": lambda text: merger.set_file(text, self.read_text),
            "set-literal": merger.set_literal,
        }
        for name, merge in steps.items():
            for use in self.invocation.list_uses(name):
                self.merge(use, merge)
                self.check_integers(use, merger.integers)
                merger.integers.clear()
        self.check_placeholders(values)
        return values

    def list_values_files(self) -> list[tuple[FlagUse, str]]:
        """List the files of every `--values`."""
        files = [(use, path) for use in self.invocation.list_uses("values") for path in self.split_paths(use)]
        if len(files) > MAX_VALUES_FILES:
            self.faults.append(Fault("", f"there are more than {MAX_VALUES_FILES} values files"))
            return []
        return files

    def split_paths(self, use: FlagUse) -> list[str]:
        """Split `a.yaml,b.yaml` as Helm does: it is a line of CSV."""
        try:
            return next(csv.reader([use.value], strict=True), [])
        except csv.Error:
            self.fault(use, "has a broken list of files", "give one file in each --values")
            return []

    def read_values_file(self, use: FlagUse, path: str) -> dict[str, Json]:
        try:
            return read_values(self.read_bytes(path))
        except HelmValuesError as error:
            self.fault(use, f"has a file that is no values file: {error}")
        except _FileError as error:
            self.fault(use, f"has a file that {error}", error.remedy)
        return {}

    def merge(self, use: FlagUse, merge: Callable[[str], None]) -> None:
        try:
            merge(use.value)
        except HelmSetError as error:
            remedy = "it is name=value; in a value, a comma or a backslash needs a backslash before it"
            self.fault(use, f"cannot be read: {error}", remedy)
        except _FileError as error:
            self.fault(use, f"has a file that {error}", error.remedy)

    def read_text(self, path: str) -> str:
        try:
            return self.read_bytes(path).decode()
        except UnicodeDecodeError:
            raise _FileError("is not UTF-8 text") from None

    def read_bytes(self, path: str) -> bytes:
        if path.strip() == "-" or SCHEME.match(path):
            raise _FileError("is not on this machine", "save it beside the Pulumi program and give its path")
        target = self.base_dir / path
        try:
            if not target.is_file():
                raise _FileError("does not exist", PATHS_START)
            with target.open("rb") as file:
                content = file.read(MAX_FILE_BYTES + 1)
        except (OSError, ValueError):
            raise _FileError("cannot be opened", f"check its path and permissions; {PATHS_START}") from None
        if len(content) > MAX_FILE_BYTES:
            raise _FileError(f"is larger than {MAX_FILE_BYTES // 1024} KiB")
        return content

    def check_integers(self, use: FlagUse, integers: list[int]) -> None:
        """Refuse the integers that a chart would print otherwise: numbers reach it as floats through Pulumi."""
        if any(abs(integer) > _MAX_PLAIN_NUMBER for integer in integers):
            self.fault(
                use,
                "has a number of a million or more, which reaches the chart as one like 1e+06",
                "give it by --set-string; or by --values, where a chart has to cope with that in Helm too",
            )

    def check_placeholders(self, values: Json) -> None:
        """Refuse the values that were never filled in."""
        if any(isinstance(scalar, str) and _PLACEHOLDER.fullmatch(scalar.strip()) for scalar in _list_scalars(values)):
            cause = "a value is a placeholder that was not filled in"
            remedy = "choose Generate token on the platform's settings page, and put the token in its place"
            self.faults.append(Fault("", cause, remedy))

    def fault(self, use: FlagUse, cause: str, remedy: str = "") -> None:
        self.faults.append(Fault("", f"line {use.line}: `--{use.flag.name}` {cause}", remedy))


class _FileError(CodeCanvasError):
    """A file that cannot be read; the text does not name it."""

    def __init__(self, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.remedy = remedy


def _list_scalars(value: Json) -> Iterator[Json]:
    pending = [value]
    while pending:
        current = pending.pop()
        if isinstance(current, dict):
            pending.extend(current.values())
        elif isinstance(current, list):
            pending.extend(current)
        else:
            yield current
