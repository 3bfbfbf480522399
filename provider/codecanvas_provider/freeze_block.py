"""The freeze block as the cluster has it: is it there, is it in force; and the one that guards a delete.

The block of a frozen platform belongs to the kubernetes provider, see `pulumi_codecanvas.freeze`. Only while a
delete of a platform that is not frozen runs, this plugin makes one of its own, under a name of its own.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import POD, POLICY, POLICY_BINDING, QUOTA, Refused, is_missing_right
from codecanvas_provider.waiting import Deadline, in_thread, pause
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.freeze import (
    FREEZE_MODES,
    QUOTA_NAME,
    freeze_name,
    freeze_policy,
    freeze_quota,
    is_freeze_denial,
)
from pulumi_codecanvas.manifests import WORKER_CONTAINER
from pulumi_codecanvas.pod_template import IMAGE_PLACEHOLDER

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster, Kind
    from codecanvas_provider.resource import Context
    from codecanvas_provider.waiting import Pace

    Objects = list[tuple[Kind, dict[str, Any]]]

PROBE_NAME = "codecanvas-freeze-probe"
# Several API servers may stand behind one address, and each learns of a policy by itself.
_DENIALS_IN_A_ROW = 2
# After this long, refusals by someone else are not the start-up noise of a new namespace any more.
_FOREIGN_PATIENCE = 10.0

_ARMED: dict[Kind, dict[str, Any]] = {
    POLICY_BINDING: {"validationActions": ["Deny"]},
    QUOTA: {"hard": {"pods": "0"}},
}
_DISARMED: dict[Kind, dict[str, Any]] = {
    POLICY_BINDING: {"validationActions": ["Audit"]},
    QUOTA: {"hard": {"pods": None}},
}
_NOT_FOUND = 404

ACCEPTED = "it would be accepted"
"""What `try_worker_pod` gives where the API server has nothing against a worker pod."""


@dataclass(frozen=True)
class Block:
    """What blocks new dev environments in a namespace, by the names of its objects.

    Attributes:
        namespace: the blocked namespace.
        policy: name of the ValidatingAdmissionPolicy and its binding, or None.
        quota: name of the ResourceQuota, or None.

    """

    namespace: str
    policy: str | None = None
    quota: str | None = None

    @property
    def objects(self) -> tuple[tuple[Kind, str, str | None], ...]:
        """Kind, name and namespace of each object that it consists of, in the order of deletion."""
        pair = ((POLICY_BINDING, self.policy, None), (POLICY, self.policy, None)) if self.policy else ()
        return (*pair, *(((QUOTA, self.quota, self.namespace),) if self.quota else ()))

    def explains(self, message: str) -> bool:
        """Tell whether the API server's refusal of a pod comes from this block."""
        by_policy = self.policy is not None and f"ValidatingAdmissionPolicy '{self.policy}'" in message
        # Where several quotas are exceeded the API server names the first only. None of the others lets a pod
        # through that this one would stop.
        return by_policy or (self.quota is not None and is_quota_denial(message))


def freeze_block(namespace: str, mode: str) -> Block:
    """Give the block of a frozen platform."""
    if mode == "quota":
        return Block(namespace, quota=QUOTA_NAME)
    return Block(namespace, policy=freeze_name(namespace))


def delete_blocks(namespace: str) -> tuple[Block, Block]:
    """Give the two forms of the block that guards a delete, the preferred one first."""
    return Block(namespace, policy=f"codecanvas-delete-{namespace}"), Block(namespace, quota="codecanvas-delete")


def is_quota_denial(message: str) -> bool:
    """Tell whether a quota refused a pod; quotas are asked last, when everything else accepts it."""
    # The last is the answer from the moment that a quota exists until the controller has counted for it.
    return any(words in message for words in ("exceeded quota:", "failed quota:", "status unknown for quota:"))


def is_in_place(cluster: Cluster, block: Block) -> bool:
    """Tell whether all objects of a block exist, block, and stay."""
    return is_whole(block, _find_objects(cluster, block))


def is_whole(block: Block, found: Objects) -> bool:
    """Tell whether the objects that were found are all of a block, block, and stay."""
    return len(found) == len(block.objects) and all(_stays(thing) and _blocks(kind, thing) for kind, thing in found)


