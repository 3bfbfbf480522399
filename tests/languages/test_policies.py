"""The policy pack on the real engine: it stops a preview and says why."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.languages import run_tool
from tests.support.stack import CHECKOUT, Stack
from tools.pins import PULUMI_VERSION

if TYPE_CHECKING:
    from pathlib import Path

    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

SYSBOX: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {"runtimeClassName": "sysbox-runc", "containers": [{"name": "worker-main"}]},
}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the pack with the virtualenv that it runs in."""
    folder = tmp_path_factory.mktemp("pack") / "policies"
    shutil.copytree(CHECKOUT / "policies", folder, ignore=shutil.ignore_patterns("venv", "__pycache__"))
    uv = (sys.executable, "-m", "uv")
    offline = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    run_tool(*uv, "venv", "--python", sys.executable, "venv", folder=folder, environment=offline)
    install = (*uv, "pip", "install", "--python", "venv", "pip", f"pulumi=={PULUMI_VERSION}", "-r", "requirements.txt")
    run_tool(*install, folder=folder, environment=offline)
    return folder


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """Name a cluster that does not answer: a preview then renders what it would make, and fetches no chart."""
    path = tmp_path / "kubeconfig"
    nowhere = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "nowhere", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "nobody", "user": {"token": "none"}}],
        "contexts": [{"name": "nowhere", "context": {"cluster": "nowhere", "user": "nobody"}}],
        "current-context": "nowhere",
    }
    path.write_text(yaml.safe_dump(nowhere))
    return path


def test_the_pack_stops_what_it_forbids_and_advises_on_the_rest(pack: Path, home: PulumiHome, kubeconfig: Path) -> None:
    stack = Stack(home, kubeconfig, stem="prod")
    stack.set("loose", chart="oci://example.com/chart", chartVersion=">1", forceDelete=True, podTemplate=SYSBOX)
    text = stack.preview("--policy-pack", str(pack), ok=False).text
    for policy in ("chart-version-pinned", "deletion-guard"):
        assert f"[mandatory]  {policy}" in text
    for policy in ("pod-security-no-wider-than-needed", "quota-set"):
        assert f"[advisory]  {policy}" in text
    stack.platforms.clear()
    stack.set("tight", quota={"requests.cpu": "64"}, podTemplate=SYSBOX, podSecurity="baseline")
    text = stack.preview("--policy-pack", str(pack)).text
    assert "[mandatory]" not in text
    assert "[advisory]" not in text
