"""What an operation left in the cluster: whether everything is ready, and the objects in a form to be compared."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import (
    DEPLOYMENT,
    NAMESPACE,
    POD,
    POD_TEMPLATE,
    POLICY,
    POLICY_BINDING,
    SECRET,
    Cluster,
    Kind,
    Refused,
)
from tests.bench.fleet import RELEASE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bench.fleet import Platform

_RBAC = "rbac.authorization.k8s.io/v1"
_KINDS = (
    POD_TEMPLATE,
    DEPLOYMENT,
    SECRET,
    Kind("ServiceAccount", "v1", "serviceaccounts"),
    Kind("Role", _RBAC, "roles"),
    Kind("RoleBinding", _RBAC, "rolebindings"),
)
_OWN = ("app.kubernetes.io/part-of", "codecanvas")

# Each peer restarts the operator onto a new key by annotations of its own.
_MARKS = (
    "bench/",
    "pulumi-codecanvas/",
    "kubectl.kubernetes.io/",
    "deployment.kubernetes.io/",
    "pulumi.com/",
)


PROBE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "probe"},
    "spec": {"containers": [{"name": "worker-main", "image": "registry.example.com/probe:1"}]},
}
"""The smallest worker pod; a frozen platform refuses it."""


def read_objects(cluster: Cluster) -> dict[str, Any]:
    """Give every object that a peer can have made, by place, kind and name, without what may differ.

    Keys are made anew in each run, Helm's own records hold them, and what an object has been given by the
    cluster is not a peer's.
    """
    namespaces = {
        item["metadata"]["name"]
        for item in cluster.list_all(NAMESPACE)
        if item["metadata"]["name"].startswith("bench-")
    }
    found = [(NAMESPACE, item) for item in cluster.list_all(NAMESPACE) if item["metadata"]["name"] in namespaces]
    for kind in _KINDS:
        found += [(kind, item) for item in cluster.list_all(kind) if item["metadata"]["namespace"] in namespaces]
    for kind in (POLICY, POLICY_BINDING):
        labelled = cluster.list_all(kind, labels="=".join(_OWN))
        found += [(kind, item) for item in labelled]
    kept = ((kind, item) for kind, item in found if not _is_the_clusters(item))
    return {
        f"{item['metadata'].get('namespace', '')}/{kind.name}/{item['metadata']['name']}": _comparable(item)
        for kind, item in kept
    }


def digest_of(objects: dict[str, Any]) -> str:
    """Give a short text that is the same for the same objects."""
    return hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()[:16]


def explain_difference(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Name the first objects that differ; empty where none does."""
    names = sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))
    lines = [f"{name}: {json.dumps(one.get(name))} != {json.dumps(other.get(name))}" for name in names[:3]]
    return "\n".join([f"{len(names)} objects differ", *lines]) if names else ""


def find_unready(cluster: Cluster, platforms: Iterable[Platform]) -> list[str]:
    """Name what is not as ready as a command that has ended should have left it."""
    deployments = {
        item["metadata"]["namespace"]: item
        for item in cluster.list_all(DEPLOYMENT)
        if item["metadata"]["name"] == RELEASE
    }
    problems = []
    for platform in platforms:
        deployment = deployments.get(platform.name)
        if deployment is None or not _is_ready(deployment):
            problems.append(f"{platform.name}: the operator is not ready")
    return problems


def find_open(cluster: Cluster, platforms: Iterable[Platform]) -> list[str]:
    """Name the frozen platforms that do not refuse new dev environments."""
    frozen = [platform.name for platform in platforms if platform.frozen]
    return [f"{name}: new dev environments are not refused" for name in frozen if not _is_blocked(cluster, name)]


def find_left(cluster: Cluster) -> list[str]:
    """Name what a destroy has left."""
    return sorted(read_objects(cluster))


def _is_ready(deployment: dict[str, Any]) -> bool:
    spec, status, metadata = deployment["spec"], deployment.get("status") or {}, deployment["metadata"]
    replicas = spec.get("replicas", 1)
    # As Helm's own wait: pods of an older revision may still be on their way out.
    counts = [status.get(name, 0) >= replicas for name in ("updatedReplicas", "availableReplicas")]
    current: bool = status.get("observedGeneration", 0) >= metadata["generation"]
    return current and all(counts)


def _is_blocked(cluster: Cluster, namespace: str) -> bool:
    try:
        cluster.create(POD, PROBE, namespace, dry_run=True)
    except Refused as error:
        return "is frozen" in error.message
    return False


def _is_the_clusters(item: dict[str, Any]) -> bool:
    name = str(item["metadata"]["name"])
    return name == "default" or name.startswith(("sh.helm.release.", "kube-root-ca"))


def _comparable(item: dict[str, Any]) -> dict[str, Any]:
    metadata = item["metadata"]
    body: dict[str, Any] = {
        "labels": metadata.get("labels") or {},
        "annotations": _without_marks(metadata.get("annotations") or {}),
    }
    body |= {name: item[name] for name in ("spec", "template", "rules", "subjects", "roleRef", "type") if name in item}
    if "data" in item:
        body["data"] = sorted(item["data"])
    text = json.loads(json.dumps(body))
    _clean(text)
    return dict(text)


def _clean(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _clean(item)
    elif isinstance(node, dict):
        if isinstance(node.get("annotations"), dict):
            node["annotations"] = _without_marks(node["annotations"])
        for name in ("annotations", "labels"):
            if not node.get(name):
                node.pop(name, None)
        for name in ("creationTimestamp", "resourceVersion", "uid", "managedFields", "finalizers"):
            node.pop(name, None)
        for value in node.values():
            _clean(value)


def _without_marks(annotations: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in annotations.items() if not name.startswith(_MARKS)}
