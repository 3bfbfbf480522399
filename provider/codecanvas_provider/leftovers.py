"""An object that an interrupted run made and the stack's state does not know: proven ours, then made way for.

The API server took it, and the engine was killed before it wrote that down; the next create then meets an object
that exists already. Where it bears this stack's mark it is deleted, and the create is tried again: nothing can
depend on it yet, since the engine makes dependents only once their object is in the state. For a namespace that is
seen to: one that holds anything is left alone.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import (
    CLAIM,
    LIMITS,
    NAMESPACE,
    NETWORK_POLICY,
    POD_TEMPLATE,
    POLICY,
    POLICY_BINDING,
    QUOTA,
    SERVICE_ACCOUNT,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    Cluster,
)
from codecanvas_provider.inputs import CLUSTER_FIELDS, Field, require_fields
from codecanvas_provider.namespace_holders import namespace_holders
from codecanvas_provider.times import now, parse_time
from codecanvas_provider.waiting import Deadline, Pace, in_thread, pause
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.manifests import PLATFORM_LABEL, stack_of
from pulumi_codecanvas.tokens import CLEAR_LEFTOVER

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Kind
    from codecanvas_provider.dev_environments import Connect
    from codecanvas_provider.resource import Context
    from codecanvas_provider.server import Function


PATIENCE = 60.0
"""Seconds that a deletion may take."""

_KINDS = {
    kind.name: kind
    for kind in (
        LIMITS,
        NAMESPACE,
        NETWORK_POLICY,
        POD_TEMPLATE,
        POLICY,
        POLICY_BINDING,
        QUOTA,
        SERVICE_ACCOUNT,
        SNAPSHOT_CLASS,
        STORAGE_CLASS,
    )
}
# What every namespace has from the start.
_INNATE = frozenset({"ConfigMap kube-root-ca.crt", "ServiceAccount default"})

_FRESH = datetime.timedelta(hours=1)
"""How long ago an interrupted run may have made what is cluster-wide; an older one may be in a state."""

_KEEP_IT = (
    "and is this stack's{why}. Where a move of the platform failed, the stack still has it, to be deleted when the move"
    " is through: either finish the move, or go back to the state of before it (`pulumi stack import`), and do not"
    " delete it by hand. Only where no state has it, as one was lost, {remedy}"
)
_WITH_VOLUMES = "`createNamespace: false` adopts it with the volumes in it"
_WITHOUT_VOLUMES = "and nobody works in it: `kubectl delete namespace {name}`"

_KEEP_OLD = (
    "and is this stack's{why}: too long ago to be an interrupted run's. Where another stack of the same name, or a"
    " resource of this one that was renamed, still has it, leave it there. Only where no state has it, as one was lost:"
    " `kubectl delete {thing}`, then run `pulumi up` again"
)

_FIELDS: dict[str, Field] = {
    **CLUSTER_FIELDS,
    "namespace": Field(str, "The object's namespace; none for a cluster-wide one."),
    "kind": Field(str, "The object's kind.", required=True, choices=tuple(sorted(_KINDS))),
    "name": Field(str, "The object's name.", required=True),
    "owner": Field(str, "The stack, as it stands in the annotation of its objects.", required=True),
    "platformName": Field(str, "The platform, as it stands in the label of its objects.", required=True),
}


class Leftovers:
    """The function that the component calls when an object exists already; not meant for programs."""

    def __init__(self, connect: Connect = Cluster.connect, pace: Pace | None = None) -> None:
        """Take what tests replace: how to reach a cluster, and how often to look."""
        self._connect = connect
        self._pace = pace or Pace()

    def functions(self) -> dict[str, Function]:
        """Give the functions by token."""
        return {CLEAR_LEFTOVER: self.clear}

    async def clear(self, context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        """Delete an object if it is an interrupted run's of this stack.

        Args:
            context: of the call; in a preview nothing is done.
            arguments: see `_FIELDS`.

        Returns:
            `cleared`: whether it is gone; `reason`: why not, in words that go on from "it exists already"; `adoptable`:
            whether it can be used as it is, since it is of no stack, which would delete it one day.

        """
        given = require_fields(arguments, _FIELDS)
        if context.preview:
            return {"cleared": False, "reason": "", "adoptable": False}
        cluster = self._connect(given.get("kubeconfig"), given.get("context"))
        adoptable = False
        try:
            kind, name, namespace = _KINDS[given["kind"]], given["name"], given.get("namespace")
            found = await in_thread(context, cluster.get, kind, name, namespace, metadata_only=True)
            metadata = found["metadata"] if found else {}
            adoptable = found is not None and stack_of(metadata) is None
            reason = await self._clear(context, cluster, given, found) if found else ""
        except ClusterError as error:
            reason = f"and whose it is cannot be seen: {error}"
        return {"cleared": not reason, "reason": reason, "adoptable": adoptable}

    async def _clear(self, context: Context, cluster: Cluster, given: dict[str, Any], found: dict[str, Any]) -> str:
        kind, name, namespace = _KINDS[given["kind"]], given["name"], given.get("namespace")
        metadata = found["metadata"]
        owner = stack_of(metadata)
        if owner != given["owner"]:
            another = "; choose another" if kind is NAMESPACE else ""
            return f"and is of the stack {owner}{another}" if owner else "and is not of this stack"
        platform = (metadata.get("labels") or {}).get(PLATFORM_LABEL)
        if platform != given["platformName"]:
            return (
                f"and is of the platform {platform or '?'} of this stack; each needs its own. A platform that is given"
                " another platformName is another platform: keep the name, or give it a namespace of its own"
            )
        if not metadata.get("deletionTimestamp"):
            # What is in a namespace is of whoever made that; what is cluster-wide may be in another state.
            reason = await in_thread(context, _reason_to_keep, cluster, kind, metadata) if namespace is None else ""
            if reason:
                return reason
            await in_thread(context, cluster.delete, kind, name, namespace, seen=found)
        deadline = Deadline(PATIENCE)
        while await in_thread(context, cluster.get, kind, name, namespace, metadata_only=True):
            if deadline.passed:
                return f"and does not go within {PATIENCE:.0f} s after an interrupted run left it"
            await pause(context, self._pace.first)
        return ""


def _reason_to_keep(cluster: Cluster, kind: Kind, metadata: dict[str, Any]) -> str:
    """Say why something cluster-wide, although it is this stack's, may be more than an interrupted run's leftover."""
    name, text = metadata["name"], metadata.get("creationTimestamp")
    if kind is NAMESPACE:
        held = [thing for thing in namespace_holders(cluster, name) if thing not in _INNATE]
        held.sort(key=lambda thing: not thing.startswith(CLAIM.name))
        if held:
            remedy = _WITH_VOLUMES if held[0].startswith(CLAIM.name) else _WITHOUT_VOLUMES.format(name=name)
            return _KEEP_IT.format(why=f" and not empty ({', '.join(held[:3])})", remedy=remedy)
    made = parse_time(text)
    if made is not None and now() - made <= _FRESH:
        return ""
    why = f", made at {text}"
    if kind is NAMESPACE:
        return _KEEP_IT.format(why=why, remedy=_WITHOUT_VOLUMES.format(name=name))
    return _KEEP_OLD.format(why=why, thing=f"{kind.plural} {name}")
