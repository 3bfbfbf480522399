"""The peers: each turns an operation on a fleet into one command. What they write before it is not timed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

import yaml

from tests.bench.audit import APPLY
from tests.bench.fleet import RELEASE, TIMEOUT
from tests.bench.outcome import PROBE
from tests.bench.site import PARALLEL
from tests.support.stack import SERVER_URL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.bench.fleet import Fleet, Platform
    from tests.bench.site import Site

_PROGRAMS = Path(__file__).with_name("programs")


@dataclass(frozen=True)
class Command:
    """A command line and where it is run."""

    line: Sequence[str]
    cwd: Path


class Peer(Protocol):
    """One way to bring a fleet about.

    Attributes:
        name: how results name it.
        title: how people read it.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def open(self) -> None:
        """Get ready for a life from the first `up` to the destroy."""

    def prepare(self, operation: str, fleet: Fleet, concerned: Sequence[Platform]) -> Command | None:
        """Write down what is asked for; give the command, or None where the peer has nothing to do."""


class _Pulumi:
    """What the peers that run Pulumi share."""

    name: ClassVar[str]

    def __init__(self, site: Site, directory: Path) -> None:
        self._site = site
        self._directory = directory

    def open(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)
        self._write_program()
        subprocess.run(
            ["pulumi", "stack", "init", "bench", "--non-interactive"],
            cwd=self._directory,
            env=self._site.environment(),
            check=True,
            capture_output=True,
        )

    def prepare(self, operation: str, fleet: Fleet, concerned: Sequence[Platform]) -> Command:  # noqa: ARG002 - the protocol's
        self._write_fleet(fleet)
        flags = ["--non-interactive", f"--parallel={PARALLEL}"]
        if operation == "preview":
            return Command(["pulumi", "preview", *flags], self._directory)
        verb = "destroy" if operation == "destroy" else "up"
        return Command(["pulumi", verb, "--yes", "--skip-preview", *flags], self._directory)

    def _write_program(self) -> None:
        options = {"toolchain": "pip", "virtualenv": sys.prefix}
        plugin = {"name": "codecanvas", "path": str(Path(sys.prefix) / "bin")}
        project = {
            "name": f"bench-{self.name}",
            "runtime": {"name": "python", "options": options},
            "plugins": {"providers": [plugin]},
        }
        (self._directory / "Pulumi.yaml").write_text(yaml.safe_dump(project))
        shutil.copy(_PROGRAMS / self.name / "__main__.py", self._directory)

    def _write_fleet(self, fleet: Fleet) -> None:
        entries = [self._describe(fleet, platform) for platform in fleet.platforms]
        (self._directory / "platforms.json").write_text(json.dumps(entries))

    def _describe(self, fleet: Fleet, platform: Platform) -> dict[str, Any]:
        raise NotImplementedError


class Raw(_Pulumi):
    """A typed pulumi-kubernetes program."""

    name = "raw"
    title: ClassVar[str] = "raw Pulumi"

    def _describe(self, fleet: Fleet, platform: Platform) -> dict[str, Any]:
        return {
            "name": platform.name,
            "manifests": platform.manifests(),
            "values": platform.values(),
            "release": RELEASE,
            "chart": fleet.chart,
            "timeout": TIMEOUT,
        }


class Ours(_Pulumi):
    """This package from Python."""

    name = "ours"
    title: ClassVar[str] = "ours, Python"

    def _describe(self, fleet: Fleet, platform: Platform) -> dict[str, Any]:
        return {
            "name": platform.name,
            "serverUrl": SERVER_URL,
            "podTemplate": platform.pod_template,
            "chart": fleet.chart,
            "tokenVersion": str(platform.key_version),
            "freeze": platform.frozen,
            "timeout": TIMEOUT,
        }


class OursYaml(Ours):
    """This package from YAML: the plugin constructs the component."""

    name = "ours-yaml"
    title = "ours, YAML"

    def _write_program(self) -> None:
        """Write what a stack needs; program and fleet are one file, see `_write_fleet`."""
        (self._directory / "Pulumi.yaml").write_text(yaml.safe_dump({"name": f"bench-{self.name}", "runtime": "yaml"}))

    def _write_fleet(self, fleet: Fleet) -> None:
        entries = [self._describe(fleet, platform) for platform in fleet.platforms]
        plugin = {"name": "codecanvas", "path": str(Path(sys.prefix) / "bin")}
        project = {
            "name": f"bench-{self.name}",
            "runtime": "yaml",
            "plugins": {"providers": [plugin]},
            "resources": {
                entry.pop("name"): {
                    "type": "codecanvas:ComputingPlatform",
                    "properties": {**entry, "podTemplate": json.dumps(entry["podTemplate"])},
                }
                for entry in entries
            },
        }
        (self._directory / "Pulumi.yaml").write_text(yaml.safe_dump(project, sort_keys=False))


