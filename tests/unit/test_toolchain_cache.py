from __future__ import annotations

import multiprocessing
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tools.cache import cache_dir, locked

if TYPE_CHECKING:
    from pathlib import Path


def test_the_cache_is_where_the_environment_says_and_for_its_owner_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODECANVAS_CACHE", str(tmp_path / "a" / "b"))
    assert cache_dir() == tmp_path / "a" / "b"
    assert stat.S_IMODE(cache_dir().stat().st_mode) == 0o700


def test_the_cache_is_by_default_among_the_users_caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CODECANVAS_CACHE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert cache_dir().is_relative_to(tmp_path)
    assert cache_dir().name == "codecanvas"


def test_the_cache_path_has_no_symbolic_links_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.setenv("CODECANVAS_CACHE", str(tmp_path / "link" / "cache"))
    assert cache_dir() == tmp_path / "real" / "cache"


def _count_up(counter: Path, rounds: int) -> None:
    for _ in range(rounds):
        with locked(counter):
            value = int(counter.read_text())
            time.sleep(0.001)
            counter.write_text(str(value + 1))


def test_a_lock_keeps_processes_and_threads_apart(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count_up, args=(counter, 40)) for _ in range(2)]
    threads = [threading.Thread(target=_count_up, args=(counter, 40)) for _ in range(2)]
    for process in processes:
        process.start()
    for thread in threads:
        thread.start()
    for process in processes:
        process.join(60)
    for thread in threads:
        thread.join(60)
    assert counter.read_text() == "160"


def test_whoever_waits_for_a_lock_is_told_once(tmp_path: Path) -> None:
    told: list[str] = []
    blocked = threading.Event()

    def note() -> None:
        told.append("waiting")
        blocked.set()

    def wait() -> None:
        with locked(tmp_path / "x", waiting=note):
            told.append("in")

    with locked(tmp_path / "x", waiting=lambda: told.append("never")):
        thread = threading.Thread(target=wait)
        thread.start()
        assert blocked.wait(10)
        assert told == ["waiting"]
    thread.join(10)
    assert told == ["waiting", "in"]


def test_a_lock_is_free_again_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), locked(tmp_path / "x"):
        _ = 1 / 0
    waited: list[bool] = []
    with locked(tmp_path / "x", waiting=lambda: waited.append(True)):
        assert waited == []
