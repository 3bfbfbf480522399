"""What the commands tell the person who runs them.

Everything goes to stderr in whole lines: two threads never mix, and a command's result on stdout stays clean.
"""

from __future__ import annotations

import sys
import threading
import time

_lock = threading.Lock()


def say(text: str) -> None:
    """Print one line, at once."""
    with _lock:
        print(text, file=sys.stderr, flush=True)


class Ticker:
    """Says how far something is, once in a while: often enough for a person, seldom enough for a CI log."""

    def __init__(self, label: str, *, every: float | None = None) -> None:
        self._label = label
        self._every = every if every is not None else (5.0 if sys.stderr.isatty() else 20.0)
        self._started = self._last = time.monotonic()

    def tick(self, text: str) -> None:
        """Say `label: text` with the seconds since the start, unless that was done just now."""
        now = time.monotonic()
        if now - self._last >= self._every:
            self._last = now
            say(f"{self._label}: {text} ({now - self._started:.0f} s)")
