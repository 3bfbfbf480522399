"""The list of faults that the package is tested against: which test tries which one, and the table for users.

A test is registered by `@fault(number, ...)`. The table, docs/reliability.md, is written by `make reliability` from
what stands in the tests' source, so that it needs no test to be imported or run.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHECKOUT = Path(__file__).parents[2]
TABLE = CHECKOUT / "docs" / "reliability.md"
NUMBERS = range(1, 51)
NOTHING = "nothing"
"""What a user does where the next plain `pulumi up` is enough."""

GROUPS = {
    1: "Interruption",
    17: "Helm",
    24: "Drift",
    31: "Freeze",
    37: "Secrets",
    41: "Deletion and upgrade",
    47: "Hostile input",
}
"""First number of each group."""

UNTESTED: dict[int, str] = {}
"""Numbers that have no test, each with the reason."""

_HEAD = """\
# What can go wrong, and what happens then

After each of these faults the state is valid, no secret is in plain text, the next plain `pulumi up` converges, after
what the line says to do where it is not nothing, and `pulumi destroy` leaves nothing of ours but what was retained.
Each line is tried by the named test, on the real Pulumi engine, kubernetes plugin, API server and Helm: by `make
test-faults`, and what waits for minutes by `pytest -m slow`.

This page is written by `make reliability` from the tests themselves; a test fails when it is out of date.
"""


def fault(number: int, title: str = "", *, happens: str = "", user: str = NOTHING) -> pytest.MarkDecorator:
    """Register a test for a fault.

    All arguments are literals: the table is made from the source. Of several tests of one number, one has the words,
    the others only the number.

    Args:
        number: the fault's number.
        title: the fault, in a few words.
        happens: what the package does then.
        user: what the user does, `NOTHING` or the command.
    """
    return pytest.mark.fault(number, title, happens=happens, user=user)


@dataclass(frozen=True)
class Registered:
    """A test's registration."""

    number: int
    test: str
    title: str = ""
    happens: str = ""
    user: str = NOTHING


def find_registered(tests: Path = CHECKOUT / "tests") -> list[Registered]:
    """Find every registered test, by number."""
    found = [made for path in sorted(tests.rglob("test_*.py")) for made in _in_source(path, tests.parent)]
    return sorted(found, key=lambda made: (made.number, not made.title))


def render_table(registered: Iterable[Registered]) -> str:
    """Write the page.

    Raises:
        ValueError: a number is unknown, or has no test and no reason, or no words or two different ones.
    """
    tests: dict[int, list[Registered]] = {}
    for made in registered:
        if made.number not in NUMBERS:
            raise ValueError(f"{made.test}: there is no fault {made.number}")
        tests.setdefault(made.number, []).append(made)
    lines = [_HEAD.rstrip()]
    for number in NUMBERS:
        if number in GROUPS:
            lines += ["", f"## {GROUPS[number]}", "", "| | fault | what happens | what you do | test |"]
            lines += ["|---|---|---|---|---|"]
        lines.append(_row(number, tests.get(number, [])))
    return "\n".join(lines) + "\n"


def _row(number: int, tests: list[Registered]) -> str:
    if not tests:
        if number not in UNTESTED:
            raise ValueError(f"fault {number} has neither a test nor a reason for having none")
        return f"| {number} | | | | {UNTESTED[number]} |"
    worded = [made for made in tests if made.title and made.happens]
    if len(worded) != 1:
        raise ValueError(f"fault {number}: one of its tests must say title and happens, not {len(worded)}: {tests}")
    cells = (worded[0].title, worded[0].happens, worded[0].user, "<br>".join(_link(made.test) for made in tests))
    return f"| {number} | " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _link(test: str) -> str:
    path, name = test.split("::", 1)
    return f"[{name}](../{path})"


def _in_source(path: Path, root: Path) -> Iterator[Registered]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            test = f"{path.relative_to(root).as_posix()}::{node.name}"
            # The registration may also stand in a `pytest.param` of the test.
            for call in (part for decorator in node.decorator_list for part in ast.walk(decorator)):
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "fault":
                    yield _read_call(call, test)


def _read_call(call: ast.Call, test: str) -> Registered:
    try:
        args: list[Any] = [ast.literal_eval(value) for value in call.args]
        words: dict[str, Any] = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except ValueError:
        raise ValueError(f"{test}: the arguments of `fault` must be literals") from None
    return Registered(args[0], test, *args[1:], **words)


def main() -> None:
    """Write docs/reliability.md."""
    TABLE.parent.mkdir(exist_ok=True)
    TABLE.write_text(render_table(find_registered()))
    sys.stdout.write(f"reliability: wrote {TABLE.relative_to(CHECKOUT)}\n")


if __name__ == "__main__":
    main()
