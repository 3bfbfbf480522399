"""A stack of the root program on a local cluster, run by the real Pulumi CLI and engine."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from codecanvas_provider.cluster import CLAIM, POD, Cluster
from codecanvas_provider.worker_pods import list_worker_pods, name_of
from tests.support.names import unique
from tests.support.waiting import wait_for
from tests.support.workers import connect, create_worker

if TYPE_CHECKING:
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

CHECKOUT = Path(__file__).parents[2]
CHART = "./tools/charts/codecanvas-operator"
SERVER_URL = "http://codecanvas.example.com:8098"


@dataclass(frozen=True)
class Run:
    """One run of the engine.

    Attributes:
        ok: whether it succeeded.
        text: all that it printed.
        changes: what was done to each resource, by its name; resources that stay as they are are left out.
    """

    ok: bool
    text: str
    changes: dict[str, str] = field(default_factory=dict)


class Day2Stack:
    """One stack with its config."""

    def __init__(self, home: PulumiHome, cluster: LocalCluster, *, kubeconfig: Path | None = None) -> None:
        self.name = unique("day2")
        self.environment = home.env() | {
            "KUBECONFIG": str(kubeconfig or cluster.kubeconfig),
            "PULUMI_STACK": self.name,
            # Without it, the flag for the log of events is not there.
            "PULUMI_DEBUG_COMMANDS": "true",
        }
        self.project = home.root / "projects" / self.name
        self.project.mkdir(parents=True)
        # A project of the same name: the stack's config is written beside it, and not into the checkout.
        (self.project / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "codecanvas", "runtime": "yaml"}))
        made = self._pulumi("stack", "init", self.name, cwd=self.project)
        assert made.returncode == 0, made.stderr
        self.config = self.project / f"Pulumi.{self.name}.yaml"
        self._encryption = yaml.safe_load(self.config.read_text())
        self.platforms: dict[str, dict[str, Any]] = {}
        self.settings: dict[str, Any] = {}
        self._engine_settings: dict[str, Any] = {}

    def set(self, platform: str, **arguments: Any) -> None:
        """Add a platform, or change arguments of it; None takes one away."""
        known = self.platforms.setdefault(platform, {"serverUrl": SERVER_URL, "chart": CHART})
        known.update(arguments)
        self.platforms[platform] = {key: value for key, value in known.items() if value is not None}

    def disable_default_providers(self, *packages: str) -> None:
        """Have the engine refuse the default providers of these packages."""
        self._engine_settings["pulumi:disable-default-providers"] = list(packages)

    def pulumi(self, *arguments: str, cwd: Path = CHECKOUT) -> str:
        """Run any pulumi command on the stack, which has to succeed, and give what it printed."""
        done = self._pulumi(*arguments, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def up(self, *options: str, ok: bool | None = True) -> Run:
        """Run `pulumi up`; `ok` says how it must end."""
        return self._run("up", "--skip-preview", "--yes", *options, ok=ok)

    def preview(self, *, ok: bool | None = True) -> Run:
        """Run `pulumi preview`."""
        return self._run("preview", ok=ok)

    def refresh(self, *, ok: bool | None = True) -> Run:
        """Run `pulumi refresh`."""
        return self._run("refresh", "--skip-preview", "--yes", ok=ok)

    def destroy(self, *, ok: bool | None = True) -> Run:
        """Run `pulumi destroy`."""
        return self._run("destroy", "--skip-preview", "--yes", ok=ok)

    def state(self) -> list[dict[str, Any]]:
        """Give the resources in the stack's state; what is secret stays sealed."""
        exported = self._pulumi("stack", "export")
        assert exported.returncode == 0, exported.stderr
        found: list[dict[str, Any]] = json.loads(exported.stdout)["deployment"].get("resources") or []
        return found

    def names(self) -> frozenset[str]:
        """Give the names of the resources in the stack's state."""
        return frozenset(_name_in(resource["urn"]) for resource in self.state())

    def outputs(self, platform: str) -> dict[str, Any]:
        """Give a platform's outputs; secret ones as `[secret]`."""
        shown = self._pulumi("stack", "output", "platforms", "--json")
        assert shown.returncode == 0, shown.stderr
        found: dict[str, Any] = json.loads(shown.stdout)[platform]
        return found

    def _run(self, command: str, *options: str, ok: bool | None) -> Run:
        written: dict[str, Any] = {**self._encryption, "config": {"codecanvas:platforms": self.platforms}}
        written["config"].update({f"codecanvas:{key}": value for key, value in self.settings.items()})
        written["config"].update(self._engine_settings)
        self.config.write_text(yaml.safe_dump(written, sort_keys=False))
        events = self.project / "events.json"
        events.unlink(missing_ok=True)
        where = ("--config-file", str(self.config), "--event-log", str(events))
        done = self._pulumi(command, *options, *where)
        text = done.stdout + done.stderr
        if ok is not None:
            assert (done.returncode == 0) is ok, text
        assert "Traceback" not in text, text
        return Run(done.returncode == 0, text, _changes(events))

    def _pulumi(self, *arguments: str, cwd: Path = CHECKOUT) -> subprocess.CompletedProcess[str]:
        command = ["pulumi", *arguments, "--non-interactive"]
        return subprocess.run(
            command, cwd=cwd, env=self.environment, check=False, capture_output=True, text=True, timeout=300
        )


