"""Values files. That they are read as Helm reads them is shown in tests/parity; here are the rules and the bounds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_codecanvas.helm_set import MAX_DEPTH
from pulumi_codecanvas.helm_values import MAX_FILE_BYTES, MAX_NODES, HelmValuesError, merge_values, read_values

if TYPE_CHECKING:
    from collections.abc import Callable

TOKEN = "tK9xQz7LmR2vBn5c"
SECONDS = 10
"""Far above what any of these takes, far below what an unbounded reading would."""


def _nest_aliases(make: Callable[[str], str]) -> str:
    lines = ["a0: &a0 {x: 1}"]
    for number in range(1, 30):
        uses = ", ".join([f"*a{number - 1}"] * 9)
        lines.append(f"a{number}: &a{number} {make(uses)}")
    return "\n".join(lines)


HOSTILE = {
    "aliases": _nest_aliases("[{}]".format),
    "merges": _nest_aliases("{{<<: [{}]}}".format),
    "self": "a: &a [*a]",
    "self merge": "a: &a\n  <<: *a\n",
    "deep lists": "a: " + "[" * 50_000,
    "deep maps": "a: " + "{a: " * 20_000,
    "deep blocks": "".join(f"{' ' * depth}a:\n" for depth in range(600)),
    "many": "a: [" + "x," * 120_000 + "]",
}


def test_a_values_file_gives_plain_json_types() -> None:
    content = b"a: {b: [1, 1.5, x, ~, yes]}\n7: seven\ntrue: t\nmode: 0644\nday: 2001-01-01\ntime: 12:30:45\n"
    assert read_values(content) == {
        "a": {"b": [1, 1.5, "x", None, True]},
        "7": "seven",
        "true": "t",
        "mode": 420,
        "day": "2001-01-01",
        "time": "12:30:45",
    }


@pytest.mark.parametrize("content", [b"", b"# nothing\n", b"null\n", b"---\n", b"{}"])
def test_an_empty_file_gives_no_values(content: bytes) -> None:
    assert read_values(content) == {}


@pytest.mark.parametrize("content", [b"- a", b"a", b"1", b"a: [", b"a: b: c", b"a: \x07", b"a: \xff", b"\xff\xfe\x00"])
def test_what_is_no_yaml_map_is_refused(content: bytes) -> None:
    with pytest.raises(HelmValuesError):
        read_values(content)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!python/name:os.system", "!foo"])
def test_tags_make_no_objects(tag: str) -> None:
    assert read_values(f"a: {tag} [ls]\n".encode()) == {"a": ["ls"]}


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "!!timestamp 2001-01-01", "!!binary /w==", "!!int x"])
def test_values_that_json_cannot_hold_are_refused(value: str) -> None:
    with pytest.raises(HelmValuesError):
        read_values(f"a: {value}\n".encode())


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_hostile_file_is_refused_soon(name: str) -> None:
    started = time.process_time()
    with pytest.raises(HelmValuesError, match=f"deeper than {MAX_DEPTH}|more than {MAX_NODES}|too many values"):
        read_values(HOSTILE[name].encode())
    assert time.process_time() - started < SECONDS


def test_a_file_that_is_too_large_is_refused() -> None:
    with pytest.raises(HelmValuesError, match="larger than 256 KiB"):
        read_values(b"a: b\n" + b"#" * MAX_FILE_BYTES)


def test_aliases_give_values_of_their_own() -> None:
    values: dict[str, Any] = read_values(b"a: &a [1]\nb: *a\n")
    values["a"].append(2)
    assert values == {"a": [1, 2], "b": [1]}


def test_merging_goes_into_maps_and_replaces_all_else() -> None:
    base: dict[str, Any] = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}, "f": 1}
    assert merge_values(base, {"a": {"c": [3]}, "d": None, "f": {"g": 2}}) == {
        "a": {"b": 1, "c": [3]},
        "d": None,
        "f": {"g": 2},
    }
    assert base["d"] == {"e": 1}


@given(
    before=st.text(alphabet="ab: -[]{}&*!'\"\n\t#|>%", max_size=12),
    after=st.text(alphabet="ab: -[]{}'\"\n", max_size=12),
)
def test_no_error_repeats_the_file(before: str, after: str) -> None:
    try:
        read_values(f"{before}{TOKEN}{after}".encode())
    except HelmValuesError as error:
        assert TOKEN[:4] not in str(error)
        assert error.__suppress_context__ or error.__context__ is None


@given(content=st.binary() | st.text().map(str.encode))
def test_any_file_is_read_or_refused(content: bytes) -> None:
    try:
        read_values(content)
    except HelmValuesError:
        return
