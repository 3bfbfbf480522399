"""Helm's `--set` grammar. That it equals Helm's is shown in tests/parity; here are its rules and its bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_codecanvas.helm_set import (
    MAX_DEPTH,
    MAX_INDEX,
    HelmSetError,
    SetMerger,
    check_depth,
    infer_type,
    to_json_number,
)

TOKEN = "tK9xQz7LmR2vBn5c"


def merge(kind: str, *texts: str, into: dict[str, Any] | None = None) -> dict[str, Any]:
    values: dict[str, Any] = into or {}
    merger = SetMerger(values)
    for text in texts:
        getattr(merger, kind)(text)
    return values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", {"a": "b"}),
        ("a.b.c=d", {"a": {"b": {"c": "d"}}}),
        ("a=1,b=true,c=null,d=x", {"a": 1, "b": True, "c": None, "d": "x"}),
        ("a=0123,b=1e5,c=1.5,d=+1,e=-0", {"a": "0123", "b": "1e5", "c": "1.5", "d": 1, "e": 0}),
        ("a={b,1,true}", {"a": ["b", 1, True]}),
        ("a[2].b=c", {"a": [None, None, {"b": "c"}]}),
        ("a[0][1]=b", {"a": [[None, "b"]]}),
        ("a=b\\,c,d\\.e=f", {"a": "b,c", "d.e": "f"}),
        ("a=,b=", {"a": "", "b": ""}),
        ("", {}),
    ],
)
def test_set_reads_names_indexes_lists_and_types(text: str, expected: dict[str, Any]) -> None:
    assert merge("set", text) == expected


def test_types_are_told_apart() -> None:
    values = merge("set", "a=1,b=true,c=0")
    assert [type(value) for value in values.values()] == [int, bool, int]


@pytest.mark.parametrize(
    ("text", "number"), [("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63)), ("0", 0)]
)
def test_integers_of_64_bits_are_exact(text: str, number: int) -> None:
    assert infer_type(text) == number


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775809", "9" * 5000, "00", "1_0", "\u0661"])
def test_what_is_no_integer_of_64_bits_stays_text(text: str) -> None:
    assert infer_type(text) == text


def test_set_string_infers_no_type() -> None:
    assert merge("set_string", "a=1,b={true,null}") == {"a": "1", "b": ["true", "null"]}


def test_set_literal_takes_the_rest_as_it_stands() -> None:
    assert merge("set_literal", "a.b=c,d={e}\\,=1") == {"a": {"b": "c,d={e}\\,=1"}}


def test_set_json_reads_several_values() -> None:
    assert merge("set_json", 'a={"b":[1,2.5,null]} ,c="d",e=') == {"a": {"b": [1, 2.5, None]}, "c": "d", "e": None}


def test_set_file_puts_the_text_of_files_in() -> None:
    values: dict[str, Any] = {}
    SetMerger(values).set_file("a=one.txt,b[0]=two.txt", {"one.txt": "1", "two.txt": "x,y"}.__getitem__)
    assert values == {"a": "1", "b": ["x,y"]}


def test_later_assignments_merge_into_maps_and_replace_all_else() -> None:
    assert merge("set", "a.b=1,a.c={x}", "a.d=2,a.c[0]=y", into={"a": {"e": 3}}) == {
        "a": {"b": 1, "c": ["y"], "d": 2, "e": 3}
    }


def test_null_stays_in_the_values_so_that_it_can_remove_a_default_of_the_chart() -> None:
    assert merge("set", "a.b=null", into={"a": {"b": 1, "c": 2}}) == {"a": {"b": None, "c": 2}}


@pytest.mark.parametrize(
    "text",
    [
        *("a", "a,b=c", "a.b", "a=b,c", "a={b", "a[=b", "a[x]=b", "a[-1]=b", "a[0]b=c", "a=1,a.b=2", "a=1,a[0]=2"),
        *(f"a[{MAX_INDEX + 1}]=b", "a[99999999999999999999]=b", ".".join("a" * 32) + "=b"),
    ],
)
def test_a_broken_assignment_is_refused(text: str) -> None:
    with pytest.raises(HelmSetError):
        merge("set", text)


@pytest.mark.parametrize("text", ["a=b", "a=01x", "a=NaN", "a=Infinity", "a=1e999", "a='b'", "a={", "a=1."])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(HelmSetError):
        merge("set_json", text)


@pytest.mark.parametrize("text", ["a" + "[0]" * 200 + "=b", "a[0]" + ".a[0]" * 200 + "=b", "a" + "[0]" * 30_000])
def test_deep_names_are_refused(text: str) -> None:
    with pytest.raises(HelmSetError, match=f"deeper than {MAX_DEPTH}"):
        merge("set", text)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 5_000, 30_000])
def test_deep_json_is_refused(depth: int) -> None:
    with pytest.raises(HelmSetError, match=f"deeper than {MAX_DEPTH}"):
        merge("set_json", "a=" + "[" * depth + "]" * depth)


def test_json_of_the_greatest_depth_is_taken() -> None:
    assert merge("set_json", "a=" + "[" * MAX_DEPTH + "]" * MAX_DEPTH)


def test_lists_cannot_fill_the_memory() -> None:
    with pytest.raises(HelmSetError, match="entries in all"):
        merge("set", *(f"a{number}[{MAX_INDEX}]=b" for number in range(10)))
    with pytest.raises(HelmSetError, match="entries in all"):
        merge("set", ",".join(f"a{number}[{MAX_INDEX}]=b" for number in range(10)))


def test_one_list_of_the_greatest_length_is_taken() -> None:
    assert len(merge("set", f"a[{MAX_INDEX}]=b")["a"]) == MAX_INDEX + 1


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("1.0", 1), ("1e3", 1000), ("0.5", 0.5), ("-0.0", 0)])
def test_whole_json_numbers_are_ints(text: str, number: float) -> None:
    assert to_json_number(text) == number
    assert isinstance(to_json_number(text), type(number))


def test_json_numbers_lose_what_a_float_cannot_hold() -> None:
    assert to_json_number("9007199254740993") == 9007199254740992.0


def test_depth_counts_maps_and_lists() -> None:
    check_depth({"a": [1]}, limit=2)
    with pytest.raises(HelmSetError):
        check_depth({"a": [[1]]}, limit=2)


@given(
    kind=st.sampled_from(["set", "set_string", "set_json", "set_literal"]),
    before=st.text(alphabet="ab01=,.[]{}\\ \"'", max_size=12),
    after=st.text(alphabet="ab01=,.[]{}\\ \"'", max_size=12),
)
def test_no_error_repeats_the_text(kind: str, before: str, after: str) -> None:
    try:
        merge(kind, before + TOKEN + after)
    except HelmSetError as error:
        assert TOKEN[:4] not in str(error)


@given(kind=st.sampled_from(["set", "set_string", "set_json", "set_literal"]), text=st.text())
def test_any_text_is_read_or_refused(kind: str, text: str) -> None:
    try:
        values = merge(kind, text)
    except HelmSetError:
        return
    check_depth(values)
