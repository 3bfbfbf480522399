from __future__ import annotations

import dataclasses
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tools.store
import tools.toolchain
from tests.unit.toolchain_support import LINUX, StubSource, make_toolchain, write_prebuilt
from tools.errors import ToolsError
from tools.pins import TOOLS, Platform
from tools.prebuilt import PrebuiltSource
from tools.sources import UnavailableError
from tools.store import Store
from tools.toolchain import PULUMI_TOOLS

if TYPE_CHECKING:
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Barrier

    from tools.pins import Tool


@pytest.fixture(autouse=True)
def _nothing_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.toolchain, "_announced", set())


def _executable(path: Path, content: str = "own") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(0o755)
    return path


def test_the_first_source_that_has_a_tool_gives_it(tmp_path: Path) -> None:
    first, second, build = StubSource("first"), StubSource("second", {"kwok"}), StubSource("build", {"kwok"})
    path = make_toolchain(tmp_path, [first, second], [build]).ensure(["kwok"])["kwok"]
    assert path.read_text() == "second"
    assert os.access(path, os.X_OK)
    assert (first.asked, second.asked, build.asked) == (["kwok"], ["kwok"], [])


def test_a_tool_is_built_only_when_no_source_has_it_ready(tmp_path: Path) -> None:
    ready, build = StubSource("ready", {"helm"}), StubSource("build", {"kwok", "helm"})
    paths = make_toolchain(tmp_path, [ready], [build]).ensure(["kwok", "helm"])
    assert {name: path.read_text() for name, path in paths.items()} == {"kwok": "build", "helm": "ready"}
    assert build.asked == ["kwok"]


def test_the_standard_order_is_prebuilt_then_release_then_own_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODECANVAS_CACHE", str(tmp_path))
    toolchain = tools.toolchain.Toolchain.default()
    assert [source.label for source in toolchain.ready_sources] == ["prebuilt", "release"]
    assert [source.label for source in toolchain.build_sources] == ["own build"]


def test_the_cache_comes_before_every_source(tmp_path: Path) -> None:
    make_toolchain(tmp_path, [StubSource("then", {"kwok"})]).ensure(["kwok"])
    now = StubSource("now", {"kwok"})
    assert make_toolchain(tmp_path, [now]).ensure(["kwok"])["kwok"].read_text() == "then"
    assert now.asked == []


def test_an_override_comes_before_everything(tmp_path: Path) -> None:
    own = _executable(tmp_path / "own" / "kwok")
    source = StubSource("source", {"kwok"})
    toolchain = make_toolchain(tmp_path / "cache", [source], environment={"CODECANVAS_TOOL_KWOK": str(own)})
    assert toolchain.ensure(["kwok"]) == {"kwok": own}
    assert source.asked == []


def test_an_override_of_a_pulumi_tool_is_what_path_finds(tmp_path: Path) -> None:
    own = _executable(tmp_path / "own" / "pulumi-language-python")
    _executable(tmp_path / "own" / "pulumi-language-python-exec")
    environment = {"CODECANVAS_TOOL_PULUMI_LANGUAGE_PYTHON": str(own)}
    toolchain = make_toolchain(tmp_path / "cache", [StubSource("source", {"pulumi"})], environment=environment)
    paths = toolchain.ensure(["pulumi", "pulumi-language-python"])
    assert paths["pulumi-language-python"].read_text() == "own"
    assert {path.parent for path in paths.values()} == {toolchain.bin_dir()}
    assert (toolchain.bin_dir() / "pulumi-language-python-exec").read_text() == "own"


def test_overrides_leave_the_path_folder_of_others_alone(tmp_path: Path) -> None:
    plain = make_toolchain(tmp_path / "cache")
    environment = {"CODECANVAS_TOOL_PULUMI": str(_executable(tmp_path / "own" / "pulumi"))}
    overridden = make_toolchain(tmp_path / "cache", environment=environment)
    assert overridden.bin_dir() != plain.bin_dir()


