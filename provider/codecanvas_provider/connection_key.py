"""`ConnectionKey`: the key pair by which an operator and CodeCanvas know each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from codecanvas_provider.resource import UNKNOWN, CustomResource, Diff
from pulumi_codecanvas import keys
from pulumi_codecanvas.checks import type_name
from pulumi_codecanvas.errors import CodeCanvasError, Fault

if TYPE_CHECKING:
    from codecanvas_provider.resource import Context

_PRIVATE = "privateKey"
_VERSION = "tokenVersion"


class ConnectionKey(CustomResource):
    """An EC P-256 key pair, generated on creation unless `privateKey` gives one.

    A changed `tokenVersion` or `privateKey` replaces it; with a key of the user's own, only the latter makes
    another key. The ID is the public key's fingerprint. It lives in the state alone: reading gives it back as
    it is, deleting it touches nothing.
    """

    token: ClassVar[str] = "codecanvas:index:ConnectionKey"  # noqa: S105 - a type token
    input_names: ClassVar[frozenset[str]] = frozenset({_PRIVATE, _VERSION})
    output_names: ClassVar[frozenset[str]] = frozenset({_PRIVATE, "publicKey", "fingerprint", _VERSION})
    secret_inputs: ClassVar[frozenset[str]] = frozenset({_PRIVATE})
    secret_outputs: ClassVar[frozenset[str]] = frozenset({_PRIVATE})

    def check(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
        """Check both inputs; a given key is rewritten as PKCS #8, so that its spelling is no change."""
        version, version_faults = _check_version(inputs.get(_VERSION))
        private, private_faults = _check_private_key(inputs.get(_PRIVATE))
        checked = {_VERSION: version} if private is None else {_VERSION: version, _PRIVATE: private}
        return checked, version_faults + private_faults

    def diff(self, old_inputs: dict[str, Any], old_outputs: dict[str, Any], new_inputs: dict[str, Any]) -> Diff:
        """Replace on any change, except that giving the key which was generated only records it."""
        changed = [name for name in (_PRIVATE, _VERSION) if _differs(old_inputs.get(name), new_inputs.get(name))]
        if changed == [_PRIVATE] and new_inputs.get(_PRIVATE) == old_outputs.get(_PRIVATE):
            return Diff(updates=(_PRIVATE,))
        return Diff(replaces=tuple(changed))

    async def create(self, context: Context, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Take the given key or generate one; never generate in a preview."""
        private = inputs.get(_PRIVATE)
        if context.preview and not isinstance(private, str):
            return "", {_VERSION: inputs[_VERSION]}
        private = keys.normalize_private_key(private) if private else keys.generate_private_key()
        public = keys.public_key_pem(private)
        fingerprint = keys.fingerprint(public)
        outputs = {
            _PRIVATE: private,
            "publicKey": public,
            "fingerprint": fingerprint,
            _VERSION: inputs[_VERSION],
        }
        return fingerprint, outputs

    async def read(
        self,
        context: Context,  # noqa: ARG002 - part of the interface
        id: str,  # noqa: A002 - Pulumi's word
        inputs: dict[str, Any],
        outputs: dict[str, Any],
    ) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        """Give the state back.

        Raises:
            CodeCanvasError: there is no state, which is what an import asks for.
        """
        if not outputs:
            raise CodeCanvasError(
                "a ConnectionKey cannot be imported, it exists in Pulumi's state alone; "
                "to use a key of your own, give it as privateKey"
            )
        return id, inputs, outputs

    async def update(
        self,
        context: Context,  # noqa: ARG002 - part of the interface
        id: str,  # noqa: A002, ARG002 - Pulumi's word, part of the interface
        old_outputs: dict[str, Any],
        inputs: dict[str, Any],  # noqa: ARG002 - part of the interface
    ) -> dict[str, Any]:
        """Keep the key: an update only ever records as given what was generated."""
        return old_outputs

    async def delete(self, context: Context, id: str, outputs: dict[str, Any]) -> None:  # noqa: A002 - Pulumi's word
        """Do nothing: the key goes with the state."""


def _check_version(value: object) -> tuple[object, list[Fault]]:
    if value is None:
        return "1", []
    if value is UNKNOWN or (isinstance(value, str) and value):
        return value, []
    cause = "is empty" if value == "" else f"is {type_name(value)}, not a text"
    return value, [Fault(_VERSION, cause, 'give a text such as "2"')]


def _check_private_key(value: object) -> tuple[object, list[Fault]]:
    if value is None or value is UNKNOWN:
        return value, []
    if not isinstance(value, str):
        return None, [Fault(_PRIVATE, f"is {type_name(value)}, not a text", "give an EC P-256 key as PEM")]
    if faults := keys.private_key_faults(value):
        return None, [fault.within(_PRIVATE) for fault in faults]
    return keys.normalize_private_key(value), []


def _differs(old: object, new: object) -> bool:
    return new is UNKNOWN or old != new
