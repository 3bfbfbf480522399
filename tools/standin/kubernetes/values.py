"""Property values of the stand-in: which are secret, and what a null means. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecanvas_provider import wire

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from google.protobuf import struct_pb2  # type: ignore[import-untyped] # protobuf ships no types


def without_nulls(value: Any) -> Any:
    """Leave out keys without a value: a program that gives None asks for nothing."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def secret_paths(values: Mapping[str, Any], origin: Collection[wire.Path]) -> frozenset[wire.Path]:
    """Say which of these values are secret, given where secrets were in what they come from.

    A secret in a list makes the whole list secret: items may have moved. The data of a Secret is always secret.
    """
    paths = {_up_to_list(path) for path in origin}
    if values.get("kind") == "Secret":
        paths |= {("data",), ("stringData",)}
    return frozenset(paths)


def encode(values: Mapping[str, Any], origin: Collection[wire.Path]) -> struct_pb2.Struct:
    """Write values for the engine with the secrets of their origin."""
    return wire.encode(values, secret_paths(values, origin))


def _up_to_list(path: wire.Path) -> wire.Path:
    for index, part in enumerate(path):
        if isinstance(part, int):
            return path[:index]
    return path
