"""Whatever stands in an argument, the check of the arguments answers in plain words and before anything is changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_codecanvas.args import ARGUMENTS, PlatformArgs, check_args, to_camel
from pulumi_codecanvas.config import read_platforms
from pulumi_codecanvas.errors import InvalidArgumentsError
from tests.support.faults import fault

SERVER_URL = "http://codecanvas.example.com:8098"
HOSTILE = {
    "path": "../../../etc/passwd",
    "file address": "file:///etc/passwd",
    "shell": "$(touch /tmp/owned); `id` && rm -rf ~ | cat > x # &",
    "option": "--post-renderer=/bin/sh",
    "cel": "' || true || '\\' + object.metadata.name + \"",
    "yaml": "a: [b]\n---\n!!python/object/apply:os.system ['id']\n*x: &y",
    "go template": '{{ .Values | toYaml }}{{ fail "x" }}',
    "pulumi": "${pulumi.stack} [secret]",
    "format": "%s%n{0}{args.__class__}",
    "nul": "a\0b",
    "terminal": "\x1b]0;owned\x07\x1b[2J\r",
    "right to left": "\u202egnp.exe",
    "zero width": "eu\u200b",
    "homoglyph": "\u0435u",
    "emoji": "🧑‍💻" * 20,
    "combining": "e" + "\u0301" * 100,
    "lone surrogate": "eu\ud800",
    "line separator": "a\u2028b\u0085c",
    "space": " eu ",
    "long": "x" * 100_000,
}
PLACES: dict[str, Any] = {
    "service_accounts": [lambda text: {text: {}}, lambda text: {"a": {text: "b"}}, lambda text: {"a": {"b": text}}],
    "labels": [lambda text: {text: "b"}, lambda text: {"a": text}],
    "annotations": [lambda text: {text: "b"}, lambda text: {"a": text}],
    "propagate_env": [lambda text: [text]],
    "propagate_paths": [lambda text: [text]],
    "values": [lambda text: {text: {"a": text}}, lambda text: {"operator": {text: text}}],
    "quota": [lambda text: {text: 1}, lambda text: {"pods": text}],
    "limits": [lambda text: {text: {"cpu": 1}}, lambda text: {"max": {text: text}}],
    "storage": [
        lambda text: text,
        lambda text: {"driver": text},
        lambda text: {"driver": "a.b", "parameters": {text: text}},
    ],
    "pod_template": [
        lambda text: text,
        lambda text: {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"labels": {"a": text}, "annotations": {text: text}},
            "spec": {"containers": [{"name": "worker-main", "env": [{"name": "A", "value": text}], "args": [text]}]},
        },
    ],
}
"""How a text gets into an argument that is more than a text."""
TEXTS = [name for name, hint in ARGUMENTS.items() if "str" in hint or name in PLACES]


def check(argument: str, value: object, base_dir: Path = Path("/nonexistent")) -> PlatformArgs | str:
    """Give the checked arguments, or the text of the error."""
    given = {"server_url": SERVER_URL, argument: value}
    if argument == "connection_snippet":
        del given["server_url"]
    if argument == "chart_password":
        given["chart_username"] = "a"
    if argument == "chart_username":
        given["chart_password"] = "a"
    try:
        return check_args("eu", given, base_dir=base_dir, spell=to_camel)
    except InvalidArgumentsError as error:
        return str(error)


def test_every_argument_that_holds_text_is_tried() -> None:
    rest = {name: hint for name, hint in ARGUMENTS.items() if name not in TEXTS}
    assert set(rest.values()) <= {"bool", "int"}, rest


@fault(
    48,
    "Path, shell, CEL, YAML and Go-template characters, control characters and any Unicode in every argument",
    happens="Names are checked against Kubernetes' own rules, free text is taken as it is and never becomes part of an"
    " expression, a path or a command; what is refused is refused with its path before anything is changed.",
    user="Correct the argument that the error names.",
)
@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("argument", TEXTS)
def test_hostile_text_is_taken_as_it_is_or_refused_in_plain_words(argument: str, kind: str) -> None:
    text = HOSTILE[kind]
    for place in PLACES.get(argument, [lambda given: given]):
        answer = check(argument, place(text))
        if not isinstance(answer, str):
            assert_sendable(vars(answer))
            continue
        assert to_camel(argument) in answer
        assert all(line.isprintable() for line in answer.split("\n")), repr(answer)
        assert answer.isascii() or kind not in {"right to left", "zero width", "homoglyph"}, answer
        assert len(answer) < 20_000


@pytest.mark.parametrize("argument", TEXTS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(), max_size=80))
def test_any_text_is_taken_or_refused(argument: str, text: str) -> None:
    for place in PLACES.get(argument, [lambda given: given]):
        answer = check(argument, place(text))
        if isinstance(answer, str):
            assert all(line.isprintable() for line in answer.split("\n")), repr(answer)
        else:
            assert_sendable(vars(answer))


def assert_sendable(value: object) -> None:
    """See that every text can be sent to the engine, which takes UTF-8."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict):
        for key, inner in value.items():
            assert_sendable(key)
            assert_sendable(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            assert_sendable(inner)
    elif hasattr(value, "manifest"):
        assert_sendable(value.manifest)


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_names_of_arguments_and_platforms_are_refused_in_plain_words(kind: str) -> None:
    text = HOSTILE[kind]
    config = {text: 1, "platforms": {text: {}, "eu": {"serverUrl": SERVER_URL, text: "x"}}}
    with pytest.raises(InvalidArgumentsError) as caught:
        read_platforms(config, base_dir=Path("/nonexistent"))
    answer = str(caught.value)
    assert len(caught.value.faults) >= 3
    assert "platforms.eu" in answer
    assert all(line.isprintable() for line in answer.split("\n")), repr(answer)
    assert len(answer) < 20_000
