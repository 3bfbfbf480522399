"""What a cluster consists of: each part's command line and where its health is asked. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tools.localcluster.credentials import ADMIN, USERS, Credentials

if TYPE_CHECKING:
    from tools.localcluster.ports import Ports

NAMES = ("etcd", "apiserver", "controller-manager", "scheduler", "kwok")
# No part, but a process that ends with the cluster too: see `watch`.
WATCH = "watch"
KWOK_CONFIG = Path(__file__).with_name("kwok.yaml")
AUDIT_POLICY = Path(__file__).with_name("audit-policy.yaml")


@dataclass(frozen=True)
class Layout:
    """Where one cluster keeps its files; `directory` is absolute."""

    directory: Path

    @property
    def credentials(self) -> Credentials:
        """Certificates, keys and tokens."""
        return Credentials(self.directory / "credentials")

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.directory / "kubeconfig"

    @property
    def ports(self) -> Path:
        """The remembered ports."""
        return self.directory / "ports.json"

    @property
    def lock(self) -> Path:
        """Held while somebody starts or stops parts."""
        return self.directory / "lock"

    @property
    def audit_log(self) -> Path:
        """One JSON object a request, where auditing is on."""
        return self.directory / "audit.log"

    def user_kubeconfig(self, user: str) -> Path:
        """Give the kubeconfig of a user of `credentials.USERS`."""
        if user == ADMIN:
            return self.kubeconfig
        return self.directory / f"{user.removeprefix('system:')}.kubeconfig"

    def log(self, part: str) -> Path:
        """Give the part's log since its last start."""
        return self.directory / "logs" / f"{part}.log"

    def pid(self, part: str) -> Path:
        """Give the file with the part's process id."""
        return self.directory / f"{part}.pid"

    def mark(self, part: str) -> str:
        """Give the argument by which a process is known as this part of this cluster.

        A process id alone says little: after a restart of the machine it belongs to something else.
        """
        marks = {
            "etcd": f"--data-dir={self.directory / 'etcd'}",
            "apiserver": f"--token-auth-file={self.credentials.tokens}",
            "controller-manager": f"--kubeconfig={self.user_kubeconfig(USERS[1])}",
            "scheduler": f"--kubeconfig={self.user_kubeconfig(USERS[2])}",
            "kwok": f"--kubeconfig={self.user_kubeconfig(USERS[3])}",
            WATCH: f"--directory={self.directory}",
        }
        return marks[part]


@dataclass(frozen=True)
class Part:
    """One process of the cluster.

    Attributes:
        name: one of `NAMES`.
        command: the whole command line.
        health: the URL that answers 200 when the part is ready for work.
    """

    name: str
    command: tuple[str, ...]
    health: str


def describe_parts(
    layout: Layout, ports: Ports, *, controlplane: Path, kwok: Path, audit: Path | None
) -> tuple[Part, ...]:
    """Give every part, in the order of start.

    Args:
        layout: where the cluster keeps its files.
        ports: where its parts listen.
        controlplane: the program with etcd and the Kubernetes parts as subcommands.
        kwok: the program that plays the nodes.
        audit: the policy by which the API server writes the audit log; None: it writes none.
    """
    base = "https://127.0.0.1:{}"
    etcd, server = base.format(ports.etcd), base.format(ports.apiserver)
    commands = {
        "etcd": (str(controlplane), "etcd", *_etcd_flags(layout, ports)),
        "apiserver": (str(controlplane), "apiserver", *_apiserver_flags(layout, ports, audit=audit)),
        "controller-manager": (str(controlplane), "controller-manager", *_manager_flags(layout, ports)),
        "scheduler": (str(controlplane), "scheduler", *_scheduler_flags(layout, ports)),
        "kwok": (str(kwok), *_kwok_flags(layout, ports)),
    }
    health = {
        "etcd": f"{etcd}/health",
        "apiserver": f"{server}/readyz",
        "controller-manager": base.format(ports.controller_manager) + "/healthz",
        "scheduler": base.format(ports.scheduler) + "/readyz",
        "kwok": base.format(ports.kwok) + "/healthz",
    }
    return tuple(Part(name, commands[name], health[name]) for name in NAMES)


def _etcd_flags(layout: Layout, ports: Ports) -> list[str]:
    client, peer = f"https://127.0.0.1:{ports.etcd}", f"https://127.0.0.1:{ports.etcd_peer}"
    files = layout.credentials
    return [
        layout.mark("etcd"),
        "--name=local",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=local={peer}",
        # Secrets are in there: nobody without the cluster's own certificate may read it.
        "--client-cert-auth",
        f"--trusted-ca-file={files.ca}",
        f"--cert-file={files.certificate}",
        f"--key-file={files.key}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={files.ca}",
        f"--peer-cert-file={files.certificate}",
        f"--peer-key-file={files.key}",
        # What a machine's crash may lose here can be made again; the speed is worth more.
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _serving_flags(layout: Layout, port: int) -> list[str]:
    files = layout.credentials
    return [
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={files.certificate}",
        f"--tls-private-key-file={files.key}",
        "--profiling=false",
    ]


def _apiserver_flags(layout: Layout, ports: Ports, *, audit: Path | None) -> list[str]:
    files = layout.credentials
    flags = [
        layout.mark("apiserver"),
        *_serving_flags(layout, ports.apiserver),
        f"--etcd-servers=https://127.0.0.1:{ports.etcd}",
        f"--etcd-cafile={files.ca}",
        f"--etcd-certfile={files.certificate}",
        f"--etcd-keyfile={files.key}",
        "--authorization-mode=Node,RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={files.service_account_key}",
        f"--service-account-signing-key-file={files.service_account_key}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged",
        # Without it the server looks for the machine's default network, which an offline machine lacks.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
    ]
    if audit:
        flags += [
            f"--audit-policy-file={audit}",
            f"--audit-log-path={layout.audit_log}",
            "--audit-log-maxsize=200",
            "--audit-log-maxbackup=2",
        ]
    return flags


def _manager_flags(layout: Layout, ports: Ports) -> list[str]:
    files = layout.credentials
    return [
        layout.mark("controller-manager"),
        *_serving_flags(layout, ports.controller_manager),
        "--leader-elect=false",
        # It would turn the node NotReady after a pause of the machine, and kwok would not turn it back.
        "--controllers=*,-node-lifecycle-controller",
        f"--service-account-private-key-file={files.service_account_key}",
        f"--root-ca-file={files.ca}",
        # The defaults protect an API server that others share; here they only slow down the deletion of
        # namespaces and what garbage collection has to do.
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
        "--concurrent-namespace-syncs=20",
        "--concurrent-gc-syncs=40",
    ]


def _scheduler_flags(layout: Layout, ports: Ports) -> list[str]:
    return [
        layout.mark("scheduler"),
        *_serving_flags(layout, ports.scheduler),
        "--leader-elect=false",
        "--kube-api-qps=500",
        "--kube-api-burst=1000",
    ]


def _kwok_flags(layout: Layout, ports: Ports) -> list[str]:
    return [
        layout.mark("kwok"),
        f"--config={KWOK_CONFIG}",
        "--manage-all-nodes=true",
        # The address that the node and pods on the host's network report.
        "--node-ip=127.0.0.1",
        f"--server-address=127.0.0.1:{ports.kwok}",
        f"--tls-cert-file={layout.credentials.certificate}",
        f"--tls-private-key-file={layout.credentials.key}",
    ]
