"""The real Helm, asked what it makes of value flags."""

from __future__ import annotations

import json
import subprocess
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType


class HelmRefusedError(Exception):
    """Helm does not take these flags."""


class HelmValues:
    """A running `helm-values`: one query a line, one answer a line."""

    def __init__(self, program: Path, directory: Path) -> None:
        self._process = subprocess.Popen(
            [program], cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
        )

    def __enter__(self) -> HelmValues:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate(timeout=30)

    def merge(self, **flags: Sequence[str]) -> dict[str, Any]:
        """Give the values of these flags: `files`, `json`, `set`, `string`, `file`, `literal`.

        Raises HelmRefusedError where Helm refuses them.
        """
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(flags) + "\n")
        stdin.flush()
        answer = json.loads(stdout.readline())
        if "error" in answer:
            raise HelmRefusedError(answer["error"])
        values: dict[str, Any] = answer["values"]
        return values


def canonical(value: object) -> object:
    """Give a value in a form that compares true apart from 1, and 1 equal to 1.0, as JSON does."""
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, dict):
        return {key: canonical(child) for key, child in value.items()}
    if isinstance(value, list):
        return [canonical(entry) for entry in value]
    if isinstance(value, float) and value.is_integer():
        # As Go writes it: the fewest digits that tell the float from its neighbours, then zeros.
        return int(Decimal(repr(value)))
    return value
