"""A stack's state in the files of Pulumi's file backend: which copy is the newest whole one, and how to go back to it.

A backend that runs full does not keep what it had: Pulumi puts what fitted in the place of the state file, and with
several resources at work copies that over the `.bak`, too. At the end of every run it puts further copies aside. This
module only reads; what it found it tells as a script.
"""

from __future__ import annotations

import glob
import gzip
import json
import shlex
import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pulumi_codecanvas.errors import CodeCanvasError

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_ATTRIBUTES = ".attrs"
_ENOUGH = 20
"""So many times the size of a state should be free: every run writes the state's copies anew."""
_LEAST = 1024 * 1024


class StateFileError(CodeCanvasError):
    """The files cannot be looked into."""


@dataclass(frozen=True)
class Copy:
    """A whole state.

    Attributes:
        path: the file.
        written: when the file was written, in seconds since the epoch.
        size: of the file, in bytes.
        resources: how many the state knows.
    """

    path: Path
    written: float
    size: int
    resources: int


@dataclass(frozen=True)
class Recovery:
    """What was found.

    Attributes:
        script: a shell script with comments.
    """

    script: list[str]

    @property
    def commands(self) -> list[str]:
        """What is to be run; nothing where the state can be read and is not locked."""
        return [line for line in self.script if not line.startswith("#")]


@dataclass(frozen=True)
class StateFiles:
    """Where a file backend keeps one stack.

    Attributes:
        root: folder of the backend.
        project: the Pulumi project.
        stack: the stack's name.
    """

    root: Path
    project: str
    stack: str

    @property
    def state(self) -> Path:
        """The state file: the one that was written last, where compression was switched on or off meanwhile."""
        plain = self._folder("stacks").parent / f"{self.stack}.json"
        found = [path for path in (plain, Path(f"{plain}.gz"), Path(f"{plain}.zst")) if path.is_file()]
        return max(found, key=lambda path: path.stat().st_mtime_ns, default=plain)

    @property
    def locks(self) -> list[Path]:
        """The locks of runs that go on, were killed, or had no room to write one: Pulumi counts every file there."""
        return sorted(path for path in self._folder("locks/organization").glob("*") if path.suffix != _ATTRIBUTES)

    @property
    def qualified_name(self) -> str:
        """The stack as every command of Pulumi takes it."""
        return f"organization/{self.project}/{self.stack}"

    def copies(self) -> Iterator[Copy]:
        """Find the whole ones among the copies of the state."""
        beside = self._folder("stacks").parent.glob(f"{glob.escape(self.stack)}.json*")
        kept = self._folder("backups").glob("*.json*")
        ended = self._folder("history").glob("*.checkpoint.json*")
        for path in (*beside, *kept, *ended):
            copy = None if path.suffix in {_ATTRIBUTES, ".tmp"} else read_copy(path)
            if copy:
                yield copy

    def _folder(self, kind: str) -> Path:
        return self.root / ".pulumi" / kind / self.project / self.stack


def read_copy(path: Path) -> Copy | None:
    """Read a state; None where it is cut off or none at all.

    Raises:
        StateFileError: it cannot be looked into.
    """
    try:
        content = path.read_bytes()
        if content.startswith(_ZSTD):
            raise StateFileError(f"{path} is compressed by zstd; see with `zstd --test` which copy of it is whole")
        if content.startswith(_GZIP):
            content = gzip.decompress(content)
        resources = (json.loads(content)["checkpoint"].get("latest") or {}).get("resources") or []
        status = path.stat()
    except FileNotFoundError:
        return None
    except PermissionError as error:
        raise StateFileError(f"cannot read {path}: {error.strerror}; run this as the user who runs pulumi") from None
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return Copy(path, status.st_mtime, status.st_size, len(resources))


def plan_recovery(files: StateFiles) -> Recovery:
    """Find out how the stack comes back to its newest whole state.

    Raises:
        StateFileError: the backend knows no such stack, or its files cannot be looked into.
    """
    state = files.state
    copies = sorted(files.copies(), key=lambda copy: copy.written)
    if not state.is_file() and not copies:
        raise StateFileError(f"there is no stack {files.stack} of project {files.project} in {files.root}")
    script = []
    # In this order: Pulumi does not even unlock a stack with broken attributes, and does not import into a locked one.
    if not _has_whole_attributes(state):
        script += [
            f"# {state}{_ATTRIBUTES} is cut off; Pulumi can do without:",
            f"rm {_quote(state)}{_ATTRIBUTES}",
        ]
    if files.locks:
        script += [
            f"# The stack is locked by {files.locks[0]}. Where a run is still at work, let it end instead.",
            f"pulumi cancel --yes {shlex.quote(files.qualified_name)}",
        ]
    if not any(copy.path == state for copy in copies):
        script += _bring_back(files, state, copies[-1] if copies else None)
    if not script:
        return Recovery([f"# {state} is whole: there is nothing to put back."])
    needed = max([_LEAST, *(copy.size * _ENOUGH for copy in copies)])
    free = shutil.disk_usage(files.root).free
    if free < needed:
        script.insert(0, f"# First make room: {free} bytes are free in {files.root}; at least {needed} should be.")
    return Recovery([*script, "# Then run `pulumi up`."])


def _bring_back(files: StateFiles, state: Path, newest: Copy | None) -> list[str]:
    what = "cut off" if state.is_file() else "not there"
    if newest is None:
        empty = '{"version": 3, "deployment": {}}'
        return [
            f"# {state} is {what}, and no copy of it is whole: the stack begins anew, with an empty state.",
            "# What an update left behind `pulumi up` makes anew, or names it and says what to do.",
            f"echo '{empty}' | pulumi stack import --stack {shlex.quote(files.qualified_name)}",
        ]
    when = datetime.fromtimestamp(newest.written, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    return [
        f"# {state} is {what}. The newest whole copy is of {when}; resources in it: {newest.resources}.",
        "# What it does not know `pulumi up` makes anew, or names it and says what to do.",
        f"cp {_quote(newest.path)} {_quote(state)}",
    ]


def _has_whole_attributes(state: Path) -> bool:
    try:
        json.loads(Path(f"{state}{_ATTRIBUTES}").read_bytes())
    except OSError:
        return True
    except ValueError:
        return False
    return True


def _quote(path: Path) -> str:
    return shlex.quote(str(path))
