"""A stand-in for an OCI registry: it serves one chart over HTTPS, and counts how often the chart is fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import yaml

from tests.support.chart_repository import pack_chart

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tools.localcluster.credentials import Credentials

_REPOSITORY = "charts"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.cncf.helm.config.v1+json"
_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
_BYTES = "application/octet-stream"


@dataclass
class ChartRegistry:
    """A registry that runs.

    Attributes:
        chart: the chart's `oci://` reference, without a tag.
        version: the one version of it that is there.
        digest: the digest of its manifest.
        environment: what makes programs written in Go trust the registry's certificate.
    """

    chart: str
    version: str
    digest: str
    environment: dict[str, str]
    _fetched: list[str] = field(default_factory=list)

    def take_pulls(self) -> int:
        """Tell how often the chart was fetched since the last look."""
        count = len(self._fetched)
        self._fetched.clear()
        return count


@contextmanager
def serve_registry(
    chart: Path, credentials: Credentials, *, username: str = "", password: str = ""
) -> Iterator[ChartRegistry]:
    """Serve a chart.

    Args:
        chart: the chart's directory.
        credentials: whose certificate to serve with.
        username: who may pull it; everybody when it is empty.
        password: and with what.
    """
    about = yaml.safe_load((chart / "Chart.yaml").read_text())
    name, version, layer = about["name"], about["version"], pack_chart(chart)
    config = json.dumps(about).encode()
    described = {"config": _describe(_CONFIG, config), "layers": [_describe(_LAYER, layer)]}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": _MANIFEST, **described}).encode()
    digest, blobs = _digest(manifest), f"/v2/{_REPOSITORY}/{name}/blobs/"
    chart_path = blobs + _digest(layer)
    bodies = {
        "/v2/": (_BYTES, b"{}"),
        f"/v2/{_REPOSITORY}/{name}/tags/list": ("application/json", json.dumps({"tags": [version]}).encode()),
        f"/v2/{_REPOSITORY}/{name}/manifests/{version}": (_MANIFEST, manifest),
        f"/v2/{_REPOSITORY}/{name}/manifests/{digest}": (_MANIFEST, manifest),
        blobs + _digest(config): (_BYTES, config),
        chart_path: (_BYTES, layer),
    }
    right = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
    fetched: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            if self._answer(with_body=True) and self.path == chart_path:
                fetched.append(self.path)

        def _answer(self, *, with_body: bool) -> bool:
            path = self.path.partition("?")[0]
            allowed = not username or self.headers.get("Authorization") == right
            kind, body = bodies.get(path, (_BYTES, b"")) if allowed else (_BYTES, b"")
            self.send_response(401 if not allowed else 200 if body else 404)
            if not allowed:
                self.send_header("WWW-Authenticate", 'Basic realm="charts"')
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Content-Digest", _digest(body))
            self.end_headers()
            if with_body:
                self.wfile.write(body)
            return bool(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credentials.certificate, credentials.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    reference = f"oci://127.0.0.1:{server.server_port}/{_REPOSITORY}/{name}"
    try:
        yield ChartRegistry(reference, version, digest, {"SSL_CERT_FILE": str(credentials.ca)}, fetched)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _describe(kind: str, body: bytes) -> dict[str, object]:
    return {"mediaType": kind, "digest": _digest(body), "size": len(body)}


def _digest(body: bytes) -> str:
    return "sha256:" + hashlib.sha256(body).hexdigest()
