"""Secrets are in plain text nowhere: searched for in everything that a stack's life leaves, prints or sends."""

from __future__ import annotations

import contextlib
import json
import re
import resource
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import yaml
from kubernetes import config
from kubernetes.dynamic import DynamicClient

from pulumi_codecanvas.keys import generate_private_key
from tests.support.chart_repository import pack_chart, serve_chart
from tests.support.faults import fault
from tests.support.helm_records import operator_key
from tests.support.names import unique
from tests.support.secret_search import find_secrets, without_sealed
from tests.support.stack import CHART, SERVER_URL, Stack, make_stack
from tests.support.waiting import wait_for
from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codecanvas_provider.cluster import Cluster
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

PASSWORD = "registry-Pa55word/with+signs"
WRONG_PASSWORD = "another-Pa55word/of=yesterday"
PLUGIN = "pulumi-resource-codecanvas"


class Life:
    """A stack's life with every kind of secret in it, and every place in which one could be left."""

    def __init__(self, stack: Stack, cluster: LocalCluster, admin: Cluster, scratch: Path) -> None:
        self.stack = stack
        self.admin = admin
        self.kubeconfig = cluster.kubeconfig
        self.scratch = scratch
        self.secrets: dict[str, str] = {}
        self.places: dict[str, bytes] = {}
        self.shown = b""
        self.limits: list[str] = []
        self.dumps: list[Path] = []
        self.copies: dict[str, int] = {}
        self.keyed, self.pasted, self.made = (unique(stem) for stem in ("keyed", "pasted", "made"))
        self.grpc_log = scratch / "grpc.json"
        self.plan = scratch / "plan.json"

    def live(self) -> None:
        """Bring up, change, fail, crash and rotate platforms with secrets of every kind."""
        stack = self.stack
        stack.environment |= {"TMPDIR": str(self.scratch), "PULUMI_EXPERIMENTAL": "true"}
        archive = pack_chart(Path(CHART))
        with serve_chart(Path(CHART), archive, username="reader", password=PASSWORD) as repository, self._watch():
            self._declare(repository)
            self._preview_and_create()
            self._fail()
            self._rotate()
            self._crash()
            self._look_into_cluster()
            shown = stack._manage("stack", "export", "--show-secrets", record=False)
            self.shown = shown.stdout.encode()
            stack.refresh("--diff")
            stack.destroy("--diff")
        self._collect()

    def _declare(self, repository: str) -> None:
        key, token = generate_private_key(), generate_private_key()
        bearer = yaml.safe_load(self.kubeconfig.read_text())["users"][0]["user"]["token"]
        self.secrets |= {
            "private key": key,
            "snippet token": token,
            "registry password": PASSWORD,
            "kubeconfig token": bearer,
        }
        seal = self.stack.seal
        self.stack.set(
            self.keyed,
            privateKey=seal(key),
            kubeconfig=seal(self.kubeconfig.read_text()),
            chart=Path(CHART).name,
            chartVersion=yaml.safe_load((Path(CHART) / "Chart.yaml").read_text())["version"],
            chartRepository=repository,
            chartUsername="reader",
            chartPassword=seal(PASSWORD),
        )
        self.stack.set(self.pasted, serverUrl=None, chart=None, connectionSnippet=seal(self._snippet(token)))
        self.stack.set(self.made)

    def _snippet(self, token: str) -> str:
        return (
            f"helm upgrade --install codecanvas-operator {CHART} --namespace {self.pasted} --create-namespace"
            f" --set operator.secret.operatorServerUrl={SERVER_URL} --set operator.secret.instanceId=eu"
            f" --set operator.targetNamespace={self.pasted} --set-string 'operator.secret.jwtPrivateKey={token}'"
        )

    def _preview_and_create(self) -> None:
        self.stack.preview("--diff", "--save-plan", str(self.plan))
        with self._grpc():
            self.stack.up("--debug", "--diff")
        self._note_generated("generated key")

    def _fail(self) -> None:
        """Make the faults whose texts could quote a secret: of values, of the registry, of Helm, of the cluster."""
        stack, good = self.stack, {name: dict(given) for name, given in self.stack.platforms.items()}
        key, token = self.secrets["private key"], self.secrets["snippet token"]
        self.secrets["wrong password"] = WRONG_PASSWORD
        stack.set(self.keyed, privateKey=stack.seal(key.replace("-----END", "----END")))
        stack.set(self.pasted, connectionSnippet=stack.seal(self._snippet(token) + f" --no-such '{token}'"))
        stack.preview(ok=False)
        stack.platforms |= {name: dict(given) for name, given in good.items()}
        stack.set(self.keyed, chartPassword=stack.seal(WRONG_PASSWORD))
        stack.set(self.made, values={"podLabels": {"not a label": "x"}})
        stack.set(self.pasted, timeout=5, values={"nodeSelector": {"no": "such-node"}})
        stack.up("--debug", "--continue-on-error", ok=False)
        stack.platforms |= {name: dict(given) for name, given in good.items()}
        stack.set(self.keyed, kubeconfig=stack.seal(self.kubeconfig.read_text().replace("clusters:", "clusters: ]")))
        stack.up("--continue-on-error", ok=False)
        stack.platforms |= good

    def _rotate(self) -> None:
        key = generate_private_key()
        self.secrets["second private key"] = key
        self.stack.set(self.keyed, privateKey=self.stack.seal(key))
        self.stack.set(self.made, tokenVersion="2")
        self.stack.preview("--diff", "--json")
        with self._grpc():
            self.stack.up()
        self._note_generated("second generated key")

    def _crash(self) -> None:
        """Have the plugin and the engine end as in a crash, with core dumps allowed, in the midst of an update."""
        self.stack.set(self.made, tokenVersion="3")
        self.stack.cwd = self.scratch
        with self.stack.start("up", "--skip-preview", "--yes") as running:
            wait_for(lambda: running.has_step(f"{self.made}-release"), "the release to be upgraded", 60)
            plugins = _find_plugins()
            self.limits = [Path(f"/proc/{process.pid}/limits").read_text() for process in plugins]
            for process in plugins:
                process.send_signal(signal.SIGABRT)
            running.wait()
        self.stack.cwd = self.stack.program
        self.stack.up()
        self._note_generated("third generated key")

    def _note_generated(self, name: str) -> None:
        self.secrets[name] = operator_key(self.admin, self.made)

    @contextlib.contextmanager
    def _grpc(self) -> Iterator[None]:
        self.stack.environment["PULUMI_DEBUG_GRPC"] = str(self.grpc_log)
        yield
        del self.stack.environment["PULUMI_DEBUG_GRPC"]

    @contextlib.contextmanager
    def _watch(self) -> Iterator[None]:
        """Note the command lines of all processes, and raise the limit of core dumps for those started here."""
        before = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
        lines: set[str] = set()
        ended = threading.Event()

        def look() -> None:
            while not ended.wait(0.05):
                for path in Path("/proc").glob("[0-9]*/cmdline"):
                    with contextlib.suppress(OSError):
                        lines.add(path.read_text(errors="replace"))

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            resource.setrlimit(resource.RLIMIT_CORE, before)
            self.places["process arguments"] = "\n".join(lines).encode()

    def _look_into_cluster(self) -> None:
        """Note every object of the cluster, events too; of Secrets all but their data."""
        client: Any = DynamicClient(config.new_client_from_config(str(self.kubeconfig)))  # type: ignore[no-untyped-call] # the client ships no types
        for kind in client.resources.search():
            if "list" not in (kind.verbs or ()) or "/" in kind.name or kind.kind.endswith("List"):
                continue
            items = client.get(kind).to_dict().get("items") or []
            if kind.kind == "Secret":
                items = [{**item, "data": None} for item in items]
            self.places[f"cluster: {kind.group_version} {kind.name}"] = json.dumps(items).encode()

    def _collect(self) -> None:
        stack, scratch = self.stack, self.scratch
        files = [path for path in stack.home.root.rglob("*") if path.is_file() and _is_kept(path)]
        self.places |= {f"file {path.relative_to(stack.home.root)}": path.read_bytes() for path in files}
        self.places["plan"] = self.plan.read_bytes()
        left = [path for path in scratch.rglob("*") if path.is_file() and path not in {self.grpc_log, self.plan}]
        self.copies = {path.name: path.stat().st_mode for path in left if path.name.startswith("kubeconfig")}
        others = {path.name: path.read_bytes() for path in left if path.name not in self.copies}
        self.places["temporary files"] = json.dumps(sorted(path.name for path in left)).encode()
        self.places |= {f"temporary file {name}": text for name, text in others.items()}
        self.dumps = [path for place in (scratch, stack.program) for path in place.glob("core*") if path.is_file()]
        for number, run in enumerate(stack.runs):
            name = f"{number} ({' '.join(run.command[:4])})"
            self.places |= {f"output of {name}": run.text.encode(), f"events of {name}": run.event_log.encode()}


