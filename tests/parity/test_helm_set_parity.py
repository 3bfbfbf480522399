"""Our `--set` grammar gives what the real Helm's gives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_codecanvas.helm_set import HelmSetError, SetMerger
from tests.parity.helm import HelmRefusedError, HelmValues, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

REFUSED = "refused"
LEAST_CASES = 2500
"""How many different generated cases a run compares at least."""
LEAST_TAKEN = 800
"""How many of them Helm takes at least; of the others it is compared that both refuse them."""

ODD = [
    # names without values, and values without names
    "", "a", "a=", "=", "=b", "a=b", "a=b,", "a=b,,", ",", ",a=b", "a,b=c", "a=,b=", "a=b,c", "a==b", "a=b=c", "a.=b",
    ".a=b", ".=b", "..=b", "a..b=c", "a.b.", "a.b", "a.b.=", "a.b.,c=d", "a=1,a.b=2", "a.b=1,a=2", "a.b=1,a.c=2",
    # types
    "a=true", "a=TRUE", "a=tRuE", "a=false", "a=fal\u017fe", "a=null", "a=NULL", "a=nil", "a=~", "a=yes", "a=on",
    "a=0", "a=-0", "a=+0", "a=00", "a=0123", "a=0x1F", "a=1e5", "a=+1", "a=-1", "a=--1", "a=1.5", "a=1_000", "a=1 ",
    "a= 1", "a=9223372036854775807", "a=9223372036854775808", "a=-9223372036854775808", "a=-9223372036854775809",
    "a=+0000000000000000000000000007", "a=99999999999999999999999", "a=\u0661", "a=\u00b2", "a=1\u0661",
    # escapes
    "a=b\\,c", "a=b\\\\c", "a=b\\", "a\\", "\\", "\\\\=b", "a\\.b=c", "a\\=b=c", "a\\[0]=b", "a=\\{b,c=d", "a=\\nb",
    "a\\,b=c", "a=\\t\\r\\ue", "a=b\\\nc", "a={b\\,c,d}", "a={b\\}c}", "a=\\1", "a=\\true",
    # lists in braces
    "a={}", "a={,}", "a={b}", "a={b,c}", "a={b,c},d=e", "a={b,c}d=e", "a={b}c", "a={b", "a={b,", "a={", "a={b\\",
    "a={b,{c}}", "a={1,true,null,x}", "a=b{c,d}", "a= {b}", "a={ b , c }", "a={b}}", "a={b},", "a={b},,",
    "a.b={c},a.d={e}",
    # indexes
    "a[0]=b", "a[1]=b", "a[0]=b,a[1]=c", "a[2]=b,a[0]=c", "a[0].b=c", "a[0].b=c,a[0].d=e", "a[1].b=c", "a[0][0]=b",
    "a[1][2]=b", "a[0][1].b=c", "a[0].b[1]=c", "a[0]", "a[", "a[0", "a[0]=", "a[0].", "a[0].b", "a[0].=b", "a[0]b=c",
    "a[0]]=b", "a[]=b", "a[-1]=b", "a[-0]=b", "a[+1]=b", "a[01]=b", "a[x]=b", "a[0 ]=b", "a[1_0]=b", "a[65536]=b",
    "a[65537]=b", "[0]=b", "a[99999999999999999999]=b", "a[0]=b,a.c=d", "a.b=c,a[0]=d", "a=b,a[0]=c", "a=null,a[0]=c",
    "a=null,a.b=c", "a[0]=b,a[0].c=d", "a[0].b=c,a[0]=d", "a[0][0]=b,a[0].c=d", "a[0]=b,a[0][0]=c",
    "a[0]=null,a[0][0]=c", "a[0]={b,c}", "a[\\0]=b", "a[0\\]=b", "a[0]=b,a[0].", "a[0]=b,a[0]", "a[0]=b,a[1].",
    "a={b,c},a[1]=d", "a={b,c},a[3]=d", "a[0],b=c", "a[0][0", "a[0][", "a[0][0]", "a[1]=b,a=c", "a[\u0661]=b",
    "a[0].b.c[1].d=e", "a[0][0][0][0]=b", "a.b[0]=c", "a.[0]=b", "a.b=c,a.b[0]=d",
    # depth, in Helm's own measure
    ".".join("a" * 31) + "=b", ".".join("a" * 32) + "=b", "a[0]." * 30 + "b=c", "a." * 31 + "b[0]=c",
    # text
    "a=\u00e9\U0001f600", "\u00e9.\U0001f600=b", "a=b\nc", "a=b c", " a = b ", "a=\"b\"", "a='b'", "a=`b`", "a=$b",
    "a=#b", "a=b:c", "a=\ufffd", "a-b_c/d=e", "a b=c", "\"a.b\"=c",
    "a=-----BEGIN KEY-----\nAb+/=\n-----END KEY-----\n", "a=b;c=d", "a=&b", "a=<b>", "a=\u2028",
]  # fmt: skip

ODD_JSON = [
    "", "a", "a=", "a= ", "a=,", "a=1", "a=1,b=2", "a=1 , b=2", "a= 1", "a=1b=2", "a=01", "a=-0", "a=-", "a=1.",
    "a=1.5", "a=1.e3", "a=1e", "a=1e+", "a=1e5", "a=1E-5", "a=1e400", "a=-1e400", "a=1e-400",
    "a=12345678901234567890", "a=9007199254740993", "a=0.1", "a=true", "a=truex", "a=tru", "a=null", "a=nullb=1",
    "a=NaN", "a=Infinity", "a=-Infinity", 'a="b"', 'a="b', 'a="b",c="d"', "a='b'", 'a="\\u00e9"',
    'a="\\ud83d\\ude00"', 'a="\\ud800"', 'a="\\ud800\\u0041"', 'a="\\udc00\\ud800"', 'a="\\u12"', 'a="\\x"',
    'a="b\nc"', 'a="\\n"', "a={}", "a=[]", 'a={"b":1}', 'a={"b":1,"b":2}', 'a={"b":1,}', "a=[1,]", "a=[1 2]",
    "a=[1.]", 'a={"b":{"c":[1,null]}}', 'a={"b":1},a.c=2', 'a=[1,2],a[1]=3', "a[0]=1", "a[2]=1", "a[0]=",
    "a[0]=,a[1]=1", 'a[0].b={"c":1}', 'a.b=1,a.c="d"', "a.b=", "a.=1", "=1", "a=1,,b=2", "a=\u00a01", "a=\u20031",
    "a=\x1c1", "a=1\u00a0,b=2", "a=\t1\n", "a=1\x0b", "a=b", "a=/*c*/1", 'a={"b\\ud800":1}', "a.b.", "a[0].", "a[",
    "a[0]b=1", "a=1,a.b=2", "a=[[[[1]]]]", 'a="\x7f"', "a=+1", "a=.5", "a=0x10", "a=1_000", "a\\.b=1", "a\\=b=1",
    "a=-1", "a=--1", "a=-a", "a=-01", "a=0e0", "a=0.0", "a=1.0", "a=100000000000000000000000", "a=[0.10]", "a=1}",
    "a=]", "a={", "a=[",
]  # fmt: skip

ODD_LITERAL = [
    "", "a", "a=", "=b", "a=b", "a=b,c=d", "a=b\\,c", "a={b,c}", "a=true", "a=null", "a=1", "a=b=c", "a.b=c,d",
    "a[0]=b,c", "a[1]=b", "a[0].b=c", "a[0][1]=b", "a[0].", "a[", "a[0", "a[0]", "a[0]b=c", "a[-1]=b", "a[65537]=b",
    "a,b=c", "a\\.b=c", "a\\=b", "a.b", "a.b.", ".a=b", "a..b=c", "a=b\nc", "a={", "a=\\", "a\\[0]=b", "a.[0]=b",
    "a=\u00e9", ".".join("a" * 32) + "=b", "[0]=b",
]  # fmt: skip

_NAME_PARTS = st.sampled_from(["a", "b", "c-d", "\u00e9", "e\\.f", "global", "0", "A", "", " "])
_INDEXES = st.sampled_from(["[0]", "[1]", "[2]", "[0][1]", "[3]", "[-1]", "[01]", "[]"])
_SCALARS = st.one_of(
    st.sampled_from(
        ["x", "1", "0", "-7", "007", "true", "False", "nUll", "1e3", "1.5", "", " ", "b\\,c", "\\", "y=z", "a.b", "[0]"]
    ),
    st.integers().map(str),
    st.text(alphabet="ab01,.=[]{}\\ \n\u00e9\u017f", max_size=6),
)
_LISTS = st.lists(_SCALARS, max_size=4).map(lambda entries: "{" + ",".join(entries) + "}")
_NAMES = st.lists(st.tuples(_NAME_PARTS, st.one_of(st.just(""), _INDEXES)), min_size=1, max_size=4).map(
    lambda parts: ".".join(name + index for name, index in parts)
)
_PAIRS = st.tuples(_NAMES, st.one_of(_SCALARS, _LISTS)).map("=".join)
_NOISE = st.text(alphabet="ab01=,.[]{}\\ -+\"'nulltruefas:\u017f\u00e9", max_size=24)
SETS = st.one_of(st.lists(_PAIRS, min_size=1, max_size=4).map(",".join), _NOISE)
_JSON_NOISE = st.text(alphabet='ab01=,.[]{}\\ -+"nulltruefaseE:', max_size=24)
_JSON_VALUES = st.recursive(
    st.sampled_from(["1", "-0.5e3", "true", "null", '"x"', '"\\u00e9"', "", " 2 ", "1e999", "'x'"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda entries: f"[{','.join(entries)}]"),
        st.lists(inner, max_size=3).map(lambda entries: "{" + ",".join(f'"k":{entry}' for entry in entries) + "}"),
    ),
    max_leaves=6,
)
JSONS = st.one_of(
    st.lists(st.tuples(_NAMES, _JSON_VALUES).map("=".join), min_size=1, max_size=3).map(",".join), _JSON_NOISE
)
LITERALS = st.one_of(_PAIRS, _NOISE)


def read_ours(flags: Mapping[str, Sequence[str]]) -> object:
    values: dict[str, Any] = {}
    merger = SetMerger(values)
    steps = {
        "json": merger.set_json,
        "set": merger.set,
        "string": merger.set_string,
        "literal": merger.set_literal,
    }
    try:
        for kind, merge in steps.items():
            for text in flags.get(kind, ()):
                merge(text)
    except HelmSetError:
        return REFUSED
    return canonical(values)


def read_helms(helm_values: HelmValues, flags: Mapping[str, Sequence[str]]) -> object:
    try:
        return canonical(helm_values.merge(**flags))
    except HelmRefusedError:
        return REFUSED


@pytest.mark.parametrize("kind", ["set", "string"])
@pytest.mark.parametrize("text", ODD)
def test_odd_assignments_give_what_helm_gives(helm_values: HelmValues, text: str, kind: str) -> None:
    flags = {kind: [text]}
    assert read_ours(flags) == read_helms(helm_values, flags)


@pytest.mark.parametrize("text", ODD_JSON)
def test_odd_json_assignments_give_what_helm_gives(helm_values: HelmValues, text: str) -> None:
    flags = {"json": [text]}
    assert read_ours(flags) == read_helms(helm_values, flags)


@pytest.mark.parametrize("text", ODD_LITERAL)
def test_odd_literal_assignments_give_what_helm_gives(helm_values: HelmValues, text: str) -> None:
    flags = {"literal": [text]}
    assert read_ours(flags) == read_helms(helm_values, flags)


FLAGS = st.fixed_dictionaries(
    {
        "json": st.lists(JSONS, max_size=1),
        "set": st.lists(SETS, max_size=2),
        "string": st.lists(SETS, max_size=2),
        "literal": st.lists(LITERALS, max_size=2),
    }
)
"""Several flags at once, which override each other."""


def test_thousands_of_generated_flags_give_what_helm_gives(helm_values: HelmValues) -> None:
    cases: dict[str, bool] = {}
    sources = (
        (SETS.map(lambda text: {"set": [text]}), 2000),
        (JSONS.map(lambda text: {"json": [text]}), 800),
        (FLAGS, 800),
    )
    for generated, examples in sources:

        @given(flags=generated)
        @settings(max_examples=examples)
        def compare(flags: dict[str, list[str]]) -> None:
            theirs = read_helms(helm_values, flags)
            cases[json.dumps(flags)] = theirs != REFUSED
            assert read_ours(flags) == theirs

        compare()
    assert len(cases) >= LEAST_CASES
    assert sum(cases.values()) >= LEAST_TAKEN
