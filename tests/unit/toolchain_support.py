"""What the tests of the tool chain share: sources that do as told, prebuilt folders, and an HTTP server of files."""

from __future__ import annotations

import hashlib
import lzma
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from tools.pins import Platform
from tools.sources import Plan, UnavailableError
from tools.toolchain import Toolchain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from tools.pins import Tool
    from tools.sources import Source

LINUX = Platform("linux", "amd64")


@dataclass
class StubSource:
    """A source that has some tools, whose content is the source's label.

    Attributes:
        failing: what it raises when all is written.
        asked: the tools that it was asked to write.
    """

    label: str
    has: set[str] = field(default_factory=set)
    failing: BaseException | None = None
    asked: list[str] = field(default_factory=list)

    def plan(self, tool: Tool) -> Plan:
        if tool.name not in self.has:
            raise UnavailableError(f"has no {tool.name}")
        return Plan(f"take from {self.label}", seconds=7)

    def fill(self, tool: Tool, directory: Path) -> str:
        self.asked.append(tool.name)
        self.plan(tool)
        for name in (tool.name, *tool.scripts):
            (directory / name).write_text(self.label)
        if self.failing is not None:
            raise self.failing
        return f"taken from {self.label}"


def make_toolchain(
    cache: Path,
    ready: Sequence[Source] = (),
    build: Sequence[Source] = (),
    environment: Mapping[str, str] | None = None,
) -> Toolchain:
    return Toolchain(cache, LINUX, environment or {}, ready, build)


def write_prebuilt(directory: Path, content: Mapping[str, bytes]) -> Path:
    """Make a folder of prebuilt tools."""
    (directory / "bin").mkdir(parents=True)
    sums = []
    for name, data in content.items():
        (directory / "bin" / f"{name}.xz").write_bytes(lzma.compress(data))
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}")
    (directory / "SHA256SUMS").write_text("\n".join(sums) + "\n")
    return directory


class FileServer:
    """Serves bytes by path on a loopback port.

    Attributes:
        files: what there is.
        requests: every request as its path and its Range header.
        cut: paths whose next answer breaks off after so many bytes.
        ranges: whether it honours Range.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.cut: dict[str, int] = {}
        self.ranges = True
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._make_handler())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def asked_for(self, path: str) -> list[str]:
        """Give the Range headers of the requests for a path."""
        return [wanted for asked, wanted in self.requests if asked == path]

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.requests.append((request.path, wanted))
        content = self.files.get(request.path)
        if content is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.ranges else 0
        if wanted and self.ranges and start >= len(content):
            request.send_error(416)
            return
        body = content[start:]
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cut.pop(request.path, len(body))])
