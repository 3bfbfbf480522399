"""Values of any shape: what JSON can hold is copied, anything else is named and never shown."""

from __future__ import annotations

import json
import time
from datetime import date
from types import MappingProxyType
from typing import Any

import pulumi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.output import UNKNOWN

from pulumi_codecanvas.checks import is_output
from pulumi_codecanvas.errors import Fault
from pulumi_codecanvas.plain_values import MAX_FAULTS, read_plain
from tests.support.opaque import Output

SECRET = "topsecret"
LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()


def faults_of(tree: object) -> list[str]:
    _, faults = read_plain("values", tree)
    return [str(fault) for fault in faults]


def test_plain_values_are_copied_and_outputs_handed_on() -> None:
    output = Output()
    tree = {"a": [1, 1.5, True, None, "x", output], "b": MappingProxyType({"c": (8080.0,)})}
    made, faults = read_plain("values", tree)
    assert faults == []
    assert made["a"][5] is output
    assert json.dumps(made["b"]) == '{"c": [8080]}'


@pytest.mark.parametrize(
    ("leaf", "cause"),
    [
        (date(2020, 1, 1), "is of type date"),
        ({SECRET}, "is of type set"),
        (SECRET.encode(), "is of type bytes"),
        (object(), "is of type object"),
        (2**63, "is no number of 64 bits"),
        (10**5000, "is no number of 64 bits"),
        (float("nan"), "is no number of 64 bits"),
        (float("inf"), "is no number of 64 bits"),
        ({1: SECRET}, "holds a key that is a number"),
        ({b"k": SECRET}, "holds a key that is of type bytes"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_json_cannot_hold_is_a_fault_with_its_path_and_never_shown(leaf: object, cause: str) -> None:
    [fault] = faults_of({"operator": {"list": [SECRET, leaf]}})
    assert fault.startswith(f"values.operator.list[1]: {cause}")
    assert SECRET not in fault


def test_every_fault_is_told_up_to_a_bound() -> None:
    assert len(faults_of({"a": b"1", "b": [{2}], "c": 1})) == 2
    many = faults_of([b"x"] * 1000)
    assert len(many) == MAX_FAULTS + 1
    assert many[-1] == "values: has further faults"


def test_a_tree_that_contains_itself_or_unfolds_enormously_is_refused_quickly() -> None:
    start = time.process_time()
    loop: dict[str, Any] = {"password": SECRET}
    loop["self"] = loop
    assert faults_of(loop) == ["values: nests deeper than 100 levels, or contains itself"]
    wide: list[object] = []
    for _ in range(50):
        wide = [wide, wide, wide]
    assert faults_of(wide) == ["values: holds more than 100000 values"]
    assert time.process_time() - start < 5


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20))
def test_any_tree_is_read_without_an_error(tree: object) -> None:
    made, faults = read_plain("values", tree)
    assert all(isinstance(fault, Fault) for fault in faults)
    if not faults:
        assert made == tree


@pytest.mark.parametrize("value", [Output(), UNKNOWN], ids=["output", "unknown"])
def test_what_is_known_later_is_told_by_its_methods(value: object) -> None:
    assert is_output(value)


@pytest.mark.parametrize("value", [None, "x", b"x", 1, {}, [], date(2020, 1, 1), object(), pulumi.StringAsset("x")])
def test_what_is_known_now_is_no_output(value: object) -> None:
    assert not is_output(value)
