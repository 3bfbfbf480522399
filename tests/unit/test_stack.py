"""The root program: the stack's config as it reads it, and what it makes secret."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
from typing import TYPE_CHECKING, Any

import pulumi
import pytest

from pulumi_codecanvas import stack
from pulumi_codecanvas.config import read_platforms
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.stack import declare_platforms, read_config

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


@pytest.mark.parametrize("text", ["True", "yes"])
def test_a_freeze_of_all_that_is_no_truth_is_told_with_the_command_and_every_other_fault(
    text: str, tmp_path: Path
) -> None:
    pulumi.runtime.set_all_config({"codecanvas:freezeAll": text, "codecanvas:platforms": '{"eu": {"freeze": "yes"}}'})
    with pytest.raises(InvalidArgumentsError) as caught:
        read_platforms(read_config(), base_dir=tmp_path)
    faults = {fault.path: str(fault) for fault in caught.value.faults}
    assert set(faults) == {"freezeAll", "platforms.eu.freeze", "platforms.eu.serverUrl"}
    assert "must be true or false; such as: pulumi config set codecanvas:freezeAll true" in faults["freezeAll"]


def test_platforms_that_are_plain_text_are_refused_with_an_example(tmp_path: Path) -> None:
    pulumi.runtime.set_all_config({"codecanvas:platforms": "eu"})
    with pytest.raises(InvalidArgumentsError, match="platforms: must map .* such as: pulumi config set --path"):
        read_platforms(read_config(), base_dir=tmp_path)


class Platform:
    """Stands in for the component.

    Attributes:
        args: what it was declared with.
    """

    def __init__(self, _name: str, args: dict[str, Any]) -> None:
        self.args = args

    def __getattr__(self, name: str) -> str:
        return f"the {name}"


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Give the outputs of a program whose process stays as it was, and the `limit` that it would have set."""
    outputs: dict[str, Any] = {}
    monkeypatch.setattr(stack, "ComputingPlatform", Platform)
    monkeypatch.setattr(stack, "_outlast_failures", lambda: None)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: outputs.__setitem__("limit", (kind, limits)))
    monkeypatch.setattr(pulumi, "export", outputs.__setitem__)
    return outputs


PLATFORM = {
    "serverUrl": "http://x:8098",
    "instanceId": "7",
    "chartRepository": "https://charts.example.com",
    "chart": "operator",
    "chartUsername": "me",
    "chartPassword": "pS9word",
    "values": {"a": 1},
    "freezeReason": "upgrade",
}


@pytest.mark.usefixtures("exported")
@pytest.mark.parametrize("secret", [True, False])
def test_what_may_be_the_secret_of_the_config_becomes_one(*, secret: bool) -> None:
    async def find_secrets() -> dict[str, Any]:
        [platform] = declare_platforms().values()
        args = vars(platform)["args"]
        sealed = {name: value for name, value in args.items() if isinstance(value, pulumi.Output)}
        assert all([await value.is_secret() for value in sealed.values()])
        return {name: await value.future() for name, value in sealed.items()}

    config = {"codecanvas:platforms": json.dumps({"eu": PLATFORM})}
    pulumi.runtime.set_all_config(config, list(config) if secret else [])
    sealed = {"server_url": "http://x:8098", "instance_id": "7", "chart_username": "me", "values": {"a": 1}}
    assert asyncio.run(find_secrets()) == (sealed if secret else {})


@pytest.mark.usefixtures("exported")
def test_what_is_not_given_is_no_secret() -> None:
    async def main() -> None:
        [platform] = declare_platforms().values()
        assert vars(platform)["args"]["values"] is None

    config = {"codecanvas:platforms": json.dumps({"eu": {"serverUrl": "http://x:8098", "values": None}})}
    pulumi.runtime.set_all_config(config, list(config))
    asyncio.run(main())


def test_a_crash_of_the_program_leaves_no_memory_on_a_disk(exported: dict[str, Any]) -> None:
    pulumi.runtime.set_all_config({"codecanvas:platforms": json.dumps({"eu": PLATFORM})})
    declare_platforms()
    assert exported["limit"] == (resource.RLIMIT_CORE, (0, 0))


def test_a_stack_shows_no_token(exported: dict[str, Any]) -> None:
    pulumi.runtime.set_all_config({"codecanvas:platforms": json.dumps({"eu": PLATFORM})})
    declare_platforms()
    shown = exported["platforms"]["eu"]
    assert (shown["key_fingerprint"], shown["frozen"]) == ("the key_fingerprint", "the frozen")
    assert not {"token", "application_values", "pod_template_yaml"} & shown.keys()
