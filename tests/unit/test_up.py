"""What `make up` and `make pulumi` do with the config of the local stack."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tools import up
from tools.up import Site

if TYPE_CHECKING:
    from pathlib import Path

PLATFORMS: dict[str, object] = {"codecanvas:platforms": {"eu": {}}}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Give a place where `up` ran before, with a salt of its own; every command of Pulumi's succeeds."""
    monkeypatch.setattr(up, "CONFIG", tmp_path / up.CONFIG.name)
    monkeypatch.setattr(up, "_environment", lambda _: {})
    made = Site(tmp_path / "root", tmp_path / "kubeconfig", None)
    monkeypatch.setattr(Site, "choose", lambda: made)
    made.project.mkdir(parents=True)
    made.config.write_text(yaml.safe_dump({"config": {}, "encryptionsalt": "of the machine"}))
    return made


@pytest.fixture
def environments(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """Give the environments of the commands that are run."""
    seen: list[dict[str, str]] = []

    def run(command: list[str], *, env: dict[str, str], **_: object) -> subprocess.CompletedProcess[str]:
        seen.append(env)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return seen


def write_checkout(**content: object) -> None:
    up.CONFIG.write_text(yaml.safe_dump(content))


def read(path: Path) -> object:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize(
    ("own", "salt"),
    [({}, "of the machine"), ({"encryptionsalt": "of the checkout"}, "of the checkout")],
)
def test_secrets_in_the_checkouts_config_are_read_with_the_salt_that_encrypted_them(
    site: Site, environments: list[dict[str, str]], own: dict[str, str], salt: str
) -> None:
    write_checkout(config=PLATFORMS, **own)
    assert up.pulumi(["preview"]) == 0
    assert read(site.config) == {"config": PLATFORMS, "encryptionsalt": salt}
    assert environments == [{"PULUMI_OPTION_CONFIG_FILE": str(site.config)}]


def test_a_command_about_the_config_is_about_the_checkouts(site: Site, environments: list[dict[str, str]]) -> None:
    write_checkout(config=PLATFORMS)
    assert up.pulumi(["config", "set", "codecanvas:freezeAll", "true"]) == 0
    assert environments == [{}]
    assert read(site.config) == {"config": {}, "encryptionsalt": "of the machine"}
