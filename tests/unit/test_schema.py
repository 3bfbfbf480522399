"""The package's schema: made from the code, up to date, and in agreement with what the component takes."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from codecanvas_provider import schema
from codecanvas_provider.__main__ import custom_resources
from codecanvas_provider.inputs import Field
from pulumi_codecanvas.args import ARGUMENTS, SECRET_ARGUMENTS, to_camel
from pulumi_codecanvas.platform import OUTPUTS
from pulumi_codecanvas.version import VERSION

PLATFORM = "codecanvas:index:ComputingPlatform"
DECIDED_BY_A_SNIPPET = {"chart", "chartVersion", "chartRepository", "releaseName", "namespace", "operatorNamespace"} | {
    "timeout"
}


@cache
def written() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(schema.PATH.read_text(encoding="utf-8"))
    return found


def component() -> dict[str, Any]:
    found: dict[str, Any] = written()["resources"][PLATFORM]
    return found


def properties() -> list[tuple[str, dict[str, Any]]]:
    """Give every property of the schema with its path."""
    content = written()
    owners = {
        **{token: owner["inputProperties"] for token, owner in content["resources"].items()},
        **{f"{token} out": owner["properties"] for token, owner in content["resources"].items()},
        **{token: owner.get("properties") or {} for token, owner in content["types"].items()},
        **{token: owner["inputs"]["properties"] for token, owner in content["functions"].items()},
        **{f"{token} out": owner["outputs"]["properties"] for token, owner in content["functions"].items()},
    }
    return [(f"{owner}.{name}", found) for owner, inside in owners.items() for name, found in inside.items()]


def test_the_checked_in_schema_is_what_the_code_says() -> None:
    made = schema.render(schema.build_schema(custom_resources()))
    assert schema.PATH.read_text(encoding="utf-8") == made, "run `make schema` and commit provider/.../schema.json"


def test_it_tells_what_the_package_is() -> None:
    content = written()
    assert (content["name"], content["version"], content["displayName"]) == ("codecanvas", VERSION, "CodeCanvas")
    assert content["license"] == "Apache-2.0"
    assert {"kubernetes", "category/infrastructure"} <= set(content["keywords"])


def test_every_argument_and_output_is_in_it_with_a_description() -> None:
    assert list(component()["inputProperties"]) == [to_camel(name) for name in ARGUMENTS]
    assert list(component()["properties"]) == [to_camel(name) for name in OUTPUTS]
    assert [path for path, found in properties() if not found.get("description")] == []


def test_descriptions_spell_arguments_as_the_schema_does() -> None:
    snakes = {name for name in ARGUMENTS if "_" in name}
    texts = {path: found["description"] for path, found in properties()}
    assert {path for path, text in texts.items() if any(f"`{name}`" in text for name in snakes)} == set()


def test_secrets_are_marked_going_in_and_coming_out() -> None:
    inputs = component()["inputProperties"]
    assert {name for name, found in inputs.items() if found.get("secret")} == {to_camel(n) for n in SECRET_ARGUMENTS}
    assert component()["properties"]["token"]["secret"] is True
    key = written()["resources"]["codecanvas:index:ConnectionKey"]
    assert key["inputProperties"]["privateKey"]["secret"] is True
    assert key["properties"]["privateKey"]["secret"] is True


def test_an_argument_that_decides_the_structure_takes_no_output() -> None:
    inputs = component()["inputProperties"]
    plain = {name for name, found in inputs.items() if found.get("plain")}
    assert plain == {to_camel(name) for name, hint in ARGUMENTS.items() if not hint.startswith("Input[")}


def test_nothing_that_is_lost_on_the_way_is_asked_for() -> None:
    # A Construct takes no unions, and typed objects given as outputs arrive empty.
    for name, found in component()["inputProperties"].items():
        assert "oneOf" not in found, name
        assert found.get("type") != "integer" or found["plain"], name
        reference = found.get("$ref", "").rpartition("/")[2]
        assert not reference.startswith("codecanvas:") or written()["types"][reference]["type"] == "string", name


def test_no_default_contradicts_a_connection_snippet() -> None:
    inputs = component()["inputProperties"]
    assert {name for name, found in inputs.items() if "default" in found} & DECIDED_BY_A_SNIPPET == set()
    assert inputs["freeze"]["default"] is False
    assert inputs["freezeMode"]["default"] == "policy"
    assert inputs["stopTimeout"]["default"] == 600


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("FreezeMode", ["policy", "quota"]),
        ("PodSecurity", ["privileged", "baseline", "restricted"]),
        ("CheckStatus", ["Success", "Failed", "Skipped"]),
    ],
)
def test_choices_are_enums(name: str, values: list[str]) -> None:
    token = f"codecanvas:index:{name}"
    assert [item["value"] for item in written()["types"][token]["enum"]] == values
    assert any(found.get("$ref") == f"#/types/{token}" for _, found in properties())


def test_every_type_that_is_referred_to_is_there() -> None:
    references = set(_references(written()))
    assert references - {"pulumi.json#/Any"} == {f"#/types/{token}" for token in written()["types"]}


def test_generated_python_code_cannot_be_taken_for_the_component_itself() -> None:
    assert written()["language"]["python"]["packageName"] != "pulumi_codecanvas"


def test_what_the_engine_calls_for_us_is_no_function_for_programs() -> None:
    assert list(written()["functions"]) == ["codecanvas:index:getPlatformStatus"]


def test_a_field_of_a_kind_without_a_schema_is_found_by_the_generator() -> None:
    with pytest.raises(KeyError):
        schema._field_type("odd", Field(float, "is odd"))


def _references(value: object) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
        return own + [found for item in value.values() for found in _references(item)]
    return [found for item in value for found in _references(item)] if isinstance(value, list) else []
