"""What blocks new dev environments on a frozen platform, as plain manifests.

`policy`: a ValidatingAdmissionPolicy, bound to the platform's namespace, refuses pods with a container
`worker-main`. `quota`: a ResourceQuota of no pods in the namespace, for clusters older than 1.30 or where no
cluster-wide object may be made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.checks import suggest, type_name
from pulumi_codecanvas.errors import Fault
from pulumi_codecanvas.manifests import WORKER_CONTAINER, object_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

FREEZE_MODES = ("policy", "quota")
QUOTA_NAME = "codecanvas-freeze"
REASON_LENGTH = 500

_ADMISSION = "admissionregistration.k8s.io/v1"
_DESCRIPTION = "kubernetes.io/description"


def freeze_name(namespace: str) -> str:
    """Name the policy and its binding, both cluster-wide, after the namespace that they block.

    A namespace has at most 63 characters, so the name always fits into the 253 that are allowed, uncut and
    different for every namespace.
    """
    return f"codecanvas-freeze-{namespace}"


def denial_message(platform_name: str, reason: str | None = None) -> str:
    """Tell whoever starts a dev environment why it is refused: one line of at most about 650 characters.

    The API server refuses a message with line breaks, so runs of white space and control characters in the
    reason become one space each. A longer reason is cut.
    """
    text = f"CodeCanvas computing platform {platform_name} is frozen, no new dev environments are started"
    words = "".join(char if char.isprintable() else " " for char in reason or "").split()
    line = " ".join(words)
    if len(line) > REASON_LENGTH:
        line = line[:REASON_LENGTH].rstrip() + "..."
    return f"{text}: {line}" if line else text


def freeze_policy(
    *,
    namespace: str,
    platform_name: str,
    reason: str | None,
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
) -> list[dict[str, Any]]:
    """Describe the ValidatingAdmissionPolicy and its Binding, in this order.

    Pods without a container `worker-main`, such as the operator's own, and other namespaces are let through.
    User text stands in the message only, never in the expression.
    """
    name = freeze_name(namespace)
    metadata = object_metadata(name, labels=labels, annotations=annotations)
    policy = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": metadata,
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["pods"],
                        "scope": "Namespaced",
                    }
                ],
            },
            "validations": [
                {
                    "expression": f"!object.spec.containers.exists(c, c.name == '{WORKER_CONTAINER}')",
                    "message": denial_message(platform_name, reason),
                    "reason": "Forbidden",
                }
            ],
        },
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    binding = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": metadata,
        "spec": {
            "policyName": name,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        },
    }
    return [policy, binding]


def freeze_quota(
    *,
    namespace: str,
    platform_name: str,
    reason: str | None,
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
) -> dict[str, Any]:
    """Describe the ResourceQuota that lets no new pod into the namespace; running ones are left alone.

    Kubernetes words a quota's refusal itself, so the message stands in its description only.
    """
    described = {**annotations, _DESCRIPTION: denial_message(platform_name, reason)}
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": object_metadata(QUOTA_NAME, labels=labels, annotations=described, namespace=namespace),
        "spec": {"hard": {"pods": "0"}},
    }


def is_freeze_denial(message: str, *, namespace: str) -> bool:
    """Tell whether an API server's refusal of a pod comes from our block of this namespace.

    Args:
        message: the `message` of the Status that the API server answered with.
        namespace: the platform's namespace.

    """
    policy = f"ValidatingAdmissionPolicy '{freeze_name(namespace)}'"
    return policy in message or f"exceeded quota: {QUOTA_NAME}," in message


def freeze_faults(freeze_mode: object, namespace: str, operator_namespace: str) -> list[Fault]:
    """Check the `freezeMode` argument against where the operator lives."""
    if freeze_mode not in FREEZE_MODES:
        is_text = isinstance(freeze_mode, str)
        cause = "is not a freeze mode" if is_text else f"is {type_name(freeze_mode)}"
        remedy = is_text and suggest(str(freeze_mode), FREEZE_MODES)
        return [Fault("freezeMode", cause, remedy or "use `policy` or `quota`")]
    if freeze_mode == "quota" and namespace == operator_namespace:
        return [
            Fault(
                "freezeMode",
                "`quota` blocks every pod in the namespace, so the operator in it could not restart",
                "set `operatorNamespace` to another namespace, or use `policy`",
            )
        ]
    return []
