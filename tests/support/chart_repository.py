"""A Helm repository over HTTP that wants a user name and a password, for one chart directory."""

from __future__ import annotations

import base64
import io
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pack_chart(chart: Path) -> bytes:
    """Write a chart's archive as `helm package` does."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(chart, chart.name)
    return packed.getvalue()


@contextmanager
def serve_chart(chart: Path, archive: bytes, *, username: str = "", password: str = "") -> Iterator[str]:
    """Serve a chart; gives the repository's address.

    Args:
        chart: the chart's directory, for its name and version.
        archive: what is served as its archive.
        username: who may read it; everybody when it is empty.
        password: and with what.
    """
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    file = f"{about['name']}-{about['version']}.tgz"
    index = {"apiVersion": "v1", "entries": {about["name"]: [{**about, "urls": [file]}]}}
    files = {"/index.yaml": yaml.safe_dump(index).encode(), f"/{file}": archive}
    right = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            allowed = not username or self.headers.get("Authorization") == right
            body = files.get(self.path) if allowed else None
            self.send_response(401 if not allowed else 404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
