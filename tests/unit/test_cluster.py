"""`cluster.py` against a small API server of its own, over real sockets and TLS."""

from __future__ import annotations

import base64
import datetime
import gc
import ipaddress
import json
import os
import ssl
import stat
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from codecanvas_provider import cluster as cluster_module
from codecanvas_provider.cluster import (
    NAMESPACE,
    POD,
    SECRET,
    STORAGE_CLASS,
    Cluster,
    Refused,
    Unreachable,
    is_missing_right,
)
from pulumi_codecanvas.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "s3cret-token"


@dataclass
class Reply:
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    client: str | None
    header_lines: list[tuple[str, str]]


class Server:
    """Answers with the replies it was given, the last of them again and again, and notes what it was asked."""

    def __init__(self, certificates: Certificates, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.replies: list[Reply] = [Reply()]
        self._http = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificates.server_pem)
        tls.load_verify_locations(certificates.ca_pem)
        tls.verify_mode = ssl.CERT_OPTIONAL
        self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                certificate: Any = self.connection.getpeercert()
                client = dict(pair[0] for pair in certificate["subject"])["commonName"] if certificate else None
                server.requests.append(
                    Request(self.command, self.path, dict(self.headers), body, client, self.headers.items())
                )
                reply = server.replies.pop(0) if len(server.replies) > 1 else server.replies[0]
                data = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
                self.send_response(reply.status)
                for name, value in {**reply.headers, "Content-Length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815 - http.server's names

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@dataclass
class Certificates:
    ca_pem: Path
    server_pem: Path
    client_certificate: str
    client_key: str


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder = tmp_path_factory.mktemp("certificates")
    ca_key = ec.generate_private_key(ec.SECP256R1())
    ca = make_certificate("ca", ca_key, "ca", ca_key)
    server_key, client_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    server = make_certificate("server", server_key, "ca", ca_key)
    client = make_certificate("somebody", client_key, "ca", ca_key)
    (folder / "ca.pem").write_text(ca)
    (folder / "server.pem").write_text(pem(server_key) + server)
    return Certificates(folder / "ca.pem", folder / "server.pem", client, pem(client_key))


def make_certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: str, issuer_key: ec.EllipticCurvePrivateKey
) -> str:
    """Make one without key identifiers, as many clusters have them."""
    now = datetime.datetime.now(datetime.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=key is issuer_key, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def pem(key: ec.EllipticCurvePrivateKey) -> str:
    no_password = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, no_password).decode()


@pytest.fixture
def server(certificates: Certificates) -> Iterator[Server]:
    running = Server(certificates)
    yield running
    running.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "FIRST_PATIENCE", 0.4)
    monkeypatch.setattr(cluster_module, "PATIENCE", 1.0)
    monkeypatch.setattr(Cluster, "_known", {})


def make_kubeconfig(server: Server, certificates: Certificates, **user: Any) -> str:
    ca = base64.b64encode(certificates.ca_pem.read_bytes()).decode()
    return yaml.safe_dump(
        {
            "current-context": "test",
            "clusters": [{"name": "c", "cluster": {"server": server.url, "certificate-authority-data": ca}}],
            "users": [{"name": "u", "user": user or {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "c", "user": "u"}}],
        }
    )


@pytest.fixture
def cluster(server: Server, certificates: Certificates) -> Cluster:
    return Cluster.connect(make_kubeconfig(server, certificates), None)


def refuse(status: int, message: str, reason: str = "Forbidden", **headers: str) -> Reply:
    return Reply(status, {"kind": "Status", "reason": reason, "message": message}, headers)


def test_one_connection_serves_all_who_name_the_same_cluster(server: Server, certificates: Certificates) -> None:
    text = make_kubeconfig(server, certificates)
    assert Cluster.connect(text, None) is Cluster.connect(text, "")
    assert Cluster.connect(text, "test") is not Cluster.connect(text, None)


