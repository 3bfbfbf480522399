"""The rights that are asked for before a platform's first object is made."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider.missing_rights import MissingRights, find_missing
from codecanvas_provider.permissions import RULES
from codecanvas_provider.resource import UNKNOWN, Context
from pulumi_codecanvas.args import check_args
from pulumi_codecanvas.children import features_of
from pulumi_codecanvas.errors import ClusterError, InvalidArgumentsError
from tests.support.kubeconfigs import kubeconfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EVERYTHING = {
    "kubeconfig": kubeconfig("https://a.example.com"),
    "server_url": "http://codecanvas.example.com:8098",
    "operator_namespace": "operators",
    "service_accounts": {"cloud": {}},
    "quota": {"pods": 1},
    "limits": {"max": {"cpu": 1}},
    "network_policy": True,
    "storage": "eks",
    "freeze": True,
}
GIVEN = {"namespace": "eu", "operatorNamespace": "operators", "features": ["own namespace", "freeze", "Helm release"]}


class Rights:
    """A cluster that knows who may do what, and nothing else."""

    def __init__(self, allows: Callable[[str, str, str, str | None, str], bool]) -> None:
        self.may = allows


def ask(rights: Any, **given: Any) -> list[str]:
    function = MissingRights(lambda _kubeconfig, _context: rights)
    answer = asyncio.run(function.find_missing_rights(Context(), {**GIVEN, **given}))
    missing: list[str] = answer["missing"]
    return missing


def test_each_missing_right_is_listed_once_with_its_place_and_feature() -> None:
    missing = ask(Rights(lambda verb, *_: verb not in {"delete", "update", "*"}))
    assert missing == [
        "delete pods in namespace eu (freeze)",
        "delete namespaces in the cluster (own namespace)",
        "update secrets in namespace operators (Helm release)",
        "delete secrets in namespace operators (Helm release)",
    ]


def test_nothing_is_missing_where_all_is_allowed_or_nothing_is_known_yet() -> None:
    assert ask(Rights(lambda *_: True)) == []
    assert ask(Rights(lambda *_: False), namespace=UNKNOWN) == []


def test_a_cluster_that_does_not_say_is_left_to_the_kubernetes_plugin() -> None:
    def fail(*_: object) -> bool:
        raise ClusterError("the cluster does not answer")

    assert ask(Rights(fail)) == []


def test_a_context_that_the_kubeconfig_does_not_have_is_told_without_asking_a_cluster() -> None:
    function = MissingRights(lambda *_: pytest.fail("a cluster was asked"))
    given = {**GIVEN, "kubeconfig": kubeconfig("https://a.example.com"), "context": "nosuch"}
    answer = asyncio.run(function.find_missing_rights(Context(), given))
    assert answer == {"missing": [], "fault": "the kubeconfig has no context `nosuch`; it has `x`"}


@pytest.mark.parametrize("more", [{}, {"freeze_mode": "quota"}])
def test_component_asks_for_features_that_the_list_has(more: dict[str, Any], tmp_path: Path) -> None:
    asked = features_of(check_args("eu", {**EVERYTHING, **more}, base_dir=tmp_path))
    assert set(asked) <= set(RULES)
    left = {"freeze by quota", "freeze by policy"}
    assert set(RULES) - set(asked) <= left


def test_no_right_is_asked_for_a_namespace_that_is_not_made(tmp_path: Path) -> None:
    theirs = {"server_url": "http://x:8098", "namespace": "theirs", "create_namespace": False}
    asked = features_of(check_args("eu", {**theirs, "operator_namespace": "theirs"}, base_dir=tmp_path))
    assert not {"own namespace", "own operator namespace"} & set(asked)


def test_administrators_are_asked_one_question() -> None:
    asked: list[tuple[object, ...]] = []

    def note(*right: object) -> bool:
        asked.append(right)
        return True

    assert ask(Rights(note)) == []
    assert asked == [("*", "*", "*")]


def test_optional_rights_are_not_asked_for() -> None:
    asked: set[tuple[str, str]] = set()

    def note(verb: str, _group: str, resource: str, *_: object) -> bool:
        asked.add((verb, resource))
        return verb != "*"

    find_missing(Rights(note), ["freeze"], namespace="eu", operator_namespace="eu")  # type: ignore[arg-type] # a stand-in
    assert ("get", "nodes") not in asked
    assert ("delete", "pods") in asked


def test_without_features_no_cluster_is_asked_and_other_arguments_are_still_checked() -> None:
    assert ask(None, features=[]) == []
    with pytest.raises(InvalidArgumentsError, match="features: is missing"):
        ask(None, features=None)