@pytest.mark.parametrize("kind", ["missing", "folder", "not executable"])
def test_an_override_that_cannot_be_run_is_an_error_that_names_the_variable(tmp_path: Path, kind: str) -> None:
    target = tmp_path / "kwok"
    if kind == "folder":
        target.mkdir()
    elif kind == "not executable":
        target.write_text("")
    environment = {"CODECANVAS_TOOL_KWOK": str(target)}
    toolchain = make_toolchain(tmp_path, [StubSource("source", {"kwok"})], environment=environment)
    with pytest.raises(ToolsError, match="CODECANVAS_TOOL_KWOK names"):
        toolchain.ensure(["kwok"])


def test_an_empty_override_counts_as_none(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("source", {"kwok"})], environment={"CODECANVAS_TOOL_KWOK": ""})
    assert toolchain.ensure(["kwok"])["kwok"].read_text() == "source"


def test_an_unknown_tool_is_an_error_that_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ToolsError, match=r"'kubelet'; there are pulumi,.*helm"):
        make_toolchain(tmp_path).ensure(["kubelet"])


def test_one_error_lists_every_lost_tool_with_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("release")], [StubSource("own build", {"helm"})])
    with pytest.raises(ToolsError) as caught:
        toolchain.ensure(["kwok", "helm", "controlplane"])
    text = str(caught.value)
    for name in ("kwok", "controlplane"):
        assert f"{name} {TOOLS[name].version} cannot be had" in text
        assert f"{TOOLS[name].variable}: not set" in text
        assert f"release: has no {name}" in text
        assert f"own build: has no {name}" in text
        assert f"set {TOOLS[name].variable} to the path" in text
    assert "helm" not in text


def test_a_tool_that_cannot_be_had_is_reported_before_minutes_of_building(tmp_path: Path) -> None:
    build = StubSource("own build", {"helm"})
    with pytest.raises(ToolsError):
        make_toolchain(tmp_path, [], [build]).ensure(["helm", "kwok"])
    assert build.asked == []


def test_a_build_that_fails_is_reported_with_its_reason(tmp_path: Path) -> None:
    broken = StubSource("own build", {"helm"}, UnavailableError("no compiler"))
    with pytest.raises(ToolsError, match="own build: no compiler"):
        make_toolchain(tmp_path, [], [broken]).ensure(["helm"])


def test_a_full_disk_is_an_error_that_names_the_tool(tmp_path: Path) -> None:
    full = StubSource("full", {"helm"}, OSError(28, "No space left on device"))
    with pytest.raises(ToolsError, match=r"helm .* cannot be put into the cache: .*No space left"):
        make_toolchain(tmp_path, [full]).ensure(["helm"])


@pytest.mark.parametrize("content", [b"right", b"wrong", b"bad", b"damaged!"])
def test_a_file_that_changed_in_the_cache_is_made_again(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("right", {"kwok"})])
    path = toolchain.ensure(["kwok"])["kwok"]
    path.write_bytes(content)
    os.utime(path, (0, 0))
    assert toolchain.ensure(["kwok"])["kwok"].read_text() == "right"
    assert ("damaged in the cache, made again" in capsys.readouterr().err) == (content != b"right")


@pytest.mark.parametrize(
    "record", ["", "[]", "{}", '{"origin": "x", "files": {"kwok": {}}}', '{"origin": "x", "files": 1}']
)
def test_a_broken_record_counts_as_nothing_in_the_cache(tmp_path: Path, record: str) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("old", {"kwok"})])
    folder = toolchain.ensure(["kwok"])["kwok"].parent
    (folder / "record.json").write_text(record)
    again = make_toolchain(tmp_path, [StubSource("new", {"kwok"})])
    assert again.ensure(["kwok"])["kwok"].read_text() == "new"


def test_a_missing_script_is_made_again_with_its_tool(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("source", {"pulumi-language-python"})])
    toolchain.ensure(["pulumi-language-python"])
    script = Store(tmp_path, LINUX).directory(TOOLS["pulumi-language-python"]) / "pulumi-language-python-exec"
    script.unlink()
    toolchain.ensure(["pulumi-language-python"])
    assert script.exists()


