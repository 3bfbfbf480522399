"""Our reading of values files gives what the real Helm's gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulumi_codecanvas.helm_values import HelmValuesError, merge_values, read_values
from tests.parity.helm import HelmRefusedError, HelmValues, canonical

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

REFUSED = "refused"

SCALARS = [
    "x", "1", "0", "-1", "+1", "017", "0o17", "0O17", "-017", "08", "0x1F", "0X1f", "0b101", "0B1", "-0b1", "0b+1",
    "1_000", "0_7", "_1", "1_", "1__0", "0x", "0b", "0o", "1.5", "1.", ".5", "-.5", "+.5", ".", "1e3", "1E3", "1e+3",
    "1.5e-3", ".5e1", "1e999", "-1e999", "1_0.5", "._5", ".5_0", "1e", "9223372036854775807", "9223372036854775808",
    "18446744073709551615", "18446744073709551616", "-9223372036854775808", "-9223372036854775809",
    "+18446744073709551615", "123456789012345678901234", "12345678901234567", "0.1", "yes", "Yes", "YES", "yEs", "no",
    "on", "On", "off", "OFF", "y", "Y", "n", "N", "true", "True", "TRUE", "tRUE", "false", "null", "Null", "NULL",
    "nULL", "~", "", "nil", ".inf", "-.inf", "+.Inf", ".nan", ".NaN", "2001-01-01", "2001-1-1",
    "2001-12-14t21:59:43.10-05:00", "2001-12-14 21:59:43.10 -5", "12:30:45", "190:20:30.15", "1:2", "'yes'", '"1"',
    '"a\\nb"', '"\\u00e9\\U0001F600"', "'it''s'", "a b", "a#b", "a #b", "a: b", "- a", "[a, 1, yes]",
    "{a: 1, b: [2]}", "{a: 1, a: 2}", "!!str 1", "!!str yes", "!!int '3'", "!!int 1e3", "!!int x", "!!float 3",
    "!!float x", "!!bool 'yes'", "!!bool 1", "!!null ''", "!!null x", "!foo 1", "!foo {a: 1}", "!!map {a: 1}",
    "!!seq [1]", "!!set {a, b}", "!!python/object:os.system [ls]", "!!binary aGVsbG8=", "!!binary x", "! 1", "&a 1",
    "*a", "|\n  a\n  b\n", ">\n  a\n  b\n", "|-\n  a\n\n", "@a", "`a", "%a", "a: b: c", "'a", '"a', "{a", "[a", "<<",
    "'<<'", "?", "\u00e9", "\U0001f600", "\x85a", "a\\b", "=", "-", "--", "+", "-a", "+a", "1a", "0xg",
]  # fmt: skip

DOCUMENTS = [
    "", "\n", "---\n", "# only a comment\n", "null", "~", "{}", "[]", "a", "1", "yes", "- a", "a: 1\n---\nb: 2\n",
    "a: 1\n...\nb: [\n", "a: 1\n--- b: [\n", "%YAML 1.1\n---\na: yes\n", "%YAML 1.2\n---\na: yes\n", "a: 1\na: 2\n",
    "1: a\nyes: b\n0x10: c\n-7: d\n017: e\n", "~: a\n", "null: a\n", "? [a]\n: b\n", "? {a: b}\n: c\n", "1.5.2: a\n",
    "1e3x: a\n", "2001-01-01: a\n", "'': a\n", "a: &x {b: 1, c: 2}\nd: *x\n", "a: &x {b: 1}\nd:\n  <<: *x\n  c: 2\n",
    "a: &x {b: 1}\nd:\n  b: 2\n  <<: *x\n", "a: &x {b: 1}\nd:\n  <<: *x\n  b: 2\n",
    "a: &x {b: 1}\nc: &y {b: 2, d: 3}\ne:\n  <<: [*x, *y]\n", "a:\n  <<: {b: 1}\n", "a:\n  <<: b\n",
    "a:\n  <<: [b]\n", "a: &x [1]\nb:\n  <<: *x\n", "a:\n  '<<': {b: 1}\n", "a:\n  !!merge <<: {b: 1}\n",
    "a: &x\n  b: *x\n", "a: *x\n", "a: {b: null, c: ~}\n", "a:\n\tb: 1\n", "a: 1\n b: 2\n", "a:\n- b\n- c\n",
    "a:\n  - b\n c\n", "\ufeffa: 1\n", "a: \x07\n", "a: b\r\nc: d\r\n", "a: '\n\n  b'\n",
    "a: |\n  -----BEGIN KEY-----\n  Ab+/=\n  -----END KEY-----\n", "a: \u2028b\n", "a:b\n", "a : b\n", '"a": b\n',
    '{"a": {"b": [1, true, null, "x"]}}', "a: b # c\n", "{a: b}, c", "a: [b\n", "a: {b: c\n", "a: !!set {b, c}\n",
    "[a]: b\n", "a: !!omap [b: 1]\n", "true: a\n", "y: a\nn: b\n", "!!str 1: a\n", "!!int '1': a\n",
    "18446744073709551615: a\n", "9223372036854775807: a\n",
]  # fmt: skip

STRICTER = [
    "'1': a\n1: b\n", "1.5: a\n", "a: \t1\n", "a: &x 1\nb: &x 2\n", "a: !!timestamp 2001-01-01\n",
    "a: !!binary /w==\n",
]  # fmt: skip

_SCALAR_NOISE = st.text(alphabet="0123456789+-._eExXoObBaAfFyYnNtTrRuUsSlLiI~:", min_size=1, max_size=8)
_KEYS = st.sampled_from(["a", "b", "c", "1", "yes", "'2'", "d-e"])


def _write_block(value: object, indent: str = "") -> str:
    if isinstance(value, dict) and value:
        return "".join(f"\n{indent}{key}: {_write_block(child, indent + '  ')}" for key, child in value.items())
    if isinstance(value, list) and value:
        return "".join(f"\n{indent}- {_write_block(entry, indent + '  ')}" for entry in value)
    return str(value)


_TREES = st.recursive(
    st.one_of(
        _SCALAR_NOISE, st.sampled_from([scalar for scalar in SCALARS if "\n" not in scalar and "&" not in scalar])
    ),
    lambda inner: st.one_of(st.dictionaries(_KEYS, inner, max_size=3), st.lists(inner, max_size=3)),
    max_leaves=8,
)
_MAPS = st.dictionaries(_KEYS, _TREES, min_size=1, max_size=4)


def read_ours(contents: Sequence[bytes]) -> object:
    values: object = {}
    try:
        for content in contents:
            assert isinstance(values, dict)
            values = merge_values(values, read_values(content))
    except HelmValuesError:
        return REFUSED
    return canonical(values)


def read_helms(helm_values: HelmValues, directory: Path, contents: Sequence[bytes]) -> object:
    paths = [directory / f"values-{number}.yaml" for number in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    try:
        return canonical(helm_values.merge(files=[str(path) for path in paths]))
    except HelmRefusedError:
        return REFUSED


@pytest.mark.parametrize("scalar", SCALARS)
def test_scalars_mean_what_they_mean_to_helm(helm_values: HelmValues, tmp_path: Path, scalar: str) -> None:
    content = [f"a: {scalar}\n".encode()]
    assert read_ours(content) == read_helms(helm_values, tmp_path, content)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_mean_what_they_mean_to_helm(helm_values: HelmValues, tmp_path: Path, document: str) -> None:
    content = [document.encode()]
    assert read_ours(content) == read_helms(helm_values, tmp_path, content)


@pytest.mark.parametrize("document", STRICTER)
def test_what_helm_guesses_or_lets_pass_is_refused(helm_values: HelmValues, tmp_path: Path, document: str) -> None:
    content = [document.encode()]
    assert read_helms(helm_values, tmp_path, content) != REFUSED
    assert read_ours(content) == REFUSED


@given(scalar=_SCALAR_NOISE)
@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_any_plain_scalar_means_what_it_means_to_helm(helm_values: HelmValues, tmp_path: Path, scalar: str) -> None:
    content = [f"a: {scalar}\n".encode()]
    assert read_ours(content) == read_helms(helm_values, tmp_path, content)


@given(trees=st.lists(_MAPS, min_size=1, max_size=3))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_files_override_each_other_as_in_helm(
    helm_values: HelmValues, tmp_path: Path, trees: list[dict[str, object]]
) -> None:
    contents = [_write_block(tree).encode() for tree in trees]
    assert read_ours(contents) == read_helms(helm_values, tmp_path, contents)
