"""`DevEnvironments`: the dev environments of a platform. Stopped by a freeze, guarded and emptied by a delete."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from codecanvas_provider.cluster import CLAIM, NAMESPACE, POD, Cluster, Unreachable
from codecanvas_provider.delete_guard import given_up, gives_up_unreachable, guard_delete, require_kept
from codecanvas_provider.freeze_block import (
    arm_block,
    await_block,
    disarm_block,
    find_delete_blocks,
    freeze_block,
    is_in_place,
    make_delete_block,
    remove_block,
)
from codecanvas_provider.inputs import PLATFORM_FIELDS, Field, Fields, check_fields, last_wanted, outstanding_names
from codecanvas_provider.namespace_holders import release_holders
from codecanvas_provider.namespaces import WrongClusterError, find_namespace, require_namespace
from codecanvas_provider.resource import UNKNOWN, Context, CustomResource, Diff, PartialFailure, holds_unknown
from codecanvas_provider.volumes import claims_of_environments, delete_claims, request_deletion
from codecanvas_provider.waiting import Cancelled, Pace, in_thread
from codecanvas_provider.worker_pods import (
    StillRunningError,
    count_environments,
    join_names,
    list_worker_pods,
    name_of,
    stop_worker_pods,
)
from pulumi_codecanvas.errors import ClusterError, CodeCanvasError
from pulumi_codecanvas.kubeconfig import is_elsewhere
from pulumi_codecanvas.manifests import STACK_ANNOTATION
from pulumi_codecanvas.tokens import DEV_ENVIRONMENTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from codecanvas_provider.freeze_block import Block
    from pulumi_codecanvas.errors import Fault

    Connect = Callable[[str | None, str | None], Cluster]

_FIELDS: dict[str, Field] = {
    **PLATFORM_FIELDS,
    "namespace": replace(PLATFORM_FIELDS["namespace"], replaces=True),
    "cluster": Field(str, "What tells the cluster from others, whichever its address, where that is known."),
    "stopTimeout": Field(int, "Seconds to wait for running dev environments to stop.", default=600, least=1),
    "retainVolumes": Field(bool, "Let a delete leave the volumes (PersistentVolumeClaims).", default=False),
    "templateClaims": Field(
        list, "Volumes that the pod template itself names: no dev environment's own.", default=[], items="str"
    ),
}


class DevEnvironments(CustomResource):
    """The dev environments of one platform.

    Outputs are the inputs and, while the platform is frozen, `running`: how many dev environments run. A create
    or update with `frozen` first sees the block at work, then stops every dev environment; an update that ends a
    freeze lifts the block, and starts nothing.

    A delete is refused while dev environments run, unless a freeze is in force or it has `forceDelete`. Else it
    blocks new ones, ends all worker pods and, without `retainVolumes`, deletes the volumes: in a namespace of the
    platform's own every PersistentVolumeClaim, after what finalizers would keep; in an adopted namespace only those
    that its running worker pods mount and nobody else does. What stays is named in a warning.

    A resource that was replaced by one for the same namespace, or taken over by another platform, leaves everything
    to it.

    Pods that have finished are no running dev environments. A freeze leaves them, as they take nothing and their
    logs may be of use; a delete removes them, as they still hold their volumes.
    """

    token: ClassVar[str] = DEV_ENVIRONMENTS
    inputs: ClassVar[Fields] = _FIELDS
    outputs: ClassVar[Fields] = {
        **_FIELDS,
        "running": Field(int, "Dev environments that run although the platform is frozen; none where it is not."),
        "leftBlocked": Field(
            bool, "Whether an interrupted delete has left new dev environments blocked.", required=True
        ),
    }

    def __init__(self, connect: Connect = Cluster.connect, pace: Pace | None = None) -> None:
        """Take what tests replace: how to reach a cluster, and how often to look."""
        self._connect = connect
        self._pace = pace or Pace()
        # In a replacement the new resource comes before the old one goes, maybe in an earlier run.
        self._held: set[_Place] = set()

    def check(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
        """Complete the inputs by their defaults and check their types."""
        checked, faults = check_fields(inputs, _FIELDS)
        if not faults:
            # Asked for what a program declares, and not for what a refresh or a destroy looks at.
            self._held.add(_Place.of(checked))
        return checked, faults

    def diff(self, old_inputs: dict[str, Any], old_outputs: dict[str, Any], new_inputs: dict[str, Any]) -> Diff:
        """Replace for another namespace, in this cluster or another, so that the old one is guarded and emptied.

        Update what else changed, and what a refresh found to be wrong.
        """
        changed = outstanding_names(old_inputs, old_outputs, new_inputs, _FIELDS)
        replaces = changed & {"namespace"}
        access = changed & {"kubeconfig", "context"}
        if _is_moved(old_inputs, new_inputs):
            replaces |= access
        if old_outputs.get("leftBlocked"):
            changed.add("leftBlocked")
        if new_inputs.get("frozen") is True and old_outputs.get("running"):
            changed.add("running")
        return Diff(tuple(sorted(replaces)), tuple(sorted(changed - replaces)))

    async def forbid(
        self,
        context: Context,  # noqa: ARG002 - part of the interface
        old_inputs: dict[str, Any],  # noqa: ARG002 - part of the interface
        old_outputs: dict[str, Any],
        new_inputs: dict[str, Any],
    ) -> None:
        """Refuse to disown a namespace that stays in use; a platform with a key is told so before anything else.

        Raises:
            NamespaceInUseError: the namespace would be deleted.

        """
        disowned = old_outputs.get("ownsNamespace") and new_inputs.get("ownsNamespace") is False
        same = old_outputs.get("namespace") == new_inputs.get("namespace")
        if disowned and same and not old_outputs.get("retainVolumes") and not _is_moved(old_outputs, new_inputs):
            require_kept([old_outputs["namespace"]])

    async def create(self, context: Context, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Bring the dev environments into the state that `frozen` asks for."""
        return str(inputs["namespace"]), await self._bring_about(context, inputs)

    async def update(
        self,
        context: Context,
        id: str,  # noqa: A002, ARG002 - the interface's word
        old_outputs: dict[str, Any],
        inputs: dict[str, Any],
    ) -> dict[str, Any]:
        """Bring the dev environments into the state that `frozen` asks for."""
        if _is_settled(old_outputs, inputs):
            return _outputs(inputs)
        # Pulumi deletes the block as well, but last of all, and not while anything else in the stack fails.
        former = old_outputs["freezeMode"] if old_outputs.get("frozen") else None
        return await self._bring_about(context, inputs, former_mode=former)

    async def read(
        self,
        context: Context,
        id: str,  # noqa: A002 - the interface's word
        inputs: dict[str, Any],
        outputs: dict[str, Any],
    ) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        """Count what runs although frozen; gone is what has no namespace any more."""
        if not inputs.get("namespace"):
            return None
        wanted = last_wanted(inputs, outputs, _FIELDS)
        cluster = self._cluster(wanted)
        try:
            state = await in_thread(context, self._look, cluster, wanted)
        except Unreachable as error:
            if not gives_up_unreachable():
                raise
            await context.log(given_up(error), "warning")
            return None
        return None if state is None else (id, inputs, {**outputs, **state})

    async def delete(self, context: Context, id: str, outputs: dict[str, Any]) -> None:  # noqa: A002, ARG002 - as above
        """Guard, block, stop, delete volumes; see the class."""
        try:
            if await in_thread(context, self._has_successor, outputs):
                await context.log(f"the dev environments in namespace {outputs['namespace']} go on in its successor")
                return
            cluster = self._cluster(outputs)
            if await in_thread(context, guard_delete, cluster, outputs):
                await self._empty(context, cluster, outputs)
        except Unreachable as error:
            await context.log(given_up(error), "warning")

    def _cluster(self, inputs: dict[str, Any]) -> Cluster:
        return self._connect(inputs.get("kubeconfig"), inputs.get("context"))

    def _has_successor(self, outputs: dict[str, Any]) -> bool:
        """Tell whether the program goes on to use the namespace; where nothing else tells, its UID is looked up."""
        mine = _Place.of(outputs)
        verdicts = {place: mine.is_same(place) for place in self._held}
        if True in verdicts.values():
            return True
        unclear = [place for place, verdict in verdicts.items() if verdict is None]
        uid = self._find_uid(mine) if unclear else None
        for place in unclear:
            # One that cannot be seen now is no reason to keep anything here.
            with contextlib.suppress(ClusterError):
                if uid and uid == self._find_uid(place):
                    return True
        return False

    def _find_uid(self, place: _Place) -> str | None:
        found = find_namespace(self._connect(*place.way), place.namespace, None)
        return str(found["metadata"]["uid"]) if found else None

    def _look(self, cluster: Cluster, inputs: dict[str, Any]) -> dict[str, Any] | None:
        """Give the outputs that may have drifted; None where the namespace is gone, or another one by now."""
        namespace = inputs["namespace"]
        try:
            if find_namespace(cluster, namespace, inputs.get("namespaceUid")) is None:
                return None
        except WrongClusterError:
            return None
        running = len(list_worker_pods(cluster, namespace)) if inputs.get("frozen") else None
        return {"running": running, "leftBlocked": bool(find_delete_blocks(cluster, namespace))}

    async def _bring_about(
        self, context: Context, inputs: dict[str, Any], *, former_mode: str | None = None
    ) -> dict[str, Any]:
        if context.preview:
            await self._announce(context, inputs)
            return _outputs(inputs)
        cluster = self._cluster(inputs)
        namespace = inputs["namespace"]
        await in_thread(context, require_namespace, cluster, namespace, inputs.get("namespaceUid"))
        try:
            if inputs.get("frozen"):
                await self._stop(context, cluster, inputs)
            elif former_mode:
                await in_thread(context, disarm_block, cluster, freeze_block(namespace, former_mode))
            await in_thread(context, _remove_left_blocks, cluster, namespace)
        except (ClusterError, Cancelled) as error:
            # Recorded, so that a destroy from here on still asks this resource first.
            running = error.running if isinstance(error, StillRunningError) else None
            message = str(error)
            if isinstance(error, StillRunningError):
                message += "new ones stay blocked; once this is mended, run `pulumi up` again: it goes on from here"
            recorded = {**_outputs(inputs), "running": running}
            if former_mode and not inputs.get("frozen"):
                # A freeze that may not be lifted yet is recorded as it was, so that the next update lifts it.
                recorded |= {"frozen": True, "freezeMode": former_mode}
            raise PartialFailure(str(namespace), recorded, message) from error
        return _outputs(inputs)

    async def _announce(self, context: Context, inputs: dict[str, Any]) -> None:
        """Tell in a preview how many dev environments a freeze is about to stop."""
        if not inputs.get("frozen") or holds_unknown(dict(inputs)):
            return
        try:
            pods = await in_thread(context, list_worker_pods, self._cluster(inputs), inputs["namespace"])
        except ClusterError:
            return
        if pods:
            await context.log(
                f"the freeze of platform {inputs['platformName']} will stop {count_environments(len(pods))}"
                f" in namespace {inputs['namespace']}: {join_names(name_of(pod) for pod in pods)}",
                "warning",
            )

    async def _stop(self, context: Context, cluster: Cluster, inputs: dict[str, Any]) -> None:
        namespace = inputs["namespace"]
        await context.status("waiting until new dev environments are refused")
        block = freeze_block(namespace, inputs["freezeMode"])
        await in_thread(context, arm_block, cluster, block)
        await await_block(context, cluster, block, self._pace)
        await stop_worker_pods(
            context,
            cluster,
            namespace,
            platform=inputs["platformName"],
            timeout=_patience(context, inputs),
            pace=self._pace,
        )

    async def _empty(self, context: Context, cluster: Cluster, inputs: dict[str, Any]) -> None:
        block = await in_thread(context, _ensure_block, cluster, inputs)
        if block is None:
            await context.log(
                f"new dev environments in namespace {inputs['namespace']} cannot be blocked while it is emptied:"
                " the rights to create a ValidatingAdmissionPolicy or a ResourceQuota are missing",
                "warning",
            )
        try:
            if block is not None:
                await await_block(context, cluster, block, self._pace)
                # One may have started between the first look and the block.
                await in_thread(context, guard_delete, cluster, inputs)
            await self._end_everything(context, cluster, inputs)
        except CodeCanvasError:
            # Whatever went wrong, a block that no freeze accounts for would puzzle whoever meets it. Not with
            # the operation's own context: this has to be done after a request to stop, too.
            with contextlib.suppress(ClusterError):
                await in_thread(Context(), _remove_left_blocks, cluster, inputs["namespace"])
            raise
        await in_thread(context, _remove_left_blocks, cluster, inputs["namespace"])

    async def _end_everything(self, context: Context, cluster: Cluster, inputs: dict[str, Any]) -> None:
        namespace = inputs["namespace"]
        timeout = _patience(context, inputs)
        retains = bool(inputs.get("retainVolumes"))
        doomed: set[str] | None = None
        if not inputs.get("ownsNamespace", True) and not retains:
            # Asked for while their pods still show whose they are: a second run would not know them any more.
            # They stay for as long as a pod uses them.
            pods = await in_thread(context, cluster.list_all, POD, namespace)
            doomed = claims_of_environments(pods, inputs.get("templateClaims") or [])
            await request_deletion(context, cluster, namespace, doomed)
        try:
            await stop_worker_pods(
                context,
                cluster,
                namespace,
                platform=inputs["platformName"],
                timeout=timeout,
                finished=True,
                pace=self._pace,
            )
        except StillRunningError as error:
            raise ClusterError(f"{error}once this is mended, run the command again: it goes on from here") from None
        if retains:
            await self._let_go(context, cluster, inputs)
            return
        if inputs.get("ownsNamespace", True):
            await self._release_holders(context, cluster, inputs, timeout)
        left = await delete_claims(context, cluster, namespace, only=doomed, timeout=timeout, pace=self._pace)
        if left:
            await context.log(
                f"namespace {namespace} was there before the platform, so these volumes stay, as they may be"
                f" somebody else's: {join_names(left)}; delete those that were dev environments' by hand",
                "warning",
            )

    async def _let_go(self, context: Context, cluster: Cluster, inputs: dict[str, Any]) -> None:
        """Take the stack's mark off a namespace that stays, so that it can be adopted, and say what stays in it."""
        namespace = inputs["namespace"]
        if inputs.get("ownsNamespace", True):
            unmarked = {"metadata": {"annotations": {STACK_ANNOTATION: None}}}
            await in_thread(context, cluster.patch, NAMESPACE, namespace, unmarked)
        claims = await in_thread(context, cluster.list_all, CLAIM, namespace, metadata_only=True)
        stays = f", with the volumes {join_names(name_of(claim) for claim in claims)}" if claims else ""
        await context.log(f"namespace {namespace} stays{stays}: `createNamespace: false` adopts it")

    async def _release_holders(
        self, context: Context, cluster: Cluster, inputs: dict[str, Any], timeout: float
    ) -> None:
        """Have those who set finalizers take them off while they run: the operator goes after this resource."""
        namespace = inputs["namespace"]
        left = await release_holders(context, cluster, namespace, timeout=timeout, pace=self._pace)
        if left:
            await context.log(
                f"namespace {namespace} goes only when these are gone: {join_names(map(str, left))}; where the"
                " controller that set a finalizer runs, it takes it off by itself, else see to it that it does;"
                " then run the command again: it goes on from there",
                "warning",
            )


