"""The package's schema, made from the code: `make schema` writes it to `schema.json`, which the plugin serves.

Types, defaults and descriptions come from the component's annotations and docstrings and from the tables of the
resources and functions; the package's facts from the distribution.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import itertools
import json
from importlib.metadata import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from codecanvas_provider.connection_checks import Status
from codecanvas_provider.platform_status import FIELDS, RESULTS
from pulumi_codecanvas import args, platform
from pulumi_codecanvas.args import (
    ARGUMENTS,
    SECRET_ARGUMENTS,
    ComputingPlatformArgs,
    PlatformArgs,
    spell_arguments,
    to_camel,
)
from pulumi_codecanvas.freeze import FREEZE_MODES
from pulumi_codecanvas.hardening import POD_SECURITY_LEVELS
from pulumi_codecanvas.platform import SECRET_OUTPUTS, ComputingPlatform
from pulumi_codecanvas.tokens import COMPUTING_PLATFORM, GET_PLATFORM_STATUS
from pulumi_codecanvas.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType

    from codecanvas_provider.inputs import Field, Fields
    from codecanvas_provider.resource import CustomResource

Json = dict[str, Any]

PATH: Final = Path(__file__).with_name("schema.json")
DISTRIBUTION: Final = "pulumi-codecanvas"
PYTHON_SDK: Final = "pulumi_codecanvas_sdk"
"""Import name of the generated Python SDK; `pulumi_codecanvas` is the component itself."""

_ANY: Final = {"$ref": "pulumi.json#/Any"}
_SIMPLE: Final = {"str": "string", "bool": "boolean", "int": "integer", "dict": "object"}
_ENUMS: Final = {
    "FreezeMode": ("How a freeze blocks new dev environments.", FREEZE_MODES),
    "PodSecurity": ("A Pod Security level.", POD_SECURITY_LEVELS),
    "CheckStatus": ("How a connection check ended.", get_args(Status)),
}
_ENUM_OF: Final = {"freezeMode": "FreezeMode", "podSecurity": "PodSecurity", "status": "CheckStatus"}
"""Properties that are enums, wherever they occur."""
_ITEMS_OF: Final = {"connection": "ConnectionCheck"}
"""Lists of the component whose items have a type of the schema."""


def build_schema(resources: Iterable[CustomResource]) -> Json:
    """Make the whole schema."""
    facts = metadata(DISTRIBUTION)
    custom = {resource.token: _resource(resource) for resource in resources}
    return {
        "name": "codecanvas",
        "version": VERSION,
        "displayName": "CodeCanvas",
        "description": f"{facts['Summary']}.",
        "license": facts["License-Expression"],
        "keywords": facts["Keywords"].split(","),
        "language": _languages(),
        "provider": {"description": "The provider of the package; it takes no configuration."},
        "types": _types(),
        "resources": {COMPUTING_PLATFORM: _component(), **custom},
        "functions": {GET_PLATFORM_STATUS: _function()},
    }


def write_schema() -> None:
    """Write the schema to its file."""
    from codecanvas_provider.__main__ import custom_resources

    PATH.write_text(render(build_schema(custom_resources())), encoding="utf-8")


def render(schema: Json) -> str:
    """Write a schema as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def _languages() -> Json:
    # SDKs are generated, see the README: none is in a registry, so no name may belong to somebody. The host of the Go
    # path is one that nobody can have.
    return {
        "nodejs": {"packageName": DISTRIBUTION, "respectSchemaVersion": True},
        "python": {"packageName": PYTHON_SDK, "respectSchemaVersion": True, "pyproject": {"enabled": True}},
        "go": {
            "importBasePath": "example.com/pulumi-codecanvas/sdk/go/codecanvas",
            "rootPackageName": "codecanvas",
            "respectSchemaVersion": True,
            "generateResourceContainerTypes": True,
        },
        "csharp": {"namespaces": {"codecanvas": "CodeCanvas"}, "respectSchemaVersion": True},
        "java": {"packages": {"codecanvas": "codecanvas"}, "buildFiles": "gradle"},
    }


def _types() -> Json:
    enums = {
        _token(name): {
            "description": about,
            "type": "string",
            "enum": [{"value": value, "name": value.capitalize()} for value in values],
        }
        for name, (about, values) in _ENUMS.items()
    }
    check = {
        "description": "One check of a connection.",
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "The check's name."},
            "status": {**_ref("CheckStatus"), "description": "How it ended."},
            "message": {"type": "string", "description": "What was seen and, where it failed, what to do."},
        },
        "required": ["name", "status", "message"],
    }
    return {**enums, _token("ConnectionCheck"): check}


def _component() -> Json:
    outputs = {to_camel(name): hint for name, hint in ComputingPlatform.__annotations__.items()}
    return {
        "isComponent": True,
        "description": _markdown(inspect.getdoc(ComputingPlatform) or ""),
        "inputProperties": {to_camel(name): _argument(name, hint) for name, hint in ARGUMENTS.items()},
        "properties": {to_camel(name): _output(name, hint) for name, hint in ComputingPlatform.__annotations__.items()},
        "required": sorted(name for name, hint in outputs.items() if "None" not in hint),
    }


