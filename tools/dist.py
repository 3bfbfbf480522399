"""`dist`: the wheel, the sdist, and plugin archives that `pulumi plugin install --file` takes.

An archive holds the plugin with its packages for every Python that it supports, since a Pulumi program in another
language brings no Python packages along, and a machine that runs it may reach no package index.
"""

from __future__ import annotations

import gzip
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pulumi_codecanvas.version import VERSION
from tools.console import say
from tools.errors import ToolsError
from tools.pins import Platform

if TYPE_CHECKING:
    from collections.abc import Iterable

CHECKOUT = Path(__file__).parents[1]
DIST = CHECKOUT / "dist"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
# What wheels are looked for by: glibc of 2018 and later, macOS of 2020 and later.
WHEEL_PLATFORMS = {
    "linux-amd64": "x86_64-manylinux_2_28",
    "linux-arm64": "aarch64-manylinux_2_28",
    "darwin-amd64": "x86_64-apple-darwin",
    "darwin-arm64": "aarch64-apple-darwin",
}
# Pulumi's SDK names these for its language host; the plugin never imports them.
LEFT_OUT = ("debugpy", "pip")


def dist(platforms: Iterable[str] = (), directory: Path = DIST) -> list[Path]:
    """Make everything anew and give the files; the folder is emptied first.

    Args:
        platforms: those to make archives for, such as `linux-arm64`; by default this one.
        directory: where to put the files.

    Raises:
        ToolsError: a platform is not known, or a step failed.
    """
    wanted = list(platforms) or [str(Platform.current())]
    unknown = [platform for platform in wanted if platform not in WHEEL_PLATFORMS]
    if unknown:
        raise ToolsError(f"no archive can be made for {', '.join(unknown)}; there are {', '.join(WHEEL_PLATFORMS)}")
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    _run("-m", "hatchling", "build", "--directory", str(directory))
    (wheel,) = directory.glob("*.whl")
    for platform in wanted:
        _make_archive(platform, wheel)
    made = sorted(directory.iterdir())
    for path in made:
        say(f"dist: {path} ({path.stat().st_size / 2**20:.1f} MiB)")
    return made


def _make_archive(platform: str, wheel: Path) -> None:
    archive = wheel.parent / f"pulumi-resource-codecanvas-v{VERSION}-{platform}.tar.gz"
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        requirements = root / "requirements.txt"
        _compile(requirements, platform)
        content = root / "content"
        shutil.copytree(CHECKOUT / "tools" / "plugin", content, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy2(CHECKOUT / "LICENSE", content)
        for python in PYTHONS:
            packages = root / python
            _install(packages, python, platform, "--require-hashes", "-r", str(requirements))
            _install(packages, python, platform, str(wheel))
            _merge(packages, content / "lib")
        _pack(content, archive)


def _compile(requirements: Path, platform: str) -> None:
    """Write the plugin's packages, each with its checksums, in those of the locked versions that serve every Python."""
    without = [word for name in LEFT_OUT for word in ("--no-emit-package", name)]
    _run(
        *("-m", "uv", "pip", "compile", "pyproject.toml", "--quiet", "--python-version", PYTHONS[0]),
        *("--python-platform", WHEEL_PLATFORMS[platform]),
        *("--generate-hashes", "--constraints", "requirements.lock", *without, "--output-file", str(requirements)),
    )


def _install(target: Path, python: str, platform: str, *what: str) -> None:
    _run(
        *("-m", "uv", "pip", "install", "--quiet", "--no-deps", "--target", str(target)),
        *("--python-version", python, "--python-platform", WHEEL_PLATFORMS[platform]),
        *("--only-binary", ":all:", *what),
    )


def _merge(packages: Path, lib: Path) -> None:
    """Add one Python's packages, oldest first: compiled files bear its version in their names, others are alike.

    Raises:
        ToolsError: a file is not alike, so that one folder cannot serve all.
    """
    for path in packages.rglob("*"):
        inside = path.relative_to(packages)
        target = lib / inside
        # Scripts name an interpreter of this machine.
        if not path.is_file() or inside.parts[0] in {"bin", ".lock"} or "__pycache__" in inside.parts:
            continue
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        elif not _serves_later(inside) and target.read_bytes() != path.read_bytes():
            raise ToolsError(f"{inside} is another file for another Python; tools/dist.py has to keep them apart")


def _serves_later(inside: Path) -> bool:
    """Say whether the oldest Python's file is right for the later ones, whatever they have instead."""
    return inside.parts[0].endswith(".dist-info") or inside.name.endswith(".abi3.so")


def _pack(content: Path, archive: Path) -> None:
    """Pack a folder so that the same content gives the same bytes."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in sorted(content.rglob("*")):
            entry = tar.gettarinfo(path, str(path.relative_to(content)))
            entry.mtime = entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mode = 0o755 if path.is_dir() or path.name == "pulumi-resource-codecanvas" else 0o644
            with path.open("rb") if path.is_file() else io.BytesIO() as file:
                tar.addfile(entry, file)
    archive.write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def _run(*arguments: str) -> None:
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ToolsError(f"{' '.join(arguments)} failed:\n{done.stdout}{done.stderr}".rstrip())
