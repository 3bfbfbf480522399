"""examples/pipelines: valid by their schemas, and their commands run on the real engine.

What CI systems do around the commands (checkout, login to a cloud, `pulumi install`) is not run here.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml

from tests.support.example_virtualenv import example_virtualenv
from tests.support.examples import EXAMPLES, EXISTING, FLEET

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.examples.site import Site

PIPELINES = EXAMPLES / "pipelines"
GITHUB = PIPELINES / "github-actions" / "platforms.yml"
GITLAB = PIPELINES / "gitlab" / ".gitlab-ci.yml"
OPERATOR = PIPELINES / "kubernetes-operator" / "fleet.yaml"
SCHEMAS = {
    GITHUB: ("--builtin-schema", "vendor.github-workflows"),
    GITLAB: ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"),
}
SATURDAY_NIGHT = {"+%u": "6", "+%-H": "3"}
SATURDAY_MORNING = {"+%u": "6", "+%-H": "6"}


def github_command(job: str) -> str:
    """Give the command of a job: the last step's."""
    steps: list[dict[str, str]] = yaml.safe_load(GITHUB.read_text())["jobs"][job]["steps"]
    return steps[-1]["run"]


def gitlab_command(job: str) -> str:
    """Give the commands of a job."""
    commands: list[str] = yaml.safe_load(GITLAB.read_text())[job]["script"]
    return "\n".join(commands)


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: str(path.parent.name))
def test_a_pipeline_fits_its_schema(path: Path) -> None:
    check = example_virtualenv() / "bin" / "check-jsonschema"
    done = subprocess.run([check, *SCHEMAS[path], path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_drift_job_of_github_runs_at_its_own_time_only() -> None:
    workflow = yaml.safe_load(GITHUB.read_text())
    drift = workflow["jobs"]["drift"]["if"].partition("== ")[2].strip("'")
    # The key `on` is read as true by YAML 1.1.
    assert drift in [item["cron"] for item in workflow[True]["schedule"]]
    assert workflow["jobs"]["up"]["if"].endswith(f"!= '{drift}'")


def test_the_operator_runs_every_region_of_the_fleet_and_what_they_share() -> None:
    documents = yaml.safe_load_all(OPERATOR.read_text())
    stacks = {item["metadata"]["name"]: item["spec"] for item in documents if item["kind"] == "Stack"}
    regions = yaml.safe_load((FLEET.folder / "fleet.yaml").read_text())
    project = FLEET.project["name"]
    assert {spec["stack"].partition("/")[2] for spec in stacks.values()} == {
        f"{project}-shared/main",
        *(f"{project}/{region}" for region in regions),
    }
    for name, spec in stacks.items():
        assert spec["destroyOnFinalize"] is False
        assert name == "fleet-shared" or spec["prerequisites"] == [{"name": "fleet-shared"}]


@pytest.mark.engine
@pytest.mark.timeout(1500)
@pytest.mark.parametrize(
    ("name", "shell", "command"), [("github", "bash", github_command), ("gitlab", "sh", gitlab_command)]
)
def test_the_commands_of_a_pipeline_work(
    site: Site, tmp_path: Path, name: str, shell: str, command: Callable[[str], str]
) -> None:
    stack = site.stack(EXISTING, name)
    stack.set_secret("kubeconfig", site.cluster.kubeconfig.read_text())
    committed = stack.config.read_text()

    def run(job: str, now: Mapping[str, str], *, ok: bool = True) -> str:
        """Run a job's command in a fresh checkout, at a time."""
        stack.config.write_text(committed)
        environment = {**stack.environment, "STACK": name}
        environment["PATH"] = os.pathsep.join([str(write_clock(tmp_path, now)), environment["PATH"]])
        line = [shell, "-e", "-c", command(job)]
        done = subprocess.run(line, cwd=stack.folder, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout

    assert f"{name}-namespace" in run("preview", SATURDAY_MORNING)
    run("up", SATURDAY_NIGHT)
    assert stack.outputs()["frozen"] is True
    # In the window the stack differs from what is committed, which is what the drift job reports.
    assert f"{name}-freeze-policy" in run("drift", SATURDAY_NIGHT, ok=False)
    run("up", SATURDAY_MORNING)
    assert stack.outputs()["frozen"] is False
    run("drift", SATURDAY_MORNING)
    stack.destroy()
    assert site.leftovers() == []


def write_clock(folder: Path, now: Mapping[str, str]) -> Path:
    """Write a command `date` that tells a time of our choice."""
    cases = "\n".join(f"  {asked}) echo {answer} ;;" for asked, answer in now.items())
    clock = folder / "date"
    clock.write_text(f'#!/bin/sh\ncase "$2" in\n{cases}\nesac\n')
    clock.chmod(0o755)
    return folder
