"""Stops a cluster when the process that it was made for has ended, however it ended.

Run as `python -m tools.localcluster.watch --directory=DIRECTORY --owner=PID`.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path

import psutil

from tools.localcluster.control import end_parts, locked
from tools.localcluster.parts import Layout


def main() -> None:
    """Wait for the owner's end, then stop the cluster."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--owner", type=int, required=True)
    arguments = parser.parse_args()
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(arguments.owner).wait()
    layout = Layout(arguments.directory)
    # A directory that is gone was wiped: nothing to stop, and nothing to bring back for a lock.
    if layout.directory.exists():
        with locked(layout):
            end_parts(layout)


if __name__ == "__main__":
    main()
