from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_codecanvas.chart_values import (
    DEFAULT_CHART,
    DEFAULT_CHART_VERSION,
    Connection,
    InstanceType,
    application_values,
    derive_instance_id,
    operator_values,
    owned_key_faults,
)
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.helm_values import merge_values


class Secret:
    """Stands for a secret output: whoever writes it out or looks into it fails."""

    def __str__(self) -> str:
        raise AssertionError("a secret was written out")

    __repr__ = __str__


def operator(values: dict[str, Any]) -> dict[str, Any]:
    return operator_values(
        server_url="http://app:8098", private_key="PEM", instance_id="id", target_namespace="dev", values=values
    )


SECRET = {"operatorServerUrl": "http://app:8098", "jwtPrivateKey": "PEM", "instanceId": "id"}


def test_operator_values_have_the_public_keys() -> None:
    assert operator({}) == {"operator": {"secret": SECRET, "targetNamespace": "dev"}}


def test_values_of_the_user_are_merged_under_ours() -> None:
    values = {"operator": {"secret": {"extra": "x"}, "resources": {"limits": {"cpu": 1}}}, "image": {"tag": "1"}}
    before = repr(values)
    assert operator(values) == {
        "operator": {
            "secret": {**SECRET, "extra": "x"},
            "targetNamespace": "dev",
            "resources": {"limits": {"cpu": 1}},
        },
        "image": {"tag": "1"},
    }
    assert repr(values) == before


def test_secret_leaves_are_handed_on_untouched() -> None:
    key, extra = Secret(), Secret()
    made = operator_values(
        server_url=Secret(),
        private_key=key,
        instance_id=Secret(),
        target_namespace=Secret(),
        values={"operator": {"extra": extra}, "list": [extra]},
    )
    assert made["operator"]["secret"]["jwtPrivateKey"] is key
    assert made["operator"]["extra"] is extra


ALL_OWNED = (
    "values.operator: is set by this package; use `serverUrl`, `privateKey`, `instanceId` and `namespace` instead"
)


@pytest.mark.parametrize(
    ("values", "faults"),
    [
        (
            {"operator": {"secret": {"jwtPrivateKey": Secret()}}},
            ["values.operator.secret.jwtPrivateKey: is set by this package; use `privateKey` instead"],
        ),
        (
            {"operator": {"secret": {"operatorServerUrl": "x", "instanceId": None}, "targetNamespace": "y"}},
            [
                "values.operator.secret.operatorServerUrl: is set by this package; use `serverUrl` instead",
                "values.operator.secret.instanceId: is set by this package; use `instanceId` instead",
                "values.operator.targetNamespace: is set by this package; use `namespace` instead",
            ],
        ),
        (
            {"operator": {"secret": Secret()}},
            ["values.operator.secret: is set by this package; use `serverUrl`, `privateKey` and `instanceId` instead"],
        ),
        (
            {"operator": None},
            [ALL_OWNED],
        ),
        (
            {"operator.secret.jwtPrivateKey": "topsecret"},
            ['values["operator.secret.jwtPrivateKey"]: is set by this package; use `privateKey` instead'],
        ),
        (["operator"], ["values: is a list, not a map; write `key: value` pairs"]),
    ],
)
def test_overriding_a_key_of_ours_names_it_and_the_argument(values: Any, faults: list[str]) -> None:
    assert [str(fault) for fault in owned_key_faults(values)] == faults
    with pytest.raises(InvalidArgumentsError):
        operator(values)


@pytest.mark.parametrize("values", [{}, {"operator": {}}, {"operator": {"secret": {}}}, {"secret": "x"}, {1: 2}])
def test_other_values_are_free(values: object) -> None:
    assert owned_key_faults(values) == []


VALUES = st.recursive(
    st.integers() | st.none() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)
MAPS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def leaves(values: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    if not isinstance(values, dict):
        return {path: values}
    return {key: leaf for name, item in values.items() for key, leaf in leaves(item, (*path, name)).items()}


@given(MAPS, MAPS)
def test_merge_keeps_every_leaf_on_top_and_those_below_that_do_not_clash(
    base: dict[str, Any], over: dict[str, Any]
) -> None:
    merged = leaves(merge_values(base, over))
    top = leaves(over)
    assert top.items() <= merged.items()
    assert merged.items() <= {**leaves(base), **top}.items()


@given(MAPS)
def test_merging_nothing_changes_nothing(values: dict[str, Any]) -> None:
    assert merge_values(values, {}) == values
    assert merge_values({}, values) == values
    assert merge_values(values, values) == values


def test_application_values_preload_the_platform() -> None:
    key = Secret()
    size = InstanceType("large", cpu_cores=8, memory_mib=16384, volume_mib=65536)
    made = application_values(Connection("eu", "id", "dev", key, size))
    preload = made["application"]["config"]["codecanvas"]["execution"]["k8s"]["operator"]["preloadConfiguration"]
    assert preload.pop("jwtPublicKey") is key
    assert preload == {
        "name": "eu",
        "instanceId": "id",
        "namespace": "dev",
        "instanceType": {"name": "large", "cpuCores": 8, "memoryMiB": 16384, "volumeMiB": 65536},
    }


def test_instance_id_never_changes() -> None:
    assert derive_instance_id("eu") == "0223d53f-5ffa-563c-aa77-74de5a53fde8"


@given(st.text(), st.text())
def test_instance_id_is_a_uuid_of_its_own_for_every_name(one: str, other: str) -> None:
    assert str(uuid.UUID(derive_instance_id(one))) == derive_instance_id(one)
    assert (derive_instance_id(one) == derive_instance_id(other)) == (one == other)


def test_default_chart_is_an_exact_version_in_a_registry() -> None:
    assert DEFAULT_CHART.startswith("oci://")
    assert [part.isdecimal() for part in DEFAULT_CHART_VERSION.split(".")] == [True, True, True]
