"""`ConnectionTest`: the named checks of a platform's connection, run by every change of what they depend on."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from codecanvas_provider.cluster import LIMITS, POD_TEMPLATE, QUOTA, SERVICE_ACCOUNT, Cluster, Refused, Unreachable
from codecanvas_provider.connection_checks import (
    CHECK_NAMES,
    REACHABLE,
    Check,
    Target,
    hide_values,
    run_checks,
    skip_checks,
)
from codecanvas_provider.delete_guard import given_up, guard_delete
from codecanvas_provider.inputs import (
    PLATFORM_FIELDS,
    Field,
    Fields,
    changed_names,
    check_fields,
    last_wanted,
    outstanding_names,
)
from codecanvas_provider.namespaces import require_namespace
from codecanvas_provider.operator_rollout import ensure_current_key
from codecanvas_provider.resource import CustomResource, Diff, PartialFailure, holds_unknown
from codecanvas_provider.waiting import Cancelled, Deadline, Pace, in_thread, pause
from codecanvas_provider.workloads import one_line
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.pod_template import pod_template_object
from pulumi_codecanvas.tokens import CONNECTION_TEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from codecanvas_provider.cluster import Kind
    from codecanvas_provider.connection_checks import Patience
    from codecanvas_provider.dev_environments import Connect
    from codecanvas_provider.resource import Context
    from pulumi_codecanvas.errors import Fault

    class Releases(Protocol):
        """The releases of this run, each by kubeconfig, context, namespace and name."""

        def is_untested(self, kubeconfig: str | None, context: str | None, namespace: str, release: str) -> bool:
            """Say whether it was installed or upgraded in this run and not tested yet."""

        def end(self, kubeconfig: str | None, context: str | None, namespace: str, release: str) -> None:
            """Hear that it is tested."""


SHORT_PATIENCE = 30.0
"""Seconds that a check may take to come true where moments should do."""

_MOMENT = 5.0
_REASON_LENGTH = 200

_TRIAL = "codecanvas-preview"
_NOT_FOUND = 404
_INVALID = frozenset({400, 422})

_UNTESTED = frozenset({"forceDelete"})
"""Inputs that no check depends on."""

_SWITCHED_OFF = "the connection test is switched off (`testConnection: false`)"

_FIELDS: dict[str, Field] = {
    **PLATFORM_FIELDS,
    "enabled": Field(bool, "Whether to run the checks.", default=True),
    "labels": Field(dict, "Labels that the namespace must have.", default={}, items="str"),
    "operatorNamespace": Field(str, "Namespace of the operator's Helm release.", required=True),
    "releaseName": Field(str, "Name of the operator's Helm release.", required=True),
    "keyFingerprint": Field(str, "Fingerprint of the key that the operator must run on; none: any key."),
    "podTemplate": Field(dict, "The worker pod, which the API server must accept."),
    "podSecurity": Field(str, "Pod security level of the namespace; none: any worker pod may run."),
    "quota": Field(dict, "What the platform's ResourceQuota limits; none: the platform has no such quota."),
    "limits": Field(dict, "What the platform's LimitRange limits; none: the platform has none."),
    "serviceAccounts": Field(list, "Names of the platform's service accounts.", items="str"),
    "storageClass": Field(str, "StorageClass that must exist."),
    "volumeSnapshotClass": Field(str, "VolumeSnapshotClass that must exist."),
    "timeout": Field(int, "Seconds that the checks may take to come true.", default=600, least=1),
    "triggers": Field(dict, "A change of any of these values runs the checks again.", default={}),
}


class ConnectionTest(CustomResource):
    """The checks of one platform.

    Outputs are the inputs and `checks`: name, status (`Success`, `Failed`, `Skipped`) and message of each, always
    all of them and in the same order. Create and update first see to it that the operator runs on its present
    key, then run the checks; a failed one fails the operation, which the next `up` repeats. Service accounts, quota and
    limits that the platform declares no more count as gone, although Pulumi deletes them afterwards. A refresh runs the
    checks again, once each and without waiting, so that their outcome shows as drift. A delete, which comes first of
    all in a platform's, is refused while dev environments run, unless a freeze is in force or it has `forceDelete`.
    """

    token: ClassVar[str] = CONNECTION_TEST
    inputs: ClassVar[Fields] = _FIELDS
    outputs: ClassVar[Fields] = {
        **_FIELDS,
        "checks": Field(
            list, "The checks, always all of them and in the same order.", required=True, items="ConnectionCheck"
        ),
    }

    def __init__(
        self,
        connect: Connect = Cluster.connect,
        pace: Pace | None = None,
        short_patience: float = SHORT_PATIENCE,
        releases: Releases | None = None,
    ) -> None:
        """Take what tests replace: how to reach a cluster, how often to look, how long to wait for moments.

        `releases` knows which were installed or upgraded in this run: those are tested, and then nobody needs to watch
        them any more.
        """
        self._releases = releases
        self._connect = connect
        self._pace = pace or Pace()
        self._short_patience = short_patience

    def check(self, inputs: dict[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
        """Complete the inputs by their defaults and check their types."""
        return check_fields(inputs, _FIELDS)

    def diff(self, old_inputs: dict[str, Any], old_outputs: dict[str, Any], new_inputs: dict[str, Any]) -> Diff:
        """Run again for any change, for a release that was made anew, and where a refresh found a check to fail."""
        changed = outstanding_names(old_inputs, old_outputs, new_inputs, _FIELDS)
        if self._is_untested(new_inputs):
            changed.add("checks")
        if new_inputs.get("enabled") and any(check["status"] == "Failed" for check in old_outputs.get("checks") or []):
            changed.add("checks")
        return Diff(updates=tuple(sorted(changed)))

    async def create(self, context: Context, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Bring the operator onto its key and run the checks."""
        return _id(inputs), await self._test(context, inputs, was_frozen=True)

    async def update(
        self,
        context: Context,
        id: str,  # noqa: A002, ARG002 - the interface's word
        old_outputs: dict[str, Any],
        inputs: dict[str, Any],
    ) -> dict[str, Any]:
        """Bring the operator onto its key and run the checks, unless all that changed has nothing to do with them."""
        if _still_holds(old_outputs, inputs) and not self._is_untested(inputs):
            return {**inputs, "checks": old_outputs["checks"]}
        # A test that failed may have been that of an unfreeze, whose block then is still to go.
        was_frozen = bool(old_outputs.get("frozen")) or not _has_passed(old_outputs)
        return await self._test(context, inputs, was_frozen=was_frozen)

    async def read(
        self,
        context: Context,
        id: str,  # noqa: A002 - the interface's word
        inputs: dict[str, Any],
        outputs: dict[str, Any],
    ) -> tuple[str, dict[str, Any], dict[str, Any]] | None:
        """Run the checks once each, give their outcome as it is, and warn of those that failed."""
        if not inputs.get("namespace"):
            return None
        wanted = last_wanted(inputs, outputs, _FIELDS)
        if not wanted.get("enabled"):
            return id, inputs, outputs
        checks = await run_checks(context, self._target(wanted))
        for check in checks:
            if check.status == "Failed":
                await context.log(f"{check.name}: {check.message}", "warning")
        return id, inputs, {**outputs, "checks": _as_outputs(checks)}

    async def delete(self, context: Context, id: str, outputs: dict[str, Any]) -> None:  # noqa: A002, ARG002 - as above
        """Leave the cluster alone: a test leaves nothing in it.

        Of a platform it goes first, so that it is here that a delete is refused while dev environments run: then
        nothing at all has changed, not even the stack's state.
        """
        cluster = self._connect(outputs.get("kubeconfig"), outputs.get("context"))
        try:
            await in_thread(context, partial(guard_delete, cluster, outputs, comes_first=True))
        except Unreachable as error:
            await context.log(given_up(error), "warning")

    def _is_untested(self, inputs: dict[str, Any]) -> bool:
        return self._releases is not None and self._releases.is_untested(*_release_of(inputs))

    def _target(self, inputs: dict[str, Any], *, updating: bool = False, lifting: bool = False) -> Target:
        return Target(
            cluster=self._connect(inputs.get("kubeconfig"), inputs.get("context")),
            platform=inputs["platformName"],
            namespace=inputs["namespace"],
            namespace_uid=inputs.get("namespaceUid"),
            labels=inputs.get("labels") or {},
            operator_namespace=inputs["operatorNamespace"],
            release=inputs["releaseName"],
            fingerprint=inputs.get("keyFingerprint"),
            pod_template=inputs.get("podTemplate"),
            frozen=bool(inputs.get("frozen")),
            freeze_mode=inputs["freezeMode"],
            storage_class=inputs.get("storageClass"),
            snapshot_class=inputs.get("volumeSnapshotClass"),
            lifting=lifting,
            updating=updating,
            declared=_declared(inputs),
        )

    async def _test(self, context: Context, inputs: dict[str, Any], *, was_frozen: bool) -> dict[str, Any]:
        if context.preview:
            if not holds_unknown([inputs.get(name) for name in ("podTemplate", "kubeconfig", "context", "namespace")]):
                await in_thread(context, self._refuse_bad_template, inputs)
            return dict(inputs)
        # A policy that was lifted a moment ago may be in force for another one.
        target = self._target(inputs, updating=True, lifting=was_frozen and not inputs.get("frozen"))
        if self._releases:
            self._releases.end(*_release_of(inputs))
        deadline = Deadline(min(float(inputs["timeout"]), context.timeout or float("inf")))
        checks = skip_checks(_SWITCHED_OFF)
        try:
            await self._ensure_key(context, target, deadline)
            if inputs.get("enabled"):
                checks = await self._run_patiently(context, target, deadline)
        except (ClusterError, Cancelled) as error:
            unfinished = {**inputs, "checks": _as_outputs(skip_checks("the last test was not finished"))}
            raise PartialFailure(_id(inputs), unfinished, error) from error
        outputs = {**inputs, "checks": _as_outputs(checks)}
        failed = [check.name for check in checks if check.status == "Failed"]
        if failed:
            raise PartialFailure(_id(inputs), outputs, _describe_failure(inputs["platformName"], failed, checks))
        return outputs

    def _refuse_bad_template(self, inputs: dict[str, Any]) -> None:
        """Have the API server check every field of the pod template, already in a preview.

        The kubernetes plugin only warns about unknown fields, and looks at nothing where the namespace does not exist
        yet. A namespace that may not be looked into, or a cluster that does not answer, is left to the update.
        """
        template = inputs.get("podTemplate")
        if not isinstance(template, dict):
            return
        cluster = self._connect(inputs.get("kubeconfig"), inputs.get("context"))
        for namespace in (inputs["namespace"], "default"):
            body = pod_template_object(template, name=_TRIAL, namespace=namespace, labels={}, annotations={})
            try:
                cluster.create(POD_TEMPLATE, body, namespace, dry_run=True)
            except Refused as error:
                # What a policy says of another namespace tells nothing of the platform's.
                foreign = namespace != inputs["namespace"] and _is_by_policy(error.message)
                if error.status in _INVALID and not foreign:
                    said = hide_values(error.message, template)
                    raise ClusterError(
                        f"{inputs['platformName']}: pod template: {said}", "correct the pod template"
                    ) from None
                if error.status == _NOT_FOUND:
                    continue
            except ClusterError:
                pass
            return

    async def _ensure_key(self, context: Context, target: Target, deadline: Deadline) -> None:
        """Restart the operator where it does not run on its key."""
        if target.fingerprint is None:
            return
        # Before anything is changed: is it the right cluster at all?
        await in_thread(context, require_namespace, target.cluster, target.namespace, target.namespace_uid)
        restarted = await ensure_current_key(
            context,
            target.cluster,
            target.operator_namespace,
            target.release,
            target.fingerprint,
            platform=target.platform,
            timeout=deadline.left,
            pace=self._pace,
        )
        for workload in restarted:
            await context.log(f"restarted {workload} onto the current key")

    async def _run_patiently(self, context: Context, target: Target, deadline: Deadline) -> list[Check]:
        """Run the checks; run those again that may still come true, until they do or it takes too long."""
        await context.status("testing the connection")
        found = {check.name: check for check in await run_checks(context, target)}
        short, moment = (Deadline(min(seconds, deadline.left)) for seconds in (self._short_patience, _MOMENT))
        waits: dict[Patience, Deadline] = {"none": Deadline(0), "short": short, "long": deadline}
        pauses = self._pace.pauses()
        while waiting := _worth_waiting_for(found.values(), waits, moment):
            reasons = ", ".join(f"{name} ({one_line(found[name].message, _REASON_LENGTH)})" for name in waiting)
            await context.status(f"testing the connection: waiting for {reasons}")
            await pause(context, next(pauses))
            names = None if REACHABLE in waiting else frozenset(waiting)
            again = await run_checks(context, target, names=names)
            if names is not None and again[0].name == REACHABLE:
                continue  # out of reach for a moment, which says nothing of the others
            found.update({check.name: check for check in again})
        return [found[name] for name in CHECK_NAMES]


