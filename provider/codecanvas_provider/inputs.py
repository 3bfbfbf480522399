"""Plain checks of inputs, shared by the resources and functions that look into a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from codecanvas_provider.resource import UNKNOWN
from pulumi_codecanvas.checks import type_name, unknown_key_faults
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.freeze import FREEZE_MODES

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORDS: Final[dict[type, str]] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    dict: "a mapping",
    list: "a list",
}


@dataclass(frozen=True)
class Field:
    """What one input must be.

    Attributes:
        kind: its type.
        default: its value where it is not given; None: there is none.
        required: it must be given.
        choices: the only values allowed; empty: any.
        least: the smallest whole number allowed.

    """

    kind: type
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    least: int | None = None


CLUSTER_FIELDS: Final[dict[str, Field]] = {
    "kubeconfig": Field(str),
    "context": Field(str),
    "namespace": Field(str, required=True),
}
"""How a cluster and a namespace in it are given."""

PLATFORM_FIELDS: Final[dict[str, Field]] = {
    **CLUSTER_FIELDS,
    "namespaceUid": Field(str),
    "ownsNamespace": Field(bool, default=True),
    "platformName": Field(str, required=True),
    "frozen": Field(bool, default=False),
    "freezeReason": Field(str),
    "freezeMode": Field(str, default="policy", choices=FREEZE_MODES),
}
"""What the resources of a platform have in common."""


def check_fields(inputs: Mapping[str, Any], fields: Mapping[str, Field]) -> tuple[dict[str, Any], list[Fault]]:
    """Give the inputs with their defaults, without those that are absent or null, and every fault in them."""
    checked: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, field in fields.items():
        value = inputs.get(name)
        if value is None:
            value = field.default
        if value is None:
            faults += [Fault(name, "is missing")] if field.required else []
            continue
        checked[name] = value
        faults += [] if value is UNKNOWN else _value_faults(name, value, field)
    return checked, faults


def require_fields(arguments: Mapping[str, Any], fields: Mapping[str, Field]) -> dict[str, Any]:
    """Give a function's arguments with their defaults.

    Raises:
        InvalidArgumentsError: with every fault in them.

    """
    checked, faults = check_fields(arguments, fields)
    given: dict[Any, Any] = {name: value for name, value in arguments.items() if value is not None}
    faults += unknown_key_faults("", given, sorted(fields))
    if faults:
        raise InvalidArgumentsError(faults)
    return checked


def _value_faults(name: str, value: object, field: Field) -> list[Fault]:
    if not isinstance(value, field.kind) or (field.kind is int and isinstance(value, bool)):
        return [Fault(name, f"is {type_name(value)}", f"give {_WORDS[field.kind]}")]
    if field.required and value == "":
        return [Fault(name, "is empty")]
    if field.choices and value not in field.choices:
        return [Fault(name, "is not known", f"use {' or '.join(f'`{choice}`' for choice in field.choices)}")]
    if field.least is not None and isinstance(value, int) and value < field.least:
        return [Fault(name, f"is {value}", f"give at least {field.least}")]
    return []


def changed_names(old: Mapping[str, Any], new: Mapping[str, Any], fields: Mapping[str, Field]) -> tuple[str, ...]:
    """Name the inputs that differ; an unknown value counts as different."""
    return tuple(sorted(name for name in fields if new.get(name) is UNKNOWN or old.get(name) != new.get(name)))
