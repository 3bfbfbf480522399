from __future__ import annotations

from pathlib import Path

import pytest

from tools.cluster import LocalCluster
from tools.localcluster.control import locked
from tools.localcluster.errors import LocalClusterError, PartFailedError
from tools.localcluster.files import read_tail, write_private
from tools.localcluster.parts import Layout


def make_cluster(directory: Path) -> LocalCluster:
    return LocalCluster(directory, controlplane=Path("/bin/false"), kwok=Path("/bin/false"))


def test_private_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "secret"
    write_private(path, "a")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    write_private(path, "a")
    assert path.stat().st_mode & 0o777 == 0o600


def test_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "secret"
    write_private(path, "old")

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="no space"):
            write_private(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_tail_of_a_large_log_is_short_and_last(tmp_path: Path) -> None:
    log = tmp_path / "part.log"
    log.write_text("".join(f"line {number}\n" for number in range(100_000)))
    assert read_tail(log, lines=2) == "line 99998\nline 99999"


def test_log_that_is_missing_or_not_text_does_no_harm(tmp_path: Path) -> None:
    assert read_tail(tmp_path / "missing") == ""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\n")
    assert read_tail(tmp_path / "bytes")


def test_failed_part_is_named_with_the_tail_of_its_log() -> None:
    error = PartFailedError("etcd", "etcd of the local cluster ended", "start it again", "one\ntwo")
    assert str(error) == "etcd of the local cluster ended; start it again\nlast lines of its log:\n  one\n  two"
    assert error.part == "etcd"


def test_lock_is_given_up_on_after_a_while_with_a_way_out(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with (
        locked(layout),
        pytest.raises(LocalClusterError, match=r"locked for .* s; wait until"),
        locked(layout, seconds=0.1),
    ):
        pass
    with locked(layout, seconds=0.1):
        pass


def test_wipe_refuses_a_directory_without_a_cluster(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("work")
    with pytest.raises(LocalClusterError, match="is not the directory of a local cluster; name"):
        make_cluster(tmp_path).wipe()
    assert (tmp_path / "precious").read_text() == "work"


def test_cluster_that_was_never_started_is_stopped(tmp_path: Path) -> None:
    cluster = make_cluster(tmp_path / "none")
    assert {part.state for part in cluster.status()} == {"stopped"}
    cluster.stop()
    cluster.wipe()
    assert not (tmp_path / "none").exists()
    with pytest.raises(LocalClusterError, match="was never started; start it"):
        _ = cluster.server
