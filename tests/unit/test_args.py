"""The arguments of a platform: every fault by its path, and values that arrive in another language's form."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pulumi_codecanvas.args import PlatformArgs, check_args, to_camel
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.late_checks import checked_values, merged_values
from pulumi_codecanvas.snippet import parse_snippet

HERE = Path(__file__).parent
URL = "http://codecanvas.example.com:8098"


def check(**arguments: Any) -> PlatformArgs:
    return check_args("eu", {"server_url": URL, **arguments}, base_dir=HERE)


def refused(**arguments: Any) -> list[str]:
    with pytest.raises(InvalidArgumentsError) as caught:
        check_args("eu", {"server_url": URL, **arguments}, base_dir=HERE, spell=to_camel)
    return [str(fault) for fault in caught.value.faults]


def test_a_whole_number_of_another_language_is_the_text_that_was_written() -> None:
    found = check(token_version=2.0, chart_version=7, stop_timeout=30.0)
    assert (found.token_version, found.chart_version, found.stop_timeout) == ("2", "7", 30)
    assert refused(token_version=2.5) == ["tokenVersion: must be text, not a number"]


def test_whole_numbers_of_another_language_are_integers_in_values_too() -> None:
    values = {"ports": [8080.0], "ratio": 1.5}
    written = '{"ports": [8080], "ratio": 1.5}'
    assert json.dumps(check(values=values).values) == written
    snippet = parse_snippet("helm upgrade cc oci://example.com/c", base_dir=HERE)
    assert json.dumps(asyncio.run(merged_values("eu", snippet, values))) == written
    facts = dict.fromkeys(("server_url", "private_key", "instance_id", "target_namespace"))
    late = asyncio.run(checked_values("eu", {**facts, "values": values}))
    assert json.dumps({key: late[key] for key in values}) == written


def test_values_are_checked_to_their_leaves_beside_other_faults() -> None:
    loop: dict[str, Any] = {"password": "topsecret"}
    loop["self"] = [loop]
    assert refused(values={"a": {"b": b"topsecret", 1: 2}}, pod_security="none") == [
        "values.a.b: is of type bytes; use texts, numbers, booleans, lists and mappings only",
        "values.a: holds a key that is a number; write every key as text",
        "podSecurity: is not a pod security level; use one of privileged, baseline, restricted",
    ]
    assert refused(values=loop) == ["values: nests deeper than 100 levels, or contains itself"]
