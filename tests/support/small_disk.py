"""A disk that is full when a test wants it to be."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BALLAST = "ballast"
_PAGE = 4096


@dataclass(frozen=True)
class SmallDisk:
    """A small file system of its own.

    Attributes:
        root: where it is mounted.
    """

    root: Path

    def fill(self, room: int = 0) -> None:
        """Leave so many pages free."""
        with (self.root / _BALLAST).open("ab", buffering=0) as ballast, contextlib.suppress(OSError):
            while os.statvfs(self.root).f_bfree > room:
                ballast.write(bytes(_PAGE))

    @contextlib.contextmanager
    def kept_full(self, room: int = 0) -> Iterator[None]:
        """Leave so many pages free, and take what becomes free, until the end of the `with` block.

        What a file gives up while it is written anew can be had again before it is taken, so only what grows by more
        is sure to fail.
        """
        stop = threading.Event()

        def eat() -> None:
            while not stop.wait(0.01):
                self.fill(room)

        self.fill(room)
        thread = threading.Thread(target=eat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.free()

    def free(self) -> None:
        """Make room again."""
        (self.root / _BALLAST).unlink(missing_ok=True)


@contextlib.contextmanager
def mount(directory: Path, size: str = "4m") -> Iterator[SmallDisk]:
    """Mount a file system of this size; the test is skipped where that is not allowed, as it needs root."""
    directory.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(directory)]
    if os.geteuid() != 0 or subprocess.run(line, check=False, capture_output=True).returncode != 0:
        pytest.skip("a file system can only be mounted as root")
    try:
        yield SmallDisk(directory)
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
