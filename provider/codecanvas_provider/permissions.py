"""The Kubernetes rights that a platform needs, feature by feature: the one list of them.

The component asks for them before a platform's first object is made and the connection test later; the documentation
shows them, `codecanvas permissions` prints them, and tests grant exactly them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Scope = Literal["platform", "operator", "cluster"]
Feature = Literal[
    "kubeconfig",
    "own namespace",
    "own operator namespace",
    "pod template",
    "Helm release",
    "operator's chart",
    "service accounts",
    "quota",
    "limits",
    "network policy",
    "storage",
    "connection test",
    "key rotation",
    "freeze",
    "freeze by policy",
    "freeze by quota",
    "delete",
]

_ADMISSION = "admissionregistration.k8s.io"
_RBAC = "rbac.authorization.k8s.io"
_BLOCK_KINDS = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")


@dataclass(frozen=True)
class Rule:
    """One right, as a rule of a Role or ClusterRole.

    Attributes:
        resource: plural name of the kind.
        verbs: what is done with it.
        why: what for.
        group: API group; empty for the core.
        scope: in the platform's namespace, the operator's namespace, or the whole cluster.
        optional: without it the feature works all the same, with less to say.
        name: only the object of this name; `{namespace}` stands for the platform's namespace.

    """

    resource: str
    verbs: tuple[str, ...]
    why: str
    group: str = ""
    scope: Scope = "platform"
    optional: bool = False
    name: str = ""


_INSTALL = ("get", "create", "patch", "delete")
# Older API servers are asked for a list before they can be watched.
_MAKE = (*_INSTALL, "list", "watch")
_OWN_NAMESPACE = (Rule("namespaces", _MAKE, "make, change and delete it, and see it go", scope="cluster"),)


def _made(resource: str, group: str = "", scope: Scope = "platform") -> tuple[Rule, ...]:
    return (Rule(resource, _MAKE, "make, change and delete it, and see it go", group, scope),)


_NAMESPACE = Rule(
    "namespaces", ("get",), "see that it is the right cluster and the namespace is active", name="{namespace}"
)
_WORKLOADS = ("deployments", "statefulsets", "daemonsets")

RULES: dict[Feature, tuple[Rule, ...]] = {
    "kubeconfig": (
        Rule(
            "namespaces",
            ("get",),
            "know the cluster again at another address",
            scope="cluster",
            optional=True,
            name="kube-system",
        ),
    ),
    "connection test": (
        _NAMESPACE,
        Rule("pods", ("create",), "try the pod template in a dry run"),
        Rule("resourcequotas", ("list",), "see that the quotas have room"),
        Rule("secrets", ("get", "list"), "find the Helm release, by metadata only", scope="operator"),
        Rule("configmaps", ("get",), "see that what the operator reads is there", scope="operator", optional=True),
        *(Rule(kind, ("list",), "find the operator", "apps", "operator") for kind in _WORKLOADS),
        Rule("pods", ("list",), "say why the operator is not ready", scope="operator"),
        Rule("events", ("list",), "say why the operator is not ready", scope="operator", optional=True),
        Rule(
            "localsubjectaccessreviews",
            ("create",),
            "see what the operator may do in the platform's namespace",
            "authorization.k8s.io",
            optional=True,
        ),
        Rule("storageclasses", ("get",), "see that it exists", "storage.k8s.io", "cluster", optional=True),
        Rule(
            "volumesnapshotclasses",
            ("get",),
            "see that it exists",
            "snapshot.storage.k8s.io",
            "cluster",
            optional=True,
        ),
    ),
    "key rotation": (
        *(Rule(kind, ("patch",), "restart the operator onto a new key", "apps", "operator") for kind in _WORKLOADS),
        Rule("secrets", ("delete",), "take superseded keys out of Helm's history", scope="operator"),
    ),
    "freeze": (
        _NAMESPACE,
        Rule("pods", ("create",), "see in a dry run that the block is in force"),
        Rule("pods", ("list", "delete"), "stop running dev environments"),
        Rule("nodes", ("get",), "say why one does not stop", scope="cluster", optional=True),
    ),
    "freeze by policy": tuple(rule for kind in _BLOCK_KINDS for rule in _made(kind, _ADMISSION, "cluster")),
    "freeze by quota": _made("resourcequotas"),
    "delete": (
        _NAMESPACE,
        Rule("pods", ("create",), "see in a dry run that the block is in force"),
        Rule("pods", ("list", "delete"), "stop running dev environments"),
        Rule("persistentvolumeclaims", ("list", "delete"), "delete the volumes of dev environments"),
        Rule("persistentvolumes", ("get",), "see that their disks are deleted too", scope="cluster", optional=True),
        *(
            Rule(
                kind,
                ("get", "create", "patch", "delete"),
                "block new dev environments while a delete runs",
                _ADMISSION,
                "cluster",
                optional=True,
            )
            for kind in _BLOCK_KINDS
        ),
        Rule(
            "resourcequotas",
            ("get", "create", "patch", "delete"),
            "block new dev environments while a delete runs, where the policy may not be made",
            optional=True,
        ),
    ),
    "own namespace": _OWN_NAMESPACE,
    "own operator namespace": _OWN_NAMESPACE,
    "pod template": (
        *_made("podtemplates"),
        Rule("events", ("watch",), "tell what happens to objects meanwhile", optional=True),
    ),
    "Helm release": (
        Rule("secrets", ("get", "list", "create", "update", "delete"), "keep Helm's records", scope="operator"),
        Rule("namespaces", ("get",), "see the release's namespace", scope="operator", optional=True),
    ),
    "service accounts": _made("serviceaccounts"),
    "quota": _made("resourcequotas"),
    "limits": _made("limitranges"),
    "network policy": _made("networkpolicies", "networking.k8s.io"),
    "storage": (
        *_made("storageclasses", "storage.k8s.io", "cluster"),
        *_made("volumesnapshotclasses", "snapshot.storage.k8s.io", "cluster"),
    ),
}
"""Every right that can be asked for before it is used. `freeze` comes with the one of its two modes."""

CHART_RULES = (
    Rule("secrets", ("patch",), "install what the chart consists of", scope="operator"),
    Rule("serviceaccounts", _INSTALL, "install what the chart consists of", scope="operator"),
    Rule("deployments", _INSTALL, "install what the chart consists of", "apps", "operator"),
    Rule("replicasets", ("list",), "wait until the operator is ready", "apps", "operator"),
    Rule("roles", (*_INSTALL, "bind", "escalate"), "give the operator its rights", _RBAC),
    Rule("rolebindings", _INSTALL, "give the operator its rights", _RBAC),
)
"""What the objects of the operator's chart need. Of another chart it is not known before Helm reads it."""

ALL_RULES: dict[Feature, tuple[Rule, ...]] = {
    feature: CHART_RULES if feature == "operator's chart" else RULES[feature] for feature in get_args(Feature)
}
"""Every right that whoever runs Pulumi needs, by feature, in the order in which a platform needs them."""