def is_lifted(found: Objects) -> bool:
    """Tell whether objects of a block are there that an unfreeze has disarmed, and that Pulumi has not deleted yet."""
    return any(not _blocks(kind, thing) for kind, thing in found)


def is_frozen(cluster: Cluster, namespace: str) -> bool:
    """Tell whether a freeze keeps new dev environments out of a namespace, as far as we may see that."""
    blocks = [freeze_block(namespace, mode) for mode in FREEZE_MODES]
    return any(is_whole(block, see_objects(cluster, block)) for block in blocks)


def see_objects(cluster: Cluster, block: Block) -> Objects:
    """Give the objects of a block that exist, with their kinds; none where we may not see them."""
    try:
        return _find_objects(cluster, block)
    except Refused as error:
        if error.status != 403:
            raise
        return []


def _find_objects(cluster: Cluster, block: Block) -> Objects:
    found = [(kind, cluster.get(kind, name, namespace)) for kind, name, namespace in block.objects]
    return [(kind, thing) for kind, thing in found if thing is not None]


def _stays(thing: dict[str, Any]) -> bool:
    return not thing["metadata"].get("deletionTimestamp")


def _blocks(kind: Kind, thing: dict[str, Any]) -> bool:
    """Tell an object of a block that does its part from one that was disarmed."""
    spec = thing.get("spec") or {}
    if kind is POLICY_BINDING:
        return "Deny" in (spec.get("validationActions") or [])
    return kind is not QUOTA or (spec.get("hard") or {}).get("pods") == "0"


def arm_block(cluster: Cluster, block: Block) -> None:
    """Have the objects of a freeze's block block again, where `disarm_block` had them not to."""
    for kind, name, namespace in block.objects:
        thing = cluster.get(kind, name, namespace)
        if thing is not None and _stays(thing) and not _blocks(kind, thing):
            cluster.patch(kind, name, {"spec": _ARMED[kind]}, namespace)


def disarm_block(cluster: Cluster, block: Block) -> None:
    """Let new dev environments through, although the objects of a freeze's block stay.

    They are Pulumi's to delete. Where its update fails before that, its state has them still, so that it would not
    make them again for the next freeze.
    """
    for kind, name, namespace in block.objects:
        if kind in _DISARMED:
            try:
                cluster.patch(kind, name, {"spec": _DISARMED[kind]}, namespace)
            except Refused as error:
                if error.status != _NOT_FOUND:
                    raise


def is_blocked(cluster: Cluster, block: Block, message: str) -> bool:
    """Tell whether a refusal shows that a block is in force.

    Where the mode of a freeze has just changed to `quota`, the policy goes last, and is asked before any quota. So the
    quota cannot be seen at work, but a quota that exists counts at once.
    """
    if block.explains(message):
        return True
    by_policy = is_freeze_denial(message, namespace=block.namespace)
    return block.policy is None and by_policy and is_in_place(cluster, block)


async def await_block(context: Context, cluster: Cluster, block: Block, pace: Pace) -> None:
    """Wait until a block is seen to refuse a new dev environment.

    Where something else refuses every worker pod before the block is even asked (a LimitRange, say), the block
    cannot be seen at work; it then counts as in force once its objects exist, with a warning.

    Raises:
        ClusterError: it did not refuse one in time.

    """
    deadline = Deadline(pace.probe_timeout)
    foreign = Deadline(min(_FOREIGN_PATIENCE, pace.probe_timeout / 2))
    denials = 0
    seen = ACCEPTED
    while True:
        # Asked for before the look: a slow look on a busy machine must not be the one that is missing in the end.
        is_last = deadline.passed
        seen = await in_thread(context, _probe_once, cluster, block.namespace)
        denials = denials + 1 if await in_thread(context, is_blocked, cluster, block, seen) else 0
        if denials == _DENIALS_IN_A_ROW:
            return
        foreign_denial = not denials and seen != ACCEPTED and foreign.passed
        if foreign_denial and await in_thread(context, is_in_place, cluster, block):
            await context.log(
                f"the freeze block of namespace {block.namespace} is there but could not be seen at work: "
                f"a new dev environment is refused before, with: {seen}",
                "warning",
            )
            return
        if is_last and not denials:
            break
        await pause(context, pace.probe)
    raise ClusterError(
        f"namespace {block.namespace} is not blocked after {pace.probe_timeout:g} s: for a new dev environment"
        f" the API server says: {seen}",
        f"see that {describe_block(block)} exist (`pulumi up --refresh` puts back what is missing) and that no"
        " exception is made for you; nothing was stopped yet",
    )


