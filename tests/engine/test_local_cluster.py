"""How the local cluster starts, stops and mends itself, with its real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from kubernetes.client import ApiException

import tools.cluster
from tests.support.clusters import make_cluster
from tests.support.waiting import wait_for
from tests.support.workers import connect
from tools.cluster import LocalCluster, PartFailedError
from tools.localcluster import processes
from tools.localcluster.control import locked
from tools.localcluster.parts import NAMES, WATCH, Layout
from tools.localcluster.ports import Ports, choose_ports, read_ports
from tools.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psutil

pytestmark = pytest.mark.engine

CHECKOUT = Path(__file__).parents[2]


@contextmanager
def stopped_afterwards(cluster: LocalCluster) -> Iterator[LocalCluster]:
    """Leave nothing running, whatever the test did to the cluster."""
    try:
        yield cluster
    finally:
        cluster.stop()


def states(cluster: LocalCluster) -> dict[str, str]:
    return {part.name: part.state for part in cluster.status()}


def pids(cluster: LocalCluster) -> dict[str, int | None]:
    return {part.name: part.pid for part in cluster.status()}


def running_parts(directory: Path) -> list[psutil.Process]:
    return processes.find_all(Layout(directory.resolve()), [*NAMES, WATCH])


def ports_listened_on(directory: Path) -> list[int]:
    ports = read_ports(Layout(directory).ports)
    assert ports is not None
    return [port for port in vars(ports).values() if is_listened_on(port)]


def is_listened_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run_in_other_process(directory: Path, call: str, **options: Any) -> subprocess.Popen[str]:
    """Do something with the cluster in a process of its own, as a command line would."""
    programs = ensure("controlplane", "kwok", quiet=True)
    code = (
        "import sys; from pathlib import Path; from tools.cluster import LocalCluster; "
        # A job in the background of a shell ignores Ctrl-C, and so would its children.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "directory, controlplane, kwok = map(Path, sys.argv[1:]); "
        f"LocalCluster(directory, controlplane=controlplane, kwok=kwok).{call}"
    )
    command = [sys.executable, "-c", code, directory, programs["controlplane"], programs["kwok"]]
    return subprocess.Popen(
        [str(argument) for argument in command],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a process and give what it wrote to stderr."""
    _, errors = process.communicate(timeout=120)
    return errors


def test_every_part_is_healthy(shared_cluster: LocalCluster) -> None:
    assert states(shared_cluster) == dict.fromkeys(NAMES, "healthy")


def test_second_start_changes_nothing(shared_cluster: LocalCluster) -> None:
    before = pids(shared_cluster)
    started = time.monotonic()
    shared_cluster.start()
    assert time.monotonic() - started < 5
    assert pids(shared_cluster) == before


def test_everything_secret_is_for_the_owner_alone(shared_cluster: LocalCluster) -> None:
    assert shared_cluster.directory.stat().st_mode & 0o077 == 0
    for path in [shared_cluster.kubeconfig, *shared_cluster.directory.glob("*.kubeconfig")]:
        assert path.stat().st_mode & 0o777 == 0o600


def test_no_process_has_a_secret_in_its_arguments_or_the_users_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    with make_cluster(tmp_path / "cluster") as cluster:
        token = yaml.safe_load(cluster.kubeconfig.read_text())["users"][0]["user"]["token"]
        for name in NAMES:
            process = cluster.process(name)
            assert token not in " ".join(process.cmdline())
            assert set(process.environ()) <= {"PATH", "HOME"}
            assert process.environ()["HOME"] == str(cluster.directory)


def test_killed_etcd_is_named_and_comes_back_with_its_data(tmp_path: Path) -> None:
    with make_cluster(tmp_path / "cluster") as cluster:
        core = connect(cluster.kubeconfig)
        core.create_namespace({"metadata": {"name": "kept"}})
        before = pids(cluster)
        cluster.kill_part("etcd")
        [dead] = [part for part in cluster.status() if part.state == "dead"]
        assert dead.name == "etcd"
        assert dead.log_tail
        assert dead.log_tail.splitlines()[-1] in dead.log.read_text()
        cluster.start()
        after = pids(cluster)
        assert {name for name in NAMES if after[name] != before[name]} == {"etcd"}
        assert core.read_namespace("kept").metadata.name == "kept"


def test_every_killed_part_comes_back(tmp_path: Path) -> None:
    with make_cluster(tmp_path / "cluster") as cluster:
        for name in NAMES:
            cluster.kill_part(name)
        assert set(states(cluster).values()) == {"dead"}
        cluster.start()
        assert set(states(cluster).values()) == {"healthy"}
        before = pids(cluster)
        cluster.restart_part("apiserver")
        after = pids(cluster)
        assert {name for name in NAMES if after[name] != before[name]} == {"apiserver"}


