"""A Kubernetes cluster of real parts on this machine: etcd, API server, controllers, scheduler and kwok.

Everything that a cluster writes is in its own directory; the user's kubeconfig is never touched. Pods are
played by kwok (`localcluster/kwok.yaml` says how they live), no container ever runs. There is no CSI driver:
a PersistentVolumeClaim binds to a PersistentVolume that was made for it, see `localcluster/README.md`.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import httpx
import tenacity
import yaml
from typing_extensions import Self

from tools.cache import cache_dir
from tools.localcluster import api, control, processes
from tools.localcluster.credentials import ADMIN, USERS, ensure_credentials, format_kubeconfig
from tools.localcluster.errors import LocalClusterError, PartFailedError
from tools.localcluster.files import read_tail, write_private
from tools.localcluster.parts import AUDIT_POLICY, NAMES, WATCH, Layout, Part, describe_parts
from tools.localcluster.ports import Ports, choose_ports, read_ports, replace_taken, write_ports
from tools.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    import psutil

__all__ = ["LocalCluster", "LocalClusterError", "PartFailedError", "PartStatus", "local_cluster"]

START_SECONDS = 90.0
_PORT_TRIES = 5
_PORT_TAKEN = "address already in use"
_DATA = Path(__file__).with_name("localcluster")


@dataclass(frozen=True)
class PartStatus:
    """How one part is.

    Attributes:
        name: `etcd`, `apiserver`, `controller-manager`, `scheduler` or `kwok`.
        state: `healthy`; `unhealthy` (it runs, but its health check fails); `dead` (it was started and runs
            no more); `stopped`.
        pid: its process, while it runs.
        log: where its output goes.
        log_tail: the last lines of the log of a part that is dead or unhealthy.
    """

    name: str
    state: Literal["healthy", "unhealthy", "dead", "stopped"]
    pid: int | None
    log: Path
    log_tail: str = ""


def local_cluster(name: str = "local", *, audit: bool | Path = False, owner_pid: int | None = None) -> LocalCluster:
    """Give the cluster of this name under the cache directory, run by the pinned tools.

    Arguments as for `LocalCluster`.

    Raises:
        ToolsError: a tool cannot be had.
    """
    tools = ensure("controlplane", "kwok", quiet=True)
    return LocalCluster(
        cache_dir() / "clusters" / name,
        controlplane=tools["controlplane"],
        kwok=tools["kwok"],
        name=name,
        audit=audit,
        owner_pid=owner_pid,
    )


class _PortTakenError(Exception):
    """Another program took a port between its choice and its use."""


class LocalCluster:
    """One cluster. Several may run side by side, each in its own directory.

    The processes outlive the program that starts them, unless `owner_pid` is given.

    Args:
        directory: state, logs, certificates, tokens and the kubeconfig; made when missing.
        controlplane: the program with etcd and the Kubernetes parts as subcommands.
        kwok: the program that plays the node.
        name: the context's name in the kubeconfig.
        audit: let the API server write `audit_log`, one JSON object a request; a file is a policy of your own.
        owner_pid: stop the cluster when this process ends, however it ends.
    """

    def __init__(
        self,
        directory: Path,
        *,
        controlplane: Path,
        kwok: Path,
        name: str = "local",
        audit: bool | Path = False,
        owner_pid: int | None = None,
    ) -> None:
        self.name = name
        self._layout = Layout(directory.resolve())
        self._controlplane = controlplane.absolute()
        self._kwok = kwok.absolute()
        self._audit = audit if isinstance(audit, Path) else AUDIT_POLICY if audit else None
        self._owner_pid = owner_pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def directory(self) -> Path:
        """Where the cluster keeps its files."""
        return self._layout.directory

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; self-contained, mode 0600, there after the first start."""
        return self._layout.kubeconfig

    @property
    def audit_log(self) -> Path:
        """One JSON object a request, where the cluster was made with `audit`."""
        return self._layout.audit_log

    @property
    def server(self) -> str:
        """URL of the API server; known after the first start."""
        return f"https://127.0.0.1:{self._known_ports().apiserver}"

    def log(self, part: str) -> Path:
        """Give the log of a part since its last start."""
        return self._layout.log(part)

    def start(self) -> None:
        """Start what does not run and wait until the whole cluster is ready for work.

        Parts that run already, as they should, are left alone. When it fails or is interrupted, it ends
        what it started.

        Raises:
            PartFailedError: a part ended or did not become healthy; names it, with the tail of its log.
            LocalClusterError: no free ports, or another process keeps the cluster locked.
        """
        with control.locked(self._layout):
            self._start()

    def stop(self) -> None:
        """End every process of the cluster; its state stays.

        Raises:
            LocalClusterError: a process cannot be ended, or another process keeps the cluster locked.
        """
        if self.directory.exists():
            with control.locked(self._layout):
                control.end_parts(self._layout)

    def wipe(self) -> None:
        """Stop the cluster and remove its directory with everything in it.

        Raises:
            LocalClusterError: the directory holds something, but no cluster.
        """
        if not self.directory.exists():
            return
        if any(self.directory.iterdir()) and not self._layout.lock.exists():
            raise LocalClusterError(
                f"{self.directory} is not the directory of a local cluster",
                "name the cluster's own directory",
            )
        with control.locked(self._layout):
            control.end_parts(self._layout)
            shutil.rmtree(self.directory)

    def status(self) -> list[PartStatus]:
        """Tell how each part is, in the order of start."""
        if read_ports(self._layout.ports) is None:
            return [PartStatus(name, "stopped", None, self.log(name)) for name in NAMES]
        with api.open_client(self._layout.credentials, timeout=2.0) as client:
            return [self._check(part, client) for part in self._describe(self._known_ports())]

    def process(self, part: str) -> psutil.Process:
        """Give the running process of a part, for tests that suspend or kill it.

        Raises:
            LocalClusterError: it does not run.
        """
        process = processes.find(self._layout, part)
        if process is None:
            raise LocalClusterError(f"{part} does not run", "start the cluster")
        return process

    def kill_part(self, part: str) -> None:
        """Kill a part as a crash would; `start` brings it back."""
        processes.kill(self.process(part))

    def restart_part(self, part: str) -> None:
        """Stop a part, start it again on the same port and wait until the whole cluster is ready."""
        with control.locked(self._layout):
            processes.end(processes.find_all(self._layout, [part]))
            self._start()

    def service_account_kubeconfig(self, namespace: str, name: str, seconds: int = 86_400) -> Path:
        """Write a kubeconfig with the rights of a ServiceAccount and nothing more.

        Args:
            namespace: the ServiceAccount's namespace.
            name: the ServiceAccount.
            seconds: how long its token is valid, at least 600.

        Raises:
            LocalClusterError: there is no such ServiceAccount.
        """
        try:
            with self._open_admin_client() as client:
                token = api.request_token(client, namespace, name, seconds)
        except httpx.HTTPError as error:
            raise LocalClusterError(
                f"no token for ServiceAccount {namespace}/{name}: {api.explain(error)}",
                "start the cluster and make the ServiceAccount first",
            ) from error
        path = self.directory / "kubeconfigs" / namespace / f"{name}.yaml"
        ca = self._layout.credentials.ca.read_text()
        write_private(path, format_kubeconfig(self.name, self.server, ca, token, f"{namespace}:{name}"))
        return path

    def _start(self) -> None:
        ensure_credentials(self._layout.credentials)
        running = processes.find_all(self._layout, [*NAMES, WATCH])
        try:
            self._bring_up_on_free_ports()
        except BaseException:
            mine = processes.find_all(self._layout, [*NAMES, WATCH])
            processes.end([process for process in mine if process not in running])
            raise

    def _bring_up_on_free_ports(self) -> None:
        for _ in range(_PORT_TRIES):
            with contextlib.suppress(_PortTakenError):
                self._bring_up(self._settle_ports())
                return
        raise LocalClusterError(
            f"other programs took the chosen ports {_PORT_TRIES} times in a row", "start the cluster again"
        )

    def _settle_ports(self) -> Ports:
        """Give the ports to use: the remembered ones, those that others have taken meanwhile chosen anew."""
        remembered = read_ports(self._layout.ports)
        ports = replace_taken(remembered, self._ports_in_use()) if remembered else choose_ports()
        if ports != remembered:
            # Parts know each other's ports, so none may go on with an old one.
            control.end_parts(self._layout)
        write_ports(self._layout.ports, ports)
        server, ca = f"https://127.0.0.1:{ports.apiserver}", self._layout.credentials.ca.read_text()
        for user in USERS:
            token = self._layout.credentials.read_token(user)
            text = format_kubeconfig(self.name, server, ca, token, user)
            write_private(self._layout.user_kubeconfig(user), text)
        return ports

    def _ports_in_use(self) -> set[str]:
        """Name the ports on which the cluster's own parts listen."""
        alive = {name for name in NAMES if processes.find(self._layout, name)}
        owners = {port: port.replace("_", "-") for port in asdict(self._known_ports())} | {"etcd_peer": "etcd"}
        return {port for port, part in owners.items() if part in alive}

    def _bring_up(self, ports: Ports) -> None:
        deadline = time.monotonic() + START_SECONDS
        parts = self._describe(ports)
        self._watch_owner()
        # The others need an API server; it waits for etcd by itself.
        self._ensure_run(parts[:2])
        self._await_healthy(parts[:2], deadline)
        self._ensure_run(parts[2:])
        self._furnish(parts, deadline)
        self._await_healthy(parts, deadline)

    def _describe(self, ports: Ports) -> tuple[Part, ...]:
        return describe_parts(self._layout, ports, controlplane=self._controlplane, kwok=self._kwok, audit=self._audit)

    def _ensure_run(self, parts: Sequence[Part]) -> None:
        for part in parts:
            self._ensure_runs(part.name, part.command, self.directory)

    def _watch_owner(self) -> None:
        if self._owner_pid is not None:
            command = (sys.executable, "-m", "tools.localcluster.watch", self._layout.mark(WATCH))
            self._ensure_runs(WATCH, (*command, f"--owner={self._owner_pid}"), Path(__file__).parents[1])

    def _ensure_runs(self, name: str, command: tuple[str, ...], working_directory: Path) -> None:
        """Start a process unless it runs with this very command line."""
        process = processes.find(self._layout, name)
        if process is not None:
            if processes.runs(process, command):
                return
            processes.end([process])
        processes.spawn(self._layout, name, command, working_directory)

    def _await_healthy(self, parts: Sequence[Part], deadline: float) -> None:
        with api.open_client(self._layout.credentials, timeout=2.0) as client:
            for part in parts:
                self._wait(parts, part.name, partial(api.is_healthy, client, part.health), deadline)

    def _furnish(self, parts: Sequence[Part], deadline: float) -> None:
        """Make the node, and the types of objects that a cluster with CSI snapshots knows."""
        node = yaml.safe_load((_DATA / "node.yaml").read_text())
        crd = yaml.safe_load((_DATA / "volume-snapshot-class.yaml").read_text())
        with self._open_admin_client() as client:
            self._wait(parts, "apiserver", partial(api.ensure_crd, client, crd), deadline)
            self._wait(parts, "apiserver", partial(api.ensure_node, client, node), deadline)
            self._wait(parts, "kwok", partial(api.is_node_ready, client, node["metadata"]["name"]), deadline)

    def _wait(self, parts: Sequence[Part], name: str, ready: Callable[[], bool], deadline: float) -> None:
        """Wait until the named part is ready; fail as soon as any of `parts` is dead."""

        def check() -> bool:
            for part in parts:
                if processes.find(self._layout, part.name) is None:
                    self._fail(part.name, "ended")
            return ready()

        try:
            tenacity.Retrying(
                stop=tenacity.stop_after_delay(max(0.0, deadline - time.monotonic())),
                wait=tenacity.wait_fixed(0.1),
                retry=tenacity.retry_if_result(lambda result: not result),
            )(check)
        except tenacity.RetryError:
            # It may hang since long before this start; left alone, the next start would wait for it again.
            processes.end(processes.find_all(self._layout, [name]))
            self._fail(name, f"was not ready after {START_SECONDS:g} s")

    def _fail(self, part: str, what: str) -> None:
        if _PORT_TAKEN in read_tail(self.log(part), lines=200):
            raise _PortTakenError
        raise PartFailedError(
            part,
            f"{part} of the local cluster {what}",
            f"see {self.log(part)}; start the cluster again, or wipe it if its data is damaged",
            read_tail(self.log(part)),
        )

    def _check(self, part: Part, client: httpx.Client) -> PartStatus:
        log = self.log(part.name)
        process = processes.find(self._layout, part.name)
        if process is None:
            if not self._layout.pid(part.name).exists():
                return PartStatus(part.name, "stopped", None, log)
            return PartStatus(part.name, "dead", None, log, read_tail(log))
        if api.is_healthy(client, part.health):
            return PartStatus(part.name, "healthy", process.pid, log)
        return PartStatus(part.name, "unhealthy", process.pid, log, read_tail(log))

    def _open_admin_client(self) -> httpx.Client:
        token = self._layout.credentials.read_token(ADMIN)
        return api.open_client(self._layout.credentials, server=self.server, token=token)

    def _known_ports(self) -> Ports:
        ports = read_ports(self._layout.ports)
        if ports is None:
            raise LocalClusterError(f"the cluster in {self.directory} was never started", "start it")
        return ports