def test_a_thorough_look_finds_damage_that_size_and_time_hide(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("right", {"kwok"})])
    path = toolchain.ensure(["kwok"])["kwok"]
    times = path.stat()
    path.write_text("wrong")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert toolchain.store.find(TOOLS["kwok"]) is not None
    assert toolchain.store.find(TOOLS["kwok"], thorough=True) is None


def test_a_copied_cache_is_taken_over_and_read_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_toolchain(tmp_path / "a", [StubSource("source", {"kwok"})]).ensure(["kwok"])
    shutil.copytree(tmp_path / "a", tmp_path / "b", copy_function=shutil.copy)
    copied = make_toolchain(tmp_path / "b")
    path = copied.ensure(["kwok"])["kwok"]
    assert path.is_relative_to(tmp_path / "b")
    os.utime(path, (0, 0))
    copied.ensure(["kwok"])
    monkeypatch.setattr(tools.store, "sha256_of", lambda _: "read again")
    copied.ensure(["kwok"])


def test_an_interrupted_run_leaves_nothing_that_counts_and_the_next_starts_over(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        make_toolchain(tmp_path, [StubSource("source", {"kwok"}, KeyboardInterrupt())]).ensure(["kwok"])
    folder = Store(tmp_path, LINUX).directory(TOOLS["kwok"])
    assert not folder.exists()

    # A killed process cannot tidy up.
    leftover = folder.with_name(f"{folder.name}.part")
    leftover.mkdir()
    (leftover / "junk").write_text("half")
    path = make_toolchain(tmp_path, [StubSource("source", {"kwok"})]).ensure(["kwok"])["kwok"]
    assert path.read_text() == "source"
    assert not (path.parent / "junk").exists()
    assert not leftover.exists()


def test_an_interruption_stops_the_sources(tmp_path: Path) -> None:
    stopped: list[bool] = []
    toolchain = tools.toolchain.Toolchain(
        tmp_path,
        LINUX,
        {},
        [StubSource("source", {"kwok"}, KeyboardInterrupt())],
        [],
        stop=lambda: stopped.append(True),
    )
    with pytest.raises(KeyboardInterrupt):
        toolchain.ensure(["kwok"])
    assert stopped == [True]


def test_pulumi_and_its_hosts_share_one_folder_as_real_files(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("source", set(TOOLS))])
    paths = toolchain.ensure(TOOLS)
    folder = toolchain.bin_dir()
    scripts = {script for name in PULUMI_TOOLS for script in TOOLS[name].scripts}
    assert {path.name for path in folder.iterdir()} == {*PULUMI_TOOLS, *scripts}
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert {name for name, path in paths.items() if path.parent == folder} == set(PULUMI_TOOLS)
    assert "pulumi-resource-kubernetes" not in PULUMI_TOOLS


def test_a_tool_made_again_replaces_the_one_on_path(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("old", {"pulumi"})])
    toolchain.ensure(["pulumi"])
    (toolchain.store.directory(TOOLS["pulumi"]) / "pulumi").write_text("damaged")
    assert make_toolchain(tmp_path, [StubSource("new", {"pulumi"})]).ensure(["pulumi"])["pulumi"].read_text() == "new"


def test_each_tool_has_one_line_once_that_says_where_it_came_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("source", {"kwok"})])
    toolchain.ensure(["kwok"])
    toolchain.ensure(["kwok"])
    assert capsys.readouterr().err.splitlines() == ["kwok 0.7.0: taken from source (0.0 s)"]
    monkeypatch.setattr(tools.toolchain, "_announced", set())
    toolchain.ensure(["kwok"], quiet=True)
    assert capsys.readouterr().err == ""
    toolchain.ensure(["kwok"])
    assert capsys.readouterr().err.splitlines() == ["kwok 0.7.0: in the cache, taken from source"]


