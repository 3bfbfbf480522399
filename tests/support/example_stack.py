"""A stack of an example, run by the real Pulumi CLI and engine in a copy of the example's folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.example_virtualenv import ROOT, example_virtualenv

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.support.examples import Example
    from tools.pulumi_home import PulumiHome

CHART = ROOT / "tools" / "charts" / "codecanvas-operator"
"""The stand-in for the operator's chart."""


@dataclass(frozen=True)
class Step:
    """What the engine did to one resource: `op` such as `create`, the resource's type and name."""

    op: str
    type: str
    name: str


@dataclass(frozen=True)
class Run:
    """One run of the engine: how it ended, what it printed, and what it did, in the order in which it was done."""

    code: int
    text: str
    steps: tuple[Step, ...]

    @property
    def changes(self) -> list[Step]:
        """Steps that changed something."""
        return [step for step in self.steps if step.op not in {"same", "read", "refresh"}]


class Stack:
    """One stack of the project in a folder.

    Args:
        folder: the project.
        name: the stack's name.
        environment: of the processes that run pulumi.
        show: is given each line that the engine prints.
    """

    def __init__(
        self, folder: Path, name: str, environment: Mapping[str, str], *, show: Callable[[str], None] | None = None
    ) -> None:
        self.folder = folder
        self.name = name
        self.show = show
        # Without it the engine knows no --event-log.
        self.environment = {**environment, "PULUMI_DEBUG_COMMANDS": "true"}
        self._project = yaml.safe_load((folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]
        made = self._call("stack", "select", name, "--create")
        assert made.returncode == 0, made.stderr

    @property
    def config(self) -> Path:
        """The file with the stack's config."""
        return self.folder / f"Pulumi.{self.name}.yaml"

    def set(self, settings: Mapping[str, Any]) -> None:
        """Set keys of the stack's config, None: remove them; without a colon they are of the project."""
        content = yaml.safe_load(self.config.read_text()) if self.config.exists() else {}
        whole = {key if ":" in key else f"{self._project}:{key}": value for key, value in settings.items()}
        merged = {**content.get("config", {}), **whole}
        content["config"] = {key: value for key, value in merged.items() if value is not None}
        self.config.write_text(yaml.safe_dump(content))

    def set_secret(self, key: str, value: str) -> None:
        """Set a secret as a person does: the text comes from the standard input."""
        self.pulumi("config", "set", "--secret", key, input_=value)

    def up(self, *options: str) -> Run:
        """Run `pulumi up`, which must succeed."""
        return self._run("up", "--yes", "--skip-preview", *options)

    def preview(self, *options: str, ok: bool = True) -> Run:
        """Run `pulumi preview`."""
        return self._run("preview", *options, ok=ok)

    def destroy(self, *options: str, ok: bool = True) -> Run:
        """Run `pulumi destroy`."""
        return self._run("destroy", "--yes", "--skip-preview", *options, ok=ok)

    def export(self) -> str:
        """Give the stack's state as it is stored: secrets are sealed."""
        return self.pulumi("stack", "export")

    def resources(self) -> list[dict[str, Any]]:
        """Give the resources in the state."""
        found: list[dict[str, Any]] = json.loads(self.export())["deployment"].get("resources") or []
        return found

    def outputs(self) -> dict[str, Any]:
        """Give the stack's outputs; a secret one is `[secret]`."""
        found: dict[str, Any] = json.loads(self.pulumi("stack", "output", "--json"))
        return found

    def pulumi(self, *arguments: str, input_: str | None = None) -> str:
        """Run a command that must succeed; give what it prints."""
        done = self._call(*arguments, "--stack", self.name, input_=input_)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _run(self, command: str, *options: str, ok: bool = True) -> Run:
        events = self.folder / "events.json"
        events.unlink(missing_ok=True)
        line = ["pulumi", command, "--stack", self.name, "--event-log", str(events), *options, "--non-interactive"]
        printed = []
        with subprocess.Popen(
            line, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            for text in process.stdout or ():
                printed.append(text)
                if self.show:
                    self.show(text)
        text = "".join(printed)
        assert (process.returncode == 0) is ok, text
        assert "Traceback" not in text, text
        return Run(process.returncode, text, _steps(events))

    def _call(self, *arguments: str, input_: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", *arguments, "--non-interactive"]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            check=False,
            capture_output=True,
            text=True,
            input=input_,
            timeout=3600,
        )


class ExampleStack(Stack):
    """One stack of an example, in a copy of its folder with the examples' virtualenv.

    Args:
        example: the example.
        home: the engine's place, which has the copy too.
        name: the stack's name.
        commands: a folder to put on PATH before all others.
        settings: config beside the example's own.
        show: is given each line that the engine prints.
    """

    def __init__(
        self,
        example: Example,
        home: PulumiHome,
        name: str,
        *,
        commands: Path | None = None,
        settings: Mapping[str, Any] | None = None,
        show: Callable[[str], None] | None = None,
    ) -> None:
        environment = home.env()
        if commands:
            environment["PATH"] = os.pathsep.join([str(commands), environment["PATH"]])
        folder = home.root / "examples" / example.path
        if not folder.exists():
            shutil.copytree(
                example.folder, folder, ignore=shutil.ignore_patterns("__pycache__", "venv", "Pulumi.*.yaml")
            )
            (folder / "venv").symlink_to(example_virtualenv())
        super().__init__(folder, name, environment, show=show)
        self.set({**example.settings, **(settings or {})})


def _steps(events: Path) -> tuple[Step, ...]:
    if not events.exists():
        return ()
    found = []
    for line in events.read_text(encoding="utf-8").splitlines():
        event = json.loads(line)
        metadata = (event.get("resOutputsEvent") or {}).get("metadata")
        if metadata:
            found.append(Step(metadata["op"], metadata["type"], metadata["urn"].rpartition("::")[2]))
    return tuple(found)
