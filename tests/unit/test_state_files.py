from __future__ import annotations

import gzip
import json
import os
import shutil
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from codecanvas_provider.cli import NOT_WELL, UNUSABLE, app
from codecanvas_provider.stack_state import StackError, locate_files, read_platforms
from codecanvas_provider.state_files import StateFileError, StateFiles, plan_recovery

if TYPE_CHECKING:
    from pathlib import Path

STATE = "stacks/shop/dev.json"
BESIDE = f"{STATE}.bak"
BACKUP = "backups/shop/dev/dev.17.json"
ENDED = "history/shop/dev/dev-17.checkpoint.json"
LOCK = "locks/organization/shop/dev/1.json"
CUT_OFF = b'{"version":3,"checkpoint":{"stack":"organization/shop/dev","latest":{"reso'
EMPTY = b""
IMPORT = """echo '{"version": 3, "deployment": {}}' | pulumi stack import --stack organization/shop/dev"""
CANCEL = "pulumi cancel --yes organization/shop/dev"


def whole(resources: int = 2) -> bytes:
    latest: dict[str, Any] = {"resources": [{"urn": "u", "inputs": {"password": "hunter2"}}] * resources}
    return json.dumps({"version": 3, "checkpoint": {"stack": "organization/shop/dev", "latest": latest}}).encode()


@pytest.fixture
def files(tmp_path: Path) -> StateFiles:
    return StateFiles(tmp_path, "shop", "dev")


def fill(files: StateFiles, kept: dict[str, bytes]) -> None:
    """Write files of the backend, each a second younger than the one before."""
    for number, (name, content) in enumerate(kept.items()):
        path = files.root / ".pulumi" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))


def cp(files: StateFiles, name: str, to: str = STATE) -> str:
    folder = files.root / ".pulumi"
    return f"cp {folder / name} {folder / to}"


@pytest.mark.parametrize(
    ("kept", "newest"),
    [
        pytest.param({BACKUP: whole(), BESIDE: whole(), STATE: CUT_OFF}, BESIDE, id="the copy beside it"),
        pytest.param({ENDED: whole(), BACKUP: whole(), BESIDE: EMPTY, STATE: EMPTY}, BACKUP, id="a backup"),
        pytest.param({BACKUP: whole(), ENDED: whole(), BESIDE: CUT_OFF, STATE: EMPTY}, ENDED, id="a run's end"),
        pytest.param({BACKUP: whole(), STATE: CUT_OFF, "backups/shop/dev/dev.18.json": CUT_OFF}, BACKUP, id="an older"),
        pytest.param({BESIDE: whole(), BACKUP: whole(), STATE: CUT_OFF}, BACKUP, id="one younger than the .bak"),
        pytest.param(
            {BACKUP: whole(), f"{STATE}.17": whole(), STATE: EMPTY}, f"{STATE}.17", id="one that was retained"
        ),
        pytest.param({BACKUP: whole(0), STATE: EMPTY}, BACKUP, id="one without resources"),
        pytest.param({BACKUP: b'{"version":3}', BESIDE: whole(), STATE: b"[]"}, BESIDE, id="other JSON"),
        pytest.param({"backups/shop/dev2/dev.9.json": whole(), BACKUP: whole(), STATE: EMPTY}, BACKUP, id="our own"),
        pytest.param({BACKUP: whole()}, BACKUP, id="no state file"),
    ],
)
def test_the_newest_whole_copy_is_put_back(files: StateFiles, kept: dict[str, bytes], newest: str) -> None:
    fill(files, kept)
    assert plan_recovery(files).commands == [cp(files, newest)]


def test_compressed_states_are_read_and_put_back(files: StateFiles) -> None:
    packed = gzip.compress(whole())
    fill(files, {STATE: whole(), f"{STATE}.gz.bak": packed, f"{STATE}.gz": packed[:-9]})
    assert plan_recovery(files).commands == [cp(files, f"{STATE}.gz.bak", f"{STATE}.gz")]


def test_what_cannot_be_looked_into_is_told(files: StateFiles) -> None:
    fill(files, {f"{STATE}.zst": b"\x28\xb5\x2f\xfd\x00"})
    with pytest.raises(StateFileError, match="compressed by zstd"):
        plan_recovery(files)


