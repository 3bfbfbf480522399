"""The stand-ins and the real parts of Pulumi give the same: objects in the cluster, state and outputs."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import re
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider.cluster import (
    NAMESPACE,
    POLICY,
    POLICY_BINDING,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    Cluster,
)
from pulumi_codecanvas.keys import generate_private_key
from tests.support.names import unique
from tests.support.stack import make_stack, name_in
from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

pytestmark = [
    pytest.mark.engine,
    pytest.mark.real("pulumi-language-python", "pulumi-resource-kubernetes"),
    # The first test lives both lives.
    pytest.mark.timeout(1200),
]

# What no two runs have in common, or what is no outcome: who is asked for a token, what the scheduler thinks of it.
_OF_ONE_RUN = frozenset(
    {
        *("uid", "resourceVersion", "creationTimestamp", "time", "modifiedAt", "namespaceUid", "clusterIP"),
        *("lastTransitionTime", "lastUpdateTime", "lastProbeTime", "startTime", "ciphertext"),
        *("first_deployed", "last_deployed", "sourcePosition", "stackTrace", "created", "modified", "provider"),
        *("podIP", "podIPs", "hostIP", "hostIPs", "nodeName"),
    }
)
_FIELD_MANAGER = re.compile(r"\bpulumi-kubernetes-[0-9a-f]{8}\b")
_RESOURCE_VERSION = re.compile(r"@\d+\b")
_UNCOUNTED = frozenset({"Event", "Pod", "Lease", "EndpointSlice", "Endpoints", "ControllerRevision"})


@dataclass
class Life:
    """What was seen of one stack's life: after each `up`, by what it is."""

    objects: list[dict[str, Any]] = field(default_factory=list)
    states: list[dict[str, Any]] = field(default_factory=list)
    outputs: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, str]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def lives(
    tmp_path_factory: pytest.TempPathFactory, shared_cluster: LocalCluster, admin: Cluster
) -> tuple[Life, Life, tuple[str, str]]:
    """Live the same life twice: on the real parts, then on the stand-ins."""
    names, key = (unique("eu"), unique("us")), generate_private_key()
    told = []
    for stand_ins in (False, True):
        home = PulumiHome(tmp_path_factory.mktemp("pulumi"), stand_ins=stand_ins)
        with make_stack(home, shared_cluster.kubeconfig, [admin]) as stack:
            told.append(_live(stack, admin, names, key))
    return told[0], told[1], names


def _live(stack: Stack, admin: Cluster, names: tuple[str, str], key: str) -> Life:
    """Live it; the stack's own name, which is another each time, is put as STACK."""
    life = _run(stack, admin, names, key)
    told = re.sub(rf"\b{stack.name}\b", "STACK", json.dumps(asdict(life)))
    return Life(**json.loads(told))