def test_a_prebuilt_tool_is_unpacked_and_checked(tmp_path: Path) -> None:
    folder = write_prebuilt(tmp_path / "prebuilt", {"kwok": b"content"})
    toolchain = make_toolchain(tmp_path / "cache", [PrebuiltSource(folder, LINUX)])
    assert toolchain.ensure(["kwok"])["kwok"].read_bytes() == b"content"


def test_prebuilt_scripts_come_with_their_tool(tmp_path: Path) -> None:
    folder = write_prebuilt(tmp_path / "prebuilt", {"pulumi-language-nodejs": b"host"})
    source = PrebuiltSource(folder, LINUX)
    assert make_toolchain(tmp_path / "cache", [source]).ensure(["pulumi-language-nodejs"]) == {}
    (folder / "bin" / "pulumi-resource-pulumi-nodejs").write_text("script")
    path = make_toolchain(tmp_path / "cache", [source]).ensure(["pulumi-language-nodejs"])["pulumi-language-nodejs"]
    assert path.with_name("pulumi-resource-pulumi-nodejs").read_text() == "script"


def test_a_prebuilt_tool_with_the_wrong_checksum_is_refused_and_the_next_source_taken(tmp_path: Path) -> None:
    folder = write_prebuilt(tmp_path / "prebuilt", {"kwok": b"content"})
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  kwok\n")
    other = StubSource("other", {"kwok"})
    assert (
        make_toolchain(tmp_path, [PrebuiltSource(folder, LINUX), other]).ensure(["kwok"])["kwok"].read_text() == "other"
    )
    with pytest.raises(ToolsError, match=r"prebuilt: .* does not match SHA256SUMS"):
        make_toolchain(tmp_path / "empty", [PrebuiltSource(folder, LINUX)]).ensure(["kwok"])


@pytest.mark.parametrize("keep", [0, 10, 60])
def test_a_truncated_prebuilt_tool_is_refused(tmp_path: Path, keep: int) -> None:
    folder = write_prebuilt(tmp_path / "prebuilt", {"kwok": bytes(range(256)) * 40})
    packed = folder / "bin" / "kwok.xz"
    packed.write_bytes(packed.read_bytes()[:keep])
    with pytest.raises(ToolsError, match="prebuilt: "):
        make_toolchain(tmp_path / "cache", [PrebuiltSource(folder, LINUX)]).ensure(["kwok"])


def test_prebuilt_tools_are_for_their_platform_only(tmp_path: Path) -> None:
    folder = write_prebuilt(tmp_path / "prebuilt", {"kwok": b"content"})
    source = PrebuiltSource(folder, Platform("darwin", "arm64"))
    with pytest.raises(ToolsError, match="is for linux-amd64, this machine is darwin-arm64"):
        make_toolchain(tmp_path / "cache", [source]).ensure(["kwok"])


class _Slow(StubSource):
    """A source that takes long enough for others to come by."""

    def fill(self, tool: Tool, directory: Path) -> str:
        origin = super().fill(tool, directory)
        time.sleep(0.2)
        return origin


def _ensure_together(cache: Path, barrier: Barrier, results: Queue[tuple[list[str], dict[str, str]]]) -> None:
    source = _Slow("source", set(TOOLS))
    barrier.wait(60)
    paths = make_toolchain(cache, [source]).ensure(["kwok", "helm", "pulumi"])
    results.put((source.asked, {name: path.read_text() for name, path in paths.items()}))


def test_processes_at_once_make_each_tool_once_and_end_with_a_sound_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: Queue[tuple[list[str], dict[str, str]]] = context.Queue()
    barrier = context.Barrier(3)
    arguments = (tmp_path, barrier, results)
    workers = [context.Process(target=_ensure_together, args=arguments) for _ in range(3)]
    for worker in workers:
        worker.start()
    answers = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 3
    assert sorted(name for made, _ in answers for name in made) == ["helm", "kwok", "pulumi"]
    assert [found for _, found in answers] == [dict.fromkeys(["kwok", "helm", "pulumi"], "source")] * 3
    store = Store(tmp_path, LINUX)
    assert all(store.find(TOOLS[name], thorough=True) for name in ("kwok", "helm", "pulumi"))
    assert list(tmp_path.rglob("*.part")) == []


