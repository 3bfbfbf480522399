from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import psutil

from tests.support.waiting import wait_for
from tools.localcluster import processes
from tools.localcluster.parts import Layout

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

ETCD = "etcd"


def test_a_part_is_found_once_it_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, read, left = Layout(tmp_path), psutil.Process.cmdline, [3]

    def see_nothing_at_first(process: psutil.Process) -> list[str]:
        left[0] -= 1
        return [] if left[0] >= 0 else read(process)

    monkeypatch.setattr(psutil.Process, "cmdline", see_nothing_at_first)
    command = (sys.executable, "-c", "import time; time.sleep(60)", layout.mark(ETCD))
    started = processes.spawn(layout, ETCD, command, tmp_path)
    try:
        assert processes.find(layout, ETCD) == started
    finally:
        processes.kill(started)


def test_a_part_that_ends_at_once_is_not_waited_for(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    processes.spawn(layout, ETCD, ("/bin/false", layout.mark(ETCD)), tmp_path)
    wait_for(lambda: processes.find(layout, ETCD) is None, "the end of the part", 3)
