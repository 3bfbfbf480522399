"""Tools from a folder of prebuilt ones beside the checkout, `../shared/toolchain`: bin/*.xz, SHA256SUMS."""

from __future__ import annotations

import hashlib
import lzma
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tools.sources import Plan, UnavailableError

if TYPE_CHECKING:
    from tools.pins import Platform, Tool

_CHUNK = 1 << 20
_BUILT_FOR = "linux-amd64"


class PrebuiltSource:
    """Unpacks tools from such a folder and checks each against the folder's SHA256SUMS."""

    label = "prebuilt"

    def __init__(self, directory: Path, platform: Platform) -> None:
        self._directory = directory
        self._platform = platform

    def plan(self, tool: Tool) -> Plan:
        """Say what `fill` would do."""
        self._packed(tool)
        return Plan(f"unpack from {_shown(self._directory)}", seconds=max(1, tool.mebibytes // 80))

    def fill(self, tool: Tool, directory: Path) -> str:
        """Unpack the tool and copy its scripts."""
        packed, expected = self._packed(tool)
        actual = _unpack(packed, directory / tool.name)
        if actual != expected:
            raise UnavailableError(
                f"{_shown(packed)} does not match SHA256SUMS: unpacked {actual}, expected {expected}"
            )
        try:
            for script in tool.scripts:
                shutil.copyfile(self._directory / "bin" / script, directory / script)
        except FileNotFoundError as error:
            raise UnavailableError(f"{error.filename} is missing") from error
        return f"unpacked from {_shown(self._directory)}"

    def _packed(self, tool: Tool) -> tuple[Path, str]:
        """Give the tool's packed file and the checksum that its content must have."""
        if not self._directory.is_dir():
            raise UnavailableError(f"no {_shown(self._directory)} beside the checkout")
        if str(self._platform) != _BUILT_FOR:
            raise UnavailableError(f"{_shown(self._directory)} is for {_BUILT_FOR}, this machine is {self._platform}")
        packed = self._directory / "bin" / f"{tool.name}.xz"
        expected = _read_checksums(self._directory / "SHA256SUMS").get(tool.name)
        if expected is None or not packed.is_file():
            raise UnavailableError(f"not in {_shown(self._directory)}")
        return packed, expected


def _shown(path: Path) -> str:
    return os.path.relpath(path, Path(__file__).parents[1])


def _read_checksums(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {fields[1].lstrip("*"): fields[0] for line in lines if len(fields := line.split()) == 2}


def _unpack(packed: Path, target: Path) -> str:
    """Unpack an .xz file and give the SHA-256 of what came out."""
    digest = hashlib.sha256()
    try:
        with lzma.open(packed) as source, target.open("wb") as sink:
            while chunk := source.read(_CHUNK):
                digest.update(chunk)
                sink.write(chunk)
    except (lzma.LZMAError, EOFError) as error:
        raise UnavailableError(f"{_shown(packed)} is damaged: {error}") from error
    return digest.hexdigest()