def test_connect_neither_reads_nor_sends_anything() -> None:
    Cluster.connect("/no/such/file", None)


def test_a_token_logs_in(cluster: Cluster, server: Server) -> None:
    server.replies = [Reply(body={"gitVersion": "v1.33.1"})]
    assert cluster.read_version() == "v1.33.1"
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"
    assert server.requests[0].headers["User-Agent"].startswith("pulumi-codecanvas/")


def test_a_client_certificate_logs_in_and_leaves_no_file(
    server: Server, certificates: Certificates, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    user = {
        "client-certificate-data": base64.b64encode(certificates.client_certificate.encode()).decode(),
        "client-key-data": base64.b64encode(certificates.client_key.encode()).decode(),
    }
    text = make_kubeconfig(server, certificates, **user)
    for context in (None, "test"):
        Cluster.connect(text, context).read_version()
    assert [request.client for request in server.requests] == ["somebody", "somebody"]
    assert list(tmp_path.rglob("*")) == []


def write_plugin(folder: Path, status: dict[str, Any], code: str = "") -> Path:
    """Write a login plugin that counts its runs in a file."""
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    script = folder / "login"
    script.write_text(
        f"#!{sys.executable}\nimport json, sys\nopen({str(folder / 'runs')!r}, 'a').write('x')\n{code}\n"
        f"print({json.dumps(credential)!r})\n"
    )
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return script


def plugin_user(script: Path | str) -> dict[str, Any]:
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(script), "args": ["--x"]}
    return {"exec": {**plugin, "interactiveMode": "Never"}}


@pytest.mark.parametrize("kind", ["token", "certificate"])
def test_a_login_plugin_logs_in(kind: str, server: Server, certificates: Certificates, tmp_path: Path) -> None:
    status = {"token": "from-plugin"}
    if kind == "certificate":
        status = {
            "clientCertificateData": certificates.client_certificate,
            "clientKeyData": certificates.client_key,
        }
    text = make_kubeconfig(server, certificates, **plugin_user(write_plugin(tmp_path, status)))
    for _ in range(3):
        Cluster.connect(text, None).read_version()
    last = server.requests[-1]
    assert (last.headers.get("authorization"), last.client) == (
        ("Bearer from-plugin", None) if kind == "token" else (None, "somebody")
    )
    assert (tmp_path / "runs").read_text() == "x"


def test_a_login_that_ends_soon_is_renewed(server: Server, certificates: Certificates, tmp_path: Path) -> None:
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)
    status = {"token": "short-lived", "expirationTimestamp": soon.strftime("%Y-%m-%dT%H:%M:%SZ")}
    text = make_kubeconfig(server, certificates, **plugin_user(write_plugin(tmp_path, status)))
    for _ in range(2):
        Cluster.connect(text, None).read_version()
    assert (tmp_path / "runs").read_text() == "xx"