def _argument(name: str, hint: str) -> Json:
    property_ = _annotated(to_camel(name), ast.parse(hint, mode="eval").body, plain=True)
    property_["description"] = _docs(args, ComputingPlatformArgs)[name]
    default = _DEFAULTS.get(name)
    if default is not None:
        property_["default"] = default
    if name in SECRET_ARGUMENTS:
        property_["secret"] = True
    return property_


_DEFAULTS: Final = {
    field.name: field.default for field in dataclasses.fields(PlatformArgs) if isinstance(field.default, (str, int))
}
"""Defaults that hold in every case; those that a connection snippet decides are told in the descriptions."""


def _output(name: str, hint: str) -> Json:
    inner = hint.removeprefix("pulumi.Output[").removesuffix("]").removesuffix(" | None")
    property_ = _annotated(to_camel(name), ast.parse(inner, mode="eval").body, plain=False)
    property_["description"] = _docs(platform, ComputingPlatform)[name]
    if name in SECRET_OUTPUTS:
        property_["secret"] = True
    return property_


def _annotated(name: str, hint: ast.expr, *, plain: bool) -> Json:
    """Give the type of an annotation; what decides the structure is `plain`: no output can be given for it."""
    generic = hint.value.id if isinstance(hint, ast.Subscript) and isinstance(hint.value, ast.Name) else ""
    inside = _inside(hint) if isinstance(hint, ast.Subscript) else []
    if generic == "Input":
        return _annotated(name, inside[0], plain=False)
    mark = {"plain": True} if plain else {}
    if generic in {"Sequence", "list"}:
        items = _ref(_ITEMS_OF[name]) if name in _ITEMS_OF else _annotated("", inside[0], plain=plain)
        return {"type": "array", "items": items, **mark}
    if generic in {"Mapping", "dict"}:
        return {"type": "object", "additionalProperties": _annotated("", inside[1], plain=plain), **mark}
    simple = hint.id if isinstance(hint, ast.Name) else ""
    if simple == "Any":
        return {**_ANY, **mark}
    if name in _ENUM_OF:
        return {**_ref(_ENUM_OF[name]), **mark}
    return {"type": _SIMPLE[simple], **mark}


def _inside(hint: ast.Subscript) -> list[ast.expr]:
    return hint.slice.elts if isinstance(hint.slice, ast.Tuple) else [hint.slice]


def _resource(resource: CustomResource) -> Json:
    return {
        "description": _markdown(inspect.getdoc(type(resource)) or ""),
        "inputProperties": _properties(resource.inputs),
        "requiredInputs": _required(resource.inputs),
        "properties": _properties(resource.outputs, inputs=False),
        "required": _required(resource.outputs),
    }


def _function() -> Json:
    return {
        "description": "How a platform is, as its cluster shows it. Gives nothing secret.",
        "inputs": {"properties": _properties(FIELDS), "required": _required(FIELDS)},
        "outputs": {"properties": _properties(RESULTS, inputs=False), "required": _required(RESULTS)},
    }


def _properties(fields: Fields, *, inputs: bool = True) -> Json:
    return {name: _property(name, field, inputs=inputs) for name, field in fields.items()}


def _property(name: str, field: Field, *, inputs: bool) -> Json:
    found: Json = {**_field_type(name, field), "description": field.about}
    if inputs and isinstance(field.default, (str, int)):
        found["default"] = field.default
    if field.secret:
        found["secret"] = True
    if inputs and field.replaces:
        found["replaceOnChanges"] = True
    return found


def _field_type(name: str, field: Field) -> Json:
    if field.choices:
        return _ref(_ENUM_OF[name])
    simple = _SIMPLE.get(field.items or "")
    items = _ANY if field.items is None else {"type": simple} if simple else _ref(field.items)
    if field.kind is list:
        return {"type": "array", "items": items}
    if field.kind is dict:
        return {"type": "object", "additionalProperties": items}
    return {"type": _SIMPLE[field.kind.__name__]}


def _required(fields: Fields) -> list[str]:
    return sorted(name for name, field in fields.items() if field.required)


def _docs(module: ModuleType, owner: type) -> dict[str, str]:
    """Give the docstring under each annotated name of a class."""
    (body,) = (
        node.body
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.ClassDef) and node.name == owner.__name__
    )
    found = {}
    for statement, following in itertools.pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            text = following.value if isinstance(following, ast.Expr) else None
            if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
                raise TypeError(f"{owner.__name__}.{statement.target.id} has no docstring")
            found[statement.target.id] = _markdown(inspect.cleandoc(text.value))
    return found


def _markdown(text: str) -> str:
    """Join the lines of each paragraph, and spell arguments as other languages do."""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return spell_arguments("\n\n".join(paragraphs), to_camel)


def _token(name: str) -> str:
    return f"codecanvas:index:{name}"


def _ref(name: str) -> Json:
    return {"$ref": f"#/types/{_token(name)}"}


if __name__ == "__main__":
    write_schema()
