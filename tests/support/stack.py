"""Stacks on a local cluster, run as users run them: by the real Pulumi CLI, engine and plugins."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

from codecanvas_provider.cluster import (
    NAMESPACE,
    POLICY,
    POLICY_BINDING,
    SECRET,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    Cluster,
)
from tests.support.names import unique
from tests.support.victims import find_session

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.pulumi_home import PulumiHome

CHECKOUT = Path(__file__).parents[2]
PROJECT = "codecanvas"
CHART = str(CHECKOUT / "tools" / "charts" / "codecanvas-operator")
SERVER_URL = "http://codecanvas.example.com:8098"
SECONDS = 300.0
"""How long one command may take."""


def failed_checks(outputs: Mapping[str, Any]) -> list[str]:
    """Name the connection checks that failed, as a platform's outputs show them."""
    return [name for name, found in outputs["connection"].items() if found.startswith("Failed")]


_OURS = "app.kubernetes.io/part-of=codecanvas"


@dataclass(frozen=True)
class Run:
    """One command that has ended.

    Attributes:
        command: the command line.
        exit_code: 0 when it succeeded.
        stdout: what it printed there.
        stderr: what it printed there.
        event_log: the engine's events as it wrote them, one JSON object a line; empty for commands about the stack.
    """

    command: Sequence[str]
    exit_code: int
    stdout: str
    stderr: str
    event_log: str = ""

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.exit_code == 0

    @property
    def text(self) -> str:
        """All that it printed."""
        return self.stdout + self.stderr

    @property
    def events(self) -> list[dict[str, Any]]:
        """The engine's events."""
        return [json.loads(line) for line in self.event_log.splitlines()]

    @property
    def steps(self) -> list[tuple[str, str]]:
        """Name of the resource and operation of each step, in their order, also of those that change nothing."""
        metadata = [(event.get("resourcePreEvent") or {}).get("metadata") for event in self.events]
        return [(name_in(step["urn"]), step["op"]) for step in metadata if step]

    @property
    def changes(self) -> dict[str, str]:
        """What was done to each resource, by its name; resources that stay as they are are left out.

        Of a replacement in several steps it is the last one.
        """
        return {name: op for name, op in self.steps if op not in {"same", "read"}}

    def place_of(self, kind: str, name: str) -> int:
        """Give the place in the order of events of the one of this kind about the resource of this name."""
        found = [((event.get(kind) or {}).get("metadata") or {}).get("urn", "::") for event in self.events]
        return [name_in(urn) for urn in found].index(name)

    @property
    def errors(self) -> str:
        """What the engine reported as errors."""
        found = [event.get("diagnosticEvent") or {} for event in self.events]
        return "\n".join(event["message"] for event in found if event.get("severity") == "error")