def test_a_login_that_is_refused_is_renewed_once(server: Server, certificates: Certificates, tmp_path: Path) -> None:
    text = make_kubeconfig(server, certificates, **plugin_user(write_plugin(tmp_path, {"token": "t"})))
    server.replies = [refuse(401, "Unauthorized", "Unauthorized"), Reply(body={"gitVersion": "v1"})]
    assert Cluster.connect(text, None).read_version() == "v1"
    server.replies = [refuse(401, "Unauthorized", "Unauthorized")]
    with pytest.raises(Refused, match="401 Unauthorized; log in to the cluster again"):
        Cluster.connect(text, None).read_version()
    assert (tmp_path / "runs").read_text() == "xxx"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.stderr.write('no credentials found'); sys.exit(3)", "failed: exec: process returned 3. no credentials"),
        ("print('{')", "failed"),
    ],
)
def test_a_login_plugin_that_fails_is_named(
    code: str,
    message: str,
    server: Server,
    certificates: Certificates,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    text = make_kubeconfig(server, certificates, **plugin_user(write_plugin(tmp_path, {}, code)))
    with pytest.raises(ClusterError, match=f"the login plugin `.*login` {message}"):
        Cluster.connect(text, None).read_version()
    assert server.requests == []
    assert capfd.readouterr().err == ""


def test_a_login_plugin_that_gives_nothing_does_not_make_us_anonymous(
    server: Server, certificates: Certificates, tmp_path: Path
) -> None:
    text = make_kubeconfig(server, certificates, **plugin_user(write_plugin(tmp_path, {})))
    with pytest.raises(ClusterError, match="gave neither a token nor a certificate"):
        Cluster.connect(text, None).read_version()
    assert server.requests == []


def test_a_login_plugin_that_is_missing_is_named(server: Server, certificates: Certificates) -> None:
    text = make_kubeconfig(server, certificates, **plugin_user("no-such-plugin"))
    with pytest.raises(ClusterError, match="the login plugin `no-such-plugin` is not installed"):
        Cluster.connect(text, None).read_version()


def test_a_foreign_certificate_is_an_error_at_once(server: Server, certificates: Certificates) -> None:
    other = make_certificate("other", key := ec.generate_private_key(ec.SECP256R1()), "other", key)
    config = yaml.safe_load(make_kubeconfig(server, certificates))
    config["clusters"][0]["cluster"]["certificate-authority-data"] = base64.b64encode(other.encode()).decode()
    with pytest.raises(Unreachable, match=r"(?i)certificate verify failed"):
        Cluster.connect(yaml.safe_dump(config), None).read_version()


@pytest.mark.filterwarnings("error")
def test_verification_is_left_out_on_request_only(server: Server, certificates: Certificates) -> None:
    config = yaml.safe_load(make_kubeconfig(server, certificates))
    del config["clusters"][0]["cluster"]["certificate-authority-data"]
    with pytest.raises(Unreachable, match=r"(?i)certificate verify failed"):
        Cluster.connect(yaml.safe_dump(config), None).read_version()
    config["clusters"][0]["cluster"]["insecure-skip-tls-verify"] = True
    Cluster.connect(yaml.safe_dump(config), None).read_version()


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_after_the_pause_it_asks_for(
    status: int, cluster: Cluster, server: Server
) -> None:
    server.replies = [refuse(status, "busy", **{"Retry-After": "0"})] * 3 + [Reply(body={"gitVersion": "v1"})]
    started = time.monotonic()
    assert cluster.read_version() == "v1"
    assert len(server.requests) == 4
    assert time.monotonic() - started < 0.5


def test_a_server_that_stays_busy_is_given_up(cluster: Cluster, server: Server) -> None:
    server.replies = [refuse(503, "busy", "ServiceUnavailable")]
    with pytest.raises(Refused, match="503 ServiceUnavailable; run the command again once"):
        cluster.read_version()
    assert 2 <= len(server.requests) <= 4


def test_a_pause_that_is_too_long_is_not_waited_for(cluster: Cluster, server: Server) -> None:
    server.replies = [refuse(429, "busy", "TooManyRequests", **{"Retry-After": "3600"})]
    started = time.monotonic()
    with pytest.raises(Refused):
        cluster.read_version()
    assert time.monotonic() - started < 1


def test_a_pause_is_cut_short_where_there_is_time_to_ask_again(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "LONGEST_PAUSE", 0.05)
    server.replies = [
        refuse(429, "busy", "TooManyRequests", **{"Retry-After": "3600"}),
        Reply(body={"gitVersion": "v1"}),
    ]
    assert cluster.read_version() == "v1"


def test_a_server_that_comes_back_is_found_again(cluster: Cluster, server: Server, certificates: Certificates) -> None:
    cluster.read_version()
    port = server.port
    server.close()
    back: list[Server] = []

    def come_back() -> None:
        time.sleep(0.3)
        back.append(Server(certificates, port))

    thread = threading.Thread(target=come_back)
    thread.start()
    try:
        cluster.read_version()
    finally:
        thread.join()
        back[0].close()


def test_a_server_that_is_gone_is_named_with_the_way_out(cluster: Cluster, server: Server) -> None:
    server.close()
    with pytest.raises(Unreachable) as caught:
        cluster.read_version()
    text = str(caught.value)
    assert text.startswith(f"cannot read the version of the cluster: no answer from {server.url} (")
    assert "Connection refused" in text
    assert "0x" not in text
    assert "`kubectl version`" in text
    assert TOKEN not in text


def test_a_name_that_nobody_knows_is_told(certificates: Certificates, server: Server) -> None:
    config = yaml.safe_load(make_kubeconfig(server, certificates))
    config["clusters"][0]["cluster"]["server"] = "https://cluster.invalid:6443"
    with pytest.raises(Unreachable, match=r"\((Failed to resolve|.*not known)"):
        Cluster.connect(yaml.safe_dump(config), None).read_version()


def test_what_is_no_api_server_is_told(cluster: Cluster, server: Server) -> None:
    server.replies = [Reply(body=b"<html>login</html>")]
    with pytest.raises(Unreachable, match="no Kubernetes API server"):
        cluster.read_version()


def test_lists_are_read_page_by_page(cluster: Cluster, server: Server) -> None:
    names = [{"metadata": {"name": name}} for name in "abc"]
    server.replies = [
        Reply(body={"items": names[:2], "metadata": {"continue": "next/1"}}),
        Reply(body={"items": names[2:], "metadata": {}}),
    ]
    assert cluster.list_all(POD, "eu", labels="a=b,c=d") == names
    assert server.requests[0].path == "/api/v1/namespaces/eu/pods?limit=500&labelSelector=a%3Db%2Cc%3Dd"
    assert server.requests[1].path.endswith("&continue=next%2F1")


def test_a_list_that_outlived_its_pages_is_read_anew(cluster: Cluster, server: Server) -> None:
    server.replies = [
        Reply(body={"items": [{"metadata": {"name": "old"}}], "metadata": {"continue": "x"}}),
        refuse(410, "too old", "Expired"),
        Reply(body={"items": [{"metadata": {"name": "new"}}], "metadata": {}}),
    ]
    assert cluster.list_all(POD, "eu") == [{"metadata": {"name": "new"}}]
    assert server.requests[-1].path == "/api/v1/namespaces/eu/pods"


def test_of_secrets_only_the_metadata_is_asked_for(cluster: Cluster, server: Server) -> None:
    server.replies = [Reply(body={"items": []})]
    cluster.list_all(SECRET, "eu", metadata_only=True)
    cluster.get(SECRET, "s", "eu", metadata_only=True)
    assert [request.headers["Accept"] for request in server.requests] == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
        "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    ]


def test_what_is_not_there_is_none(cluster: Cluster, server: Server) -> None:
    server.replies = [refuse(404, 'pods "x" not found', "NotFound")]
    assert cluster.get(POD, "x", "eu") is None
    assert cluster.delete(POD, "x", "eu") is False
    assert cluster.serves(STORAGE_CLASS) is False


def test_a_delete_keeps_the_pods_own_grace_period_and_spares_a_successor(cluster: Cluster, server: Server) -> None:
    assert cluster.delete(POD, "x", "eu", uid="uid-1") is True
    assert server.requests[0].body == {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "uid-1"}}
    server.replies = [refuse(409, "the UID in the precondition does not match", "Conflict")]
    assert cluster.delete(POD, "x", "eu", uid="uid-1") is False


