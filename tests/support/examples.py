"""The examples as tests see them: what their programs declare, found out without an engine."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.example_virtualenv import ROOT, example_virtualenv

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EXAMPLES = ROOT / "examples"
SERVER_URL = "http://codecanvas.example.com:8098"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"


@dataclass(frozen=True)
class Declared:
    """What a program declares.

    Attributes:
        resources: each as `type`, `name`, `inputs`, `after` (names of what it depends on) and `ignores`.
        outputs: the stack's.
        error: the text that ended the program, if any.
    """

    resources: list[dict[str, Any]]
    outputs: dict[str, Any]
    error: str | None

    def all(self, type_: str, prefix: str = "") -> list[dict[str, Any]]:
        """Give the resources of a type by name."""
        found = [item for item in self.resources if item["type"] == type_ and item["name"].startswith(prefix)]
        return sorted(found, key=lambda item: str(item["name"]))

    def inputs(self, type_: str, prefix: str = "") -> dict[str, Any]:
        """Give the inputs of the one resource of a type."""
        found = self.all(type_, prefix)
        assert len(found) == 1, [item["name"] for item in found]
        inputs: dict[str, Any] = found[0]["inputs"]
        return inputs


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        path: its folder under `examples`.
        settings: config that it needs beside its defaults; without a colon the keys are of the project.
    """

    path: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where it is."""
        return EXAMPLES / self.path

    @property
    def project(self) -> dict[str, Any]:
        """Its Pulumi.yaml."""
        return _read_yaml(self.folder / "Pulumi.yaml")

    def config(self, changes: Mapping[str, str | None]) -> dict[str, str]:
        """Give whole keys and their texts: the project's defaults, the example's settings, then changes.

        A change to None removes the key.
        """
        name = self.project["name"]
        declared = self.project["config"].items()
        defaults = {key: _text(facts["default"]) for key, facts in declared if "default" in facts}
        merged = {**defaults, **self.settings, **changes}
        return {key if ":" in key else f"{name}:{key}": value for key, value in merged.items() if value is not None}

    def declare(
        self,
        changes: Mapping[str, str | None] | None = None,
        *,
        stack: str = "dev",
        secrets: tuple[str, ...] = (),
        stacks: Mapping[str, Any] | None = None,
    ) -> Declared:
        """Run the program under Pulumi's mocks.

        Args:
            changes: as for `config`.
            stack: the stack's name.
            secrets: whole config keys that hold secrets.
            stacks: outputs of the stacks that it refers to, by name.
        """
        request = {
            "example": str(self.folder),
            "project": self.project["name"],
            "stack": stack,
            "config": self.config(changes or {}),
            "secrets": list(secrets),
            "stacks": dict(stacks or {}),
        }
        return Declared(**_run(json.dumps(request, sort_keys=True)))


@cache
def _run(request: str) -> dict[str, Any]:
    process = _mocks()
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(request + "\n")
    process.stdin.flush()
    answer: dict[str, Any] = json.loads(process.stdout.readline() or '{"crash": "the process has ended"}')
    assert "crash" not in answer, answer["crash"]
    return answer


@cache
def _mocks() -> subprocess.Popen[str]:
    """Start the process that runs programs; it ends with the tests, when its standard input is closed."""
    python = example_virtualenv() / "bin" / "python"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [python, "-m", "tests.support.clouds.mocks"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def is_secret(value: object) -> bool:
    """Tell whether a value of a resource or a stack is marked secret."""
    return isinstance(value, dict) and value.get(_SIGNATURE) == _SECRET


def reveal(value: Any) -> Any:
    """Take the mark of a secret away."""
    return value["value"] if is_secret(value) else value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


@cache
def _read_yaml(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content


EKS = Example("eks", {"aws:region": "eu-central-1", "serverUrl": SERVER_URL})
GKE = Example("gke", {"gcp:project": "platform-team", "gcp:region": "europe-west3", "serverUrl": SERVER_URL})
EXISTING = Example("existing-cluster", {"serverUrl": SERVER_URL})
FLEET = Example("fleet")
SHARED = Example("fleet/shared", {"serverUrl": SERVER_URL})