def _declared(inputs: dict[str, Any]) -> frozenset[tuple[Kind, str]]:
    """Give kind and name of the platform's own objects on which a worker pod may depend."""
    single = {
        (kind, inputs["platformName"]) for kind, name in ((QUOTA, "quota"), (LIMITS, "limits")) if inputs.get(name)
    }
    return frozenset(single | {(SERVICE_ACCOUNT, name) for name in inputs.get("serviceAccounts") or []})


def _is_by_policy(message: str) -> bool:
    """Tell a refusal of an admission webhook or policy from that of the API server itself."""
    return message.startswith("admission webhook ") or "is forbidden: " in message


def _worth_waiting_for(checks: Iterable[Check], waits: Mapping[Patience, Deadline], moment: Deadline) -> list[str]:
    """Name the failed checks that may still come true.

    Where one has failed for good the others get a moment only: the update fails anyhow, but should not blame what is
    about to be ready.
    """
    failed = [check for check in checks if check.status == "Failed"]
    waiting = [check.name for check in failed if not waits[check.patience].passed]
    return waiting if len(waiting) == len(failed) or not moment.passed else []


def _still_holds(old_outputs: dict[str, Any], inputs: dict[str, Any]) -> bool:
    """Tell whether the last outcome is as good as another run: it was a success, and what it tested is the same."""
    changed = set(changed_names(old_outputs, inputs, _FIELDS))
    return _has_passed(old_outputs) and changed <= _UNTESTED


def _has_passed(outputs: dict[str, Any]) -> bool:
    statuses = {check["status"] for check in outputs.get("checks") or []}
    return "Success" in statuses and "Failed" not in statuses


def _release_of(inputs: dict[str, Any]) -> tuple[Any, Any, Any, Any]:
    return inputs.get("kubeconfig"), inputs.get("context"), inputs["operatorNamespace"], inputs["releaseName"]


def _id(inputs: dict[str, Any]) -> str:
    return str(inputs["namespace"])


def _as_outputs(checks: Sequence[Check]) -> list[dict[str, str]]:
    return [check.as_output() for check in checks]


def _describe_failure(platform: str, failed: Sequence[str], checks: Sequence[Check]) -> str:
    """Name the failed checks and show the table of all."""
    rows = [("Check", "Status", "Message"), *((check.name, check.status, check.message) for check in checks)]
    first, second = (max(len(row[column]) for row in rows) for column in (0, 1))
    table = "\n".join(f"  {name:<{first}}  {status:<{second}}  {message}" for name, status, message in rows)
    return f"the connection test of platform {platform} failed: {', '.join(failed)}\n\n{table}"