def test_a_delete_of_what_was_seen_spares_what_has_changed_since(cluster: Cluster, server: Server) -> None:
    seen = {"metadata": {"name": "x", "uid": "uid-1", "resourceVersion": "7"}}
    assert cluster.delete(POD, "x", "eu", seen=seen) is True
    assert server.requests[0].body["preconditions"] == {"uid": "uid-1", "resourceVersion": "7"}
    server.replies = [refuse(409, "the ResourceVersion in the precondition does not match", "Conflict")]
    assert cluster.delete(POD, "x", "eu", seen=seen) is False


def test_a_dry_run_is_one(cluster: Cluster, server: Server) -> None:
    cluster.create(POD, {"metadata": {"name": "x"}}, "eu", dry_run=True)
    assert (
        server.requests[0].path
        == "/api/v1/namespaces/eu/pods?fieldManager=pulumi-codecanvas&fieldValidation=Strict&dryRun=All"
    )


def test_apply_and_patch_say_what_they_are(cluster: Cluster, server: Server) -> None:
    cluster.apply(STORAGE_CLASS, {"metadata": {"name": "gp3"}})
    cluster.patch(NAMESPACE, "eu", {"metadata": {"labels": {"a": "b"}}})
    applied, patched = server.requests
    assert applied.path == "/apis/storage.k8s.io/v1/storageclasses/gp3?fieldManager=pulumi-codecanvas&force=true"
    assert applied.headers["Content-Type"] == "application/apply-patch+yaml"
    assert patched.headers["Content-Type"] == "application/merge-patch+json"


