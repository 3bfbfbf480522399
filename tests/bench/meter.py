"""What a command costs: seconds, CPU, peak memory of its process tree, bytes that it writes below a directory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SAMPLE_SECONDS = 0.2
"""Between two looks at the memory."""
SECONDS = 1200.0
"""How long one command may take."""

_SUBREAPER = 36
_WRITTEN, _MOVED, _CREATED, _NONBLOCKING = 0x8, 0x80, 0x100, 0o4000
_EVENT = struct.Struct("iIII")


@dataclass(frozen=True)
class Cost:
    """What one command cost.

    Attributes:
        wall: seconds from its start to its end.
        cpu: seconds of processor time of the command and everything that it started.
        memory: the highest sum of the proportional set sizes (PSS) of its process tree, in bytes; sampled.
        written: bytes of the files written below the watched directory; see `count_writes`.
        exit_code: 0 where it succeeded.
        output: all that it printed.
    """

    wall: float
    cpu: float
    memory: int
    written: int
    exit_code: int
    output: str


def adopt_orphans() -> None:
    """Become the parent of every process of a command that outlives its own: else its CPU time is nobody's."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def measure(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], watched: Path) -> Cost:
    """Run a command to its end, with all that it starts. Nothing else of this process may run meanwhile."""
    peak = 0
    done = threading.Event()

    def sample(process: psutil.Process) -> None:
        nonlocal peak
        while not done.wait(SAMPLE_SECONDS):
            with contextlib.suppress(psutil.Error):
                peak = max(peak, sum(map(_read_memory, [process, *process.children(recursive=True)])))

    # What ended before, such as the parts of an earlier cluster, is not this command's.
    _reap()
    before = _children_seconds()
    with count_writes(watched) as written:
        started = time.monotonic()
        with subprocess.Popen(
            command,
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            sampler = threading.Thread(target=sample, args=[psutil.Process(process.pid)])
            sampler.start()
            try:
                output, _ = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            finally:
                done.set()
                sampler.join()
        wall = time.monotonic() - started
    _reap()
    return Cost(wall, _children_seconds() - before, peak, written[0], process.returncode, output)


@contextlib.contextmanager
def count_writes(directory: Path) -> Iterator[list[int]]:
    """Count the bytes of every file that is written below a directory meanwhile; the sum is there at the end.

    The kernel tells when a file was closed after writing or moved to its place (inotify); its size then counts.
    A file that is written under another name first and then moved, as the file backend does, counts once.
    """
    total = [0]
    watcher = _Watcher(directory)
    watcher.start()
    try:
        yield total
    finally:
        total[0] = watcher.stop()


class _Watcher(threading.Thread):
    """Adds up sizes until it is stopped."""

    def __init__(self, directory: Path) -> None:
        super().__init__(daemon=True)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(_NONBLOCKING)
        self._directories: dict[int, Path] = {}
        self._total = 0
        self._ended = threading.Event()
        directory.mkdir(parents=True, exist_ok=True)
        for folder in (directory, *(path for path in directory.rglob("*") if path.is_dir())):
            self._watch(folder)

    def stop(self) -> int:
        """Stop, and give the sum."""
        self._ended.set()
        self.join()
        self._read()
        os.close(self._handle)
        return self._total

    def run(self) -> None:
        while not self._ended.wait(0.02):
            self._read()

    def _watch(self, folder: Path) -> None:
        number = self._libc.inotify_add_watch(self._handle, os.fsencode(folder), _WRITTEN | _MOVED | _CREATED)
        if number < 0:
            raise OSError(ctypes.get_errno(), "cannot watch", str(folder))
        self._directories[number] = folder

    def _read(self) -> None:
        try:
            data = os.read(self._handle, 1 << 20)
        except BlockingIOError:
            return
        sizes: dict[Path, int] = {}
        place = 0
        while place < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, place)
            name = data[place + _EVENT.size :][:length].rstrip(b"\0")
            place += _EVENT.size + length
            path = self._directories[number] / os.fsdecode(name)
            if mask & _CREATED and path.is_dir():
                self._watch(path)
            elif not mask & _CREATED:
                with contextlib.suppress(FileNotFoundError):
                    sizes[path] = path.stat().st_size
                    self._total += sizes[path]


def _read_memory(process: psutil.Process) -> int:
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _reap() -> None:
    """Take leave of orphans that have ended; those that go on belong to somebody else, such as a local cluster."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
