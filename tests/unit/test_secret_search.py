"""The search for secrets finds them, however they are written."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_codecanvas.keys import generate_private_key
from tests.support.secret_search import SECRET_KIND, SECRET_SIGNATURE, find_secrets, without_sealed

KEY = generate_private_key()
PASSWORD = "correct-horse+battery/staple"
SECRETS = {"key": KEY, "password": PASSWORD}


@given(st.binary(max_size=7), st.binary(max_size=7), st.sampled_from(list(SECRETS)), st.booleans())
def test_secret_is_found_in_base64_at_every_alignment(before: bytes, after: bytes, name: str, urlsafe: bool) -> None:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    hidden = encode(before + SECRETS[name].encode() + after)
    assert find_secrets({"there": hidden}, SECRETS) == [f"{name} in there"]


@pytest.mark.parametrize(
    "text",
    [KEY, json.dumps(KEY), KEY.replace("\n", "\r\n"), KEY.splitlines()[1], "".join(KEY.splitlines()[1:-1])],
    ids=["whole", "json", "windows", "line", "body"],
)
def test_key_is_found_however_its_lines_are_written(text: str) -> None:
    assert find_secrets({"there": f"a {text} b".encode()}, SECRETS) == ["key in there"]


@given(st.binary(max_size=200))
def test_nothing_is_found_where_nothing_is(text: bytes) -> None:
    assert find_secrets({"there": text}, SECRETS) == []


def test_what_pulumi_marks_as_secret_is_taken_out_and_nothing_else() -> None:
    sealed = {SECRET_SIGNATURE: SECRET_KIND, "value": PASSWORD}
    message = {"a": [sealed, {"b": sealed, "c": "seen"}], "d": {SECRET_SIGNATURE: "other", "value": PASSWORD}}
    cleaned = without_sealed(message)
    assert cleaned["a"] == ["[secret]", {"b": "[secret]", "c": "seen"}]
    assert find_secrets({"there": json.dumps(cleaned).encode()}, SECRETS) == ["password in there"]