def test_a_missing_right_is_quoted_with_the_way_out(cluster: Cluster, server: Server) -> None:
    server.replies = [refuse(403, 'pods is forbidden: User "ci" cannot list resource "pods" in API group ""')]
    with pytest.raises(Refused) as caught:
        cluster.list_all(POD, "eu")
    assert str(caught.value) == (
        'cannot list pods in namespace eu: 403 Forbidden: pods is forbidden: User "ci" cannot list resource "pods" in'
        ' API group ""; grant this right to the user that the kubeconfig names'
    )


@pytest.mark.parametrize("status", [400, 403, 422])
def test_other_refusals_are_not_quoted_as_they_may_hold_what_was_sent(
    status: int, cluster: Cluster, server: Server
) -> None:
    server.replies = [refuse(status, f"spec.env[0].value: Invalid value: {TOKEN}", "Invalid")]
    with pytest.raises(Refused) as caught:
        cluster.create(POD, {"metadata": {"name": "x"}}, "eu")
    assert str(caught.value) == f"cannot create Pod x in namespace eu: {status} Invalid"
    assert TOKEN in caught.value.message


@pytest.mark.parametrize("name", ["../secrets", "..", ".", "a/b?c#d", "ü%2F"])
def test_no_name_can_leave_its_place_in_the_path(name: str, cluster: Cluster, server: Server) -> None:
    cluster.get(POD, name, name)
    parts = server.requests[0].path.split("/")
    assert parts[:4] == ["", "api", "v1", "namespaces"]
    assert parts[5] == "pods"
    assert len(parts) == 7
    assert not {"..", "."} & set(parts)
    assert "?" not in server.requests[0].path


def test_rights_are_asked_for_subresources_and_single_objects(cluster: Cluster, server: Server) -> None:
    server.replies = [Reply(201, {"status": {"allowed": True}})]
    assert cluster.may("get", "", "namespaces", "eu", "eu")
    assert cluster.account_may("op", "o", "create", "pods", "eu")
    own, others = server.requests
    assert own.path == "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews?".rstrip("?")
    assert own.body["spec"]["resourceAttributes"] == {
        "verb": "get",
        "group": "",
        "resource": "namespaces",
        "namespace": "eu",
        "name": "eu",
    }
    assert others.path == "/apis/authorization.k8s.io/v1/namespaces/eu/localsubjectaccessreviews"
    assert others.body["metadata"] == {"namespace": "eu"}
    assert others.body["spec"]["user"] == "system:serviceaccount:o:op"
    groups = ["system:serviceaccounts", "system:serviceaccounts:o", "system:authenticated"]
    assert others.body["spec"]["groups"] == groups


