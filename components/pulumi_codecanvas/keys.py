"""Key pairs of a connection: EC P-256, private half as PKCS #8 PEM, public half as SubjectPublicKeyInfo PEM.

Nothing here ever puts a part of a private key into a fault or an error.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

from pulumi_codecanvas.errors import Fault, InvalidArgumentsError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

MAX_CHARACTERS = 16 * 1024
"""The longest text that is searched for a key of about 300: the time that it takes grows with the square."""

_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_PRIVATE_LABELS: Final = frozenset({"PRIVATE KEY", "EC PRIVATE KEY"})
_NEW_KEY: Final = "make one with `openssl ecparam -name prime256v1 -genkey -noout`"
_WHOLE: Final = "give the whole text from -----BEGIN to the end of the -----END line"
_DECRYPT: Final = "decrypt it first with `openssl pkey -in KEY.pem`"
_WRONG_LABELS: Final = {
    "PUBLIC KEY": ("is a public key", "give the private half"),
    "CERTIFICATE": ("is a certificate", "give its private key"),
    "ENCRYPTED PRIVATE KEY": ("is encrypted", _DECRYPT),
    "RSA PRIVATE KEY": ("is an RSA key, not an EC P-256 one", _NEW_KEY),
    "OPENSSH PRIVATE KEY": (
        "is in OpenSSH's own format, not PEM",
        "convert a copy of it with `ssh-keygen -p -m PKCS8 -f KEY`",
    ),
}


def private_key_faults(pem: str) -> list[Fault]:
    """Say what keeps a text from being a usable private key; the faults' paths are empty.

    Accepted is one unencrypted EC P-256 key as PEM, PKCS #8 (`PRIVATE KEY`) or SEC 1 (`EC PRIVATE KEY`),
    with any line ends, indentation and surrounding text.
    """
    found = _read_private_key(pem)
    return [found] if isinstance(found, Fault) else []


def generate_private_key() -> str:
    """Make a new private key, as PKCS #8 PEM."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return _private_pem(ec.generate_private_key(ec.SECP256R1()))


def normalize_private_key(pem: str) -> str:
    """Write a private key as PKCS #8 PEM, the same for every spelling of one key.

    Raises:
        InvalidArgumentsError: `private_key_faults` has something to say.

    """
    return _private_pem(_load_private_key(pem))


def public_key_pem(pem: str) -> str:
    """Give the public half of a private key, as SubjectPublicKeyInfo PEM.

    Raises:
        InvalidArgumentsError: `private_key_faults` has something to say.

    """
    from cryptography.hazmat.primitives import serialization

    public = _load_private_key(pem).public_key()
    encoded = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode("ascii")


def fingerprint(public_pem: str) -> str:
    """Give `SHA256:` and the hex digest of a public key's DER encoding.

    The same digits come from `openssl pkey -pubin -in PUBLIC.pem -outform DER | sha256sum`.

    Raises:
        ValueError: the text is no public key.

    """
    from cryptography.hazmat.primitives import serialization

    public = serialization.load_pem_public_key(public_pem.encode())
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"SHA256:{hashlib.sha256(der).hexdigest()}"


def _load_private_key(pem: str) -> EllipticCurvePrivateKey:
    found = _read_private_key(pem)
    if isinstance(found, Fault):
        raise InvalidArgumentsError([found])
    return found


def _private_pem(key: EllipticCurvePrivateKey) -> str:
    from cryptography.hazmat.primitives import serialization

    encoded = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return encoded.decode("ascii")


def _read_private_key(pem: str) -> EllipticCurvePrivateKey | Fault:
    block = _private_block(pem)
    return block if isinstance(block, Fault) else _parse_private_block(block)


def _private_block(pem: str) -> str | Fault:
    """Find the one block that holds the private key; a block of curve parameters may stand before it."""
    if len(pem) > MAX_CHARACTERS:
        return Fault("", f"is longer than {MAX_CHARACTERS // 1024} KiB", "give one key as PEM, and nothing else")
    text = "\n".join(line.strip() for line in pem.strip().splitlines())
    blocks = [(match[1], match[0]) for match in _BLOCK.finditer(text)]
    private = [block for label, block in blocks if label in _PRIVATE_LABELS]
    if not text or not blocks or "\\n" in text:
        return _no_block_fault(text)
    if not private:
        label = blocks[-1][0]
        other = (f"is a PEM block of type {label}, not a private key", _NEW_KEY)
        return Fault("", *_WRONG_LABELS.get(label, other))
    if len(private) > 1:
        return Fault("", "holds several private keys", "give one")
    if "ENCRYPTED" in private[0]:
        return Fault("", "is encrypted", _DECRYPT)
    return private[0] + "\n"


def _no_block_fault(text: str) -> Fault:
    if not text:
        return Fault("", "is empty", f"leave it out to have a key generated, or {_NEW_KEY}")
    if "-----BEGIN" not in text:
        return Fault("", "is not PEM", _WHOLE)
    if "\\n" in text:
        return Fault("", "holds `\\n` as two characters", "give it with real line breaks")
    return Fault("", "is PEM that breaks off", _WHOLE)


def _parse_private_block(block: str) -> EllipticCurvePrivateKey | Fault:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    try:
        key = serialization.load_pem_private_key(block.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The parser's own words could quote the key.
        return Fault("", "is PEM that holds no readable private key", f"check that it is whole, or {_NEW_KEY}")
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        kind = type(key).__name__.removesuffix("PrivateKey").lstrip("_")
        return Fault("", f"is of type {kind}, not an EC P-256 key", _NEW_KEY)
    if not isinstance(key.curve, ec.SECP256R1):
        return Fault("", f"is on the curve {key.curve.name}, not P-256 (secp256r1)", _NEW_KEY)
    return key
