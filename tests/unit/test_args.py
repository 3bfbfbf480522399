"""The arguments of a platform: every fault by its path, and values that arrive in another language's form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulumi_codecanvas.args import PlatformArgs, check_args, to_camel
from pulumi_codecanvas.errors import InvalidArgumentsError

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