class Stack:
    """One stack with its config, in a project directory of its own.

    Attributes:
        name: the stack's name.
        platforms: the config's `codecanvas:platforms`.
        config: further keys of the config, such as `codecanvas:freezeAll`.
        program: directory of the program that is run.
        cwd: where commands are run; the program's directory is named by `-C` when it is another one.
        project: directory of the stack's own, with its config file.
        runs: every command so far, for tests that search what was printed.
    """

    def __init__(
        self, home: PulumiHome, kubeconfig: Path, *, program: Path = CHECKOUT, stem: str = "test", name: str = ""
    ) -> None:
        self.name = name or unique(stem)
        self.home = home
        self.environment = home.env() | {
            "KUBECONFIG": str(kubeconfig),
            "PULUMI_STACK": self.name,
            # Without it, pulumi has no --event-log.
            "PULUMI_DEBUG_COMMANDS": "true",
        }
        self.platforms: dict[str, dict[str, Any]] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self.config: dict[str, Any] = {}
        self.program = program
        self.cwd = program
        self.project = home.root / "projects" / self.name
        self.runs: list[Run] = []
        # A project of the same name: the stack's config is written beside it, and not into the checkout.
        self.project.mkdir(parents=True)
        (self.project / "Pulumi.yaml").write_text(yaml.safe_dump({"name": PROJECT, "runtime": "yaml"}))
        self._manage("stack", "init", self.name)
        self.config_file = self.project / f"Pulumi.{self.name}.yaml"
        self._encryption = yaml.safe_load(self.config_file.read_text())

    def set(self, platform: str, **arguments: Any) -> None:
        """Add a platform on the stand-in chart, or change arguments of it; None takes one away."""
        known = {**self.platforms.get(platform, {"serverUrl": SERVER_URL, "chart": CHART}), **arguments}
        self.platforms[platform] = {key: value for key, value in known.items() if value is not None}
        self._known[platform] = self.platforms[platform]

    def seal(self, text: str) -> dict[str, str]:
        """Encrypt a value; what is given can stand anywhere in the config."""
        scratch = self.project / "sealed.yaml"
        scratch.write_text(yaml.safe_dump(self._encryption))
        # By standard input: whatever is in arguments can be read by everybody on the machine.
        self._manage("config", "set", "--secret", "--config-file", str(scratch), "text", stdin=text)
        sealed: dict[str, str] = yaml.safe_load(scratch.read_text())["config"][f"{PROJECT}:text"]
        return sealed

    def up(self, *options: str, ok: bool | None = True) -> Run:
        """Run `pulumi up`; `ok` says how it must end, None that it may end either way."""
        return self.run("up", "--skip-preview", "--yes", *options, ok=ok)

    def preview(self, *options: str, ok: bool | None = True) -> Run:
        """Run `pulumi preview`."""
        return self.run("preview", *options, ok=ok)

    def refresh(self, *options: str, ok: bool | None = True) -> Run:
        """Run `pulumi refresh`."""
        return self.run("refresh", "--skip-preview", "--yes", *options, ok=ok)

    def destroy(self, *options: str, ok: bool | None = True) -> Run:
        """Run `pulumi destroy`."""
        return self.run("destroy", "--skip-preview", "--yes", *options, ok=ok)

    def run(self, command: str, *options: str, ok: bool | None = True) -> Run:
        """Run an operation of the engine on the program and the config as it is now."""
        with self.start(command, *options) as running:
            run = running.wait()
        if ok is not None:
            assert run.ok is ok, run.text
        return run

    def start(self, command: str, *options: str) -> Running:
        """Start an operation of the engine; it is interrupted when the `with` block is left before its end."""
        self.write_config()
        events = self.project / f"{unique('events')}.json"
        where = ("--config-file", str(self.config_file), "--event-log", str(events))
        directory = () if self.cwd == self.program else ("-C", str(self.program))
        line = ("pulumi", command, *options, *where, *directory, "--non-interactive")
        return Running(line, self, events)

    def write_config(self) -> None:
        """Write the config file as the attributes say, in their order."""
        config = {**({f"{PROJECT}:platforms": self.platforms} if self.platforms else {}), **self.config}
        self.config_file.write_text(yaml.safe_dump({**self._encryption, "config": config}, sort_keys=False))

    def export(self) -> str:
        """Give `pulumi stack export`; what is secret stays sealed."""
        return self._manage("stack", "export").stdout

    def state(self) -> list[dict[str, Any]]:
        """Give the resources in the stack's state."""
        found: list[dict[str, Any]] = json.loads(self.export())["deployment"].get("resources") or []
        return found

    def names(self) -> frozenset[str]:
        """Give the names of the resources in the stack's state."""
        return frozenset(name_in(resource["urn"]) for resource in self.state())

    def outputs(self, platform: str, *, secrets: bool = False) -> dict[str, Any]:
        """Give a platform's outputs; secret ones as `[secret]` unless they are asked for."""
        options = ["--show-secrets"] if secrets else []
        # What shows secrets on demand is no part of what may not show them.
        shown = self._manage("stack", "output", "platforms", "--json", *options, record=not secrets)
        found: dict[str, Any] = json.loads(shown.stdout)[platform]
        return found

    def stack_files(self) -> list[Path]:
        """List what the backend keeps of this stack: state, its backups and history."""
        return [path for path in self.home.state.rglob("*") if path.is_file() and self.name in str(path)]

    def cancel(self) -> Run:
        """Run `pulumi cancel`, which takes away the lock that a killed run left."""
        return self._manage("cancel", "--yes")

    def take_down(self) -> None:
        """Destroy everything with force, whatever state the test left it in."""
        if not self.names():
            return
        self._manage("cancel", "--yes", check=False)
        if self.destroy(ok=None).ok:
            return
        # Also those that the test took out of the config.
        for platform, arguments in self._known.items():
            self.platforms[platform] = {**arguments, "forceDelete": True, "testConnection": False}
        self.up(ok=None)
        self.destroy()

    def _manage(
        self,
        *arguments: str,
        stdin: str = "",
        check: bool = True,
        record: bool = True,
    ) -> Run:
        """Run a command about the stack itself."""
        line = ("pulumi", *arguments, "--non-interactive")
        done = subprocess.run(
            line,
            cwd=self.project,
            env=self.environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        run = Run(line, done.returncode, done.stdout, done.stderr)
        if record:
            self.runs.append(run)
        assert run.ok or not check, run.text
        return run


class Running:
    """A command that runs, in a process group of its own as in a terminal. Use it as a context manager."""

    def __init__(self, line: Sequence[str], stack: Stack, events: Path) -> None:
        self._line = line
        self._stack = stack
        self._events = events
        self._process = subprocess.Popen(
            line,
            cwd=stack.cwd,
            env=stack.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.interrupt()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=30)
        # Also what outlived the command itself; plugins are in process groups of their own.
        for process in find_session(self.pid):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._process.communicate()

    @property
    def ended(self) -> bool:
        """Whether the command itself has ended."""
        return self._process.poll() is not None

    @property
    def pid(self) -> int:
        """The command's process, which leads a session of its own."""
        return self._process.pid

    def interrupt(self) -> None:
        """Press Ctrl-C: everything in the group gets the signal."""
        os.killpg(self._process.pid, signal.SIGINT)

    def has_step(self, name: str) -> bool:
        """Tell whether the engine has begun a step of this resource."""
        return any(line.endswith("}") and f'::{name}"' in line for line in self._read_events().splitlines())

    def wait(self) -> Run:
        """Wait for the end."""
        stdout, stderr = self._process.communicate(timeout=SECONDS)
        run = Run(self._line, self._process.returncode, stdout, stderr, self._read_events())
        self._stack.runs.append(run)
        # With --debug, Pulumi's SDK writes down in its own messages what a failed resource ends.
        assert "Traceback" not in run.text or "--debug" in self._line, run.text
        return run

    def _read_events(self) -> str:
        return self._events.read_text() if self._events.exists() else ""


def name_in(urn: str) -> str:
    """Give the resource's name in a URN."""
    return urn.rsplit("::", 1)[1]


def find_ours(cluster: Cluster) -> set[tuple[str, str, str]]:
    """List what platforms leave behind when a destroy is not complete: kind, namespace and name.

    Namespaces and cluster-wide objects with our label, and the Secrets in which Helm keeps its releases.
    """
    found = {
        (kind.name, "", thing["metadata"]["name"])
        for kind in (NAMESPACE, POLICY, POLICY_BINDING, STORAGE_CLASS, SNAPSHOT_CLASS)
        for thing in cluster.list_all(kind, labels=_OURS, metadata_only=True)
    }
    secrets = cluster.list_all(SECRET, labels="owner=helm", metadata_only=True)
    return found | {("Secret", secret["metadata"]["namespace"], secret["metadata"]["name"]) for secret in secrets}


@contextlib.contextmanager
def make_stack(
    home: PulumiHome, kubeconfig: Path, clusters: Sequence[Cluster], *, program: Path = CHECKOUT, stem: str = "test"
) -> Iterator[Stack]:
    """Give a stack, take it down in the end, and see that nothing of it is left in the clusters."""
    before = [find_ours(cluster) for cluster in clusters]
    stack = Stack(home, kubeconfig, program=program, stem=stem)
    try:
        yield stack
    finally:
        stack.take_down()
    for cluster, known in zip(clusters, before, strict=True):
        assert find_ours(cluster) - known == set()
    assert not stack.names()


def write_program(
    directory: Path, files: Mapping[str, str], *, python: Path | None = None, plugin: Path | None = None
) -> Path:
    """Write a Python program of a user who installed the package: `files` by name, and a Pulumi.yaml.

    Args:
        directory: where to write it.
        files: name to content.
        python: the virtualenv that it runs in; by default the one that runs the tests.
        plugin: the directory with the plugin's executable; by default in that virtualenv.
    """
    virtualenv = python or Path(sys.prefix)
    project = {
        "name": PROJECT,
        "runtime": {"name": "python", "options": {"toolchain": "pip", "virtualenv": str(virtualenv)}},
        "plugins": {"providers": [{"name": "codecanvas", "path": str(plugin or virtualenv / "bin")}]},
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Pulumi.yaml").write_text(yaml.safe_dump(project))
    for name, text in files.items():
        (directory / name).write_text(text)
    return directory
