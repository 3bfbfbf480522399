"""Starting, finding and ending the processes of a cluster.

A process belongs to a cluster when its command line has the part's mark (`Layout.mark`); the pid file is
only the quick way to it. So a pid file that outlived its process, or names a process of somebody else, does
no harm, and a process whose starter was killed before it wrote the pid file is found all the same.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import psutil
import tenacity

from tools.localcluster.files import write_private

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tools.localcluster.parts import Layout

START_SECONDS = 5.0
TERM_SECONDS = 2.5
KILL_SECONDS = 5.0


def spawn(layout: Layout, name: str, command: Sequence[str], working_directory: Path) -> psutil.Process:
    """Start a process that outlives this one, with its output in the part's log.

    It gets a session of its own, so that a Ctrl-C in this terminal is not for it, and an environment without
    the user's settings (kubeconfig, proxies, home).
    """
    log = layout.log(name)
    log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if log.exists():
        log.replace(log.with_suffix(".log.old"))
    environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(layout.directory)}
    with log.open("wb") as output:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=working_directory,
            env=environment,
        )
    write_private(layout.pid(name), f"{child.pid}\n")
    # Its end is seen through psutil, which reaps it; to subprocess it is over.
    child.returncode = 0
    process = psutil.Process(child.pid)
    _await_command_line(process)
    return process


def _await_command_line(process: psutil.Process) -> None:
    """Wait the moment for which a new program has no command line yet, by which it is found."""

    def check() -> bool:
        try:
            return bool(process.cmdline())
        except psutil.NoSuchProcess:
            return True

    tenacity.Retrying(
        stop=tenacity.stop_after_delay(START_SECONDS),
        wait=tenacity.wait_fixed(0.005),
        retry=tenacity.retry_if_result(lambda seen: not seen),
        retry_error_callback=lambda _: None,
    )(check)


def find(layout: Layout, name: str) -> psutil.Process | None:
    """Find the running process of a part."""
    process = _read_pid_file(layout, name)
    if process is not None:
        return process
    return next(iter(find_all(layout, [name])), None)


def find_all(layout: Layout, names: Iterable[str]) -> list[psutil.Process]:
    """Find every running process of these parts, also those that no pid file names."""
    marks = {layout.mark(name) for name in names}
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        command = process.info["cmdline"] or []
        if not marks.isdisjoint(command) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def runs(process: psutil.Process, command: Sequence[str]) -> bool:
    """Tell whether the process was started with exactly this command line, and has not ended since."""
    try:
        return process.cmdline() == list(command)
    except psutil.NoSuchProcess:
        return False


def end(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """End processes: ask first, then make them. Gives those that are still there, normally none."""
    for process in processes:
        _send(process, psutil.Process.terminate)
    alive = _await_end(processes, TERM_SECONDS)
    for process in alive:
        _send(process, psutil.Process.kill)
    return _await_end(alive, KILL_SECONDS)


def kill(process: psutil.Process) -> None:
    """Kill a process without a warning, as a crash would, and wait for its end."""
    _send(process, psutil.Process.kill)
    _await_end([process], KILL_SECONDS)


def is_alive(process: psutil.Process) -> bool:
    """Tell whether the process still runs. A child of ours that has ended is reaped on the way."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return process.is_running()
        process.wait(timeout=0)
    except (psutil.NoSuchProcess, psutil.TimeoutExpired):
        pass
    return False


def _await_end(processes: Sequence[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Wait for the end of processes; give those that still run after `seconds`.

    psutil's own wait takes a process for alive until its parent has reaped it, which may be anybody.
    """

    def check() -> list[psutil.Process]:
        return [process for process in processes if is_alive(process)]

    return tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(0.05),
        retry=tenacity.retry_if_result(bool),
        retry_error_callback=lambda _: check(),
    )(check)


def _read_pid_file(layout: Layout, name: str) -> psutil.Process | None:
    """Give the process that the pid file names, if it is this part of this cluster."""
    try:
        process = psutil.Process(int(layout.pid(name).read_text()))
        if layout.mark(name) in process.cmdline() and is_alive(process):
            return process
    except (OSError, ValueError, psutil.Error):
        pass
    return None


def _send(process: psutil.Process, signal: Callable[[psutil.Process], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        signal(process)
