"""The cache directory: everything that developer commands make and keep outside the checkout."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CACHE_VARIABLE = "CODECANVAS_CACHE"


def cache_dir() -> Path:
    """Give the cache directory, made on demand and readable by its owner only.

    `CODECANVAS_CACHE` names it; without that it is the platform's own place for caches. The path has no
    symbolic links in it: the Pulumi engine compares paths as text and warns where they differ.
    """
    named = os.environ.get(CACHE_VARIABLE)
    path = Path(named).expanduser() if named else platformdirs.user_cache_path("codecanvas")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.chmod(0o700)
    return path.resolve()


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on `path`, which need not exist, against other processes and threads.

    The lock lives in the file `<path>.lock`, which stays. The system drops it when the process ends, however
    it ends. It is not re-entrant. `waiting` is called once if somebody else holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is not None:
                waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
