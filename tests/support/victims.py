"""The processes of one run of the engine, to be killed.

The engine starts plugins in process groups of their own but in its session, so by that they are found, also when
the engine is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.stack import Running

_EXECUTABLES = {
    "engine": "pulumi",
    "kubernetes": "pulumi-resource-kubernetes",
    "codecanvas": "pulumi-resource-codecanvas",
}


def kill(running: Running, *whom: str) -> None:
    """End processes of a run by SIGKILL, and wait until they are gone.

    Args:
        running: the run.
        whom: `engine`, `kubernetes` or `codecanvas` (the plugins); none: everything that belongs to the run, as when
            a CI job is ended.
    """
    victims = [process for process in find(running) if not whom or any(_is(process, name) for name in whom)]
    assert victims, f"there is no {' or '.join(whom)} to kill among {[process.cmdline() for process in find(running)]}"
    for process in victims:
        # Some end with others.
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)
    # The engine itself is the test's child and stays as a zombie until the test asks for its end.
    wait_for(lambda: not any(_lives(process) for process in victims), f"the end of {victims}")


def find(running: Running) -> list[psutil.Process]:
    """List the living processes of a run."""
    return find_session(running.pid)


def find_session(leader: int) -> list[psutil.Process]:
    """List the living processes of a session, whether its leader lives or not."""
    return [process for process in psutil.process_iter() if _lives(process) and _session(process.pid) == leader]


def _is(process: psutil.Process, name: str) -> bool:
    try:
        line = process.cmdline()
    except psutil.Error:
        return False
    # A script has its interpreter before it.
    return _EXECUTABLES[name] in {Path(word).name for word in line[:2]}


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
