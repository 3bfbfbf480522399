"""The examples in every language: the same platform, brought up, frozen and destroyed, leaves the same traces.

What the in-process Python program leaves in the state and in the cluster is the measure for all others.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider.cluster import (
    DEPLOYMENT,
    NAMESPACE,
    POD_TEMPLATE,
    POLICY,
    POLICY_BINDING,
    QUOTA,
    SECRET,
    Cluster,
)
from codecanvas_provider.operator_rollout import SOURCES
from tests.support.languages import IN_PROCESS, OTHERS, prepare_program
from tests.support.stack import CHART, PROJECT, SERVER_URL, Stack, make_stack, name_in
from tests.support.workers import connect, create_worker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

NAMESPACE_NAME = "codecanvas-eu"
PLATFORM = "codecanvas:index:ComputingPlatform"
KEY = "codecanvas:index:ConnectionKey"
_COMPARED = ("type", "inputs", "protect", "retainOnDelete", "aliases", "additionalSecretOutputs", "deletedWith")
# The last one names versions of objects.
_PASSING = {"uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", SOURCES}


@dataclass(frozen=True)
class Life:
    """What one program left behind while its platform was up, and after it was frozen."""

    up: dict[str, Any]
    frozen: dict[str, Any]


@pytest.fixture(scope="module")
def measure(home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster) -> Life:
    """Give the life of the platform that the in-process Python program declares."""
    return live(IN_PROCESS, home, shared_cluster, admin)


@pytest.mark.parametrize(
    "language", [pytest.param(name, marks=pytest.mark.real(*tools)) for name, tools in OTHERS.items()]
)
def test_a_platform_is_the_same_whichever_language_declared_it(
    language: str, measure: Life, home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster
) -> None:
    life = live(language, home, shared_cluster, admin)
    assert find_differences(measure.up, life.up) == []
    assert find_differences(measure.frozen, life.frozen) == []


def live(language: str, home: PulumiHome, cluster: LocalCluster, admin: Cluster) -> Life:
    """Bring the program's platform up, freeze it, destroy it."""
    program = prepare_program(language, home)
    with make_stack(home, cluster.kubeconfig, [admin], program=program, stem=language) as stack:
        stack.config = {
            f"{PROJECT}:serverUrl": SERVER_URL,
            f"{PROJECT}:chart": CHART,
            f"{PROJECT}:freeze": False,
        }
        stack.up()
        up = traces(stack, admin)
        assert stack.up("--expect-no-changes").changes == {}
        stack.config[f"{PROJECT}:freeze"] = True
        stack.up()
        frozen = traces(stack, admin)
        with pytest.raises(Exception, match="maintenance"):
            create_worker(connect(cluster.kubeconfig), NAMESPACE_NAME, "late", volume=False)
        stack.destroy()
        assert admin.get(NAMESPACE, NAMESPACE_NAME) is None
    return Life(up, frozen)


def traces(stack: Stack, admin: Cluster) -> dict[str, Any]:
    """Give state, outputs and cluster objects, without what is another in every run: keys, uids, times."""
    # Shown on demand, so no part of what may not show secrets.
    exported = stack._manage("stack", "export", "--show-secrets", record=False)
    resources = json.loads(exported.stdout)["deployment"]["resources"]
    by_type = {resource["type"]: resource for resource in resources}
    masks = {
        **{
            value: f"<{name}>"
            for name, value in _plain(by_type[KEY]["outputs"]).items()
            if name not in {"namespaces", "tokenVersion"}
        },
        by_type["kubernetes:core/v1:Namespace"]["outputs"]["metadata"]["uid"]: "<uid>",
        stack.name: "<stack>",
    }
    found = {
        "state": {
            name_in(item["urn"]): _resource(item) for item in resources if not item["type"].startswith("pulumi:")
        },
        "platform": by_type[PLATFORM]["outputs"],
        "outputs": json.loads(stack._manage("stack", "output", "--json").stdout),
        "cluster": {kind.name: _objects(admin, kind) for kind in _KINDS},
        "secrets": sorted(item["metadata"]["name"] for item in admin.list_all(SECRET, NAMESPACE_NAME)),
    }
    return {name: _masked(_plain(value), masks) for name, value in found.items()}


_KINDS = (NAMESPACE, POD_TEMPLATE, QUOTA, DEPLOYMENT, POLICY, POLICY_BINDING)


def find_differences(one: Any, other: Any, path: str = "") -> list[str]:
    """List where two values differ, each with its path."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [found for key in keys for found in find_differences(one.get(key), other.get(key), f"{path}.{key}")]
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        pairs = enumerate(zip(one, other, strict=True))
        return [found for index, pair in pairs for found in find_differences(*pair, f"{path}[{index}]")]
    return [] if one == other else [f"{path}: {one!r} and {other!r}"]


def _resource(resource: Mapping[str, Any]) -> dict[str, Any]:
    after = {name_in(urn) for urn in resource.get("dependencies") or []}
    return {
        **{name: resource.get(name) for name in _COMPARED},
        "parent": name_in(resource["parent"]) if resource.get("parent") else None,
        "provider": resource["provider"].split("::")[2:4] if resource["type"] != PLATFORM else None,
        "after": sorted(after),
        "outputs": sorted(resource.get("outputs") or {}),
    }


def _objects(admin: Cluster, kind: Any) -> list[Any]:
    ours = "app.kubernetes.io/part-of=codecanvas"
    found = admin.list_all(kind, NAMESPACE_NAME) if kind.namespaced else admin.list_all(kind, labels=ours)
    return [_lasting({name: value for name, value in item.items() if name != "status"}) for item in found]


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(item) for key, item in value.items() if key not in _PASSING}
    return [_lasting(item) for item in value] if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """Open secrets that were exported in plain text."""
    if isinstance(value, dict):
        return (
            _plain(json.loads(value["plaintext"]))
            if "plaintext" in value
            else {key: _plain(item) for key, item in value.items()}
        )
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _masked(value: Any, masks: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for text, mask in masks.items():
            value = value.replace(text, mask)
        return value
    if isinstance(value, dict):
        return {key: _masked(item, masks) for key, item in value.items()}
    return [_masked(item, masks) for item in value] if isinstance(value, list) else value
