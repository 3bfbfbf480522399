from __future__ import annotations

import base64
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tools.localcluster.credentials import USERS, Credentials, ensure_credentials, format_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    made = Credentials(tmp_path / "credentials")
    ensure_credentials(made)
    return made


def contents(credentials: Credentials) -> dict[str, str]:
    return {path.name: path.read_text() for path in credentials.directory.iterdir()}


def test_only_the_owner_may_read_them(credentials: Credentials) -> None:
    assert credentials.directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in credentials.directory.iterdir()} == {0o600}


def test_they_are_made_once(credentials: Credentials) -> None:
    before = contents(credentials)
    ensure_credentials(credentials)
    assert contents(credentials) == before


def test_interrupted_making_starts_over(tmp_path: Path) -> None:
    draft = tmp_path / "credentials.new"
    draft.mkdir()
    (draft / "ca.pem").write_text("half a certifi")
    credentials = Credentials(tmp_path / "credentials")
    ensure_credentials(credentials)
    x509.load_pem_x509_certificate(credentials.ca.read_bytes())
    assert not draft.exists()


def test_two_clusters_share_no_secret(credentials: Credentials, tmp_path: Path) -> None:
    other = Credentials(tmp_path / "other")
    ensure_credentials(other)
    assert set(contents(credentials).values()).isdisjoint(contents(other).values())


def test_every_user_has_an_own_long_token(credentials: Credentials) -> None:
    tokens = {credentials.read_token(user) for user in USERS}
    assert len(tokens) == len(USERS)
    assert min(map(len, tokens)) >= 32
    with pytest.raises(KeyError):
        credentials.read_token("nobody")


def test_service_account_key_is_on_a_curve_that_kubernetes_signs_with(credentials: Credentials) -> None:
    key = serialization.load_pem_private_key(credentials.service_account_key.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"


def test_certificate_authority_keeps_no_key_to_sign_more_with(credentials: Credentials) -> None:
    ca = x509.load_pem_x509_certificate(credentials.ca.read_bytes()).public_key()
    keys = [serialization.load_pem_private_key(path.read_bytes(), None) for path in credentials.directory.glob("*.key")]
    assert ca not in [key.public_key() for key in keys]


def test_strict_client_trusts_the_certificate(credentials: Credentials) -> None:
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(credentials.certificate, credentials.key)
    client = ssl.create_default_context(cafile=str(credentials.ca))
    # What newer Pythons ask for by default.
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("127.0.0.1", "localhost", "kubernetes.default.svc"):
        assert shake_hands(server, client, name)


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    here, there = socket.socketpair()
    here.settimeout(10)
    there.settimeout(10)
    thread = threading.Thread(target=lambda: server.wrap_socket(there, server_side=True).close())
    thread.start()
    with client.wrap_socket(here, server_hostname=name) as connection:
        trusted = connection.getpeercert() is not None
    thread.join(10)
    return trusted


def test_kubeconfig_needs_no_other_file() -> None:
    config = yaml.safe_load(format_kubeconfig("local", "https://127.0.0.1:1", "CA", "token", "admin"))
    assert config["current-context"] == "local"
    assert config["contexts"] == [{"name": "local", "context": {"cluster": "local", "user": "admin"}}]
    assert config["users"] == [{"name": "admin", "user": {"token": "token"}}]
    [cluster] = config["clusters"]
    assert cluster["cluster"]["server"] == "https://127.0.0.1:1"
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"CA"
