"""The stack's config as the root program reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pytest

from pulumi_codecanvas.config import read_platforms
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.stack import read_config

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def config() -> Iterator[None]:
    yield
    pulumi.runtime.set_all_config({}, [])


def test_a_mistyped_key_is_told_with_every_other_fault(tmp_path: Path) -> None:
    pulumi.runtime.set_all_config(
        {
            "codecanvas:freezeAl": "true",
            "codecanvas:plattforms": "eu",
            "codecanvas:platforms": '{"eu": {"freeze": "yes", "serverUrl": "http://x:8098"}}',
            "kubernetes:context": "eu",
        }
    )
    with pytest.raises(InvalidArgumentsError) as caught:
        read_platforms(read_config(), base_dir=tmp_path)
    faults = {fault.path: str(fault) for fault in caught.value.faults}
    assert set(faults) == {"freezeAl", "plattforms", "platforms.eu.freeze"}
    assert "there is no such key" in faults["freezeAl"]
    assert "freezeAll" in faults["freezeAl"]


def test_only_known_keys_that_should_hold_a_structure_have_to(tmp_path: Path) -> None:
    pulumi.runtime.set_all_config({"codecanvas:platforms": "eu"})
    with pytest.raises(InvalidArgumentsError, match="platforms: is plain text"):
        read_platforms(read_config(), base_dir=tmp_path)