def test_part_that_hangs_is_unhealthy(tmp_path: Path) -> None:
    with make_cluster(tmp_path / "cluster") as cluster:
        cluster.process("scheduler").suspend()
        started = time.monotonic()
        assert states(cluster)["scheduler"] == "unhealthy"
        assert time.monotonic() - started < 10
        # A process that hangs does not hear SIGTERM either.
        cluster.stop()
        assert running_parts(cluster.directory) == []


def test_part_that_hangs_is_replaced_by_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with make_cluster(tmp_path / "cluster") as cluster:
        cluster.process("kwok").suspend()
        with monkeypatch.context() as patch:
            patch.setattr(tools.cluster, "START_SECONDS", 3.0)
            with pytest.raises(PartFailedError, match="kwok of the local cluster was not ready after 3 s; see"):
                cluster.start()
        assert {name for name, state in states(cluster).items() if state != "healthy"} == {"kwok"}
        cluster.start()
        assert set(states(cluster).values()) == {"healthy"}


def test_stop_leaves_nothing_and_start_brings_back_the_same_cluster(tmp_path: Path) -> None:
    with stopped_afterwards(make_cluster(tmp_path / "cluster")) as cluster:
        cluster.start()
        kubeconfig = cluster.kubeconfig.read_text()
        connect(cluster.kubeconfig).create_namespace({"metadata": {"name": "kept"}})
        started = time.monotonic()
        cluster.stop()
        assert time.monotonic() - started < 10
        assert running_parts(cluster.directory) == []
        assert ports_listened_on(cluster.directory) == []
        assert set(states(cluster).values()) == {"stopped"}
        cluster.start()
        assert cluster.kubeconfig.read_text() == kubeconfig
        assert connect(cluster.kubeconfig).read_namespace("kept").metadata.name == "kept"
        cluster.wipe()
        assert not cluster.directory.exists()


def test_two_clusters_run_side_by_side(shared_cluster: LocalCluster, tmp_path: Path) -> None:
    core = connect(shared_cluster.kubeconfig)
    with make_cluster(tmp_path / "second", name="second") as second:
        connect(second.kubeconfig).create_namespace({"metadata": {"name": "only-in-second"}})
        names = [item.metadata.name for item in core.list_namespace().items]
        assert "only-in-second" not in names
        assert second.server != shared_cluster.server
        assert yaml.safe_load(second.kubeconfig.read_text())["current-context"] == "second"
        with pytest.raises(ApiException, match="Unauthorized"):
            connect_with_token_of(shared_cluster, second).list_namespace()
    assert states(shared_cluster) == dict.fromkeys(NAMES, "healthy")


def connect_with_token_of(cluster: LocalCluster, target: LocalCluster) -> Any:
    """Open one cluster with the other's token."""
    config = yaml.safe_load(target.kubeconfig.read_text())
    config["users"] = yaml.safe_load(cluster.kubeconfig.read_text())["users"]
    config["contexts"][0]["context"]["user"] = config["users"][0]["name"]
    path = target.directory / "foreign.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return connect(path)


def test_pid_file_of_another_process_is_recognised(tmp_path: Path) -> None:
    with stopped_afterwards(make_cluster(tmp_path / "cluster")) as cluster:
        cluster.start()
        cluster.kill_part("kwok")
        pid_file = Layout(cluster.directory).pid("kwok")
        with subprocess.Popen(["sleep", "600"]) as bystander:
            try:
                pid_file.write_text(f"{bystander.pid}\n")
                assert states(cluster)["kwok"] == "dead"
                cluster.start()
                assert states(cluster)["kwok"] == "healthy"
                pid_file.write_text(f"{bystander.pid}\n")
                cluster.stop()
                assert running_parts(cluster.directory) == []
                assert bystander.poll() is None
            finally:
                bystander.kill()


def test_port_that_another_program_took_meanwhile_is_left_to_it(tmp_path: Path) -> None:
    with stopped_afterwards(make_cluster(tmp_path / "cluster")) as cluster:
        cluster.start()
        cluster.stop()
        old = cluster.server
        with listening_on(int(old.rpartition(":")[2])):
            cluster.start()
            assert cluster.server != old
            assert connect(cluster.kubeconfig).list_node().items


@pytest.mark.parametrize("port", ["etcd", "scheduler", "kwok"])
def test_port_taken_between_choice_and_use_is_chosen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    def lose_the_race() -> Ports:
        monkeypatch.undo()
        return chosen

    chosen = choose_ports()
    monkeypatch.setattr(tools.cluster, "choose_ports", lose_the_race)
    with listening_on(getattr(chosen, port)), make_cluster(tmp_path / "cluster") as cluster:
        assert set(states(cluster).values()) == {"healthy"}
        used = read_ports(Layout(cluster.directory).ports)
        assert getattr(used, port) != getattr(chosen, port)


