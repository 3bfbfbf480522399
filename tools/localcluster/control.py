"""What needs no more than a cluster's directory: the lock, and ending everything that runs for it."""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

import tenacity

from tools.localcluster import processes
from tools.localcluster.errors import LocalClusterError
from tools.localcluster.parts import NAMES, WATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.localcluster.parts import Layout

LOCK_SECONDS = 120.0


@contextlib.contextmanager
def locked(layout: Layout, seconds: float = LOCK_SECONDS) -> Iterator[None]:
    """Keep others from starting and stopping this cluster meanwhile; ends with the process at the latest.

    Raises:
        LocalClusterError: when somebody else has had it for `seconds`.
    """
    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(0.1),
        retry=tenacity.retry_if_exception_type(BlockingIOError),
        reraise=True,
    )
    try:
        handle = retrying(_take_lock, layout)
    except BlockingIOError as error:
        raise LocalClusterError(
            f"another process has kept the cluster in {layout.directory} locked for {seconds:g} s",
            "wait until it has started or stopped the cluster, or end it, and try again",
        ) from error
    try:
        yield
    finally:
        os.close(handle)


def _take_lock(layout: Layout) -> int:
    layout.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _check_same_file(handle, layout)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _check_same_file(handle: int, layout: Layout) -> None:
    """Refuse a lock on a file that a wipe removed while we opened it."""
    with contextlib.suppress(FileNotFoundError):
        if os.path.samestat(os.fstat(handle), layout.lock.stat()):
            return
    raise BlockingIOError


def end_parts(layout: Layout) -> None:
    """End all processes of the cluster but the one that asks, also those that an interrupted start left behind.

    The caller has the lock.

    Raises:
        LocalClusterError: when a process survives even SIGKILL.
    """
    # etcd last: the API server wants to write to it until the end.
    clients = [name for name in (WATCH, *NAMES) if name != "etcd"]
    found = [process for process in processes.find_all(layout, clients) if process.pid != os.getpid()]
    left = processes.end(found) + processes.end(processes.find_all(layout, ["etcd"]))
    if left:
        ids = ", ".join(str(process.pid) for process in left)
        raise LocalClusterError(
            f"processes of the cluster in {layout.directory} cannot be ended: {ids}",
            "see what holds them (`ps -o pid,stat,wchan,args`), then stop the cluster again",
        )
    for name in (WATCH, *NAMES):
        layout.pid(name).unlink(missing_ok=True)
