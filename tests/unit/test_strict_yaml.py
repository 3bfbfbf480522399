from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.strict_yaml import MAX_BYTES, MAX_FAULTS, Written, dump_yaml, load_yaml, resolve_plain
from tests.support.faults import fault

PATIENCE_S = 5.0


def faults_of(text: str) -> list[str]:
    with pytest.raises(InvalidArgumentsError) as caught:
        load_yaml(text)
    return [str(fault) for fault in caught.value.faults]


def test_scalar_keeps_its_source_text() -> None:
    assert load_yaml("version: 1.10") == {"version": Written("1.10", 1.1)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("Yes", True),
        ("on", True),
        ("OFF", False),
        ("no", False),
        ("~", None),
        ("null", None),
        ("12", 12),
        ("-7", -7),
        ("1_000", 1000),
        ("0644", 420),
        ("0o17", 15),
        ("-0x1F", -31),
        ("0b101", 5),
        ("08", 8),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
    ],
)
def test_plain_scalar_is_read_as_kubectl_reads_it(text: str, value: object) -> None:
    read = resolve_plain(text)
    assert isinstance(read, Written)
    assert (read.text, type(read.value), read.value) == (text, type(value), value)


@pytest.mark.parametrize("text", ["1:30", "2020-01-01", "y", "0x", "0b", "1.2.3", "=", "<<", "16Gi", "9" * 100, "٣"])
def test_what_kubectl_reads_as_text_stays_text(text: str) -> None:
    assert resolve_plain(text) == text


@pytest.mark.parametrize("text", ['"true"', "'1.10'", "!!str 5", "! 5", "|-\n  true"])
def test_quoted_or_tagged_scalar_is_text(text: str) -> None:
    read = load_yaml(f"- {text}\n")
    assert isinstance(read, list)
    assert [type(item) for item in read] == [str]


def test_keys_are_texts_as_written() -> None:
    assert load_yaml("1.10: a\non: b\n2020-01-01: c\n") == {"1.10": "a", "on": "b", "2020-01-01": "c"}


def test_core_tags_are_read() -> None:
    assert load_yaml("a: !!int 5\nb: !!float 5\nc: !!map {}\nd: !!seq []\ne: !!null ~\n") == {
        "a": Written("5", 5),
        "b": Written("5", 5),
        "c": {},
        "d": [],
        "e": Written("~", None),
    }


@fault(47)
@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system",
        "!!python/name:os.system",
        "!!binary",
        "!!timestamp",
        "!vault",
        "!<tag:example.com,2000:x>",
    ],
)
def test_other_tags_are_refused_with_their_place(tag: str) -> None:
    (fault,) = faults_of(f"a: 1\nb: {tag} x\n")
    assert fault.startswith("line 2, column 4: the tag")


def test_tag_that_does_not_fit_is_refused() -> None:
    assert faults_of("a: !!int x\nb: !!map x\nc: !!seq {}\n") == [
        "line 1, column 4: `!!int` stands before something else; remove the tag",
        'line 2, column 4: the tag "!!map" is not allowed; remove it; manifests need no tags',
        'line 3, column 4: the tag "!!seq" is not allowed; remove it; manifests need no tags',
    ]


def test_every_duplicate_key_is_reported_with_its_place() -> None:
    assert faults_of("a: 1\nb:\n  c: 1\n  c: 2\na: 3\n") == [
        'line 4, column 3: the key "c" stands here a second time; keep one of them',
        'line 5, column 1: the key "a" stands here a second time; keep one of them',
    ]


def test_anchors_and_merges_work() -> None:
    text = "a: &a {x: one, y: two}\nb: {<<: *a, x: three}\nc: {<<: [*a, {x: four, z: five}]}\n"
    assert load_yaml(text) == {
        "a": {"x": "one", "y": "two"},
        "b": {"x": "three", "y": "two"},
        "c": {"x": "one", "y": "two", "z": "five"},
    }


def test_quoted_merge_sign_is_a_key_like_any_other() -> None:
    assert load_yaml("'<<': {a: b}\nc: <<\n") == {"<<": {"a": "b"}, "c": "<<"}


def test_alias_without_anchor_is_refused() -> None:
    assert faults_of("a: *b\n") == ['line 1, column 4: the alias "*b" has no anchor before it']


def test_alias_within_its_own_anchor_is_refused() -> None:
    assert "has no anchor before it" in faults_of("a: &a [*a]\n")[0]


def test_second_document_is_refused_and_empty_ones_are_not_counted() -> None:
    assert faults_of("a: 1\n---\nb: 2\n") == [
        "line 3, column 1: a second document begins; keep one document; nothing after `---`"
    ]
    assert load_yaml("---\n# a comment\n---\na: b\n---\n") == {"a": "b"}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n", "\ufeff", "\n\n"])
