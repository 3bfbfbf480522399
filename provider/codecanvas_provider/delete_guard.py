"""What a delete asks first: whether dev environments run, and whether the cluster is there at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from codecanvas_provider.namespaces import find_namespace
from codecanvas_provider.worker_pods import count_environments, join_names, list_worker_pods, name_of
from pulumi_codecanvas.errors import ClusterError

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster, Unreachable

DELETE_UNREACHABLE = "PULUMI_K8S_DELETE_UNREACHABLE"
"""The kubernetes plugin's environment variable: `true` gives up objects of a cluster that does not answer."""


def guard_delete(cluster: Cluster, inputs: dict[str, Any]) -> bool:
    """Refuse to delete a platform on which dev environments run.

    Args:
        cluster: the platform's cluster.
        inputs: of `DevEnvironments` or `ConnectionTest`.

    Returns:
        Whether there is a namespace that anything could be deleted from.

    Raises:
        WrongClusterError: the namespace is another one than the platform's.
        ClusterError: dev environments run, and neither is the platform frozen nor force asked for.

    """
    namespace = inputs["namespace"]
    if find_namespace(cluster, namespace, inputs.get("namespaceUid")) is None:
        return False
    if inputs.get("frozen") or inputs.get("forceDelete"):
        return True
    going_on = [pod for pod in list_worker_pods(cluster, namespace) if not pod["metadata"].get("deletionTimestamp")]
    if not going_on:
        return True
    verb = "is" if len(going_on) == 1 else "are"
    raise ClusterError(
        f"{count_environments(len(going_on))} {verb} running on platform {inputs['platformName']} (namespace"
        f" {namespace}): {join_names(name_of(pod) for pod in going_on)}. Nothing was changed",
        "either set `freeze: true` on the platform and run `pulumi up` to stop them first, or set `force_delete: true`"
        " and run `pulumi up` to have the delete stop them; then delete it again",
    )


def gives_up_unreachable() -> bool:
    """Tell whether the user gives up what is in a cluster that does not answer."""
    return os.environ.get(DELETE_UNREACHABLE) == "true"


def given_up(error: Unreachable) -> str:
    """Give the warning about a cluster that is given up.

    Raises:
        ClusterError: it is not; says how to.

    """
    if not gives_up_unreachable():
        # With a refresh: the kubernetes plugin gives up a Helm release there, but refuses to delete it.
        remedy = f"where the cluster is gone for good, run `{DELETE_UNREACHABLE}=true pulumi destroy --refresh`"
        raise ClusterError(error.cause, f"{error.remedy}; {remedy}") from None
    return f"{error.cause}; given up because of {DELETE_UNREACHABLE}"
