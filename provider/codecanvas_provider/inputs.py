"""What inputs and outputs are, and plain checks of the former.

The tables made of `Field` are the one description of our resources and functions: what is checked, what is secret,
and what the package's schema says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from codecanvas_provider.resource import UNKNOWN
from pulumi_codecanvas.checks import type_name, unknown_key_faults
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.freeze import FREEZE_MODES

_WORDS: Final[dict[type, str]] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    dict: "a mapping",
    list: "a list",
}


@dataclass(frozen=True)
class Field:
    """What one input or output is.

    Attributes:
        kind: its type.
        about: what it means, for the schema.
        default: its value where it is not given; None: there is none.
        required: an input that must be given; an output that is always there.
        choices: the only values allowed; empty: any.
        least: the smallest whole number allowed.
        items: what a list or a mapping holds: `str`, a type of the schema, or None for anything.
        secret: it is secret even where the program did not mark it.
        replaces: a change of it needs a new resource.

    """

    kind: type
    about: str
    default: Any = None
    required: bool = False
    choices: tuple[str, ...] = ()
    least: int | None = None
    items: str | None = None
    secret: bool = False
    replaces: bool = False


Fields = Mapping[str, Field]
"""Inputs or outputs by name."""


CLUSTER_FIELDS: Final[dict[str, Field]] = {
    "kubeconfig": Field(
        str, "Kubeconfig of the cluster: the file's content or its path. By default the ambient one.", secret=True
    ),
    "context": Field(str, "Context of the kubeconfig. By default its current one."),
    "namespace": Field(str, "Namespace in which dev environments run.", required=True),
}
"""How a cluster and a namespace in it are given."""

PLATFORM_FIELDS: Final[dict[str, Field]] = {
    **CLUSTER_FIELDS,
    "namespaceUid": Field(
        str, "The namespace's `metadata.uid`; where it is another one, the cluster is the wrong one and is left alone."
    ),
    "ownsNamespace": Field(bool, "Whether the namespace is the platform's own and not an adopted one.", default=True),
    "platformName": Field(str, "The platform's name, for messages.", required=True),
    "frozen": Field(bool, "Whether the platform is frozen.", default=False),
    "freezeReason": Field(str, "Why the platform is frozen."),
    "freezeMode": Field(str, "How a freeze blocks.", default="policy", choices=FREEZE_MODES),
    "forceDelete": Field(bool, "Let a delete stop dev environments that are running.", default=False),
}
"""What the resources of a platform have in common."""


def secret_names(fields: Fields) -> frozenset[str]:
    """Name the fields that are always secret."""
    return frozenset(name for name, field in fields.items() if field.secret)


def check_fields(inputs: Mapping[str, Any], fields: Fields) -> tuple[dict[str, Any], list[Fault]]:
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


def last_wanted(inputs: Mapping[str, Any], outputs: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Give what was last asked for: beside the outputs of an update that failed the engine keeps the inputs of before.

    Args:
        inputs: as the state has them.
        outputs: as the state has them; they repeat the inputs, unless they are those of an import.
        fields: the inputs.

    """
    repeated = all(name in outputs for name, field in fields.items() if field.required)
    source = outputs if repeated else inputs
    return {name: source[name] for name in fields if source.get(name) is not None}


def require_fields(arguments: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
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


def changed_names(old: Mapping[str, Any], new: Mapping[str, Any], fields: Fields) -> tuple[str, ...]:
    """Name the inputs that differ; an unknown value counts as different."""
    return tuple(sorted(name for name in fields if new.get(name) is UNKNOWN or old.get(name) != new.get(name)))


def outstanding_names(
    old_inputs: Mapping[str, Any], old_outputs: Mapping[str, Any], new: Mapping[str, Any], fields: Fields
) -> set[str]:
    """Name the inputs that differ from what was asked for before, or from what an update that failed has reached.

    The outputs tell the latter; the engine forgets in a refresh that an update failed.
    """
    reached = last_wanted(old_inputs, old_outputs, fields)
    return {*changed_names(old_inputs, new, fields), *changed_names(reached, new, fields)}
