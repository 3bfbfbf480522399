"""Pulumi's resource options, given to the component from another language, do what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider.cluster import DEPLOYMENT, NAMESPACE, Cluster
from tests.support.languages import prepare_folder
from tests.support.names import unique
from tests.support.stack import CHART, PROJECT, SERVER_URL, Stack, make_stack, name_in
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

PROGRAM = Path(__file__).with_name("options")
PLATFORM = "codecanvas:index:ComputingPlatform"


@pytest.mark.real("pulumi-language-nodejs")
def test_options_reach_the_platform_and_its_children(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path
) -> None:
    program = prepare_folder(PROGRAM, home)
    name = unique("options")
    # The ambient cluster is none, so that whatever works does so by the explicit provider.
    with make_stack(home, tmp_path / "none", [admin], program=program, stem="options") as stack:
        kubeconfig = stack.seal(shared_cluster.kubeconfig.read_text())
        _set(stack, platform=name, kubeconfig=kubeconfig, serverUrl=SERVER_URL, chart=CHART, team="one")
        _set(stack, protect=True, retain=False, renamed=False)
        try:
            stack.up()
            _has_parent_and_dependency(stack)
            _uses_explicit_provider(stack)
            _is_transformed(admin, name)
            _is_protected(stack)
            _is_renamed_by_alias_and_ignores_what_a_transform_says(stack, name)
            _is_retained(stack, admin, name)
        finally:
            # What is left when a step fails can then be taken down.
            _set(stack, protect=False, retain=False)


def _set(stack: Stack, **settings: Any) -> None:
    stack.config |= {f"{PROJECT}:{name}": value for name, value in settings.items()}


def _has_parent_and_dependency(stack: Stack) -> None:
    platform = _platform(stack)
    assert name_in(platform["parent"]) == "parent"
    assert [name_in(urn) for urn in platform["dependencies"]] == ["first"]
    assert all("tests:index:Group$codecanvas:index:ComputingPlatform$" in child["urn"] for child in _children(stack))


def _uses_explicit_provider(stack: Stack) -> None:
    used = {child["provider"].split("::")[3] for child in _children(stack) if child["type"].startswith("kubernetes:")}
    assert used == {"cluster"}


def _is_transformed(admin: Cluster, name: str) -> None:
    namespace = admin.get(NAMESPACE, name)
    assert namespace is not None
    assert namespace["metadata"]["annotations"]["example.com/transformed"] == "yes"


def _is_protected(stack: Stack) -> None:
    # The key is not: a change of tokenVersion replaces it.
    open_ = {child["type"] for child in _children(stack) if not child.get("protect")}
    assert open_ == {"codecanvas:index:ConnectionKey"}
    assert "protected" in stack.destroy(ok=False).text
    assert PLATFORM in {resource["type"] for resource in stack.state()}


def _is_renamed_by_alias_and_ignores_what_a_transform_says(stack: Stack, name: str) -> None:
    _set(stack, protect=False, renamed=True, team="two", retain=True)
    changes = stack.up().changes
    # The refused destroy took a default provider along.
    changes.pop("default", None)
    assert set(changes.values()) <= {"update"}, changes
    assert changes[f"{name}-namespace"] == "update"
    assert f"{name}-pod-template" not in changes


def _is_retained(stack: Stack, admin: Cluster, name: str) -> None:
    stack.destroy()
    assert not stack.names()
    assert admin.list_all(DEPLOYMENT, name)
    admin.delete(NAMESPACE, name)
    wait_for(lambda: admin.get(NAMESPACE, name) is None, f"namespace {name} to go", 60)


def _platform(stack: Stack) -> dict[str, Any]:
    (found,) = (resource for resource in stack.state() if resource["type"] == PLATFORM)
    return found


def _children(stack: Stack) -> list[dict[str, Any]]:
    urn = _platform(stack)["urn"]
    return [resource for resource in stack.state() if resource.get("parent") == urn]
