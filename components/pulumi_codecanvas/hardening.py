"""The namespace and what hardens it, as plain manifests: quota, limits, network policy, service accounts.

Everything is off unless asked for, one argument each. Leaves of labels and annotations may be opaque objects,
such as Pulumi outputs: they are passed on as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.checks import (
    annotation_faults,
    as_text,
    dns_subdomain_faults,
    is_qualified_name,
    join_path,
    key_fault,
    quantity_faults,
    suggest,
    type_name,
    unknown_key_faults,
)
from pulumi_codecanvas.errors import Fault
from pulumi_codecanvas.manifests import PLATFORM_LABEL, object_metadata

if TYPE_CHECKING:
    from collections.abc import Callable

POD_SECURITY_LEVELS = ("privileged", "baseline", "restricted")
LIMIT_KINDS = ("default", "defaultRequest", "max", "min", "maxLimitRequestRatio")

# Link-local addresses on which clouds hand a node's credentials to whoever asks.
METADATA_ADDRESS_IPV4 = "169.254.169.254/32"
METADATA_ADDRESS_IPV6 = "fd00:ec2::254/128"

# What the API server takes without a prefix such as `nvidia.com/`; huge pages come in any size beside these.
_QUOTA_RESOURCES = (
    *("cpu", "memory", "ephemeral-storage"),
    *("requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage"),
    *("limits.cpu", "limits.memory", "limits.ephemeral-storage"),
    *("pods", "services", "services.loadbalancers", "services.nodeports", "replicationcontrollers", "resourcequotas"),
    *("secrets", "configmaps", "persistentvolumeclaims"),
)
_QUOTA_PAGES = ("hugepages-", "requests.hugepages-")
_LIMIT_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_LIMIT_PAGES = ("hugepages-",)
_PSA = "pod-security.kubernetes.io"


def namespace_object(
    name: object, *, pod_security: str, labels: Mapping[str, Any], annotations: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe the namespace of a platform.

    Pod security admission enforces `pod_security`; it audits and warns at `baseline`, so that what a
    privileged worker does beyond it stays visible.
    """
    levels = {f"{_PSA}/enforce": pod_security, f"{_PSA}/audit": "baseline", f"{_PSA}/warn": "baseline"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": object_metadata(name, labels={**labels, **levels}, annotations=annotations),
    }


def plain_namespace(name: object, *, labels: Mapping[str, Any], annotations: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a namespace without pod security levels: that of an operator which lives apart."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": object_metadata(name, labels=labels, annotations=annotations),
    }


def owned_labels(platform_name: str, labels: Mapping[str, Any]) -> dict[str, Any]:
    """Give the labels of everything that a platform owns: Kubernetes' recommended ones over the user's."""
    return {
        **labels,
        PLATFORM_LABEL: platform_name,
        "app.kubernetes.io/managed-by": "pulumi",
        "app.kubernetes.io/part-of": "codecanvas",
    }


def service_account(
    name: str, *, namespace: object, labels: Mapping[str, Any], annotations: Mapping[str, Any]
) -> dict[str, Any]:
    """Describe a service account; its annotations carry the cloud rights (IRSA, Workload Identity)."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": object_metadata(name, labels=labels, annotations=annotations, namespace=namespace),
    }


def resource_quota(
    name: str,
    *,
    namespace: object,
    quota: Mapping[str, Any],
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a ResourceQuota; `quota` maps a resource such as `requests.cpu` to a quantity."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": object_metadata(name, labels=labels, annotations=annotations, namespace=namespace),
        "spec": {"hard": {key: as_text(value) for key, value in quota.items()}},
    }


def limit_range(
    name: str,
    *,
    namespace: object,
    limits: Mapping[str, Mapping[str, Any]],
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe a LimitRange for containers; `limits` maps `default`, `max`, ... to quantities by resource."""
    kinds = {kind: {key: as_text(value) for key, value in amounts.items()} for kind, amounts in limits.items()}
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": object_metadata(name, labels=labels, annotations=annotations, namespace=namespace),
        "spec": {"limits": [{"type": "Container", **kinds}]},
    }


