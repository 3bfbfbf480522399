"""Logged-in connections to API servers; `cluster.py` imports this once a cluster is needed, as it is slow.

The `kubernetes` package finds out how to log in and which proxy to use. Requests then go through its
connection pool as plain REST calls: its typed API would turn every object into a class and back.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import ssl
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

import urllib3
from kubernetes import config
from kubernetes.client import Configuration
from kubernetes.client.rest import RESTClientObject
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import ConfigNode
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    InvalidHeader,
    NewConnectionError,
    ReadTimeoutError,
)
from urllib3.exceptions import SSLError as TLSError
from urllib3.util.ssl_ import create_urllib3_context

from codecanvas_provider.times import parse_time
from codecanvas_provider.waiting import MAX_THREADS
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.kubeconfig import describe_source, read_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
"""Seconds that one attempt may take."""

# The package ships no types.
_config: Any = config
_plugin: Any = ExecProvider
_node: Any = ConfigNode

_RENEWAL = datetime.timedelta(seconds=60)


class NoAnswer(Exception):  # noqa: N818 - internal; `cluster.py` turns it into what users read
    """The API server gave no HTTP answer.

    Attributes:
        final: another attempt would meet the same, as with a certificate that does not fit.

    """

    def __init__(self, why: str, *, final: bool) -> None:
        self.final = final
        super().__init__(why)


class Answer(NamedTuple):
    """What came back: HTTP status, body, and the pause in seconds that the server asks for, if any."""

    status: int
    body: bytes
    pause: float | None


@dataclass
class Session:
    """A connection pool that is logged in.

    Attributes:
        host: the API server's address.
        settings: the `kubernetes` package's; gives the headers that log in.
        pool: the connection pool.
        expires: when the login ends; None: never, as far as we know.
        impersonation: the headers by which the user asks to be taken for another one.

    """

    host: str
    settings: Any
    pool: Any
    expires: datetime.datetime | None = None
    impersonation: Sequence[tuple[str, str]] = ()
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def expired(self) -> bool:
        """Whether the login has ended or is about to."""
        return self.expires is not None and datetime.datetime.now(datetime.timezone.utc) > self.expires - _RENEWAL

    def request(self, method: str, url: str, headers: Mapping[str, str], body: str | None) -> Answer:
        """Send one request, once."""
        # The package may read a token file anew here, and is not made for threads.
        with self._lock:
            found = {auth["key"]: auth["value"].strip() for auth in self.settings.auth_settings().values()}
        login = urllib3.HTTPHeaderDict({**headers, **found})
        for name, value in self.impersonation:
            login.add(name, value)
        try:
            response = self.pool.request(
                method,
                self.host + url,
                body=body,
                headers=login,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
                retries=False,
                redirect=False,
            )
        except HTTPError as error:
            raise NoAnswer(_explain(error), final=_is_untrusted(error)) from None
        except (ValueError, TypeError):
            # Its text would quote the header, and so the login.
            raise NoAnswer("the kubeconfig's login cannot be sent as an HTTP header", final=True) from None
        return Answer(response.status, response.data, _asked_pause(response.headers.get("Retry-After")))


def open_session(kubeconfig: str | None, context: str | None) -> Session:
    """Log in as the kubeconfig says; certificates and keys stand in files for a moment only.

    Raises:
        ClusterError: the kubeconfig is unusable, or its login plugin failed.

    """
    content = read_kubeconfig(kubeconfig, context)
    settings = Configuration()
    expires, inline, impersonation = None, _Inline(), _impersonation(content)
    try:
        if content is None:
            _config.load_incluster_config(client_configuration=settings)
        else:
            expires = _run_login_plugin(content)
            inline = _take_inline(content)
            _config.load_kube_config_from_dict(content, client_configuration=settings, persist_config=False)
        tls = _load_certificates(settings, inline) if settings.host.startswith("https") else None
        pool = _open_pool(settings, tls)
    except (config.ConfigException, OSError, ValueError, KeyError, TypeError) as error:
        raise ClusterError(
            f"cannot log in with {describe_source(kubeconfig, context)}: {_explain(error)}",
            "see that `kubectl version` works with it on this machine",
        ) from None
    return Session(settings.host, settings, pool, expires, impersonation)


def _open_pool(settings: Any, tls: ssl.SSLContext | None) -> Any:
    if not settings.verify_ssl:
        # The user's own choice, made in the kubeconfig; a warning at each request tells nothing new.
        urllib3.disable_warnings(InsecureRequestWarning)
    settings.ssl_ca_cert = settings.cert_file = settings.key_file = None
    settings.connection_pool_maxsize = MAX_THREADS
    try:
        pool = RESTClientObject(settings).pool_manager
    except ImportError:
        raise ValueError("`proxy-url` is a SOCKS proxy, which needs the Python package PySocks") from None
    if tls is not None:
        pool.connection_pool_kw["ssl_context"] = tls
    return pool


def _impersonation(content: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Give the headers for whom the kubeconfig's user asks to be taken, as kubectl sends them."""
    user = content["users"][0]["user"] if content and content["users"] else {}
    headers = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
    headers += [("Impersonate-Group", group) for group in user.get("as-groups") or []]
    for name, values in (user.get("as-user-extra") or {}).items():
        headers += [(f"Impersonate-Extra-{quote(str(name), safe='')}", value) for value in values or []]
    return [(name, str(value)) for name, value in headers if value]


