"""Pulumi's property values on the wire, to and from plain Python with the paths of what is secret.

The encoding is that of the resource provider protocol: structs with a signature key stand for secrets, output
values, resource references, assets and archives; certain strings stand for values not yet known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from google.protobuf import struct_pb2  # type: ignore[import-untyped] # protobuf ships no types

from codecanvas_provider.resource import UNKNOWN
from pulumi_codecanvas.errors import CodeCanvasError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Path = tuple[str | int, ...]
"""Keys and indices from the property map down to a value."""

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - the protocol's mark, no password
_OUTPUT_VALUE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_RESOURCE: Final = "5cf8f73096256a8f31e491e813e4eb8e"
_UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        _UNKNOWN_STRING,
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "030794c1-ac77-496b-92df-f27374a8bd58",  # asset
        "e48ece36-62e2-4504-bad9-02848725956a",  # archive
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)


@dataclass(frozen=True)
class Properties:
    """A decoded property map.

    Attributes:
        values: plain Python; what is not known yet is `UNKNOWN`.
        secrets: where secret values were unwrapped.

    """

    values: dict[str, Any]
    secrets: frozenset[Path]


def decode(struct: struct_pb2.Struct) -> Properties:
    """Read a property map.

    Raises:
        CodeCanvasError: it holds an asset or an archive, which no input here takes.

    """
    secrets: set[Path] = set()
    values = {key: _decode(value, (key,), secrets) for key, value in struct.fields.items()}
    return Properties(values, frozenset(secrets))


def encode(values: Mapping[str, Any], secrets: Collection[Path] = ()) -> struct_pb2.Struct:
    """Write a property map, with every value at a path of `secrets` marked secret.

    Raises:
        TypeError: a value is of a type that property values do not have.

    """
    return _struct({key: _encode(value, (key,), secrets) for key, value in values.items()})


def _decode(value: struct_pb2.Value, path: Path, secrets: set[Path]) -> object:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        items = value.list_value.values
        return [_decode(item, (*path, index), secrets) for index, item in enumerate(items)]
    if kind == "struct_value":
        return _decode_struct(value.struct_value.fields, path, secrets)
    return None


def _decode_struct(fields: Mapping[str, struct_pb2.Value], path: Path, secrets: set[Path]) -> object:
    if _SIGNATURE not in fields:
        return {key: _decode(item, (*path, key), secrets) for key, item in fields.items()}
    signature = fields[_SIGNATURE].string_value
    if signature == _RESOURCE:
        # A custom resource is told by its ID, a component by its URN.
        return _decode(fields["id" if "id" in fields else "urn"], path, secrets)
    if signature not in (_SECRET, _OUTPUT_VALUE):
        raise CodeCanvasError(f"{_written(path)}: assets and archives are not accepted here")
    if signature == _SECRET or ("secret" in fields and fields["secret"].bool_value):
        secrets.add(path)
    return _decode(fields["value"], path, secrets) if "value" in fields else UNKNOWN


def _encode(value: object, path: Path, secrets: Collection[Path]) -> struct_pb2.Value:
    if path in secrets and value is not None:
        marked = {_SIGNATURE: struct_pb2.Value(string_value=_SECRET), "value": _encode(value, path, ())}
        return struct_pb2.Value(struct_value=_struct(marked))
    if isinstance(value, dict):
        fields = {str(key): _encode(item, (*path, key), secrets) for key, item in value.items()}
        return struct_pb2.Value(struct_value=_struct(fields))
    if isinstance(value, list | tuple):
        items = [_encode(item, (*path, index), secrets) for index, item in enumerate(value)]
        return struct_pb2.Value(list_value=struct_pb2.ListValue(values=items))
    return _encode_scalar(value, path)


def _encode_scalar(value: object, path: Path) -> struct_pb2.Value:
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=_UNKNOWN_STRING)
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    raise TypeError(f"{_written(path)} is of type {type(value).__name__}, which is no property value")


def _struct(fields: dict[str, struct_pb2.Value]) -> struct_pb2.Struct:
    return struct_pb2.Struct(fields=fields)


def _written(path: Path) -> str:
    """Write a path as users do: `checks[0].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