@contextmanager
def listening_on(port: int) -> Iterator[None]:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        yield


def test_two_starters_at_once_make_one_cluster(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    with stopped_afterwards(make_cluster(directory)) as cluster:
        starters = [run_in_other_process(directory, "start()") for _ in range(2)]
        assert [finish(starter) for starter in starters] == ["", ""]
        assert len(running_parts(directory)) == len(NAMES)
        assert set(states(cluster).values()) == {"healthy"}


@pytest.mark.parametrize(
    ("how", "seconds"), [(signal.SIGINT, 0.3), (signal.SIGINT, 1.6), (signal.SIGKILL, 0.3), (signal.SIGKILL, 1.2)]
)
def test_interrupted_start_does_no_harm(tmp_path: Path, how: signal.Signals, seconds: float) -> None:
    directory = tmp_path / "cluster"
    with stopped_afterwards(make_cluster(directory)) as cluster:
        starter = run_in_other_process(directory, "start()", start_new_session=True)
        wait_for(lambda: running_parts(directory), "the first part", 20, every=0.02)
        time.sleep(seconds)
        os.killpg(starter.pid, how)
        finish(starter)
        assert starter.returncode != 0, "it was too fast to be interrupted"
        if how == signal.SIGINT:
            assert running_parts(directory) == []
        cluster.stop()
        assert running_parts(directory) == []
        if read_ports(Layout(directory).ports) is not None:
            assert ports_listened_on(directory) == []
        cluster.start()
        assert set(states(cluster).values()) == {"healthy"}


def test_cluster_outlives_the_program_that_started_it(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    with stopped_afterwards(make_cluster(directory)) as cluster:
        starter = run_in_other_process(directory, "start()", start_new_session=True)
        assert finish(starter) == ""
        with pytest.raises(ProcessLookupError):
            os.killpg(starter.pid, signal.SIGHUP)
        assert set(states(cluster).values()) == {"healthy"}


def test_cluster_ends_with_its_owner(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    with subprocess.Popen(["sleep", "600"]) as owner, stopped_afterwards(make_cluster(directory, owner_pid=owner.pid)):
        make_cluster(directory, owner_pid=owner.pid).start()
        owner.kill()
        owner.wait()
        wait_for(lambda: not running_parts(directory), "nothing running", 20)
        assert ports_listened_on(directory) == []


def test_part_that_ends_at_once_is_named_with_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "controlplane"
    broken.write_text("#!/bin/sh\necho starting; echo cannot go on: the disk is full; exit 1\n")
    broken.chmod(0o755)
    kwok = ensure("kwok", quiet=True)["kwok"]
    cluster = LocalCluster(tmp_path / "cluster", controlplane=broken, kwok=kwok)
    with stopped_afterwards(cluster):
        with pytest.raises(PartFailedError) as caught:
            cluster.start()
        assert caught.value.part == "etcd"
        assert "etcd of the local cluster ended; see" in str(caught.value)
        assert "cannot go on: the disk is full" in str(caught.value)


def test_part_that_dies_later_ends_what_was_started_with_it(tmp_path: Path) -> None:
    with stopped_afterwards(make_cluster(tmp_path / "cluster")) as cluster:
        broken = LocalCluster(
            cluster.directory, controlplane=ensure("controlplane")["controlplane"], kwok=Path("/bin/false")
        )
        with pytest.raises(PartFailedError, match="kwok of the local cluster ended"):
            broken.start()
        assert running_parts(cluster.directory) == []
        # The next start with the fault mended needs no other step.
        cluster.start()
        assert set(states(cluster).values()) == {"healthy"}


def test_part_that_never_gets_ready_fails_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.cluster, "START_SECONDS", 3.0)
    silent = tmp_path / "controlplane"
    silent.write_text(f"#!{sys.executable}\nimport time\nprint('thinking', flush=True)\ntime.sleep(600)\n")
    silent.chmod(0o755)
    cluster = LocalCluster(tmp_path / "cluster", controlplane=silent, kwok=Path("/bin/false"))
    with stopped_afterwards(cluster):
        started = time.monotonic()
        with pytest.raises(PartFailedError, match=r"etcd of the local cluster was not ready after 3 s(.|\n)*thinking"):
            cluster.start()
        assert time.monotonic() - started < 15
        assert running_parts(cluster.directory) == []


def test_stop_waits_for_a_start_that_is_under_way(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    with stopped_afterwards(make_cluster(directory)) as cluster:
        cluster.start()
        with locked(Layout(directory.resolve())):
            stopper = run_in_other_process(directory, "stop()")
            time.sleep(1.5)
            assert stopper.poll() is None
            assert set(states(cluster).values()) == {"healthy"}
        assert finish(stopper) == ""
        assert running_parts(directory) == []
