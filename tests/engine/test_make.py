"""`make up` and `make down` as a new user types them, in a cache of their own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from codecanvas_provider.cluster import NAMESPACE, Cluster
from pulumi_codecanvas.errors import CodeCanvasError
from tests.support.stack import CHECKOUT
from tests.support.waiting import wait_for
from tools.cache import CACHE_VARIABLE, cache_dir
from tools.toolchain import PULUMI_TOOLS, ensure
from tools.up import KUBECONFIG_VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from tools.cluster import LocalCluster

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

PLATFORMS = ("eu", "us")
SECONDS = 300
# A job in the background of a shell ignores Ctrl-C, and so would its children.
MAKE = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp('make', ['make', *sys.argv[1:]])"
)

# Of the `make` that runs the tests, and of whoever runs it.
FOREIGN = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", KUBECONFIG_VARIABLE}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Give a cache in which nothing is but the tools."""
    ensure(*PULUMI_TOOLS, "pulumi-resource-kubernetes", "controlplane", "kwok", quiet=True)
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "tools").symlink_to(cache_dir() / "tools")
    return cache


def start(cache: Path, *targets: str, **environment: str) -> subprocess.Popen[str]:
    """Start `make`, in a process group of its own as in a terminal."""
    inherited = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    return subprocess.Popen(
        [sys.executable, "-c", MAKE, *targets],
        cwd=CHECKOUT,
        env={**inherited, CACHE_VARIABLE: str(cache), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def make(cache: Path, *targets: str, **environment: str) -> str:
    """Run `make`, which has to succeed, and give what it printed."""
    with start(cache, *targets, **environment) as process:
        text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, text
    return text


def processes_of(cache: Path) -> list[psutil.Process]:
    """Find what runs out of a cache, or on it."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(str(cache) in word for word in process.cmdline()):
                found.append(process)
    return found


def ports_of(processes: list[psutil.Process]) -> set[int]:
    return {
        connection.laddr.port
        for process in processes
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }


def listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex(("127.0.0.1", port)) == 0


def has_namespace(kubeconfig: Path, name: str) -> bool:
    try:
        return kubeconfig.exists() and Cluster.connect(str(kubeconfig), None).get(NAMESPACE, name) is not None
    except CodeCanvasError:
        return False


def test_an_interrupted_make_up_is_finished_by_the_next_and_down_leaves_nothing(cache: Path) -> None:
    kubeconfig = cache / "clusters" / "local" / "kubeconfig"
    try:
        interrupted = start(cache, "up")
        wait_for(lambda: has_namespace(kubeconfig, "eu"), "the first namespace", SECONDS, every=0.5)
        os.killpg(interrupted.pid, signal.SIGINT)
        text, _ = interrupted.communicate(timeout=SECONDS)
        assert interrupted.returncode != 0, text
        assert "Traceback" not in text

        assert "What to look at next" in make(cache, "up")
        shown = make(cache, "pulumi", "ARGS=stack output platforms --json")
        platforms = json.loads(shown[shown.index("{") :])
        assert {name: platforms[name]["release_status"] for name in PLATFORMS} == dict.fromkeys(PLATFORMS, "deployed")
        again = make(cache, "up")
        assert "unchanged" in again
        assert not any(f" {change}" in again for change in ("created", "updated", "deleted", "replaced"))
        ports = ports_of(processes_of(cache))
        assert len(ports) >= 4
    finally:
        make(cache, "down")
    wait_for(lambda: processes_of(cache) == [], "the end of every process")
    assert not any(listens(port) for port in ports)
    assert not kubeconfig.exists()
    assert list((cache / "up").rglob("*.yaml")) == []


def test_make_up_on_the_users_own_cluster_leaves_it_as_it_was(
    cache: Path, shared_cluster: LocalCluster, admin: Cluster
) -> None:
    own = {KUBECONFIG_VARIABLE: str(shared_cluster.kubeconfig)}
    try:
        make(cache, "up", **own)
        assert all(admin.get(NAMESPACE, name) for name in PLATFORMS)
        assert not (cache / "clusters").exists()
    finally:
        make(cache, "down", **own)
    assert not any(admin.get(NAMESPACE, name) for name in PLATFORMS)
    assert {part.state for part in shared_cluster.status()} == {"healthy"}


def test_a_cluster_that_is_not_there_is_named(cache: Path, tmp_path: Path) -> None:
    process = start(cache, "up", **{KUBECONFIG_VARIABLE: str(tmp_path / "no-such-file")})
    text, _ = process.communicate(timeout=SECONDS)
    assert process.returncode != 0
    assert "no-such-file, which is no file; name a kubeconfig" in text
