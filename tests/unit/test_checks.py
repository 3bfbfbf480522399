from __future__ import annotations

import json
import re
from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_codecanvas.checks import (
    annotation_faults,
    dns_label_faults,
    dns_subdomain_faults,
    is_env_name,
    is_qualified_name,
    is_quantity,
    join_path,
    label_faults,
    release_name_faults,
    show,
    suggest,
    type_name,
    unknown_key_faults,
)
from tests.support.opaque import Output

HOSTILE = ["", "-a", "a-", "A", "a_b", "a/b", "../a", "a b", "a\nb", "é", "a;b", "'||true||'", "${a}", "{{a}}", "a\0"]


def test_shown_name_is_short_plain_text() -> None:
    assert show('é"\n') == '"\\u00e9\\"\\n"'
    assert len(show("x" * 1000)) < 80


@pytest.mark.parametrize(
    ("path", "key", "joined"),
    [
        ("labels", "team", "labels.team"),
        ("", "spec", "spec"),
        ("labels", "a.b/c", 'labels["a.b/c"]'),
        ("labels", "", 'labels[""]'),
        ("labels", "a\nb", 'labels["a\\nb"]'),
    ],
)
def test_path_shows_a_key_so_that_it_cannot_mislead(path: str, key: str, joined: str) -> None:
    assert join_path(path, key) == joined


@pytest.mark.parametrize("name", ["a", "eu-west-1", "0", "a" * 63])
def test_dns_label_is_accepted(name: str) -> None:
    assert dns_label_faults("namespace", name) == []


@pytest.mark.parametrize("name", [*HOSTILE, "a.b", "a" * 64, None, 5, True, ["a"]])
def test_what_is_no_dns_label_is_refused_with_what_is_allowed(name: object) -> None:
    (fault,) = dns_label_faults("namespace", name)
    assert fault.path == "namespace"
    assert "up to 63 lower-case letters, digits and `-`" in fault.remedy
    assert str(fault).isascii()
    assert str(fault).isprintable()


@pytest.mark.parametrize("name", ["a", "a.b", "a-1.b-2", "a" * 253])
def test_dns_subdomain_is_accepted(name: str) -> None:
    assert dns_subdomain_faults("x", name) == []


@pytest.mark.parametrize("name", [*HOSTILE, ".a", "a..b", "a.", "a" * 254])
def test_what_is_no_dns_subdomain_is_refused(name: str) -> None:
    assert len(dns_subdomain_faults("x", name)) == 1


def test_release_name_is_limited_to_53_characters() -> None:
    assert release_name_faults("releaseName", "a" * 53) == []
    (fault,) = release_name_faults("releaseName", "a" * 54)
    assert "has 54 characters; use up to 53" in str(fault)


@pytest.mark.parametrize(
    "labels",
    [{}, {"a": ""}, {"example.com/Team_1": "A.b-c_d"}, {"a": Output()}, {"a" * 63: "b" * 63}],
)
def test_labels_are_accepted(labels: object) -> None:
    assert label_faults("labels", labels) == []


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        ({"on": True}, 'labels.on: is a boolean, not a text; quote it: "true"'),
        ({"version": 1.1}, 'labels.version: is a number, not a text; quote it: "1.1"'),
        ({"tier": 1.0}, 'labels.tier: is a number, not a text; quote it: "1"'),
        ({"large": 10**5000}, 'labels.large: is a number, not a text; quote it: "..."'),
        ({"none": None}, 'labels.none: is empty, not a text; write a text, such as ""'),
        ({"path": PurePath("a")}, 'labels.path: is of type PurePosixPath, not a text; write a text, such as ""'),
        ({"list": ["a"]}, 'labels.list: is a list, not a text; write a text, such as ""'),
        ({5: "a"}, "labels: holds a key that is a number; write every key as text"),
        ({"-a": "b"}, 'labels["-a"]: is not a valid key'),
        ({"/a": "b"}, 'labels["/a"]: is not a valid key'),
        ({"Up.Case/a": "b"}, 'labels["Up.Case/a"]: is not a valid key'),
        ({"a/b/c": "d"}, 'labels["a/b/c"]: is not a valid key'),
        ({"a": "two words"}, 'labels.a: "two words" is not a valid label value'),
        ({"a": "x" * 64}, 'labels.a: "xxx'),
        (["a"], "labels: is a list, not a map of labels; write `key: value` pairs"),
        ("a=b", "labels: is a text, not a map of labels"),
    ],
)
def test_label_is_refused_with_its_path(labels: object, fault: str) -> None:
    (found,) = label_faults("labels", labels)
    assert str(found).startswith(fault)


def test_annotation_values_are_free_text_of_bounded_size() -> None:
    assert annotation_faults("annotations", {"a": "two\nlines é", "b": Output()}) == []
    assert [str(fault) for fault in annotation_faults("annotations", {"a": True, "b": "é" * 2**17})] == [
        'annotations.a: is a boolean, not a text; quote it: "true"',
        "annotations: is larger than 256 KiB; keep large data in a ConfigMap",
    ]


@pytest.mark.parametrize("text", ["0", "4", "0.5", ".5", "5.", "500m", "16Gi", "1e3", "1E-3", "10k", "2Ei", "-1", "+1"])
def test_quantity_is_recognised(text: str) -> None:
    assert is_quantity(text)


@pytest.mark.parametrize("text", ["", "Gi", "1 Gi", "1GB", "1gi", "1KI", "0x10", "1.5.5", "1e", "٣", "1\n", "nan"])
def test_what_is_no_quantity_is_recognised(text: str) -> None:
    assert not is_quantity(text)


def test_names_are_recognised() -> None:
    assert all(is_env_name(name) for name in ("A", "_a", "a.b-c", "-x"))
    assert not any(is_env_name(name) for name in ("", "1A", "A=b", "A;B", "A B", "é", "A\n"))
    assert is_qualified_name("nvidia.com/gpu")
    assert not is_qualified_name("nvidia.com/")


def test_near_miss_is_suggested_and_a_far_one_is_not() -> None:
    known = ("driver", "parameters")
    assert suggest("Drivr", known) == "did you mean `driver`?"
    assert suggest("volume", known) == ""
    assert [str(fault) for fault in unknown_key_faults("storage", {"paramters": 1, "x": 2, 3: 4}, known)] == [
        "storage.paramters: is not known; did you mean `parameters`?",
        "storage.x: is not known; known keys are driver, parameters",
        "storage: holds a key that is a number; write every key as text",
    ]


def test_type_is_named_without_the_value() -> None:
    assert type_name("secret") == "a text"
    assert type_name(None) == "empty"
    assert type_name(Output()) == "of type Output"


@given(st.text())
def test_accepted_label_matches_the_kubernetes_rule(name: str) -> None:
    rule = re.compile(r"\A[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
    assert (dns_label_faults("x", name) == []) == bool(rule.match(name))


@given(st.dictionaries(st.text() | st.integers(), st.text() | st.none() | st.floats() | st.binary()))
def test_any_map_is_checked_without_an_error(entries: dict[object, object]) -> None:
    for fault in [*label_faults("labels", entries), *annotation_faults("annotations", entries)]:
        json.dumps(str(fault))
        assert str(fault).isascii()