@pytest.mark.parametrize(
    ("message", "is_right"),
    [
        ('pods is forbidden: User "eve" cannot create resource "pods" in API group "" in the namespace "eu"', True),
        ('namespaces "eu" is forbidden: User "a:b" cannot get resource "namespaces" in API group ""', True),
        (
            (
                "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'freeze' with binding 'b' denied request:"
                " upgrade: you cannot start dev environments until every resource is back"
            ),
            False,
        ),
        (
            (
                'pods "x" is forbidden: ValidatingAdmissionPolicy \'p\' denied request: pods is forbidden: User "eve"'
                ' cannot create resource "pods"'
            ),
            False,
        ),
        ('admission webhook "w" denied the request: User "eve" cannot create resource "pods"', False),
    ],
)
def test_a_missing_right_is_told_from_what_a_policy_says(message: str, *, is_right: bool) -> None:
    assert is_missing_right(message) is is_right


def test_one_internal_error_is_no_failure_and_several_are(
    cluster: Cluster, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster_module, "LONGEST_PAUSE", 0.01)
    stumble = refuse(500, "etcdserver: leader changed", "InternalError")
    server.replies = [stumble, stumble, Reply(200, {"gitVersion": "v1.33.1"})]
    assert cluster.read_version() == "v1.33.1"
    server.replies = [stumble]
    with pytest.raises(Refused, match="500 InternalError"):
        cluster.read_version()
    assert len(server.requests) == 3 + 4


def test_whom_the_kubeconfig_acts_as_is_told_to_the_server(server: Server, certificates: Certificates) -> None:
    acts = {"as": "deployer", "as-groups": ["team", "ops"], "as-uid": "7", "as-user-extra": {"Scope": ["a"]}}
    text = make_kubeconfig(server, certificates, token=TOKEN, **acts)
    Cluster.connect(text, None).read_version()
    [request] = server.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["Impersonate-User"] == "deployer"
    assert request.headers["Impersonate-Uid"] == "7"
    assert request.headers["Impersonate-Extra-Scope"] == "a"
    assert request.header_lines.count(("Impersonate-Group", "team")) == 1
    assert request.header_lines.count(("Impersonate-Group", "ops")) == 1


def test_a_token_file_may_end_in_a_new_line(server: Server, certificates: Certificates, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n", encoding="ascii")
    Cluster.connect(make_kubeconfig(server, certificates, tokenFile=str(path)), None).read_version()
    assert server.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


def test_a_token_that_is_no_header_is_not_shown(server: Server, certificates: Certificates) -> None:
    cluster = Cluster.connect(make_kubeconfig(server, certificates, token=f"{TOKEN}\nx"), None)
    with pytest.raises(Unreachable, match="cannot be sent as an HTTP header") as caught:
        cluster.read_version()
    assert TOKEN not in str(caught.value)


def test_a_socks_proxy_is_dialled(server: Server, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "FIRST_PATIENCE", 0.1)
    config = yaml.safe_load(make_kubeconfig(server, certificates))
    config["clusters"][0]["cluster"]["proxy-url"] = "socks5://127.0.0.1:1"
    with pytest.raises(Unreachable, match="no answer from"):
        Cluster.connect(yaml.safe_dump(config), None).read_version()
    assert server.requests == []


def test_that_the_way_to_a_cluster_is_gone_counts_as_unreachable(server: Server, certificates: Certificates) -> None:
    with pytest.raises(Unreachable, match="the kubeconfig has no context `gone`"):
        Cluster.connect(make_kubeconfig(server, certificates), "gone").read_version()


def test_many_threads_share_the_connections_quietly(
    cluster: Cluster, server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    threads = [threading.Thread(target=cluster.read_version) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert len(server.requests) == 60
    assert "discard" not in capfd.readouterr().err


def test_the_cluster_of_the_environment_is_told_apart_by_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/a")
    first = Cluster.connect(None, None)
    monkeypatch.setenv("KUBECONFIG", "/b")
    assert Cluster.connect(None, None) is not first
    assert "KUBECONFIG" in os.environ
