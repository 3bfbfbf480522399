"""Runs the real Helm. Nothing secret is an argument: values go through standard input, logins through 0600 files."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import os
import re
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from pulumi_codecanvas.errors import CodeCanvasError
from tools.standin.kubernetes.api import Kind
from tools.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tools.standin.kubernetes.api import Api

_SECRET = Kind("v1", "Secret", "secrets", namespaced=True)
_PREFIX = re.compile(r"^Error: (?:INSTALLATION FAILED: |UPGRADE FAILED: )?")
_REPOSITORY = "stand-in"
# Has the system end Helm when this process is killed: in the real plugin, Helm is a part of the process. The call is
# number 1 (PR_SET_PDEATHSIG) of prctl with SIGKILL, and macOS has none such.
_END_WITH_PARENT = """
import ctypes, os, sys
getattr(ctypes.CDLL(None), "prctl", lambda *_: 0)(1, 9)
os.execv(sys.argv[1], sys.argv[1:])
"""


class HelmError(CodeCanvasError):
    """Helm failed; the text is Helm's own."""


@dataclass(frozen=True)
class Chart:
    """A chart as a release's inputs name it.

    Attributes:
        name: a path, an `oci://` reference, `repository/name`, or a name in `repository`.
        version: which one; empty for the newest.
        repository: where it is, and how to log in there: `repo`, `username`, `password`, `caFile` and so on.
        devel: take versions in development too.
        verify: check its signature.
        keyring: public keys for that.
    """

    name: str
    version: str
    repository: Mapping[str, str]
    devel: bool
    verify: bool
    keyring: str

    @property
    def options(self) -> list[str]:
        """What says which version of the chart, in every Helm command."""
        version = ["--version", self.version] if self.version else []
        devel = ["--devel"] if self.devel and not self.version else []
        verify = ["--verify", "--keyring", self.keyring] if self.verify else []
        return [*version, *devel, *verify]