def test_empty_text_is_none(text: str) -> None:
    assert load_yaml(text) is None


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a:\n  b: 1\n\tc: 2\n", "\ta: 1\n"])
def test_tab_in_an_indent_is_named(text: str) -> None:
    (fault,) = faults_of(text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "\t" in line)
    assert fault == f"line {line}, column 1: a tab stands where YAML allows spaces only; indent with spaces"


def test_syntax_error_has_its_place_and_not_the_content() -> None:
    for text in ("a: [1, 2\nb: topsecret\n", "a: 'topsecret\n", "a: topsecret: b\n", 'a: "topsecret\\q"\n'):
        (fault,) = faults_of(text)
        assert fault.startswith("line ")
        assert "is not valid YAML" in fault
        assert "topsecret" not in fault


@pytest.mark.parametrize("text", ['a: "\\UFFFFFFFF"', "%YAML 1." + "9" * 5000 + "\n---\na: 1"])
def test_number_beyond_what_python_converts_is_a_fault(text: str) -> None:
    assert "is not valid YAML" in faults_of(text)[0]


@pytest.mark.parametrize("char", ["\x01", "\x00", "\ud800", "\uffff"])
def test_character_outside_yaml_is_refused_with_its_place(char: str) -> None:
    assert faults_of(f"a: 1\nb: x{char}\n") == [
        "line 2, column 5: holds a character that YAML does not allow; remove it"
    ]


def test_windows_line_ends_and_byte_order_mark_are_read() -> None:
    assert load_yaml("\ufeffa: b\r\nc:\r\n  - d\r\n") == {"a": "b", "c": ["d"]}


def test_json_is_read_tabs_and_all() -> None:
    value = {"a": ["x", {"b": "c\td"}], "e": "f"}
    assert load_yaml(json.dumps(value)) == value
    assert load_yaml(json.dumps(value, indent="\t")) == value


def test_key_that_is_no_scalar_is_refused() -> None:
    for text in ("? [a]\n: b\n", "? {a: b}\n: c\n", "a: &a [b]\n*a : c\n"):
        assert "uses a mapping or list as a key" in faults_of(text)[0]


def test_faults_are_capped() -> None:
    assert len(faults_of("\n".join(["a: 1"] * 1000))) == MAX_FAULTS + 1


def test_aliases_cannot_nest_deeper_than_plain_text() -> None:
    text = "a0: &a0 [x]\n" + "\n".join(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 100))
    assert "is nested more than 64 levels deep" in faults_of(text)[0]


BOMBS = {
    "laughs": "\n".join(
        ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
        + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    ),
    "long alias": "a: &a '" + "x" * 500_000 + "'\nb: [*a, *a, *a]\n",
    "merges": "a0: &a0 {x: y}\n"
    + "\n".join(f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 50)}]}}" for i in range(1, 20)),
    "flow lists": "[" * 500_000,
    "flow mappings": "{a: " * 200_000,
    "block lists": "- " * 500_000,
    "complex keys": "? " * 500_000,
    "many values": "- x\n" * 200_000,
    "many keys": "\n".join(f"k{i}: v" for i in range(80_000)),
    "colons": "a: " + ":" * 900_000,
    "too large": "a: " + "x" * MAX_BYTES,
    "too large in bytes": "a: " + "é" * (MAX_BYTES // 2),
}


@fault(
    47,
    "YAML bombs, aliases that grow, tags that make objects, in pod templates and in the config",
    happens="They are refused within seconds, with line and column; anchors that stay small work. A bomb in the"
    " config file itself is refused by Pulumi.",
    user="Mend the file that the error names.",
)
@pytest.mark.parametrize("name", BOMBS)
def test_bomb_is_refused_quickly(name: str) -> None:
    start = time.process_time()
    assert faults_of(BOMBS[name])
    assert time.process_time() - start < PATIENCE_S


def test_largest_allowed_text_is_read_quickly() -> None:
    start = time.process_time()
    assert load_yaml("a: |\n" + f"  {'x' * 100}\n" * 10_000)
    assert load_yaml("a: " + "x y\n " * 200_000)
    assert time.process_time() - start < PATIENCE_S


YAMLISH = st.text(alphabet=st.sampled_from("ab1.0:-?[]{},&*!|>'\"%#@`~ \t\r\n<=_\\Ux\ufeff\x85é"), max_size=60)


@given(YAMLISH)
def test_any_text_gives_a_value_or_faults(text: str) -> None:
    try:
        load_yaml(text)
    except InvalidArgumentsError as error:
        assert error.faults


@given(st.text())
def test_any_unicode_gives_a_value_or_faults(text: str) -> None:
    try:
        load_yaml(text)
    except InvalidArgumentsError as error:
        assert error.faults


TEXTS = (
    st.text(st.characters(exclude_categories=["Cs"]))
    | YAMLISH
    | st.sampled_from(["true", "1.10", "~", "1e3", "on", "<<"])
)
TREES = st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.value if isinstance(value, Written) else value


@given(TREES)
def test_what_is_written_is_read_back(tree: object) -> None:
    assert plain(load_yaml(dump_yaml([tree]))) == [tree]
