"""The cluster's own certificates, keys and tokens, and the kubeconfigs made of them."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import secrets
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.localcluster.files import write_private

if TYPE_CHECKING:
    from pathlib import Path

# One user a part, so that the audit log tells who asked for what.
USERS = ("local-admin", "system:kube-controller-manager", "system:kube-scheduler", "kwok")
ADMIN = USERS[0]
_DAYS = 3650
_HOSTS = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
_ADDRESSES = ("127.0.0.1", "::1", "10.96.0.1")


@dataclass(frozen=True)
class Credentials:
    """Files of one cluster's credentials, all under one directory of mode 0700."""

    directory: Path

    @property
    def ca(self) -> Path:
        """The certificate authority's certificate."""
        return self.directory / "ca.pem"

    @property
    def certificate(self) -> Path:
        """The certificate that every part serves with, and by which the API server is known to etcd."""
        return self.directory / "server.pem"

    @property
    def key(self) -> Path:
        """The private key of `certificate`."""
        return self.directory / "server.key"

    @property
    def service_account_key(self) -> Path:
        """The private key that signs the tokens of ServiceAccounts."""
        return self.directory / "service-accounts.key"

    @property
    def tokens(self) -> Path:
        """The API server's static tokens, one user a line."""
        return self.directory / "tokens.csv"

    def read_token(self, user: str) -> str:
        """Give the static token of a user of `USERS`."""
        for line in self.tokens.read_text().splitlines():
            token, name, *_ = line.split(",")
            if name == user:
                return token
        raise KeyError(user)


def ensure_credentials(credentials: Credentials) -> None:
    """Make the credentials unless they are there; an interrupted run leaves all of them or none."""
    if credentials.directory.exists():
        return
    draft = Credentials(credentials.directory.with_name(credentials.directory.name + ".new"))
    shutil.rmtree(draft.directory, ignore_errors=True)
    draft.directory.mkdir(parents=True, mode=0o700)
    _write_certificates(draft)
    write_private(draft.service_account_key, _to_pem(ec.generate_private_key(ec.SECP256R1())))
    # The fourth column is the groups; system:masters may do everything.
    lines = [f'{secrets.token_urlsafe(32)},{user},{user},"system:masters"' for user in USERS]
    write_private(draft.tokens, "\n".join(lines) + "\n")
    draft.directory.rename(credentials.directory)


def format_kubeconfig(name: str, server: str, ca: str, token: str, user: str) -> str:
    """Write a kubeconfig that needs no other file.

    Args:
        name: the cluster's and the context's name.
        server: URL of the API server.
        ca: PEM text of the certificate authority.
        token: bearer token.
        user: the user's name in the kubeconfig.
    """
    cluster = {"server": server, "certificate-authority-data": base64.b64encode(ca.encode()).decode()}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
        "current-context": name,
    }
    return yaml.safe_dump(config, sort_keys=False)


def _write_certificates(credentials: Credentials) -> None:
    """Make a certificate authority and one certificate signed by it; the authority's key is not kept."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local cluster CA")])
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "local cluster")])
    ca_identifier = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    ca = (
        _certificate(ca_name, ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(ca=True), critical=True)
        .add_extension(ca_identifier, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    names = [x509.DNSName(host) for host in _HOSTS]
    addresses = [x509.IPAddress(ipaddress.ip_address(address)) for address in _ADDRESSES]
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    server = (
        _certificate(server_name, ca_name, server_key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(ca=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(x509.SubjectAlternativeName([*names, *addresses]), critical=False)
        # Python 3.13 and later refuse a chain without key identifiers.
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(server_key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_identifier), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    write_private(credentials.ca, ca.public_bytes(serialization.Encoding.PEM).decode())
    write_private(credentials.certificate, server.public_bytes(serialization.Encoding.PEM).decode())
    write_private(credentials.key, _to_pem(server_key))


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.timezone.utc)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=_DAYS))
    )


def _key_usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca,
        key_cert_sign=ca,
        crl_sign=ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _to_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        # The API server reads EC keys in either form; controller manager too.
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()