class Helm:
    """Helm on one cluster.

    Args:
        api: says which cluster.
        cancelled: when it is set, running commands are asked to end.
    """

    def __init__(self, api: Api, cancelled: asyncio.Event) -> None:
        self._api = api
        self._cancelled = cancelled

    async def chart_version(self, chart: Chart) -> str:
        """Find the chart and give its exact version."""
        with self._place(chart) as (name, options, environment):
            await self._fetch_index(name, environment)
            shown = await self._run(["show", "chart", name, *options], environment)
        return str(yaml.safe_load(shown)["version"])

    async def install(self, name: str, namespace: str, chart: Chart, flags: Sequence[str], values: Any) -> None:
        """Install a release."""
        await self._change(["install", name], namespace, chart, flags, values)

    async def upgrade(self, name: str, namespace: str, chart: Chart, flags: Sequence[str], values: Any) -> None:
        """Upgrade a release."""
        await self._change(["upgrade", name], namespace, chart, flags, values)

    async def uninstall(self, name: str, namespace: str, flags: Sequence[str]) -> None:
        """Uninstall a release."""
        with self._place(None) as (_, _, environment):
            await self._run(["uninstall", name, "--namespace", namespace, *self._context(), *flags], environment)

    def read(self, name: str, namespace: str, revision: int | None = None) -> dict[str, Any] | None:
        """Give a release as Helm keeps it, its newest revision where none is named; None where there is none."""
        labels = f"owner=helm,name={name}" + (f",version={revision}" if revision else "")
        found = self._api.list_labelled(_SECRET, namespace, labels)
        if not found:
            return None
        newest = max(found, key=lambda secret: int(secret["metadata"]["labels"]["version"]))
        packed = base64.b64decode(base64.b64decode(newest["data"]["release"]))
        release: dict[str, Any] = json.loads(gzip.decompress(packed))
        return release

    async def _change(
        self, command: Sequence[str], namespace: str, chart: Chart, flags: Sequence[str], values: Any
    ) -> None:
        with self._place(chart) as (name, options, environment):
            await self._fetch_index(name, environment)
            line = [*command, name, "--namespace", namespace, *self._context(), *options, *flags, "--values", "-"]
            await self._run(line, environment, _write_values(values))

    async def _fetch_index(self, name: str, environment: Mapping[str, str]) -> None:
        """Fetch the index of a repository with a login, which Helm only looks for in its cache."""
        if name.startswith(f"{_REPOSITORY}/"):
            await self._run(["repo", "update", _REPOSITORY, "--fail-on-repo-update-fail"], environment)

    def _context(self) -> list[str]:
        return ["--kube-context", self._api.context] if self._api.context else []

    @contextlib.contextmanager
    def _place(self, chart: Chart | None) -> Iterator[tuple[str, list[str], dict[str, str]]]:
        """Give the chart's name, options that find it, and the environment, all of it with the logins it needs."""
        with tempfile.TemporaryDirectory(prefix="codecanvas-helm-") as folder:
            environment = dict(os.environ)
            kubeconfig = self._api.kubeconfig
            if kubeconfig and ("\n" in kubeconfig or "{" in kubeconfig):
                kubeconfig = str(_write(Path(folder, "kubeconfig"), kubeconfig))
            if kubeconfig:
                environment["KUBECONFIG"] = str(Path(kubeconfig).expanduser())
            name, options = ("", []) if chart is None else _find(chart, Path(folder), environment)
            yield name, options, environment

    async def _run(self, arguments: Sequence[str], environment: Mapping[str, str], stdin: bytes = b"") -> str:
        helm = await asyncio.to_thread(lambda: ensure("helm", quiet=True)["helm"])
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _END_WITH_PARENT, str(helm), *arguments),
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        work = asyncio.ensure_future(process.communicate(stdin))
        stop = asyncio.ensure_future(self._cancelled.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if not work.done():
            # Helm ends what it is at in good order, which is why it is waited for.
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
        stdout, stderr = await work
        if process.returncode:
            # Why an index cannot be had stands where other commands have their results.
            told = (stdout if arguments[0] == "repo" else b"") + stderr
            raise HelmError(_explain(told.decode(errors="replace")) or f"helm ended with {process.returncode}")
        return stdout.decode()


def _find(chart: Chart, folder: Path, environment: dict[str, str]) -> tuple[str, list[str]]:
    """Give the chart's name and options, with the login for its repository or registry in files."""
    repository = {key: value for key, value in chart.repository.items() if value}
    options = [*chart.options, *_files(repository)]
    username, password = repository.get("username", ""), repository.get("password", "")
    address = repository.get("repo", "")
    reference = chart.name
    if address.startswith("oci://") and "://" not in reference:
        reference = f"{address.rstrip('/')}/{reference}"
    if reference.startswith("oci://"):
        if username:
            login = base64.b64encode(f"{username}:{password}".encode()).decode()
            auths = {urlsplit(reference).netloc: {"auth": login}}
            config = _write(folder / "registry.json", json.dumps({"auths": auths}))
            options += ["--registry-config", str(config)]
        return reference, options
    if not address:
        return reference, options
    if not username:
        return reference, [*options, "--repo", address]
    # Helm takes a password as an argument or from its list of repositories, and only the latter can be hidden.
    entry = {"name": _REPOSITORY, "url": address, "username": username, "password": password}
    entry["caFile"], entry["certFile"], entry["keyFile"] = (repository.get(key, "") for key in _FILES)
    listed = _write(folder / "repositories.yaml", yaml.safe_dump({"apiVersion": "", "repositories": [entry]}))
    environment |= {"HELM_REPOSITORY_CONFIG": str(listed), "HELM_REPOSITORY_CACHE": str(folder)}
    return f"{_REPOSITORY}/{reference}", chart.options


_FILES = {"caFile": "--ca-file", "certFile": "--cert-file", "keyFile": "--key-file"}


def _files(repository: Mapping[str, str]) -> list[str]:
    return [part for key, flag in _FILES.items() if key in repository for part in (flag, repository[key])]


def _write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _write_values(values: Any) -> bytes:
    """Write values as JSON that is YAML as well: there a character beyond 16 bits is no pair of escapes."""
    text = json.dumps(values, ensure_ascii=False)
    kept = (letter if (letter.isascii() and letter != "\x7f") or ord(letter) > 0xFFFF else "" for letter in text)
    return "".join(same or f"\\u{ord(letter):04x}" for same, letter in zip(kept, text, strict=True)).encode()


def _explain(stderr: str) -> str:
    """Give Helm's own sentence without what it says before it."""
    lines = stderr.strip().splitlines()
    start = next((index for index, line in enumerate(lines) if line.startswith(("Error: ", "...Unable"))), 0)
    return _PREFIX.sub("", "\n".join(lines[start:]))