def _changes(events: Path) -> dict[str, str]:
    if not events.exists():
        return {}
    changes = {}
    for line in events.read_text().splitlines():
        step = (json.loads(line).get("resourcePreEvent") or {}).get("metadata")
        if step and step["op"] not in {"same", "read"}:
            changes[_name_in(step["urn"])] = step["op"]
    return changes


def _name_in(urn: str) -> str:
    return urn.rsplit("::", 1)[1]


class Site:
    """One platform's namespace as an onlooker in the cluster sees it, and its dev environments."""

    def __init__(self, admin: Cluster, cluster: LocalCluster, namespace: str) -> None:
        self.admin = admin
        self.namespace = namespace
        self.core = connect(cluster.kubeconfig)

    def start(self, count: int, **options: Any) -> None:
        """Start dev environments `env-0`, `env-1`, ... with a volume each and wait until they run."""
        wanted = {f"env-{number}" for number in range(count)}
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda name: create_worker(self.core, self.namespace, name, **options), wanted))
        wait_for(lambda: self.running() >= wanted, f"{count} dev environments to run in {self.namespace}")

    def running(self) -> set[str]:
        """Name the worker pods that run."""
        pods = list_worker_pods(self.admin, self.namespace)
        return {name_of(pod) for pod in pods if pod["status"].get("phase") == "Running"}

    def workers(self) -> dict[str, str]:
        """Give the uids of all worker pods, by name."""
        return {name_of(pod): pod["metadata"]["uid"] for pod in list_worker_pods(self.admin, self.namespace)}

    def claims(self) -> dict[str, str]:
        """Give the uids of the volumes, by name."""
        return {name_of(claim): claim["metadata"]["uid"] for claim in self.admin.list_all(CLAIM, self.namespace)}

    def operator_pods(self, namespace: str | None = None) -> dict[str, str]:
        """Give the phases of the other pods, by name."""
        workers = self.workers()
        pods = self.admin.list_all(POD, namespace or self.namespace)
        return {name_of(pod): pod["status"].get("phase", "") for pod in pods if name_of(pod) not in workers}

    def restart_operator(self, namespace: str | None = None) -> None:
        """Delete the operator's pods and wait until new ones run."""
        old = self.operator_pods(namespace)
        assert old, "there is no operator"
        for name in old:
            self.admin.delete(POD, name, namespace or self.namespace)

        def runs_anew() -> bool:
            fresh = {name: phase for name, phase in self.operator_pods(namespace).items() if name not in old}
            return "Running" in fresh.values()

        wait_for(runs_anew, "a new operator pod")
