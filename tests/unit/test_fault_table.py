"""The page about faults says what the tests do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support import faults
from tests.support.faults import NUMBERS, TABLE, UNTESTED, find_registered, render_table

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """
@fault(3, "Engine killed", happens="a | b")
def test_one(): ...

@pytest.mark.parametrize("x", [pytest.param(1, marks=fault(4, "Other", happens="c", user="`pulumi cancel`"))])
def test_two(x): ...

@fault(3)
def test_three(): ...
"""


def test_page_is_what_the_tests_say() -> None:
    assert TABLE.read_text() == render_table(find_registered()), "run: make reliability"


def test_every_number_has_a_test_or_a_reason() -> None:
    tested = {made.number for made in find_registered()}
    assert not tested & set(UNTESTED), "a reason is given for numbers that have a test"
    assert tested | set(UNTESTED) == set(NUMBERS)


def test_registrations_are_read_from_the_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(SOURCE)
    found = find_registered(tmp_path / "tests")
    assert [(made.number, made.test) for made in found] == [
        (3, "tests/test_it.py::test_one"),
        (3, "tests/test_it.py::test_three"),
        (4, "tests/test_it.py::test_two"),
    ]
    monkeypatch.setattr(faults, "UNTESTED", dict.fromkeys(NUMBERS, "no machine for it"))
    page = render_table(found)
    links = "[test_one](../tests/test_it.py)<br>[test_three](../tests/test_it.py)"
    assert f"| 3 | Engine killed | a \\| b | nothing | {links} |" in page
    assert "| 4 | Other | c | `pulumi cancel` | [test_two](../tests/test_it.py) |" in page
    assert "| 5 | | | | no machine for it |" in page


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("@fault(99, 'x', happens='y')\ndef test_a(): ...", "no fault 99"),
        ("@fault(1, 'x', happens='y')\ndef test_a(): ...", "fault 2 has neither a test nor a reason"),
        ("@fault(1)\ndef test_a(): ...", "not 0"),
        ("@fault(1, 'x', happens='y')\ndef test_a(): ...\n@fault(1, 'x', happens='z')\ndef test_b(): ...", "not 2"),
        ("@fault(3, f'{1}', happens='y')\ndef test_a(): ...", "must be literals"),
    ],
)
def test_faulty_registrations_are_refused(tmp_path: Path, source: str, problem: str) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_it.py").write_text(source)
    with pytest.raises(ValueError, match=problem):
        render_table(find_registered(tmp_path / "tests"))