@pytest.mark.parametrize(
    ("kept", "commands"),
    [
        pytest.param({STATE: whole(), BESIDE: CUT_OFF}, [], id="nothing to do"),
        pytest.param({STATE: EMPTY, BESIDE: EMPTY}, [IMPORT], id="nothing is whole"),
        pytest.param({STATE: whole(), LOCK: EMPTY}, [CANCEL], id="only locked"),
        pytest.param({STATE: whole(), f"{LOCK}.18eb.tmp": EMPTY, f"{LOCK}.attrs": b"{}"}, [CANCEL], id="half a lock"),
        pytest.param({STATE: EMPTY, LOCK: b"{}"}, [CANCEL, IMPORT], id="an import needs the lock"),
    ],
)
def test_only_what_is_needed_is_printed(files: StateFiles, kept: dict[str, bytes], commands: list[str]) -> None:
    fill(files, kept)
    assert plan_recovery(files).commands == commands


def test_broken_attributes_go_first(files: StateFiles) -> None:
    fill(files, {STATE: EMPTY, BESIDE: whole(), f"{STATE}.attrs": EMPTY, LOCK: b"{}"})
    gone = f"rm {files.root / '.pulumi' / STATE}.attrs"
    assert plan_recovery(files).commands == [gone, CANCEL, cp(files, BESIDE)]


def test_room_is_asked_for_where_there_is_too_little(files: StateFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(files, {BESIDE: whole(), STATE: EMPTY})
    assert not any("make room" in line for line in plan_recovery(files).script)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    assert "# First make room: 0 bytes are free" in plan_recovery(files).script[0]


def test_an_unknown_stack_is_told(files: StateFiles) -> None:
    with pytest.raises(StateFileError, match="there is no stack dev of project shop"):
        plan_recovery(files)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a Pulumi project with a backend in a folder with a blank in its name, and a `pulumi` that knows both."""
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: yaml\n")
    script = tmp_path / "pulumi"
    script.write_text(
        f'#!/bin/sh\ncase "$*" in\nwhoami*) echo \'{{"url": "file://{tmp_path}/my%20state?no_tmp_dir=true"}}\' ;;\n'
        "*--show-name*) echo dev ;;\n*) echo 'error: failed to load checkpoint: EOF' >&2; exit 255 ;;\nesac\n"
    )
    script.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return tmp_path


def test_the_files_of_a_stack_are_found(project: Path) -> None:
    expected = StateFiles(project / "my state", "shop", "dev")
    below = project / "infra"
    below.mkdir()
    assert locate_files(None, str(below)) == expected
    assert locate_files("dev", str(project)) == expected
    assert locate_files("organization/other/dev", str(project)) == StateFiles(project / "my state", "other", "dev")


def test_a_backend_that_is_no_folder_is_told(project: Path) -> None:
    (project / "pulumi").write_text('#!/bin/sh\necho \'{"url": "s3://bucket"}\'\n')
    with pytest.raises(StackError, match="s3://bucket is no folder"):
        locate_files("dev", str(project))


def test_the_command_prints_a_script_and_nothing_of_the_state(project: Path) -> None:
    files = StateFiles(project / "my state", "shop", "dev")
    fill(files, {BESIDE: whole(), STATE: CUT_OFF})
    shown = CliRunner().invoke(app, ["find-state", "--cwd", str(project)])
    assert shown.exit_code == NOT_WELL
    assert "hunter2" not in shown.output
    folder = files.root / ".pulumi"
    assert f"\ncp '{folder / BESIDE}' '{folder / STATE}'\n" in shown.stdout
    assert "resources in it: 2" in shown.stdout
    assert CliRunner().invoke(app, ["find-state", "--cwd", str(project), "-s", "other"]).exit_code == UNUSABLE
    fill(files, {STATE: whole()})
    assert CliRunner().invoke(app, ["find-state", "--cwd", str(project)]).exit_code == 0


@pytest.mark.usefixtures("project")
def test_a_state_that_cannot_be_read_is_told_with_the_command() -> None:
    with pytest.raises(StackError, match="EOF; on a backend that ran full, `codecanvas find-state` tells"):
        read_platforms("dev", None)