def _is_kept(path: Path) -> bool:
    return not {"plugins", "cache"} & set(path.parts) and "passphrase" not in path.name


def _find_plugins() -> list[psutil.Process]:
    """Give the processes of our plugin below this one."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(PLUGIN in argument for argument in process.cmdline()):
                found.append(process)
    return found


@pytest.fixture(scope="module")
def life(shared_cluster: LocalCluster, admin: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    # All of its files are searched: those of other tests' stacks are not to be among them.
    home = PulumiHome(tmp_path_factory.mktemp("pulumi"))
    with make_stack(home, shared_cluster.kubeconfig, [admin], stem="secrets") as stack:
        lived = Life(stack, shared_cluster, admin, tmp_path_factory.mktemp("scratch"))
        lived.live()
        yield lived


@fault(
    37,
    "Secrets searched for: keys, a snippet's token, a registry's password, a kubeconfig's token",
    happens="They are absent, in any spelling, from state, backups, history, output, events, `--diff`, a saved plan,"
    " errors, process arguments, crash dumps, and from every object in the cluster but the Secrets that are to hold"
    " them. What our plugin answers marks each of them as secret.",
    user="Keep what is made for debugging to yourself: Pulumi's own logs (`PULUMI_DEBUG_GRPC`, `-v=9`) hold secrets in"
    " plain text. Where `kubeconfig` is set, the kubernetes plugin leaves copies of it, which only you can read, in the"
    " temporary folder (`kubeconfig*`): remove them on a shared machine.",
)
@pytest.mark.parametrize(
    "kind",
    [
        *("output of", "events of", "file", "plan", "process", "cluster"),
        # The stand-in leaves no temporary file.
        pytest.param("temporary file", marks=pytest.mark.real("pulumi-resource-kubernetes")),
    ],
)
def test_secrets_are_in_plain_text_nowhere(life: Life, kind: str) -> None:
    places = {name: text for name, text in life.places.items() if name.startswith(kind)}
    assert sum(len(text) for text in places.values()) > 100
    assert find_secrets(places, life.secrets) == []


@fault(37)
def test_secrets_of_the_life_are_found_where_they_are_shown_on_request(life: Life) -> None:
    """Without this, a search that finds nothing could be one that looks for the wrong thing."""
    shown = {line.partition(" in ")[0] for line in find_secrets({"there": life.shown}, life.secrets)}
    assert shown >= {"snippet token", "registry password", "kubeconfig token", "second private key"}
    assert shown >= {"third generated key"}
    assert find_secrets({"there": life.grpc_log.read_bytes()}, life.secrets)


@fault(37)
def test_plugin_marks_every_secret_that_it_answers(life: Life) -> None:
    messages = [json.loads(line) for line in life.grpc_log.read_text().splitlines()]
    ours = [message for message in messages if (message.get("metadata") or {}).get("name") == "codecanvas"]
    answers = json.dumps([without_sealed(message.get("response")) for message in ours]).encode()
    assert b"SHA256:" in answers
    assert find_secrets({"answers": answers}, life.secrets) == []


@fault(37)
def test_crash_of_the_plugin_leaves_no_memory_behind(life: Life) -> None:
    assert life.limits
    assert all(re.search(r"Max core file size +0 +0 ", limits) for limits in life.limits)
    assert not life.dumps


@fault(37)
def test_copies_that_the_kubernetes_plugin_leaves_are_for_their_owner_only(life: Life) -> None:
    assert {mode & 0o077 for mode in life.copies.values()} <= {0}
    assert all(re.fullmatch(r"kubeconfig\d+", name) for name in life.copies)
