"""Namespaces of one test each, and the rights of somebody who has no others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from codecanvas_provider.cluster import NAMESPACE, Cluster, Kind
from tests.support.names import unique
from tests.support.releases import ROLE, ROLE_BINDING, SERVICE_ACCOUNT
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from codecanvas_provider.permissions import Rule
    from tools.cluster import LocalCluster

CLUSTER_ROLE = Kind("ClusterRole", "rbac.authorization.k8s.io/v1", "clusterroles", namespaced=False)
CLUSTER_ROLE_BINDING = Kind(
    "ClusterRoleBinding", "rbac.authorization.k8s.io/v1", "clusterrolebindings", namespaced=False
)


def make_namespace(cluster: Cluster, stem: str = "eu", labels: Mapping[str, str] | None = None) -> str:
    """Make a namespace in which pods can be started; give its name."""
    name = unique(stem)
    metadata = {"name": name, "labels": dict(labels or {})}
    cluster.apply(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    # Without it, every pod is refused.
    wait_for(lambda: cluster.get(SERVICE_ACCOUNT, "default", name), f"a service account in {name}")
    return name


def uid_of(cluster: Cluster, namespace: str) -> str:
    found = cluster.get(NAMESPACE, namespace)
    assert found is not None
    return str(found["metadata"]["uid"])


@contextmanager
def granted(
    local: LocalCluster, admin: Cluster, rules: Iterable[Rule], *, platform: str, operator: str
) -> Iterator[Path]:
    """Give a kubeconfig whose user has exactly these rights."""
    name = unique("granted")
    home = make_namespace(admin, "rights")
    admin.apply(SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, home)
    subject = {"kind": "ServiceAccount", "name": name, "namespace": home}
    for scope, namespace in (("platform", platform), ("operator", operator), ("cluster", None)):
        role = ROLE if namespace else CLUSTER_ROLE
        binding = ROLE_BINDING if namespace else CLUSTER_ROLE_BINDING
        metadata = {"name": f"{name}-{scope}"}
        granting = [_as_rule(rule, platform) for rule in rules if rule.scope == scope]
        admin.apply(
            role,
            {"apiVersion": role.api_version, "kind": role.name, "metadata": metadata, "rules": granting},
            namespace,
        )
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": role.name, "name": f"{name}-{scope}"}
        bound = {"apiVersion": role.api_version, "kind": binding.name, "metadata": metadata, "roleRef": reference}
        admin.apply(binding, {**bound, "subjects": [subject]}, namespace)
    yield local.service_account_kubeconfig(home, name)
    admin.delete(CLUSTER_ROLE_BINDING, f"{name}-cluster")
    admin.delete(CLUSTER_ROLE, f"{name}-cluster")


def _as_rule(rule: Rule, platform: str) -> dict[str, object]:
    names = {"resourceNames": [rule.name.format(namespace=platform)]} if rule.name else {}
    return {"apiGroups": [rule.group], "resources": [rule.resource], "verbs": list(rule.verbs), **names}
