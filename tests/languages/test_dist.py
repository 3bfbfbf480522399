"""What `make dist` makes, installed as a user would, on a machine that has nothing else of this project."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from pulumi_codecanvas.version import VERSION
from tests.support.languages import run_tool
from tests.support.stack import CHART, CHECKOUT, PROJECT, SERVER_URL, make_stack, write_program
from tools.dist import dist
from tools.pulumi_home import PulumiHome
from tools.toolchain import bin_dir

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

PROGRAM = f"""
import pulumi
from pulumi_codecanvas import ComputingPlatform

platform = ComputingPlatform(
    "wheel",
    server_url="{SERVER_URL}",
    chart="{CHART}",
)
pulumi.export("connection", platform.connection)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder with the files."""
    folder = tmp_path_factory.mktemp("dist")
    dist(directory=folder)
    return folder


def test_the_wheel_in_an_empty_virtualenv_brings_up_a_platform(
    made: Path, home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path
) -> None:
    (wheel,) = made.glob("*.whl")
    virtualenv = tmp_path / "empty"
    uv = (sys.executable, "-m", "uv")
    offline = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    run_tool(*uv, "venv", "--python", sys.executable, str(virtualenv), folder=tmp_path, environment=offline)
    # The versions of the lock, so that a release of another package breaks no test; pip for Pulumi's language host.
    install = (*uv, "pip", "install", "--python", str(virtualenv), "--constraints", str(CHECKOUT / "requirements.lock"))
    run_tool(*install, "pip", str(wheel), folder=tmp_path, environment=offline)
    program = write_program(tmp_path / "program", {"__main__.py": PROGRAM}, python=virtualenv)
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=program, stem="wheel") as stack:
        stack.up()
        assert {check["status"] for check in _connection(stack.export())} <= {"Success", "Skipped"}
        assert stack.up("--expect-no-changes").changes == {}
        stack.destroy()


def test_the_archive_is_a_plugin_that_needs_a_python_and_no_network(
    made: Path, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path
) -> None:
    (archive,) = made.glob("pulumi-resource-*.tar.gz")
    home = PulumiHome(tmp_path / "home")
    environment = _without_network(home.env())
    install = ("pulumi", "plugin", "install", "resource", "codecanvas", VERSION, "--file", str(archive))
    run_tool(*install, folder=tmp_path, environment=environment)
    program = tmp_path / "program"
    shutil.copytree(CHECKOUT / "examples" / "yaml", program)
    project = yaml.safe_load((program / "Pulumi.yaml").read_text())
    del project["packages"]
    (program / "Pulumi.yaml").write_text(yaml.safe_dump({**project, "name": PROJECT}))
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=program, stem="archive") as stack:
        stack.environment = _without_network(stack.environment)
        stack.config = {f"{PROJECT}:serverUrl": SERVER_URL, f"{PROJECT}:chart": CHART}
        stack.up()
        (found,) = home.home.glob("plugins/resource-codecanvas-v*/pulumi-resource-codecanvas")
        assert VERSION in run_tool(str(found), "--version", folder=tmp_path, environment=environment)
        stack.destroy()


def _without_network(environment: dict[str, str]) -> dict[str, str]:
    """Leave the tools, a Python without packages of ours, and the local cluster."""
    python = tuple(str(path) for path in (Path(sys.base_prefix) / "bin", "/usr/bin", "/bin"))
    nowhere = "http://127.0.0.1:9"
    return {
        **environment,
        "PATH": os.pathsep.join((str(bin_dir()), *python)),
        "HTTPS_PROXY": nowhere,
        "HTTP_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1,localhost",
        "PIP_NO_INDEX": "1",
    }


def _connection(export: str) -> list[dict[str, str]]:
    resources = yaml.safe_load(export)["deployment"]["resources"]
    (test,) = (item for item in resources if item["type"] == "codecanvas:index:ConnectionTest")
    found: list[dict[str, str]] = test["outputs"]["checks"]
    return found