def network_policy(
    name: str,
    *,
    namespace: object,
    operator_namespace: object,
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe the network policy of a platform's namespace; it holds for every pod in it.

    Into the pods: connections from the same namespace and from the operator's namespace, nothing else.
    Out of the pods: everywhere (other pods, the CodeCanvas application, the internet, DNS) except the cloud
    metadata address, from which a dev environment could take the node's own cloud rights.

    Policies add up: where something else must reach worker pods (the application's jump server in another
    namespace, say), add a NetworkPolicy that allows it. GKE's Workload Identity answers on the metadata
    address, so with it allow TCP 80 to 169.254.169.254/32 in the same way; IRSA and EKS Pod Identity do not
    need it. The cluster's network plugin must enforce network policies.
    """
    same_namespace: dict[str, Any] = {"podSelector": {}}
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": operator_namespace}}}
    # Some network plugins do not count pods among the addresses of an ipBlock: hence the first entry.
    anywhere: list[dict[str, Any]] = [
        {"namespaceSelector": {}},
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": [METADATA_ADDRESS_IPV4]}},
        {"ipBlock": {"cidr": "::/0", "except": [METADATA_ADDRESS_IPV6]}},
    ]
    # To any address: some clouds answer DNS on the metadata address itself.
    dns = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": object_metadata(name, labels=labels, annotations=annotations, namespace=namespace),
        "spec": {
            "podSelector": {},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [same_namespace, operator]}],
            "egress": [{"to": anywhere}, {"ports": dns}],
        },
    }


def pod_security_faults(path: str, pod_security: object) -> list[Fault]:
    """Check the `podSecurity` argument."""
    if pod_security in POD_SECURITY_LEVELS:
        return []
    cause = "is not a pod security level" if isinstance(pod_security, str) else f"is {type_name(pod_security)}"
    return [Fault(path, cause, f"use one of {', '.join(POD_SECURITY_LEVELS)}")]


def service_account_faults(path: str, service_accounts: object) -> list[Fault]:
    """Check the `serviceAccounts` argument: a map from name to annotations."""
    if not isinstance(service_accounts, Mapping):
        return [_not_a_map(path, service_accounts, "write a map from name to annotations")]
    faults: list[Fault] = []
    for name, notes in service_accounts.items():
        if not isinstance(name, str):
            faults.append(key_fault(path, name))
            continue
        where = join_path(path, name)
        faults += dns_subdomain_faults(where, name)
        if notes is not None:
            faults += annotation_faults(where, notes)
    return faults


def quota_faults(path: str, quota: object) -> list[Fault]:
    """Check the `quota` argument: the `spec.hard` of a ResourceQuota."""
    return _amounts_faults(path, quota, _quota_resource_fault)


def limits_faults(path: str, limits: object) -> list[Fault]:
    """Check the `limits` argument: the container limits of a LimitRange."""
    if not isinstance(limits, Mapping):
        return [_not_a_map(path, limits, f"write a map with any of {', '.join(LIMIT_KINDS)}")]
    faults = unknown_key_faults(path, limits, LIMIT_KINDS)
    for kind in LIMIT_KINDS:
        if kind in limits:
            faults += _amounts_faults(join_path(path, kind), limits[kind], _limit_resource_fault)
    return faults


def _amounts_faults(path: str, amounts: object, name_fault: Callable[[str, str], Fault | None]) -> list[Fault]:
    if not isinstance(amounts, Mapping):
        return [_not_a_map(path, amounts, "write a map from resource to quantity, such as `cpu: 64`")]
    faults: list[Fault] = []
    for key, value in amounts.items():
        if not isinstance(key, str):
            faults.append(key_fault(path, key))
        elif fault := name_fault(join_path(path, key), key):
            faults.append(fault)
        else:
            faults += quantity_faults(join_path(path, key), value)
    return faults


def _quota_resource_fault(path: str, name: str) -> Fault | None:
    """Check a resource of a quota: with a prefix the API server takes any, such as `count/jobs.batch`."""
    if is_qualified_name(name) and ("/" in name or name in _QUOTA_RESOURCES or name.startswith(_QUOTA_PAGES)):
        return None
    others = "write it such as `requests.cpu`, `count/jobs.batch` or `requests.nvidia.com/gpu`"
    return Fault(path, "is no resource that a quota can limit", suggest(name, _QUOTA_RESOURCES) or others)


def _limit_resource_fault(path: str, name: str) -> Fault | None:
    """Check a resource of a container's limits: an extended one has a prefix, but not the `requests.` of quotas."""
    extended = "/" in name and ("kubernetes.io/" in name or not name.startswith("requests."))
    plain = name in _LIMIT_RESOURCES or ("/" not in name and name.startswith(_LIMIT_PAGES))
    if is_qualified_name(name) and (extended or plain):
        return None
    others = "write it such as `memory` or `nvidia.com/gpu`"
    return Fault(path, "is no resource that a container can be limited in", suggest(name, _LIMIT_RESOURCES) or others)


def _not_a_map(path: str, value: object, remedy: str) -> Fault:
    return Fault(path, f"is {type_name(value)}, not a map", remedy)
