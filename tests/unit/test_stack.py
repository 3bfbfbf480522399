"""The root program: the stack's config as it reads it, and what it makes secret."""

from __future__ import annotations

import asyncio
import base64
import json
import resource
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pulumi
import pytest

from pulumi_codecanvas import stack
from pulumi_codecanvas.config import read_platforms
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.keys import generate_private_key
from pulumi_codecanvas.platform import OUTPUTS
from pulumi_codecanvas.stack import declare_platforms, read_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


URL = "http://codecanvas.example.com:8098"
CHECKS = [
    {"name": "Operator", "status": "Success", "message": "ready"},
    {"name": "Quota", "status": "Skipped", "message": "the platform is frozen"},
]


class Known:
    """Stands for an Output whose value is known."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def apply(self, change: Callable[[Any], Any]) -> Any:
        return change(self.value)


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Let the root program run on platforms that register nothing; give its warnings and what it exports."""
    seen = SimpleNamespace(warnings=[], exports={}, limits=[])
    outputs = {**{name: f"the {name}" for name in OUTPUTS}, "connection": Known(CHECKS)}
    monkeypatch.setattr(stack, "ComputingPlatform", lambda _name, args: SimpleNamespace(args=args, **outputs))
    monkeypatch.setattr(stack, "_outlast_failures", lambda: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("resource.setrlimit", lambda *limits: seen.limits.append(limits))
    monkeypatch.setattr(pulumi, "export", seen.exports.__setitem__)
    monkeypatch.setattr(pulumi.log, "warn", seen.warnings.append)
    # An Output needs one, and a test before may have ended its own.
    asyncio.set_event_loop(asyncio.new_event_loop())
    return seen


def configure(platforms: dict[str, Any], *secret: str) -> None:
    pulumi.runtime.set_all_config({"codecanvas:platforms": json.dumps(platforms)}, list(secret))


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
    with pytest.raises(InvalidArgumentsError, match=r"platforms: must map .* such as: pulumi config set --path"):
        read_platforms(read_config(), base_dir=tmp_path)


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


@pytest.mark.usefixtures("program")
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


@pytest.mark.usefixtures("program")
def test_what_is_not_given_is_no_secret() -> None:
    async def main() -> None:
        [platform] = declare_platforms().values()
        assert vars(platform)["args"]["values"] is None

    config = {"codecanvas:platforms": json.dumps({"eu": {"serverUrl": "http://x:8098", "values": None}})}
    pulumi.runtime.set_all_config(config, list(config))
    asyncio.run(main())


def test_a_crash_of_the_program_leaves_no_memory_on_a_disk(program: SimpleNamespace) -> None:
    configure({"eu": PLATFORM})
    declare_platforms()
    assert program.limits == [(resource.RLIMIT_CORE, (0, 0))]


def test_a_stack_shows_no_token(program: SimpleNamespace) -> None:
    configure({"eu": PLATFORM})
    declare_platforms()
    shown = program.exports["platforms"]["eu"]
    assert (shown["key_fingerprint"], shown["frozen"]) == ("the key_fingerprint", "the frozen")
    assert not {"token", "application_values", "pod_template_yaml"} & shown.keys()


def test_each_secret_in_plain_text_is_warned_of_with_the_command_that_encrypts_it(program: SimpleNamespace) -> None:
    kubeconfig = 'current-context: a\nusers: [{"name": "a", "user": {"token": "s3cret"}}]'
    key = generate_private_key()
    eu = {"serverUrl": URL, "chart": "oci://example.com/c", "privateKey": key, "kubeconfig": kubeconfig}
    us = {"server_url": URL, "chart": "oci://example.com/c", "chart_username": "me", "chart_password": "s3cret"}
    encoded = base64.b64encode(kubeconfig.encode() * 20).decode()
    ci = {"serverUrl": URL, "kubeconfig": encoded}
    configure({"ci": ci, "eu": eu, "us": us, "path": {"serverUrl": URL, "kubeconfig": "~/.kube/config"}})
    declare_platforms()
    paths = (
        "platforms.ci.kubeconfig",
        "platforms.eu.privateKey",
        "platforms.eu.kubeconfig",
        "platforms.us.chart_password",
    )
    assert len(program.warnings) == len(paths)
    for path, warning in zip(paths, program.warnings, strict=True):
        assert warning.startswith(f"codecanvas:{path} is in the config as plain text")
        assert warning.endswith(f": pulumi config set --secret --path 'codecanvas:{path}' < file")
        assert "s3cret" not in warning
        assert encoded[:20] not in warning
        assert key.splitlines()[1] not in warning


def test_no_entry_of_a_config_that_is_encrypted_in_part_is_warned_of(program: SimpleNamespace) -> None:
    configure({"eu": {"serverUrl": URL, "privateKey": generate_private_key()}}, "codecanvas:platforms")
    declare_platforms()
    assert program.warnings == []


def test_the_stack_shows_of_the_connection_only_the_checks_that_did_not_succeed(program: SimpleNamespace) -> None:
    configure({"eu": {"serverUrl": URL}})
    declare_platforms()
    assert program.exports["platforms"]["eu"]["connection"] == {"Quota": "Skipped: the platform is frozen"}
