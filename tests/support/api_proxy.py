"""A proxy in front of an API server that fails on demand: away, busy, slow, or holding one request.

It speaks HTTPS, because client-go sends a token over nothing else, and logs in nobody: tokens pass through. What a
test tells it counts for every request that begins afterwards.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import yaml

from tools.localcluster.credentials import Credentials, ensure_credentials

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.stack import Running

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "trailer"})
_SECONDS = 120.0


@dataclass(frozen=True)
class Request:
    """A request that passed or tried to: method, path with its query, and when it came (monotonic)."""

    method: str
    path: str
    at: float = field(default_factory=time.monotonic, compare=False)


@dataclass
class Hold:
    """A request that is held up, see `ApiProxy.hold`.

    Attributes:
        method: the request's method.
        path: a regular expression that is searched for in its path.
        after: whether the API server has done it already, and only its answer is held.
    """

    method: str
    path: re.Pattern[str]
    after: bool
    _arrived: threading.Event = field(default_factory=threading.Event)
    _end: threading.Event = field(default_factory=threading.Event)
    _dropped: bool = False

    def wait(self, running: Running | None = None, seconds: float = _SECONDS) -> None:
        """Wait until such a request is held; fail at once where the run that should send it has ended."""
        end = time.monotonic() + seconds
        while not self._arrived.wait(0.1):
            missing = f"no {self.method} {self.path.pattern}"
            assert running is None or not running.ended, f"{missing} before the end: {running and running.wait().text}"
            assert time.monotonic() < end, f"{missing} within {seconds:g} s"

    def release(self) -> None:
        """Let it go on."""
        self._end.set()

    def drop(self) -> None:
        """Cut its connection instead."""
        self._dropped = True
        self._end.set()

    def matches(self, request: Request) -> bool:
        """Tell whether this is the request: the first that fits."""
        fits = request.method == self.method and self.path.search(request.path) is not None
        return fits and not self._arrived.is_set()

    def keep(self) -> bool:
        """Keep the request until the test lets go; False when its connection is to be cut."""
        self._arrived.set()
        self._end.wait()
        return not self._dropped


@dataclass(frozen=True)
class Busy:
    """An answer in the API server's place: HTTP status and the seconds of its `Retry-After`."""

    status: int
    retry_after: int


class ApiProxy:
    """A proxy in front of one cluster. Use it as a context manager.

    Attributes:
        kubeconfig: a kubeconfig like the given one, by way of the proxy.
        requests: every request so far.
    """

    def __init__(self, kubeconfig: Path, directory: Path) -> None:
        content: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
        cluster = content["clusters"][0]["cluster"]
        self._upstream = urlsplit(cluster["server"])
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=ca)
        self._tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
        own = Credentials(directory / "credentials")
        ensure_credentials(own)
        self._serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._serving.load_cert_chain(own.certificate, own.key)
        self.requests: list[Request] = []
        self._rules: list[Callable[[Request], Busy | float | None]] = []
        self._holds: list[Hold] = []
        self._sockets: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = self._listen(0)
        cluster["server"] = f"https://127.0.0.1:{self.port}"
        cluster["certificate-authority-data"] = base64.b64encode(own.ca.read_bytes()).decode()
        self.kubeconfig = directory / "kubeconfig"
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(yaml.safe_dump(content))

    @property
    def port(self) -> int:
        """The port that it listens on, also after it was away."""
        port: int = self._server.server_address[1]
        return port

    def __enter__(self) -> ApiProxy:
        return self

    def __exit__(self, *_: object) -> None:
        for hold in self._holds:
            hold.drop()
        self._shut()

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Refuse connections, and cut those that are open."""
        port = self.port
        self._shut()
        try:
            yield
        finally:
            self._server = self._listen(port)

    @contextlib.contextmanager
    def busy(self, status: int, retry_after: int = 1, *, methods: frozenset[str] | None = None) -> Iterator[None]:
        """Answer every request, or every one with one of these methods, with a status and a `Retry-After`."""
        answer = Busy(status, retry_after)
        with self._rule(lambda request: answer if methods is None or request.method in methods else None):
            yield

    @contextlib.contextmanager
    def slow(self, seconds: float, methods: frozenset[str] = WRITES) -> Iterator[None]:
        """Delay every request with one of these methods."""
        with self._rule(lambda request: seconds if request.method in methods else None):
            yield

    @contextlib.contextmanager
    def _rule(self, rule: Callable[[Request], Busy | float | None]) -> Iterator[None]:
        self._rules.append(rule)
        try:
            yield
        finally:
            self._rules.remove(rule)

    def hold(self, method: str, path: str, *, after: bool = False) -> Hold:
        """Hold the first request that fits from now on, or with `after` its answer: the deed itself is done then.

        Args:
            method: the request's method.
            path: a regular expression that is searched for in its path with the query.
            after: whether to pass it to the API server first.
        """
        hold = Hold(method, re.compile(path), after)
        self._holds.append(hold)
        return hold

    def handle(self, handler: _Handler) -> None:
        """Deal with one request."""
        request = Request(handler.command, handler.path)
        self.requests.append(request)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        for rule in list(self._rules):
            found = rule(request)
            if isinstance(found, Busy):
                handler.answer(found)
                return
            time.sleep(found or 0)
        hold = next((hold for hold in self._holds if hold.matches(request)), None)
        if hold and not hold.after and not hold.keep():
            handler.close_connection = True
            return
        upstream = http.client.HTTPSConnection(str(self._upstream.netloc), context=self._tls)
        with contextlib.closing(upstream):
            headers = {name: value for name, value in handler.headers.items() if name.lower() not in _HOP_BY_HOP}
            upstream.request(request.method, request.path, body or None, headers)
            response = upstream.getresponse()
            if hold and hold.after and not hold.keep():
                handler.close_connection = True
                return
            handler.pass_on(response)

    def track(self, connection: socket.socket, *, is_open: bool) -> None:
        """Know the open connections."""
        with self._lock:
            (self._sockets.add if is_open else self._sockets.discard)(connection)

    def _listen(self, port: int) -> _Server:
        server = _Server(self, port, self._serving)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server

    def _shut(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            for connection in self._sockets:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, proxy: ApiProxy, port: int, tls: ssl.SSLContext) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", port), _Handler)
        # The handshake is the handler's thread's, at its first read.
        self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: cut connections are what the proxy is for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.proxy.track(self.connection, is_open=True)

    def finish(self) -> None:
        self.server.proxy.track(self.connection, is_open=False)
        super().finish()

    def _handle(self) -> None:
        self.server.proxy.handle(self)

    # The names are the base class's.
    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _handle  # noqa: N815

    def answer(self, busy: Busy) -> None:
        body = b'{"kind":"Status","apiVersion":"v1","status":"Failure","message":"busy","code":%d}' % busy.status
        self.send_response(busy.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Retry-After", str(busy.retry_after))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self, response: http.client.HTTPResponse) -> None:
        """Pass an answer on as it comes: a watch has no end."""
        self.send_response(response.status)
        chunked = response.getheader("Content-Length") is None
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        has_body = self.command != "HEAD" and response.status not in {204, 304}
        if chunked and has_body:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while has_body and (data := response.read1(65536)):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data) if chunked else data)
        if chunked and has_body:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""
