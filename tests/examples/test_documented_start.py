"""The first commands that the READMEs give, as they stand there, on a machine that has nothing of this project yet."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import platformdirs
import pytest
import yaml

from tests.support.example_virtualenv import ROOT
from tests.support.examples import EXAMPLES
from tests.support.stack import CHART
from tools.pulumi_home import PulumiHome
from tools.toolchain import bin_dir

if TYPE_CHECKING:
    from tools.cluster import LocalCluster

MAKE_WHEEL = "make dist"
COPY = "cp -r examples/{} ../platforms && cp dist/*.whl ../platforms && cd ../platforms"
PACKAGE = "python3 -m venv venv && venv/bin/pip install --no-deps *.whl"
INSTALL = f"{PACKAGE} && pulumi install"
UP = "pulumi up"
OWN_PLUGIN = sorted(
    path.parent.name
    for path in EXAMPLES.glob("*/Pulumi.yaml")
    if "plugins" in yaml.safe_load(path.read_text(encoding="utf-8"))
)
"""The examples whose plugin lies in a virtualenv that their user makes."""
PIPELINES = EXAMPLES / "pipelines"
# What a clone has not.
LOCAL = (".*_cache", ".cache", ".git", ".hypothesis", ".venv", "__pycache__", "dist", "node_modules", "sdks", "venv")
SECONDS = 300


def documented(readme: Path) -> list[str]:
    """Give the commands of the first shell block that makes a stack, without their comments."""
    blocks: list[str] = re.findall(r"```console\n(.*?)```", readme.read_text(encoding="utf-8"), re.DOTALL)
    block = next(block for block in blocks if "pulumi stack init" in block)
    lines = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    return [re.sub(r"\s+# .*", "", line) for line in lines]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Give a copy of this checkout, with the wheel that `make dist` makes."""
    copy = tmp_path / "clone"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LOCAL))
    build = (sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(copy / "dist"))
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    return copy


@pytest.fixture
def environment(tmp_path: Path, shared_cluster: LocalCluster) -> dict[str, str]:
    """Give the environment of a user who has Pulumi, Python, a cluster, and nothing of ours on PATH."""
    home = tmp_path / "home"
    (home / ".kube").mkdir(parents=True)
    shutil.copyfile(shared_cluster.kubeconfig, home / ".kube" / "prod")
    path = (str(bin_dir()), str(Path(sys.base_prefix) / "bin"), "/usr/local/bin", "/usr/bin", "/bin")
    return {
        **{name: value for name, value in PulumiHome(tmp_path / "pulumi").env().items() if not name.startswith("MAKE")},
        "PATH": ":".join(path),
        "HOME": str(home),
        "KUBECONFIG": str(home / ".kube" / "prod"),
        # Downloads are kept from run to run.
        "XDG_CACHE_HOME": str(platformdirs.user_cache_path()),
    }


def run(commands: list[str], folder: Path, environment: dict[str, str]) -> str:
    """Run commands in one shell, which ends with the first that fails."""
    script = "\n".join(("set -e", *commands))
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.engine
@pytest.mark.real("pulumi-language-python")
def test_the_root_program_starts_with_the_commands_of_the_readme(clone: Path, environment: dict[str, str]) -> None:
    *commands, last = documented(ROOT / "README.md")
    assert last == UP
    shutil.copyfile(EXAMPLES / "existing-cluster" / "worker-pod.yaml", clone / "worker-pod.yaml")
    chart = f"pulumi config set --path codecanvas:platforms.eu.chart '{CHART}'"
    shown = run([*commands, chart, "pulumi preview"], clone, environment)
    assert "codecanvas:index:ConnectionKey eu-key create" in shown


@pytest.mark.engine
@pytest.mark.real("pulumi-language-python")
def test_an_example_starts_with_the_commands_of_its_readme(
    clone: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    wheel, *commands, last = documented(EXAMPLES / "existing-cluster" / "README.md")
    assert (wheel, last) == (MAKE_WHEEL, UP)
    environment["PIP_CONSTRAINT"] = str(write_constraints(tmp_path))
    shown = run([*commands, f"pulumi config set chart '{CHART}'", "pulumi preview"], clone, environment)
    assert "codecanvas:index:ConnectionKey prod-key create" in shown
    assert (tmp_path / "platforms" / "venv" / "bin" / "pulumi-resource-codecanvas").exists()


def write_constraints(folder: Path) -> Path:
    """Write the versions of the lock, so that a release of another package breaks no test."""
    locked = re.findall(r"^(\S+==\S+(?: ; [^\\\n]+)?)", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(locked))
    return constraints


@pytest.mark.parametrize("example", OWN_PLUGIN)
def test_a_readme_makes_the_virtualenv_with_the_wheel_before_pulumi_looks_at_the_project(example: str) -> None:
    wheel, copy, install, *others = documented(EXAMPLES / example / "README.md")
    assert (wheel, copy, install) == (MAKE_WHEEL, COPY.format(example), INSTALL)
    assert others[-1] == UP
    assert not any("install" in command for command in others)


def test_the_page_of_the_examples_explains_the_commands_that_they_begin_with() -> None:
    explained = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert f"$ {INSTALL}\n" in explained
    for example in OWN_PLUGIN:
        assert "../README.md#start" in (EXAMPLES / example / "README.md").read_text(encoding="utf-8")


def test_a_pipeline_installs_with_the_commands_of_the_readmes() -> None:
    jobs: dict[str, Any] = yaml.safe_load((PIPELINES / "github-actions" / "platforms.yml").read_text())["jobs"]
    for job in jobs.values():
        runs = [step["run"] for step in job["steps"] if "run" in step]
        assert runs[0] == INSTALL
        assert len(runs) == 2
    gitlab = yaml.safe_load((PIPELINES / "gitlab" / ".gitlab-ci.yml").read_text())
    assert gitlab[".pulumi"]["before_script"][-1] == INSTALL


def test_a_workspace_of_the_operator_has_the_package_before_the_operators_own_install() -> None:
    documents = list(yaml.safe_load_all((PIPELINES / "kubernetes-operator" / "fleet.yaml").read_text()))
    for spec in (document["spec"] for document in documents if document["kind"] == "Stack"):
        folder = EXAMPLES / spec["repoDir"]
        assert (folder / "requirements.txt").exists()
        if "plugins" in yaml.safe_load((folder / "Pulumi.yaml").read_text()):
            (before,) = spec["workspaceTemplate"]["spec"]["podTemplate"]["spec"]["initContainers"]
            assert before["command"] == ["sh", "-ec", PACKAGE]