@dataclass(frozen=True)
class _Place:
    """A namespace, and what tells it from others of its name.

    Attributes:
        namespace: its name.
        way: `kubeconfig` and `context` by which it is reached.
        uid: its own, where that is known.
        cluster: the cluster's identity, where that is known.

    """

    namespace: str
    way: tuple[Any, Any]
    uid: str | None
    cluster: str | None

    @classmethod
    def of(cls, values: dict[str, Any]) -> _Place:
        """Take it from inputs or outputs."""
        way = (values.get("kubeconfig"), values.get("context"))
        uid, cluster = (_known(values.get(name)) for name in ("namespaceUid", "cluster"))
        return cls(str(values.get("namespace")), way, uid, cluster)

    def is_same(self, other: _Place) -> bool | None:
        """Tell whether two are one namespace; None where that cannot be told without a look.

        A cluster may have many addresses, and a tunnel one for many clusters.
        """
        if self.namespace != other.namespace:
            return False
        if self.way == other.way and UNKNOWN not in self.way:
            return True
        for mine, theirs in ((self.uid, other.uid), (self.cluster, other.cluster)):
            if mine and theirs:
                return mine == theirs
        return None


def _known(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _is_moved(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Tell whether a namespace of the same name is another one: by the first of these that is known of both."""
    for name in ("namespaceUid", "cluster"):
        if _known(old.get(name)) and _known(new.get(name)):
            return bool(old[name] != new[name])
    return is_elsewhere(old, new)


def _outputs(inputs: dict[str, Any]) -> dict[str, Any]:
    return {**inputs, "running": 0 if inputs.get("frozen") is True else None, "leftBlocked": False}


def _is_settled(old_outputs: dict[str, Any], inputs: dict[str, Any]) -> bool:
    """Tell whether nothing changed but what is only recorded; another address has yet to lead to the same place."""
    same = all(old_outputs.get(name) == inputs.get(name) for name in ("frozen", "freezeMode"))
    stopped = not inputs.get("frozen") or old_outputs.get("running") == 0
    return same and stopped and not old_outputs.get("leftBlocked") and not is_elsewhere(old_outputs, inputs)


def _patience(context: Context, inputs: dict[str, Any]) -> float:
    """Seconds that the user allows: `stopTimeout`, and no more than a custom time-out."""
    return min(float(inputs["stopTimeout"]), context.timeout or float("inf"))


def _ensure_block(cluster: Cluster, inputs: dict[str, Any]) -> Block | None:
    """Give the block that keeps new dev environments away during a delete: the freeze's, or one of our own."""
    namespace, mode = inputs["namespace"], inputs["freezeMode"]
    block = freeze_block(namespace, mode)
    if inputs.get("frozen") and is_in_place(cluster, block):
        return block
    # In somebody else's namespace a quota would stop their pods as well.
    owns = bool(inputs.get("ownsNamespace", True))
    at_rest = owns and not list_worker_pods(cluster, namespace, finished=True)
    may_quota = owns or mode == "quota"
    return make_delete_block(
        cluster, namespace, inputs["platformName"], may_quota=may_quota, mode=mode, at_rest=at_rest
    )


def _remove_left_blocks(cluster: Cluster, namespace: str) -> None:
    for block in find_delete_blocks(cluster, namespace):
        remove_block(cluster, block)
