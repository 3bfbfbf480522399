"""A stack's config: what platforms may not share is told beside every other fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulumi_codecanvas.config import read_platforms
from pulumi_codecanvas.errors import InvalidArgumentsError

HERE = Path(__file__).parent
URL = "http://codecanvas.example.com:8098"
FAST = {"driver": "ebs.csi.aws.com", "name": "fast"}


def refused(**platforms: dict[str, Any]) -> list[str]:
    given = {name: {"serverUrl": URL, **arguments} for name, arguments in platforms.items()}
    with pytest.raises(InvalidArgumentsError) as caught:
        read_platforms({"platforms": given}, base_dir=HERE)
    return [str(fault) for fault in caught.value.faults]


def taken(path: str, name: str, *, cluster: bool = True) -> str:
    where = " on the same cluster" if cluster else ""
    return f"platforms.us.{path}: `{name}` is taken by platform `eu`{where}; give each platform its own"


@pytest.mark.parametrize(
    ("eu", "us", "fault"),
    [
        (FAST, FAST, taken("storage.name", "fast")),
        ({**FAST, "name": "codecanvas-us"}, "gke", taken("storage", "codecanvas-us")),
        ("eks", {**FAST, "name": "codecanvas-eu"}, taken("storage.name", "codecanvas-eu")),
    ],
)
def test_two_platforms_that_would_make_the_same_storage_class_are_refused(eu: Any, us: Any, fault: str) -> None:
    assert refused(eu={"storage": eu}, us={"storage": us}) == [fault]


def test_storage_of_its_own_or_on_another_cluster_is_accepted() -> None:
    def read(**us: Any) -> set[str]:
        platforms = {"eu": {"serverUrl": URL, "storage": FAST}, "us": {"serverUrl": URL, **us}}
        return set(read_platforms({"platforms": platforms}, base_dir=HERE))

    assert read(storage="eks") == read(storage=FAST, context="us") == read() == {"eu", "us"}


@pytest.mark.parametrize(
    "broken",
    [{"freeze": "yes"}, {"podSecurity": "none"}, {"podTemplate": "a: ["}, {"serverUrl": None}, {"fre": True}],
    ids=lambda broken: next(iter(broken)),
)
def test_clashes_are_told_beside_other_faults(broken: dict[str, Any]) -> None:
    faults = refused(eu={"namespace": "envs", **broken}, us={"namespace": "envs"})
    assert len(faults) == 3
    assert faults[1:] == [taken("namespace", "envs"), taken("releaseName", "envs/codecanvas-operator")]


def test_what_has_a_wrong_type_decides_no_clash() -> None:
    shared = {"operatorNamespace": "ops", "createOperatorNamespace": False, "releaseName": "cc"}
    assert refused(eu={**shared, "releaseName": True}, us=shared)[1:] == []
    assert refused(eu={**shared, "namespace": ["x"]}, us={**shared, "namespace": "eu"})[1:] == []
    assert refused(eu={"namespace": "a", "context": 1.5}, us={"namespace": "a"})[1:] == []
    assert refused(eu={**shared, "freeze": 1}, us=shared)[1:] == [taken("releaseName", "ops/cc")]


def test_what_can_be_no_name_decides_no_clash() -> None:
    faults = refused(eu={"namespace": "a\x1bb"}, us={"namespace": "a\x1bb"})
    assert [fault.partition(":")[0] for fault in faults] == ["platforms.eu.namespace", "platforms.us.namespace"]


def test_a_snippet_that_cannot_be_read_claims_its_name_only() -> None:
    faults = refused(
        eu={"serverUrl": None, "connectionSnippet": "helm", "platformName": "one"}, us={"platformName": "one"}
    )
    assert faults[1:] == [taken("platformName", "one", cluster=False)]


def test_an_argument_in_both_spellings_is_refused() -> None:
    assert refused(eu={"server_url": "http://elsewhere.example.com"}) == [
        "platforms.eu.serverUrl: is given as `server_url` too; remove one of the two"
    ]
