"""`up` and `down`: the root program on the local cluster, or on the one that `CODECANVAS_KUBECONFIG` names.

Stack, passphrase, Pulumi home and kubeconfig are all under the cache directory. The user's own are not touched.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tools.cache import cache_dir, locked
from tools.cluster import local_cluster
from tools.console import say
from tools.errors import ToolsError
from tools.pins import TOOLS
from tools.pulumi_home import PulumiHome
from tools.toolchain import Toolchain, ensure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.cluster import LocalCluster

CHECKOUT = Path(__file__).parents[1]
KUBECONFIG_VARIABLE = "CODECANVAS_KUBECONFIG"
STACK = "local"
PARTS = ("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes")
CONFIG = CHECKOUT / f"Pulumi.{STACK}.yaml"


@dataclass(frozen=True)
class Site:
    """Where `up` works: a folder for the stack, the kubeconfig, and the local cluster unless it is the user's."""

    root: Path
    kubeconfig: Path
    cluster: LocalCluster | None

    @staticmethod
    def choose() -> Site:
        """Take the cluster that the user names, else the local one.

        Raises:
            ToolsError: the file that the user names is not there.
        """
        named = os.environ.get(KUBECONFIG_VARIABLE)
        if not named:
            cluster = local_cluster()
            return Site(cache_dir() / "up" / STACK, cluster.kubeconfig, cluster)
        kubeconfig = Path(named).expanduser().resolve()
        if not kubeconfig.is_file():
            raise ToolsError(f"{KUBECONFIG_VARIABLE} names {kubeconfig}, which is no file; name a kubeconfig")
        digest = hashlib.sha256(str(kubeconfig).encode()).hexdigest()[:12]
        return Site(cache_dir() / "up" / digest, kubeconfig, None)

    @property
    def project(self) -> Path:
        """A project of the same name: stack commands write beside it, and not into the checkout."""
        return self.root / "project"

    @property
    def config(self) -> Path:
        """The stack's config with its encryption salt, which belongs to this machine's passphrase."""
        return self.project / CONFIG.name


def up() -> None:
    """Start the cluster, bring the platforms up and tell what to look at next.

    Raises:
        ToolsError: a step failed; what it printed says why.
    """
    started = time.monotonic()
    site = Site.choose()
    with locked(site.root / "run", lambda: say("up: waiting for another run to end")):
        if site.cluster:
            say("up: starting the local cluster")
            site.cluster.start()
        else:
            say(f"up: using the cluster of {site.kubeconfig}")
        _name_parts()
        _select_stack(site)
        _write_config(site)
        say("up: pulumi up")
        _run(site, "up", "--yes", "--skip-preview", "--config-file", str(site.config))
    say(f"up: done in {time.monotonic() - started:.0f} s")
    print(_next_steps(site))


def _name_parts() -> None:
    """Say what serves as the engine and its parts."""
    ensure(*PARTS, quiet=True)
    toolchain = Toolchain.default()
    for name in PARTS:
        described = (
            f"STAND-IN {TOOLS[name].stand_in}" if toolchain.stands_in(TOOLS[name]) else toolchain.describe(TOOLS[name])
        )
        say(f"up: {name} {TOOLS[name].version}: {described}")


def down() -> None:
    """Destroy the platforms, remove the stack and end the local cluster.

    Raises:
        ToolsError: a step failed; what it printed says why.
    """
    site = Site.choose()
    with locked(site.root / "run", lambda: say("down: waiting for another run to end")):
        if site.config.exists():
            if site.cluster:
                site.cluster.start()
            _select_stack(site)
            say("down: pulumi destroy")
            _run(site, "destroy", "--yes", "--skip-preview", "--config-file", str(site.config))
            _manage(site, "stack", "rm", "--yes")
        if site.cluster:
            say("down: stopping the local cluster")
            site.cluster.wipe()
        shutil.rmtree(site.root, ignore_errors=True)
    say("down: nothing is left")


def pulumi(arguments: Sequence[str]) -> int:
    """Run a pulumi command on the stack of `up` and give its exit code.

    What is about the config reads and writes the checkout's, which the next `up` takes. For everything else it is
    copied first: whatever runs the program would write its encryption salt into it.
    """
    site = Site.choose()
    if not site.config.exists():
        raise ToolsError("there is no stack yet; run `make up` first")
    environment = _environment(site)
    if "config" not in arguments[:1]:
        _write_config(site)
        environment["PULUMI_OPTION_CONFIG_FILE"] = str(site.config)
    return subprocess.run(["pulumi", *arguments], cwd=CHECKOUT, env=environment, check=False).returncode


def _write_config(site: Site) -> None:
    """Put the checkout's config beside the stack; Pulumi's encryption salt stays in it.

    Where the checkout's has a salt of its own, secrets in it were encrypted with that one.
    """
    config = yaml.safe_load(CONFIG.read_text())
    with contextlib.suppress(FileNotFoundError):
        known = yaml.safe_load(site.config.read_text()) or {}
        config = {key: value for key, value in known.items() if key.startswith("encryption")} | config
    fresh = site.config.with_suffix(".part")
    fresh.write_text(yaml.safe_dump(config, sort_keys=False))
    fresh.replace(site.config)


def _select_stack(site: Site) -> None:
    """Make or select the stack, and free it from a run that was killed: ours is the only one, see the lock."""
    site.project.mkdir(parents=True, exist_ok=True)
    project = yaml.safe_load((CHECKOUT / "Pulumi.yaml").read_text())["name"]
    (site.project / "Pulumi.yaml").write_text(yaml.safe_dump({"name": project, "runtime": "yaml"}))
    _manage(site, "stack", "select", STACK, "--create")
    locks = PulumiHome(site.root).state / ".pulumi" / "locks"
    if any(locks.rglob("*.json")):
        say("up: an earlier run was killed; removing its lock")
        _manage(site, "cancel", "--yes")


def _run(site: Site, *arguments: str) -> None:
    """Run the program. On Ctrl-C pulumi gets the signal too; let it write its state before leaving."""
    with subprocess.Popen(["pulumi", *arguments, "--non-interactive"], cwd=CHECKOUT, env=_environment(site)) as process:
        try:
            process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise ToolsError("interrupted; the same command goes on from here") from None
    if process.returncode:
        raise ToolsError(f"pulumi {arguments[0]} ended with exit code {process.returncode}; its output says why")


def _manage(site: Site, *arguments: str) -> None:
    """Run a command about the stack itself; what it prints is shown when it fails."""
    done = subprocess.run(
        ["pulumi", *arguments, "--non-interactive"],
        cwd=site.project,
        env=_environment(site),
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ToolsError(f"pulumi {' '.join(arguments)} failed: {done.stderr.strip()}")


def _environment(site: Site) -> dict[str, str]:
    return PulumiHome(site.root).env() | {"KUBECONFIG": str(site.kubeconfig), "PULUMI_STACK": STACK}


def _next_steps(site: Site) -> str:
    python = Path(sys.executable).parent / "python"
    kubectl = f"KUBECONFIG={site.kubeconfig} kubectl"
    return f"""
What to look at next:
  outputs          make pulumi ARGS='stack output platforms --json'
  in the cluster   {kubectl} get namespaces,podtemplates,deployments -A -l app.kubernetes.io/managed-by
  the helm release KUBECONFIG={site.kubeconfig} helm list -A
  change something edit {CONFIG.name} (try `freeze: true` under `eu`), then `make up`
  take it down     make down
({python} runs the tools; everything is kept under {cache_dir()})"""
