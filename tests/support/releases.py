"""A stand-in for an installed Helm release of the operator: the objects that Helm would have made, without Helm.

The shapes follow the stand-in chart: a Secret that a Deployment reads, a ServiceAccount with a Role in the
platform's namespace, and Helm's own Secret for each revision.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import DEPLOYMENT, SECRET, Cluster, Kind
from codecanvas_provider.workloads import RELEASE_NAME, RELEASE_NAMESPACE

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "codecanvas-operator"
SERVICE_ACCOUNT = Kind("ServiceAccount", "v1", "serviceaccounts")
ROLE = Kind("Role", "rbac.authorization.k8s.io/v1", "roles")
ROLE_BINDING = Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings")

Entry = tuple[Kind, dict[str, Any], str]


def install_release(
    cluster: Cluster, namespace: str, target: str, *, key: str = "key-1", revision: int = 1, never_ready: bool = False
) -> None:
    """Install or upgrade the release: the older revision becomes `superseded`."""
    if revision > 1:
        patch = {"metadata": {"labels": {"status": "superseded"}}}
        cluster.patch(SECRET, revision_name(revision - 1), patch, namespace)
    for kind, manifest, place in describe_release(namespace, target, key, revision, never_ready=never_ready):
        cluster.apply(kind, manifest, place)


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def revision_name(revision: int) -> str:
    return f"sh.helm.release.v1.{NAME}.v{revision}"


def describe_release(
    namespace: str, target: str, key: str, revision: int, *, never_ready: bool = False
) -> Iterator[Entry]:
    """Give kind, manifest and namespace of each object, in the order in which Helm makes them."""
    labels = {"owner": "helm", "name": NAME, "status": "deployed", "version": str(revision)}
    yield (
        SECRET,
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": revision_name(revision), "labels": labels},
            "type": "helm.sh/release.v1",
            "data": {"release": encode(f"values with {key}")},
        },
        namespace,
    )
    metadata = {
        "name": NAME,
        "labels": {"helm.sh/chart": "codecanvas-operator-2025.1.0"},
        "annotations": {RELEASE_NAME: NAME, RELEASE_NAMESPACE: namespace},
    }
    rbac = "rbac.authorization.k8s.io"
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "delete", "list"]}]
    subject = {"kind": "ServiceAccount", "name": NAME, "namespace": namespace}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"key": encode(key)}}
    yield SECRET, secret, namespace
    yield SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}, namespace
    yield ROLE, {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": metadata, "rules": rules}, target
    binding: dict[str, Any] = {"apiVersion": f"{rbac}/v1", "kind": "RoleBinding", "metadata": metadata}
    binding["roleRef"] = {"apiGroup": rbac, "kind": "Role", "name": NAME}
    binding["subjects"] = [subject]
    yield ROLE_BINDING, binding, target
    yield DEPLOYMENT, describe_deployment(metadata, never_ready=never_ready), namespace


def describe_deployment(metadata: dict[str, Any], *, never_ready: bool) -> dict[str, Any]:
    labels = {"app": NAME}
    restricted = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata,
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {
                    "labels": labels,
                    "annotations": {"local-cluster/never-ready": "true"} if never_ready else {},
                },
                "spec": {
                    "serviceAccountName": NAME,
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "operator",
                            "image": "registry.example.com/operator:1",
                            "securityContext": restricted,
                            "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": NAME, "key": "key"}}}],
                        }
                    ],
                },
            },
        },
    }
