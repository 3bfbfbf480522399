"""The command lines of a machine's processes, which everybody on it can read."""

from __future__ import annotations

import contextlib
import threading
from pathlib import Path

from typing_extensions import Self


class CommandLines:
    """Collects the command lines of all processes while it is open, as a context manager.

    Attributes:
        lines: what was seen, each command line once, its words joined by blanks.
    """

    def __init__(self) -> None:
        self.lines: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    self.lines.add(path.read_text(errors="replace").replace("\0", " "))
