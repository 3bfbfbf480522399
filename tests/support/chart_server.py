"""A chart repository on the loopback interface that asks for a password."""

from __future__ import annotations

import base64
import contextlib
import io
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

USER = "puller"


class ChartServer:
    """Serves one chart.

    Attributes:
        url: the repository's address.
        chart: the chart's name.
        is_away: whether it refuses to answer.
    """

    def __init__(self, chart: Path, password: str) -> None:
        about = yaml.safe_load((chart / "Chart.yaml").read_text())
        self.chart: str = about["name"]
        self.is_away = False
        archive = f"{self.chart}-{about['version']}.tgz"
        index = {"apiVersion": "v1", "entries": {self.chart: [{**about, "urls": [archive]}]}}
        files = {"/index.yaml": yaml.safe_dump(index).encode(), f"/{archive}": _pack(chart)}
        login = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = files.get(self.path)
                status = 401 if self.headers.get("Authorization") != login else 404 if body is None else 200
                status = 503 if owner.is_away else status
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body or b"" if status == 200 else b"")

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@contextlib.contextmanager
def serve_chart(chart: Path, password: str) -> Iterator[ChartServer]:
    """Serve a chart's directory as a repository to whoever knows the password."""
    served = ChartServer(chart, password)
    threading.Thread(target=served.server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield served
    finally:
        served.server.shutdown()
        served.server.server_close()


def _pack(chart: Path) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(chart, arcname=chart.name)
    return packed.getvalue()
