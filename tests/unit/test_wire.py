"""Property values to and from plain Python."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime import rpc

from codecanvas_provider import wire
from codecanvas_provider.resource import UNKNOWN, holds_unknown
from pulumi_codecanvas.errors import CodeCanvasError

SIGNATURE = rpc._special_sig_key

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), values, max_size=4))
def test_plain_values_survive_the_wire(properties: dict[str, Any]) -> None:
    assert wire.decode(wire.encode(properties)) == wire.Properties(properties, frozenset())


def test_secrets_survive_the_wire_at_any_depth() -> None:
    properties = {"a": "s1", "b": {"c": ["x", {"d": "s2"}]}, "e": ["s3"], "f": UNKNOWN, "plain": 1}
    secrets = frozenset({("a",), ("b", "c", 1, "d"), ("e",), ("f",)})
    assert wire.decode(wire.encode(properties, secrets)) == wire.Properties(properties, secrets)


def test_only_what_is_secret_is_marked() -> None:
    struct = wire.encode({"a": {"b": "s", "c": "open"}}, {("a", "b")})
    inner = struct["a"]
    assert inner["b"][SIGNATURE] == rpc._special_secret_sig
    assert inner["c"] == "open"


def test_an_absent_secret_is_absent() -> None:
    assert wire.encode({"a": None}, {("a",), ("b",)}) == wire.encode({"a": None})


def test_whole_numbers_arrive_as_int_and_others_as_float() -> None:
    numbers = wire.decode(wire.encode({"whole": 3.0, "half": 0.5})).values
    assert numbers == {"whole": 3, "half": 0.5}
    assert isinstance(numbers["whole"], int)


@pytest.mark.parametrize("mark", sorted(wire._UNKNOWNS))
def test_every_mark_of_an_unknown_value_is_read(mark: str) -> None:
    assert wire.decode(wire.encode({"a": [mark]})).values == {"a": [UNKNOWN]}


def test_the_marks_are_those_of_the_sdk() -> None:
    assert wire.encode({"a": UNKNOWN})["a"] == rpc.UNKNOWN
    assert (
        rpc._special_sig_key,
        rpc._special_secret_sig,
        rpc._special_output_value_sig,
        rpc._special_resource_sig,
    ) == (wire._SIGNATURE, wire._SECRET, wire._OUTPUT_VALUE, wire._RESOURCE)


def test_output_values_are_unwrapped() -> None:
    output = {SIGNATURE: rpc._special_output_value_sig, "dependencies": ["urn"]}
    struct = wire.encode({"known": {**output, "value": 1, "secret": True}, "unknown": output})
    assert wire.decode(struct) == wire.Properties({"known": 1, "unknown": UNKNOWN}, frozenset({("known",)}))


def test_a_resource_is_told_by_its_id_or_its_urn() -> None:
    reference = {SIGNATURE: rpc._special_resource_sig, "urn": "urn:x"}
    struct = wire.encode({"custom": {**reference, "id": "i"}, "component": reference})
    assert wire.decode(struct).values == {"custom": "i", "component": "urn:x"}


def test_an_asset_is_refused_by_its_path() -> None:
    struct = wire.encode({"a": [{"b": {SIGNATURE: rpc._special_asset_sig, "text": "x"}}]})
    with pytest.raises(CodeCanvasError, match=r"^a\[0\]\.b: assets"):
        wire.decode(struct)


def test_a_foreign_type_is_named_without_its_value() -> None:
    with pytest.raises(TypeError, match=r"^a\.b\[0\] is of type bytes, which is no property value$"):
        wire.encode({"a": {"b": [b"hidden"]}})


def test_unknown_values_are_found_at_any_depth() -> None:
    assert holds_unknown({"a": [{"b": UNKNOWN}]})
    assert not holds_unknown({"a": [{"b": None}, "UNKNOWN"]})