def test_the_engine_and_its_plugin_are_of_the_versions_of_their_python_packages() -> None:
    assert metadata.version("pulumi") == TOOLS["pulumi"].version
    assert metadata.version("pulumi-kubernetes") == TOOLS["pulumi-resource-kubernetes"].version


def test_the_command_shows_an_error_as_text_and_fails(tmp_path: Path) -> None:
    environment = {**os.environ, "CODECANVAS_CACHE": str(tmp_path), "CODECANVAS_TOOL_KWOK": "/does/not/exist"}
    done = subprocess.run(
        [sys.executable, "-m", "tools", "tools", "kwok"],
        cwd=Path(tools.toolchain.__file__).parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: CODECANVAS_TOOL_KWOK names /does/not/exist")
    assert "Traceback" not in done.stderr


def test_a_stand_in_serves_where_no_real_tool_can_be_had_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("prebuilt")], [StubSource("own build")])
    path = toolchain.ensure(["pulumi-resource-kubernetes"])["pulumi-resource-kubernetes"]
    assert "stand-in" in subprocess.run([path, "--help"], capture_output=True, text=True, check=True).stdout
    assert toolchain.stands_in(TOOLS["pulumi-resource-kubernetes"])
    said = capsys.readouterr().err
    assert "STAND-IN tools.standin.kubernetes" in said
    assert "prebuilt: has no pulumi-resource-kubernetes; own build: has no pulumi-resource-kubernetes" in said


def test_a_real_tool_comes_before_its_stand_in_as_soon_as_there_is_one(tmp_path: Path) -> None:
    name = "pulumi-language-python"
    stand_in = make_toolchain(tmp_path)
    stand_in.ensure([name])
    folder = stand_in.bin_dir()
    real = make_toolchain(tmp_path, [StubSource("prebuilt", {name})])
    path = real.ensure([name])[name]
    assert path.read_text() == "prebuilt"
    assert not real.stands_in(TOOLS[name])
    assert folder != real.bin_dir() == path.parent


def test_a_stand_in_can_be_asked_for_where_the_real_tool_is_here(tmp_path: Path) -> None:
    name = "pulumi-resource-kubernetes"
    source = StubSource("prebuilt", {name})
    make_toolchain(tmp_path, [source]).ensure([name])
    forced = dataclasses.replace(make_toolchain(tmp_path, [source]), stand_ins=True)
    assert "tools.standin.kubernetes" in forced.ensure([name])[name].read_text()
    assert forced.describe(TOOLS[name]) == "STAND-IN tools.standin.kubernetes, asked for by CODECANVAS_STAND_INS"


def test_an_override_comes_before_a_stand_in(tmp_path: Path) -> None:
    own = _executable(tmp_path / "own")
    toolchain = make_toolchain(tmp_path / "cache", environment={"CODECANVAS_TOOL_PULUMI_RESOURCE_KUBERNETES": str(own)})
    forced = dataclasses.replace(toolchain, stand_ins=True)
    assert forced.ensure(["pulumi-resource-kubernetes"]) == {"pulumi-resource-kubernetes": own}
    assert not forced.stands_in(TOOLS["pulumi-resource-kubernetes"])


def test_an_optional_tool_that_cannot_be_had_is_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("prebuilt", {"kwok"})])
    assert list(toolchain.ensure(["pulumi-language-go", "kwok"])) == ["kwok"]
    assert (
        "pulumi-language-go 3.259.0: NOT HERE, what needs it is left out (prebuilt: has no" in capsys.readouterr().err
    )


def test_without_a_tool_that_nothing_stands_in_for_the_run_ends(tmp_path: Path) -> None:
    with pytest.raises(ToolsError, match=r"^pulumi 3\.259\.0 cannot be had"):
        make_toolchain(tmp_path).ensure(["pulumi", "pulumi-language-python", "pulumi-language-go"])