def _is_untrusted(error: HTTPError) -> bool:
    """Tell a certificate that does not fit from what else goes wrong in TLS, which may pass."""
    cause = error.args[0] if isinstance(error, TLSError) and error.args else None
    return isinstance(cause, ssl.SSLCertVerificationError)


@dataclass(frozen=True)
class _Inline:
    """What a kubeconfig holds itself instead of naming files: CA, client certificate and its key, PEM or None."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None


def _take_inline(content: dict[str, Any]) -> _Inline:
    """Take certificates and keys out of a kubeconfig: the package would write them to files and leave them there."""
    cluster = content["clusters"][0]["cluster"]
    user = content["users"][0]["user"] if content["users"] else {}
    return _Inline(
        _take(cluster, "certificate-authority"), _take(user, "client-certificate"), _take(user, "client-key")
    )


def _take(section: dict[str, Any], name: str) -> str | None:
    data = section.pop(f"{name}-data", None)
    if not data:
        return None
    # What stands in the kubeconfig itself counts more than a file that it names.
    section.pop(name, None)
    return base64.b64decode(data).decode()


def _load_certificates(settings: Any, inline: _Inline) -> ssl.SSLContext:
    """Read CA, certificate and key into memory. A key stands in a file for a moment, as Python's TLS asks for one."""
    tls = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if settings.verify_ssl else ssl.CERT_NONE)
    # Go's TLS, and so kubectl, accepts CAs without key identifiers; many clusters have such a one.
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # It also trusts an intermediate certificate that the kubeconfig names, without its root.
    tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if settings.verify_ssl and (inline.ca or settings.ssl_ca_cert):
        # Comments around a certificate may hold anything, and Python takes ASCII alone.
        ca = None if inline.ca is None else inline.ca.encode("ascii", "replace").decode("ascii")
        tls.load_verify_locations(cafile=None if inline.ca else settings.ssl_ca_cert, cadata=ca)
    elif settings.verify_ssl:
        tls.load_default_certs()
    with tempfile.TemporaryDirectory(prefix="codecanvas-") as folder:
        certificate = _as_file(inline.certificate, Path(folder, "certificate")) or settings.cert_file
        key = _as_file(inline.key, Path(folder, "key")) or settings.key_file
        if certificate:
            tls.load_cert_chain(certificate, key)
    return tls


def _as_file(text: str | None, path: Path) -> str | None:
    if text is None:
        return None
    path.touch(mode=0o600)
    path.write_text(text, encoding="ascii")
    return str(path)


def _run_login_plugin(content: dict[str, Any]) -> datetime.datetime | None:
    """Run the user's exec plugin, where there is one, and put what it gave in its place; give its expiry.

    The package would run it too, but writes a failure to stderr and goes on as an anonymous user.
    """
    user = content["users"][0]["user"] if content["users"] else {}
    plugin = user.get("exec")
    if not plugin or user.get("token") or user.get("tokenFile"):
        return None
    what = f"the login plugin `{plugin.get('command')}`"
    cluster = _node("cluster", content["clusters"][0]["cluster"])
    try:
        status = _plugin(_node("exec", plugin), None, cluster).run()
    except FileNotFoundError:
        raise config.ConfigException(f"{what} is not installed") from None
    except config.ConfigException as error:
        raise config.ConfigException(f"{what} failed: {_one_line(str(error))}") from None
    login = _login_from_plugin(status or {})
    if not login:
        raise config.ConfigException(f"{what} gave neither a token nor a certificate with its key")
    content["users"] = [{"name": content["users"][0]["name"], "user": login}]
    return parse_time(status.get("expirationTimestamp"))


def _login_from_plugin(status: Mapping[str, Any]) -> dict[str, str]:
    """Write an ExecCredential's status as the user section of a kubeconfig."""
    login: dict[str, str] = {}
    if status.get("token"):
        login["token"] = status["token"]
    if status.get("clientCertificateData") and status.get("clientKeyData"):
        for name, key in (("client-certificate-data", "clientCertificateData"), ("client-key-data", "clientKeyData")):
            login[name] = base64.b64encode(status[key].encode()).decode()
    return login


def _asked_pause(retry_after: str | None) -> float | None:
    """Read a `Retry-After` header: seconds or a date."""
    if not retry_after:
        return None
    with contextlib.suppress(InvalidHeader):
        return urllib3.Retry().parse_retry_after(retry_after)
    return None


def _explain(error: BaseException) -> str:
    """Put a library's error in a few words."""
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return f"no connection within {CONNECT_TIMEOUT:.0f} s"
    if isinstance(error, ReadTimeoutError):
        return f"no reply within {READ_TIMEOUT:.0f} s"
    # urllib3 puts the connection object in front of what happened.
    return _one_line(str(error)).rpartition(">: ")[2] or type(error).__name__


def _one_line(text: str, length: int = 300) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[:length]}..."
