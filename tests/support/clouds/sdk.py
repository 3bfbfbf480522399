"""What the installed SDK of a cloud knows about a resource: names, types and which inputs are required.

Runs in the examples' virtualenv. The SDKs are generated from the same schemas as the real plugins, so an input
that their types do not know is one that the real plugin would refuse.
"""

from __future__ import annotations

import enum
import importlib
import importlib.resources
import inspect
import json
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from pulumi import _types as pulumi_types
from pulumi.runtime import rpc

from codecanvas_provider.resource import UNKNOWN


class NotInSdkError(Exception):
    """The SDK has no such resource or function."""


def input_faults(token: str, inputs: Mapping[str, Any]) -> list[str]:
    """Check the inputs of a resource: unknown names, wrong types, missing required ones.

    Args:
        token: the resource's type, such as `aws:ec2/vpc:Vpc`.
        inputs: as the engine gives them, in camelCase.
    """
    resource = _resource_class(token)
    arguments = getattr(inspect.getmodule(resource), f"{resource.__name__}Args")
    return _object_faults(arguments, inputs, "")


def output_names(token: str) -> set[str]:
    """Name every output of a resource."""
    return set(pulumi_types.resource_types(_resource_class(token))) - {"id", "urn"}


def output_faults(token: str, outputs: Mapping[str, Any]) -> list[str]:
    """Name outputs that the SDK's class of the resource does not have."""
    known = pulumi_types.resource_types(_resource_class(token))
    return [f"{name}: {token} has no such output" for name in outputs if name not in known]


def result_faults(token: str, result: Mapping[str, Any]) -> list[str]:
    """Name results that the SDK's type of a function's result does not have, and those that are missing."""
    known = pulumi_types.output_type_types(_result_class(token))
    return [f"{name}: {token} gives no such result" for name in result if name not in known]


def version(package: str) -> str:
    """Give the version of the plugin that the SDK asks for."""
    facts = importlib.resources.files(f"pulumi_{package}") / "pulumi-plugin.json"
    return str(json.loads(facts.read_text(encoding="utf-8"))["version"])


def _resource_class(token: str) -> type:
    package, module, _ = token.split(":")
    importlib.import_module(f"pulumi_{package}")
    for candidates in rpc._RESOURCE_MODULES.values():  # no public way leads there
        for candidate in candidates:
            info: Mapping[str, Any] = getattr(candidate, "mod_info", {})
            if token in info.get("classes", {}):
                return typing.cast("type", getattr(importlib.import_module(info["fqn"]), info["classes"][token]))
    raise NotInSdkError(f"the SDK of {package} has no resource {token} in {module}")


def _result_class(token: str) -> type:
    """Find the class that a function's module defines for its result: `GetZonesResult` for `.../getZones:getZones`."""
    package, module, name = token.split(":")
    folder, _, stem = module.rpartition("/")
    path = [f"pulumi_{package}", *([folder.lower()] if folder not in ("", "index") else []), _snake(stem)]
    wanted = f"{name[0].upper()}{name[1:]}Result"
    found = getattr(importlib.import_module(".".join(path)), wanted, None)
    if found is None:
        raise NotInSdkError(f"the SDK of {package} has no function {token}")
    return typing.cast("type", found)


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


def _object_faults(arguments: type, inputs: Mapping[str, Any], path: str) -> list[str]:
    hints = pulumi_types.input_type_types(arguments)
    names = pulumi_types.input_type_py_to_pulumi_names(arguments)
    parameters = inspect.signature(arguments).parameters.values()
    required = {names[parameter.name] for parameter in parameters if parameter.default is inspect.Parameter.empty}
    faults = [f"{path}{name}: there is no such input" for name in inputs if name not in hints]
    faults += [f"{path}{name}: is missing" for name in sorted(required) if inputs.get(name) is None]
    for name, value in inputs.items():
        if name in hints and value is not None:
            faults += _value_faults(hints[name], value, f"{path}{name}")
    return faults


def _value_faults(hint: Any, value: Any, path: str) -> list[str]:
    """Check a value against a type of the SDK; what the type leaves open passes."""
    hint = pulumi_types.unwrap_type(hint)
    origin = typing.get_origin(hint)
    if value is UNKNOWN or hint is Any or origin in (typing.Union, types.UnionType):
        return []
    if isinstance(hint, type) and pulumi_types.is_input_type(hint):
        return _object_faults(hint, value, f"{path}.") if isinstance(value, dict) else [f"{path}: must be an object"]
    if origin is not None and issubclass(origin, Mapping):
        return _mapping_faults(typing.get_args(hint)[1], value, path)
    if origin is not None and issubclass(origin, Sequence):
        return _sequence_faults(typing.get_args(hint)[0], value, path)
    return _scalar_faults(hint, value, path)


def _mapping_faults(hint: Any, value: Any, path: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{path}: must be a mapping"]
    return [fault for key, item in value.items() for fault in _value_faults(hint, item, f"{path}.{key}")]


def _sequence_faults(hint: Any, value: Any, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: must be a list"]
    return [fault for number, item in enumerate(value) for fault in _value_faults(hint, item, f"{path}[{number}]")]


def _scalar_faults(hint: Any, value: Any, path: str) -> list[str]:
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        known = [member.value for member in hint]
        return [] if value in known else [f"{path}: must be one of {', '.join(map(str, known))}"]
    right = {
        str: isinstance(value, str),
        bool: isinstance(value, bool),
        int: isinstance(value, (int, float)) and not isinstance(value, bool) and float(value).is_integer(),
        float: isinstance(value, (int, float)) and not isinstance(value, bool),
    }
    return [] if right.get(hint, True) else [f"{path}: must be {hint.__name__}, not {type(value).__name__}"]