def describe_block(block: Block) -> str:
    """Name the objects of a block."""
    return " and ".join(f"{kind.name} {name}" for kind, name, _ in reversed(block.objects))


def how_to_delete(block: Block) -> str:
    """Give the command that deletes the objects of a block."""
    things = " ".join(f"{kind.plural}/{name}" for kind, name, _ in block.objects)
    where = f" --namespace {block.namespace}" if any(kind.namespaced for kind, _, _ in block.objects) else ""
    return f"kubectl delete {things}{where}"


def try_worker_pod(cluster: Cluster, namespace: str) -> str:
    """Ask in a dry run for the smallest worker pod; give the API server's refusal, or that it would accept it."""
    try:
        cluster.create(POD, _probe(), namespace, dry_run=True)
    except Refused as error:
        if error.status not in {400, 403, 409, 422} or is_missing_right(error.message):
            raise
        return error.message
    return ACCEPTED


def _probe_once(cluster: Cluster, namespace: str) -> str:
    """Try a worker pod; that the API server or a webhook stumbles over one says nothing about the next."""
    try:
        return try_worker_pod(cluster, namespace)
    except Refused as error:
        if error.status < 500:
            raise
        return f"{error.status} {error.reason}"


def _probe() -> dict[str, Any]:
    """Describe a worker pod that meets even the `restricted` pod security standard."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": f"{PROBE_NAME}-"},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": WORKER_CONTAINER,
                    "image": IMAGE_PLACEHOLDER,
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }


def make_delete_block(
    cluster: Cluster, namespace: str, platform: str, *, may_quota: bool, mode: str, at_rest: bool = False
) -> Block | None:
    """Make the block that guards a delete; give it, or None where the rights suffice for no form of it.

    Args:
        cluster: the cluster.
        namespace: the platform's namespace.
        platform: its name, for the message that a refused user reads.
        may_quota: whether a quota, which stops every pod in the namespace, may be used too.
        mode: the platform's freeze mode; `quota` leaves the policy out.
        at_rest: nothing runs, so that no operator will be needed again: a quota, in force at once, is preferred.

    """
    facts: dict[str, Any] = {
        "namespace": namespace,
        "platform_name": platform,
        "reason": "it is being deleted",
        "labels": {},
        "annotations": {},
    }
    by_policy, by_quota = delete_blocks(namespace)
    forms = [(by_policy, freeze_policy(**facts))] if mode != "quota" else []
    forms += [(by_quota, [freeze_quota(**facts)])] if may_quota else []
    if at_rest:
        forms.reverse()
    return next((block for block, manifests in forms if _make(cluster, block, manifests)), None)


def _make(cluster: Cluster, block: Block, manifests: list[dict[str, Any]]) -> bool:
    """Make the objects of a block; False where we may not, or the cluster does not know the kind."""
    try:
        for (kind, name, place), manifest in zip(reversed(block.objects), manifests, strict=True):
            cluster.apply(kind, _renamed(manifest, name), place)
    except Refused as error:
        if error.status not in {403, 404}:
            raise
        return False
    return True


def _renamed(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    renamed = copy.deepcopy(manifest)
    renamed["metadata"]["name"] = name
    if "policyName" in renamed["spec"]:
        renamed["spec"]["policyName"] = name
    return renamed


def remove_block(cluster: Cluster, block: Block) -> None:
    """Delete the objects of a block; those that are not there are no error."""
    for kind, name, namespace in block.objects:
        cluster.delete(kind, name, namespace)


def find_delete_blocks(cluster: Cluster, namespace: str) -> list[Block]:
    """Give the blocks that an interrupted delete left behind. What we may not see, we cannot have made."""
    return [block for block in delete_blocks(namespace) if see_objects(cluster, block)]
