from __future__ import annotations

import hashlib
import socket
import time
from typing import TYPE_CHECKING

import pytest

import tools.download
from tests.unit.toolchain_support import FileServer
from tools.download import Downloader, DownloadError, NoNetworkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        running.files["/tool"] = CONTENT
        yield running


def _fetch(server: FileServer, target: Path, sha256: str = SHA256, tries: int = 3) -> None:
    Downloader(tries=tries, pause=0).fetch(f"{server.url}/tool", target, sha256, label="tool")


def test_a_download_is_checked_and_leaves_one_file(server: FileServer, tmp_path: Path) -> None:
    _fetch(server, tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["tool"]


def test_a_connection_that_breaks_off_is_taken_up_again_where_it_broke(server: FileServer, tmp_path: Path) -> None:
    server.cut["/tool"] = 300_000
    _fetch(server, tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == CONTENT
    first, second = server.asked_for("/tool")
    assert first == ""
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 300_000


def test_a_later_run_takes_up_what_an_earlier_one_left(server: FileServer, tmp_path: Path) -> None:
    server.cut["/tool"] = 300_000
    with pytest.raises(DownloadError):
        _fetch(server, tmp_path / "tool", tries=1)
    assert not (tmp_path / "tool").exists()
    left = (tmp_path / "tool.part").stat().st_size
    assert left > 0
    _fetch(server, tmp_path / "tool")
    assert server.asked_for("/tool")[-1] == f"bytes={left}-"
    assert (tmp_path / "tool").read_bytes() == CONTENT


def test_a_server_without_ranges_makes_it_start_over(server: FileServer, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "tool.part").write_bytes(CONTENT[:1000])
    _fetch(server, tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"of another file", CONTENT + b"too long", b"x" * len(CONTENT)])
def test_what_an_earlier_run_left_of_another_file_is_thrown_away(
    server: FileServer, tmp_path: Path, left: bytes
) -> None:
    (tmp_path / "tool.part").write_bytes(left)
    _fetch(server, tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == CONTENT


def test_a_download_that_was_complete_but_not_renamed_is_used(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / "tool.part").write_bytes(CONTENT)
    _fetch(server, tmp_path / "tool")
    assert server.asked_for("/tool") == [f"bytes={len(CONTENT)}-"]
    assert (tmp_path / "tool").read_bytes() == CONTENT


def test_a_file_with_the_wrong_checksum_is_refused_and_not_kept(server: FileServer, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=f"has SHA-256 {SHA256}, published is {'0' * 64}"):
        _fetch(server, tmp_path / "tool", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_not_asked_for_again(server: FileServer, tmp_path: Path) -> None:
    del server.files["/tool"]
    with pytest.raises(DownloadError, match="/tool: 404"):
        _fetch(server, tmp_path / "tool")
    assert len(server.requests) == 1


def test_an_interruption_ends_a_download_and_keeps_what_arrived(server: FileServer, tmp_path: Path) -> None:
    downloader = Downloader(pause=0)
    downloader.stop()
    with pytest.raises(DownloadError, match="interrupted"):
        downloader.fetch(f"{server.url}/tool", tmp_path / "tool", SHA256, label="tool")
    assert (tmp_path / "tool.part").exists()
    _fetch(server, tmp_path / "tool")
    assert (tmp_path / "tool").read_bytes() == CONTENT


def test_a_closed_port_fails_at_once() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/x"
    started = time.monotonic()
    with pytest.raises(NoNetworkError, match=r"127\.0\.0\.1 cannot be reached"):
        Downloader().read(url)
    assert time.monotonic() - started < 2


def test_a_host_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.download, "_ANSWER_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(NoNetworkError, match="did not answer within"):
            Downloader().read(f"http://127.0.0.1:{silent.getsockname()[1]}/x")
        assert time.monotonic() - started < 2
