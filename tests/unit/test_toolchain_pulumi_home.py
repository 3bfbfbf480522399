from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

import tools.pulumi_home
from tools.pulumi_home import PulumiHome


@pytest.fixture(autouse=True)
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a made-up plugin in place of the real tools."""
    path = tmp_path / "cache" / "pulumi-resource-kubernetes"
    path.parent.mkdir()
    path.write_text("plugin")
    monkeypatch.setattr(tools.pulumi_home, "ensure", lambda *_, **__: {path.name: path})
    monkeypatch.setattr(tools.pulumi_home, "bin_dir", lambda *_: tmp_path / "bin")
    monkeypatch.setattr(tools.pulumi_home, "stands_in", lambda *_: False)
    return path


def test_nothing_of_the_users_own_set_up_reaches_the_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = {
        "KUBECONFIG": "/home/me/.kube/config",
        "PULUMI_ACCESS_TOKEN": "pul-0000",
        "PULUMI_CONFIG_PASSPHRASE": "mine",
        "PULUMI_BACKEND_URL": "s3://mine",
        "PULUMI_HOME": "/home/me/.pulumi",
        "HELM_REGISTRY_CONFIG": "/home/me/helm.json",
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "VIRTUAL_ENV": "/home/me/venv",
    }
    for name, value in foreign.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = PulumiHome(tmp_path / "root").env()
    assert not set(foreign.values()) & set(environment.values())
    assert "PULUMI_ACCESS_TOKEN" not in environment
    assert environment["LANG"] == "C.UTF-8"


def test_everything_that_the_engine_writes_is_under_the_root(tmp_path: Path) -> None:
    root = tmp_path / "root"
    environment = PulumiHome(root).env()
    assert environment["PULUMI_BACKEND_URL"] == f"file://{root}/state"
    for name in (
        "PULUMI_HOME",
        "HELM_CACHE_HOME",
        "HELM_CONFIG_HOME",
        "HELM_DATA_HOME",
        "PULUMI_CONFIG_PASSPHRASE_FILE",
    ):
        assert Path(environment[name]).is_relative_to(root)


def test_without_a_cluster_of_the_callers_there_is_none(tmp_path: Path) -> None:
    assert not Path(PulumiHome(tmp_path / "root").env()["KUBECONFIG"]).exists()


def test_the_projects_own_tools_come_first_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    environment = PulumiHome(tmp_path / "root").env()
    assert environment["PATH"].split(":") == [str(tmp_path / "bin"), str(Path(sys.executable).parent), "/usr/bin"]


def test_the_plugin_is_installed_without_a_copy(tmp_path: Path, plugin: Path) -> None:
    PulumiHome(tmp_path / "root").prepare()
    installed = tmp_path / "root/home/plugins/resource-kubernetes-v4.30.0/pulumi-resource-kubernetes"
    assert installed.samefile(plugin)


def test_a_plugin_made_again_is_installed_again(tmp_path: Path, plugin: Path) -> None:
    PulumiHome(tmp_path / "root").prepare()
    plugin.unlink()
    plugin.write_text("new")
    PulumiHome(tmp_path / "root").prepare()
    installed = tmp_path / "root/home/plugins/resource-kubernetes-v4.30.0/pulumi-resource-kubernetes"
    assert installed.read_text() == "new"


def test_the_passphrase_is_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    home = PulumiHome(tmp_path / "root")
    home.prepare()
    passphrase = home.passphrase_file.read_text()
    assert len(passphrase) >= 32
    assert stat.S_IMODE(home.passphrase_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    PulumiHome(tmp_path / "root").prepare()
    assert home.passphrase_file.read_text() == passphrase
    PulumiHome(tmp_path / "other").prepare()
    assert (tmp_path / "other" / "passphrase").read_text() != passphrase


@pytest.mark.parametrize("wanted", [False, True])
def test_plugins_from_elsewhere_are_used_only_when_asked_for(tmp_path: Path, wanted: bool) -> None:
    environment = PulumiHome(tmp_path / "root", acquire_plugins=wanted, ambient_plugins=wanted).env()
    refused = "false" if wanted else "true"
    assert environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] == refused
    assert environment["PULUMI_IGNORE_AMBIENT_PLUGINS"] == refused
