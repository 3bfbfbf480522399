"""What a delete asks first: whether dev environments run, and whether the cluster is there at all."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from codecanvas_provider.freeze_block import is_frozen
from codecanvas_provider.namespaces import find_namespace
from codecanvas_provider.worker_pods import count_environments, join_names, list_worker_pods, name_of
from pulumi_codecanvas.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Collection

    from codecanvas_provider.cluster import Cluster, Unreachable

DELETE_UNREACHABLE = "PULUMI_K8S_DELETE_UNREACHABLE"
"""The kubernetes plugin's environment variable: `true` gives up objects of a cluster that does not answer."""

_STOP = "set `freeze: true` on it and run `pulumi up` to stop them first"
_STOP_AGAIN = (
    "run `pulumi up --refresh` with `freeze: true` on it, which puts back the block that its freeze has lost and stops"
    " them"
)
_KEPT = "They were left alone"
_MOVED = (
    ". Those of a platform that has moved already: end them in CodeCanvas, or by `kubectl delete pod` where its"
    " operator is gone, then run the command again"
)


class EnvironmentsRunningError(ClusterError):
    """Dev environments run where something is to be deleted."""


class NamespaceInUseError(ClusterError):
    """A namespace would be deleted while it is in use."""


def guard_move(cluster: Cluster, namespace: str) -> None:
    """Refuse to give up a namespace while dev environments run in it, unless they are frozen.

    Raises:
        EnvironmentsRunningError: dev environments run.

    """
    going_on = _list_going_on(cluster, namespace)
    if not going_on or is_frozen(cluster, namespace):
        return
    raise EnvironmentsRunningError(
        f"the platform is to leave namespace {namespace}, but {_describe(going_on)} there: {_names(going_on)}."
        " Nothing was changed",
        "either set `freeze: true` on the platform as it was and run `pulumi up` to stop them first, or set"
        " `forceDelete: true` and run `pulumi up` to have the move stop them; then move it",
    )


def require_kept(disowned: Collection[str]) -> None:
    """Refuse to disown namespaces that stay in use: as this stack made them, it would delete them.

    Raises:
        NamespaceInUseError: there are such namespaces.

    """
    if disowned:
        raise NamespaceInUseError(
            f"this stack made namespace {join_names(sorted(disowned))} and would delete it with all that is in it,"
            " although the platform goes on using it. Nothing was changed",
            "leave `createNamespace` and `createOperatorNamespace` as they were; to keep a platform's namespace past"
            " this stack, first set `retainVolumes: true` and run `pulumi up`, then set `createNamespace: false`",
        )


def guard_delete(cluster: Cluster, inputs: dict[str, Any], *, comes_first: bool = False) -> bool:
    """Refuse to delete a platform on which dev environments run.

    Args:
        cluster: the platform's cluster.
        inputs: of `DevEnvironments` or `ConnectionTest`.
        comes_first: nothing of the platform was deleted or changed before.

    Returns:
        Whether there is a namespace that anything could be deleted from.

    Raises:
        WrongClusterError: the namespace is another one than the platform's.
        EnvironmentsRunningError: dev environments run, and neither is a freeze in force nor force asked for.

    """
    namespace = inputs["namespace"]
    if find_namespace(cluster, namespace, inputs.get("namespaceUid")) is None:
        return False
    # A freeze counts where it is in force: once its block is gone, people may have gone on working.
    if inputs.get("forceDelete") or (inputs.get("frozen") and is_frozen(cluster, namespace)):
        return True
    going_on = _list_going_on(cluster, namespace)
    if not going_on:
        return True
    stop = _STOP_AGAIN if inputs.get("frozen") else _STOP
    raise EnvironmentsRunningError(
        f"{_describe(going_on)} on platform {inputs['platformName']} (namespace {namespace}): {_names(going_on)}."
        f" {'Nothing of the platform was changed' if comes_first else _KEPT}",
        f"keep it in the program, and either {stop}, or set `forceDelete: true` and run `pulumi up` to have the delete"
        f" stop them; then delete it again{'' if comes_first else _MOVED}",
    )


def _list_going_on(cluster: Cluster, namespace: str) -> list[dict[str, Any]]:
    return [pod for pod in list_worker_pods(cluster, namespace) if not pod["metadata"].get("deletionTimestamp")]


def _describe(going_on: list[dict[str, Any]]) -> str:
    return f"{count_environments(len(going_on))} {'is' if len(going_on) == 1 else 'are'} running"


def _names(going_on: list[dict[str, Any]]) -> str:
    return join_names(name_of(pod) for pod in going_on)


def gives_up_unreachable() -> bool:
    """Tell whether the user gives up what is in a cluster that does not answer."""
    return os.environ.get(DELETE_UNREACHABLE) == "true"


def given_up(error: Unreachable) -> str:
    """Give the warning about a cluster that is given up.

    Raises:
        ClusterError: it is not; says how to.

    """
    if not gives_up_unreachable():
        # With a refresh: the kubernetes plugin gives up a Helm release in that, but refuses to delete it.
        remedy = (
            f"where the cluster is gone for good, run `{DELETE_UNREACHABLE}=true pulumi up --refresh` with its"
            " platforms taken out of the program; for the whole stack, `destroy` instead of `up`"
        )
        raise ClusterError(error.cause, f"{error.remedy}; {remedy}") from None
    return f"{error.cause}; given up because of {DELETE_UNREACHABLE}"