def _run(stack: Stack, admin: Cluster, names: tuple[str, str], key: str) -> Life:
    eu, us = names
    life = Life()
    stack.set(
        eu,
        privateKey=key,
        podTemplate="tools/charts/worker-pod.yaml",
        serviceAccounts={"dev-environments": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/dev"}},
        quota={"pods": "50"},
        limits={"default": {"cpu": "1"}},
        networkPolicy=True,
        storage="eks",
    )
    stack.set(us, privateKey=key, propagateEnv=["CODECANVAS"])
    life.changes.append(dict(sorted(stack.preview().changes.items())))
    _step(life, stack, admin, names)
    stack.set(eu, freeze=True, freezeReason="maintenance", labels={"team": "platform"})
    stack.set(us, values={"replicaCount": 2}, tokenVersion="2")
    life.changes.append(dict(sorted(stack.preview().changes.items())))
    _step(life, stack, admin, names)
    life.changes.append(stack.refresh().changes)
    assert stack.up("--expect-no-changes").changes == {}
    stack.set(us, namespace=f"{us}-moved", createNamespace=True)
    life.changes.append(dict(sorted(stack.preview().changes.items())))
    stack.set(us, namespace=None, createNamespace=None, chart="no-such-chart")
    life.errors.append(stack.preview(ok=False).errors)
    return life


def _step(life: Life, stack: Stack, admin: Cluster, names: tuple[str, str]) -> None:
    life.changes.append(dict(sorted(stack.up().changes.items())))
    life.objects.append(_list_objects(admin, names))
    of_kubernetes = [resource for resource in stack.state() if resource["type"].startswith("kubernetes:")]
    life.states.append({name_in(resource["urn"]): _comparable(_as_state(resource)) for resource in of_kubernetes})
    life.outputs.append({name: _comparable(stack.outputs(name, secrets=True)) for name in names})


def _list_objects(admin: Cluster, names: tuple[str, str]) -> dict[str, Any]:
    """Give everything that the platforms have in the cluster, by kind and name."""
    found: list[tuple[str, dict[str, Any]]] = []
    for kind in admin.discover():
        if kind.name not in _UNCOUNTED:
            found += [(kind.name, thing) for name in names for thing in admin.list_all(kind, name)]
    for kind in (STORAGE_CLASS, SNAPSHOT_CLASS, POLICY, POLICY_BINDING):
        found += [(kind.name, thing) for thing in admin.list_all(kind, labels="app.kubernetes.io/part-of=codecanvas")]
    found += [(NAMESPACE.name, thing) for name in names if (thing := admin.get(NAMESPACE, name))]
    return {
        f"{kind} {thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}": _comparable(_unpacked(thing))
        for kind, thing in found
        if not _follows_from_a_deployment(kind, thing)
    }


def _follows_from_a_deployment(kind: str, thing: dict[str, Any]) -> bool:
    """Take a Deployment's state, which changes all the time, out of it; its ReplicaSets do not count at all."""
    if kind == "Deployment":
        thing.pop("status", None)
    return kind == "ReplicaSet"


def _unpacked(thing: dict[str, Any]) -> dict[str, Any]:
    """Show what Helm packs into its Secrets."""
    if thing.get("type") != "helm.sh/release.v1":
        return thing
    # Helm signs these with the name of its HTTP client, which in the real plugin is the plugin's.
    thing["metadata"].pop("managedFields", None)
    packed = base64.b64decode(base64.b64decode(thing["data"]["release"]))
    return {**thing, "data": json.loads(gzip.decompress(packed))}


def _as_state(resource: dict[str, Any]) -> dict[str, Any]:
    known = copy.deepcopy({key: value for key, value in resource.items() if key != "urn"})
    # In the order in which the engine came to know them.
    known["dependencies"] = sorted(name_in(urn) for urn in known.get("dependencies") or [])
    known.pop("propertyDependencies", None)
    known.pop("parent", None)
    known.pop("deletedWith", None)
    return known


def _comparable(value: Any) -> Any:
    """Leave out what no two runs have in common."""
    if isinstance(value, dict):
        # What a controller has made of the object by now is a matter of time.
        return {key: _comparable(item) for key, item in value.items() if key not in _OF_ONE_RUN and item != []}
    if isinstance(value, list):
        items = [_comparable(item) for item in value if not _is_a_controllers(item)]
        return sorted(items, key=_writer) if items and all(map(_writer, items)) else items
    if isinstance(value, str):
        return _comparable_text(value)
    return value


def _is_a_controllers(item: Any) -> bool:
    """Tell whether an entry says which fields a controller has written, which is a matter of time."""
    return isinstance(item, dict) and str(item.get("manager")).endswith("controller-manager")


def _writer(item: Any) -> tuple[str, ...]:
    """Tell of an entry of `managedFields` whose it is: the API server sorts them by the second of their writing."""
    if not isinstance(item, dict) or "manager" not in item:
        return ()
    return tuple(str(item.get(key, "")) for key in ("manager", "operation", "subresource"))


def _comparable_text(text: str) -> str:
    text = _RESOURCE_VERSION.sub("@N", _FIELD_MANAGER.sub("pulumi-kubernetes-N", text))
    # Helm signs with the name of the program that it is part of.
    return text.replace("pulumi-resource-kubernetes", "helm")


def _differences(real: Any, other: Any, path: str = "") -> list[str]:
    """Name every place where two values differ."""
    if isinstance(real, dict) and isinstance(other, dict):
        keys = sorted({*real, *other})
        return [text for key in keys for text in _differences(real.get(key), other.get(key), f"{path}.{key}")]
    if isinstance(real, list) and isinstance(other, list) and len(real) == len(other):
        pairs = enumerate(zip(real, other, strict=True))
        return [text for index, pair in pairs for text in _differences(*pair, f"{path}[{index}]")]
    return [] if real == other else [f"{path}: real {real!r:.300}, stand-in {other!r:.300}"]


def _require_same(real: Any, other: Any) -> None:
    found = _differences(real, other)
    if found:
        pytest.fail("\n".join(found), pytrace=False)


def test_both_make_the_same_objects(lives: tuple[Life, Life, tuple[str, str]]) -> None:
    real, stand_in, names = lives
    assert any(name.startswith(f"Deployment {names[0]}/") for name in real.objects[0])
    _require_same(real.objects, stand_in.objects)


def test_both_record_the_same_state(lives: tuple[Life, Life, tuple[str, str]]) -> None:
    real, stand_in, names = lives
    assert f"{names[0]}-release" in real.states[0]
    _require_same(real.states, stand_in.states)


def test_both_give_the_same_outputs(lives: tuple[Life, Life, tuple[str, str]]) -> None:
    real, stand_in, names = lives
    assert real.outputs[-1][names[0]]["frozen"] is True
    _require_same(real.outputs, stand_in.outputs)


def test_both_plan_the_same_changes(lives: tuple[Life, Life, tuple[str, str]]) -> None:
    real, stand_in, names = lives
    assert real.changes[-1][f"{names[1]}-namespace"] == "delete-replaced"
    _require_same(real.changes, stand_in.changes)


def test_both_refuse_a_chart_that_is_not_there(lives: tuple[Life, Life, tuple[str, str]]) -> None:
    real, stand_in, _ = lives
    assert "no-such-chart" in real.errors[0]
    assert real.errors == stand_in.errors
