"""Tools at rest: one folder a tool and version in the cache, with a record of origin and checksums."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tools.pins import Platform, Tool

_RECORD = "record.json"
_CHUNK = 1 << 20


def sha256_of(path: Path) -> str:
    """Give a file's SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


@dataclass(frozen=True)
class FileRecord:
    """What a file was when it was put into the store."""

    sha256: str
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Stored:
    """A tool in the store.

    Attributes:
        directory: where its files are.
        origin: where they came from, as a phrase: `unpacked from ../shared/toolchain`.
        files: every file by name.
    """

    directory: Path
    origin: str
    files: dict[str, FileRecord]


class Store:
    """The tools in the cache. Finding needs no lock: a tool's folder appears whole or not at all."""

    def __init__(self, cache: Path, platform: Platform) -> None:
        self._root = cache / "tools"
        self._platform = platform

    def directory(self, tool: Tool) -> Path:
        """Give the folder that holds this version of the tool, whether it exists or not."""
        return self._root / tool.name / f"{tool.version}-{self._platform}"

    def find(self, tool: Tool, *, thorough: bool = False) -> Stored | None:
        """Give the tool if it is there and is what was recorded.

        A file whose size and time are the recorded ones is taken as unchanged; otherwise, or when `thorough`,
        its checksum decides.
        """
        directory = self.directory(tool)
        try:
            record = json.loads((directory / _RECORD).read_text())
            files = {name: FileRecord(**entry) for name, entry in record["files"].items()}
            origin = str(record["origin"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        if tool.name not in files:
            return None
        if not all(_is_as_recorded(directory / name, entry, thorough) for name, entry in files.items()):
            return None
        return Stored(directory, origin, files)

    def is_present(self, tool: Tool) -> bool:
        """Tell whether there is a folder for the tool, in whatever state."""
        return self.directory(tool).exists()

    def install(self, tool: Tool, fill: Callable[[Path], str]) -> Stored:
        """Put a tool into the store in place of what is there. The caller holds the tool's lock.

        `fill` writes the tool's files into the empty folder that it is given and returns their origin;
        whatever it raises leaves the store as it was.
        """
        final = self.directory(tool)
        staging = final.with_name(f"{final.name}.part")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        try:
            origin = fill(staging)
            files = {path.name: _record_file(path) for path in sorted(staging.iterdir())}
            record = {"origin": origin, "files": {name: asdict(entry) for name, entry in files.items()}}
            (staging / _RECORD).write_text(json.dumps(record, indent=2))
            shutil.rmtree(final, ignore_errors=True)
            staging.rename(final)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return Stored(final, origin, files)


def _record_file(path: Path) -> FileRecord:
    path.chmod(0o755)
    status = path.stat()
    return FileRecord(sha256_of(path), status.st_size, status.st_mtime_ns)


def _is_as_recorded(path: Path, record: FileRecord, thorough: bool) -> bool:
    try:
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) == (record.size, record.mtime_ns) and not thorough:
            return True
        same = status.st_size == record.size and sha256_of(path) == record.sha256
        if same:
            # A copied cache has new times; with the recorded ones the next look need not read the file.
            os.utime(path, ns=(status.st_atime_ns, record.mtime_ns))
    except OSError:
        return False
    return same