class Shell:
    """Helm and kubectl, so many platforms at a time under xargs."""

    name: ClassVar[str] = "shell"
    title: ClassVar[str] = "Helm + kubectl"

    def __init__(self, site: Site, directory: Path) -> None:
        self._site = site
        self._directory = directory

    def open(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)
        self._directory.mkdir(parents=True)

    def prepare(self, operation: str, fleet: Fleet, concerned: Sequence[Platform]) -> Command:
        for platform in fleet.platforms:
            folder = self._directory / platform.name
            folder.mkdir(exist_ok=True)
            manifests = platform.manifests()
            objects = {"apiVersion": "v1", "kind": "List", "items": [manifests["namespace"], manifests["template"]]}
            (folder / "objects.json").write_text(json.dumps(objects))
            block = {"apiVersion": "v1", "kind": "List", "items": [manifests.get("policy"), manifests.get("binding")]}
            (folder / "block.json").write_text(json.dumps(block))
            (folder / "values.json").write_text(json.dumps(platform.values()))
        (self._directory / "probe.json").write_text(json.dumps(PROBE))
        (self._directory / "names").write_text("".join(f"{platform.name}\n" for platform in concerned))
        script = _SCRIPTS[operation if operation in _SCRIPTS else "up"]
        (self._directory / "run.sh").write_text(
            script.format(
                kubectl=self._site.kubectl,
                helm=self._site.helm,
                release=RELEASE,
                chart=fleet.chart,
                timeout=TIMEOUT,
            )
        )
        line = ["xargs", "-a", "names", "-P", str(PARALLEL), "-n", "1", "sh", "-eu", "run.sh"]
        return Command(line, self._directory)


_SCRIPTS = {
    "up": """
{kubectl} apply --server-side --field-manager=bench -f $1/objects.json
{helm} upgrade --install {release} {chart} -n $1 -f $1/values.json \\
  --atomic --cleanup-on-fail --history-max 2 --timeout {timeout}s
""",
    "preview": """
{kubectl} diff --server-side --field-manager=bench -f $1/objects.json
{helm} upgrade --install {release} {chart} -n $1 -f $1/values.json --dry-run=server >/dev/null
""",
    "field": """
{kubectl} apply --server-side --field-manager=bench -f $1/objects.json
""",
    "freeze": """
{kubectl} apply --server-side --field-manager=bench -f $1/block.json
while {kubectl} create --dry-run=server -n $1 -f probe.json 2>/dev/null; do :; done
{kubectl} get pods -n $1 -o custom-columns=:metadata.name,:spec.containers[*].name |
  awk '$2 ~ /worker-main/ {{ print $1 }}' | xargs -r {kubectl} delete pods -n $1
""",
    "destroy": """
{helm} uninstall {release} -n $1 --wait --timeout {timeout}s
{kubectl} delete namespace $1
{kubectl} delete --ignore-not-found -f $1/block.json
""",
}


class Floor:
    """The writes of raw Pulumi, recorded earlier, sent by one client one after the other."""

    name: ClassVar[str] = "floor"
    title: ClassVar[str] = "bare API writes"

    def __init__(self, site: Site, directory: Path, recordings: Path) -> None:
        self._site = site
        self._directory = directory
        self._recordings = recordings

    def open(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)

    def prepare(self, operation: str, fleet: Fleet, concerned: Sequence[Platform]) -> Command | None:
        if operation == "field":
            # The audit log has no event of an apply whose body is YAML, as that of pulumi-kubernetes.
            writes = [_apply_template(platform) for platform in concerned]
        else:
            recording = recording_path(self._recordings, len(fleet.platforms), operation)
            writes = json.loads(recording.read_text())
        if not writes:
            return None
        names = [platform.name for platform in concerned]
        gone = names if operation == "destroy" else []
        path = self._directory / "writes.json"
        path.write_text(json.dumps({"writes": writes, "ready": [] if gone else names, "gone": gone}))
        line = [sys.executable, "-m", "tests.bench.replay", str(self._site.kubeconfig), str(path)]
        return Command(line, Path(__file__).parents[2])


def _apply_template(platform: Platform) -> dict[str, Any]:
    body = platform.manifests()["template"]
    url = f"/api/v1/namespaces/{platform.name}/podtemplates/{body['metadata']['name']}?fieldManager=bench&force=true"
    return {"method": "PATCH", "url": url, "type": APPLY, "body": body}


def recording_path(directory: Path, size: int, operation: str) -> Path:
    """Name the file with the recorded writes of an operation on a fleet of so many platforms."""
    return directory / f"{size}-{operation}.json"


def make_peer(name: str, site: Site, recordings: Path) -> Peer:
    """Make a peer by its name."""
    directory = site.directory / "peers" / name
    if name == Floor.name:
        return Floor(site, directory, recordings)
    kinds: dict[str, type[Raw | Ours | OursYaml | Shell]] = {kind.name: kind for kind in (Shell, Raw, Ours, OursYaml)}
    return kinds[name](site, directory)


TITLES = {kind.name: kind.title for kind in (Floor, Shell, Raw, Ours, OursYaml)}
"""Names of the peers, in the order in which they are shown, and what people read."""
