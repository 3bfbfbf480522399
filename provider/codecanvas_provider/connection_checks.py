"""The checks of a connection: each finds out one thing in the cluster and says what to do where it is wrong.

Messages depend on the state of the cluster alone, never on the time or on names that change by themselves while
all is well, so that a refresh shows a difference only where there is one.
"""

from __future__ import annotations

import asyncio
import re
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from codecanvas_provider.cluster import (
    LIMITS,
    POD,
    QUOTA,
    SERVICE_ACCOUNT,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    Refused,
    is_missing_right,
)
from codecanvas_provider.freeze_block import describe_block, freeze_block, how_to_delete, is_blocked, is_quota_denial
from codecanvas_provider.missing_rights import find_missing
from codecanvas_provider.namespace_holders import find_holders
from codecanvas_provider.namespaces import require_namespace
from codecanvas_provider.operator_rollout import FINGERPRINT, REVISION, SOURCES, read_sources
from codecanvas_provider.waiting import in_thread
from codecanvas_provider.worker_pods import join_names, name_of
from codecanvas_provider.workloads import explain_workloads, list_workloads, one_line, read_newest_revision
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.freeze import is_freeze_denial
from pulumi_codecanvas.manifests import PLATFORM_LABEL, stack_of
from pulumi_codecanvas.pod_template import worker_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from codecanvas_provider.cluster import Cluster, Kind
    from codecanvas_provider.operator_rollout import Sources
    from codecanvas_provider.permissions import Feature
    from codecanvas_provider.resource import Context
    from codecanvas_provider.workloads import Revision, Workload

T = TypeVar("T")

Status = Literal["Success", "Failed", "Skipped"]
Patience = Literal["none", "short", "long"]

LEAST_VERSION = (1, 29)
LEAST_VERSION_FOR_POLICY = (1, 30)
"""Kubernetes versions: what CodeCanvas needs, and since when the freeze policy is stable."""

TRIAL_NAME = "codecanvas-connection-test"

_ROTATE = (
    "rotate the key: with another `tokenVersion`, another `privateKey` where you gave one, or a snippet with a newly"
    " generated token"
)


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: its name, one of `CHECK_NAMES`.
        status: `Success`, `Failed` or `Skipped`.
        message: what was found and, where it failed, what to do.
        patience: how long a failure may pass by itself: not at all, moments, or as long as pods take to start.

    """

    name: str
    status: Status
    message: str
    patience: Patience = "none"

    def as_output(self) -> dict[str, str]:
        """Give it as users see it."""
        return {"name": self.name, "status": self.status, "message": self.message}


class _Looks:
    """What several checks of one run look at, looked at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}
        self._seen: dict[str, Any] = {}

    def once(self, what: str, look: Callable[[], T]) -> T:
        """Look, or give what was seen before; who comes meanwhile waits. A failed look is no look."""
        with self._lock:
            lock = self._locks.setdefault(what, threading.Lock())
        with lock:
            if what not in self._seen:
                self._seen[what] = look()
            seen: T = self._seen[what]
            return seen


@dataclass(frozen=True)
class Target:
    """What is to be checked: the inputs of a connection test.

    Attributes:
        lifting: a freeze may just be on its way out, so that its block is no fault yet.
        updating: the checks are part of an update, at whose end goes what the platform declares no more.
        declared: the platform's own objects on which a worker pod may depend, by kind and name.

    """

    cluster: Cluster
    platform: str
    namespace: str
    namespace_uid: str | None
    labels: Mapping[str, str]
    operator_namespace: str
    release: str
    fingerprint: str | None
    pod_template: Mapping[str, Any] | None
    frozen: bool
    freeze_mode: str
    storage_class: str | None
    snapshot_class: str | None
    lifting: bool = False
    updating: bool = False
    declared: frozenset[tuple[Kind, str]] = frozenset()
    looks: _Looks = field(default_factory=_Looks)


class _Outcome(Exception):  # noqa: N818 - ends a check early with this outcome
    def __init__(self, status: Status, message: str, patience: Patience = "none") -> None:
        self.status = status
        self.message = message
        self.patience = patience
        super().__init__(message)


def _fail(message: str, patience: Patience = "none") -> _Outcome:
    return _Outcome("Failed", message, patience)


def _skip(message: str) -> _Outcome:
    return _Outcome("Skipped", message)


async def run_checks(context: Context, target: Target, *, names: frozenset[str] | None = None) -> list[Check]:
    """Run the checks, side by side, and give their outcomes in the order of `CHECK_NAMES`.

    Args:
        context: ends the run on request.
        target: what is to be checked.
        names: the checks to run; None: all. That the cluster is not reached is always among the outcomes.

    """
    wanted = [name for name in CHECK_NAMES if names is None or name in names]
    target = replace(target, looks=_Looks())
    first = await in_thread(context, _run, REACHABLE, target)
    outcomes = [first] if REACHABLE in wanted or first.status != "Success" else []
    others = [name for name in wanted if name != REACHABLE]
    if first.status != "Success":
        return outcomes + [Check(name, "Skipped", "the cluster was not reached") for name in others]
    return [*outcomes, *await asyncio.gather(*(in_thread(context, _run, name, target) for name in others))]


def skip_checks(reason: str) -> list[Check]:
    """Give every check as skipped."""
    return [Check(name, "Skipped", reason) for name in CHECK_NAMES]


def _run(name: str, target: Target) -> Check:
    try:
        return Check(name, "Success", _CHECKS[name](target))
    except _Outcome as outcome:
        return Check(name, outcome.status, outcome.message, outcome.patience)
    except ClusterError as error:
        return Check(name, "Failed", str(error), "short")


def _check_reachable(target: Target) -> str:
    version = target.cluster.read_version()
    numbers = _version_numbers(version)
    least = LEAST_VERSION_FOR_POLICY if target.freeze_mode == "policy" else LEAST_VERSION
    if numbers < LEAST_VERSION:
        raise _fail(f"Kubernetes {version} is too old for CodeCanvas; upgrade the cluster to 1.29 or newer")
    if numbers < least:
        raise _fail(
            f"Kubernetes {version} knows no ValidatingAdmissionPolicy, so this platform could not be frozen;"
            " set `freezeMode: quota` and an `operatorNamespace` other than `namespace`, or upgrade the cluster to 1.30"
            " or newer"
        )
    return f"Kubernetes {version} answers"


def _version_numbers(version: str) -> tuple[int, int]:
    parts = version.lstrip("v").split(".")
    digits = ["".join(char for char in part if char.isdigit()) for part in parts[:2]]
    return (int(digits[0] or 0), int(digits[1] or 0)) if len(digits) == 2 else (0, 0)


def _check_permissions(target: Target) -> str:
    features: list[Feature] = ["connection test", "key rotation", "delete"]
    if target.frozen:
        features += ["freeze", "freeze by quota" if target.freeze_mode == "quota" else "freeze by policy"]
    missing = find_missing(
        target.cluster, features, namespace=target.namespace, operator_namespace=target.operator_namespace
    )
    if not missing:
        return "we may do everything that the features in use need"
    raise _fail(
        f"missing rights: {'; '.join(missing)}. Grant them to the user that the kubeconfig names"
        " (`codecanvas permissions` prints them as roles)"
    )


def _check_namespace(target: Target) -> str:
    namespace = require_namespace(target.cluster, target.namespace, target.namespace_uid)
    phase = (namespace.get("status") or {}).get("phase")
    if phase != "Active":
        holders = [str(holder) for holder in find_holders(target.cluster, target.namespace)]
        held = f", held by {join_names(holders)}" if holders else ""
        raise _fail(
            f"namespace {target.namespace} is {phase}{held}; see what holds it with"
            f" `kubectl get namespace {target.namespace} -o yaml`, and once it is gone run `pulumi refresh`, then"
            " `pulumi up`",
            "short",
        )
    found = namespace["metadata"].get("labels") or {}
    wrong = sorted(name for name, value in target.labels.items() if found.get(name) != value)
    if wrong:
        raise _fail(
            f"namespace {target.namespace} has lost its label {join_names(wrong)} or bears another value;"
            " run `pulumi up --refresh`, which puts it back"
        )
    return f"namespace {target.namespace} is active" + (" and labelled" if target.labels else "")


def _check_release(target: Target) -> str:
    release, namespace = target.release, target.operator_namespace
    revision = _newest_revision(target)
    if revision is None:
        raise _fail(
            f"release {release} is not installed in namespace {namespace}; `pulumi up --refresh` installs it again"
        )
    if revision.status == "deployed":
        return f"release {release} is deployed"
    if revision.status.startswith("pending-"):
        undo = "uninstall" if revision.number == 1 else "rollback"
        raise _fail(
            f"release {release} is {revision.status}: another Helm operation runs, or was interrupted; where none runs,"
            f" `helm {undo} {release} --namespace {namespace}` ends it, then run `pulumi up --refresh`",
            "short",
        )
    if revision.status == "uninstalling":
        raise _fail(
            f"release {release} is uninstalling: a delete was cut off; `pulumi destroy` finishes it, or"
            f" `pulumi up --replace '**::{target.platform}-release'` installs it again"
        )
    raise _fail(
        f"release {release} is {revision.status or 'in an unknown state'}; look at"
        f" `helm history {release} --namespace {namespace}`, then run `pulumi up --refresh`"
    )


def _newest_revision(target: Target) -> Revision | None:
    return target.looks.once(
        "revision", lambda: read_newest_revision(target.cluster, target.operator_namespace, target.release)
    )


def _find_workloads(target: Target) -> list[Workload]:
    workloads = target.looks.once(
        "workloads", lambda: list_workloads(target.cluster, target.operator_namespace, target.release)
    )
    if not workloads and _newest_revision(target) is None:
        raise _skip("the release is not installed")
    return workloads


def _check_operator(target: Target) -> str:
    workloads = _find_workloads(target)
    if not workloads:
        raise _fail(
            f"release {target.release} has no Deployment, StatefulSet or DaemonSet in namespace"
            f" {target.operator_namespace}; {_put_back(target)}"
        )
    for workload in workloads:
        sources = read_sources(target.cluster, target.operator_namespace, workload)
        if sources.missing:
            raise _fail(
                f"{workload.title} needs {join_names(sources.missing)}, which does not exist, so it runs until its next"
                f" restart only; {_put_back(target)}",
                "short",
            )
        if target.fingerprint is not None:
            _require_key(target, workload, sources)
    unready = [workload for workload in workloads if not workload.is_ready]
    if unready:
        reasons = explain_workloads(target.cluster, target.operator_namespace, unready)
        scaled = all(workload.is_scaled_down for workload in unready)
        names = " ".join(f"{workload.kind.plural}/{workload.name}" for workload in unready)
        remedy = (
            f"scale it up: `kubectl scale --namespace {target.operator_namespace} --replicas=1 {names}`"
            if scaled
            else f"look at `kubectl describe --namespace {target.operator_namespace} {names}`"
        )
        raise _fail(f"{'. '.join(reasons)}; {remedy}", "none" if scaled else "long")
    on_key = " and on the current key" if target.fingerprint is not None else ""
    return f"{join_names(workload.title for workload in workloads)}: ready{on_key}"


def _require_key(target: Target, workload: Workload, sources: Sources) -> None:
    noted = workload.annotations.get(FINGERPRINT)
    if noted != target.fingerprint:
        found = f"the key {noted}" if noted else "an unknown key"
        raise _fail(
            f"{workload.title} runs on {found}, not on {target.fingerprint}; `pulumi up --refresh` restarts it onto the"
            " current one"
        )
    revision = _newest_revision(target)
    tested = workload.annotations.get(REVISION)
    if revision is not None and tested != str(revision.number) and workload.annotations.get(SOURCES) != sources.state:
        raise _fail(
            f"{workload.title} may not run on the current key: release {target.release} was upgraded past this stack"
            f" (to revision {revision.number}, tested was {tested}); run `pulumi up --refresh`, or {_ROTATE}"
        )
    rewritten = sources.rewritten(workload)
    if rewritten:
        raise _fail(
            f"{workload.title} may not run on the current key: what it reads was changed past this stack"
            f" ({join_names(rewritten)}); {_put_back(target)}, or {_ROTATE}"
        )


def _put_back(target: Target) -> str:
    """Say how the release puts back what it once brought; its newest revision, lest an older key comes back."""
    revision = _newest_revision(target)
    number = f" {revision.number}" if revision else ""
    return (
        f"`helm rollback {target.release}{number} --namespace {target.operator_namespace}` puts it back, then run"
        " `pulumi up --refresh`"
    )


def _check_operator_rights(target: Target) -> str:
    """Ask for the least that an operator must be able to do; what else a chart grants is its own affair."""
    workloads = _find_workloads(target)
    if not workloads:
        raise _skip("the release has no operator")
    accounts = sorted({workload.pod_spec.get("serviceAccountName") or "default" for workload in workloads})
    try:
        denied = {account: _denied_verbs(target, account) for account in accounts}
    except Refused as error:
        if error.status != 403:
            raise
        raise _skip("we may not ask what others may do (create localsubjectaccessreviews)") from None
    # Of several workloads, one is the operator.
    if not all(denied.values()):
        return f"the operator may run dev environments in namespace {target.namespace}"
    account = accounts[0]
    raise _fail(
        f"the operator's service account {account} may not {' and '.join(denied[account])} pods in namespace"
        f" {target.namespace}: its Role or RoleBinding is gone; {_put_back(target)}"
    )


def _denied_verbs(target: Target, account: str) -> list[str]:
    return [
        verb
        for verb in ("create", "delete")
        if not target.cluster.account_may(account, target.operator_namespace, verb, "pods", target.namespace)
    ]


def _check_template(target: Target) -> str:
    refusal = target.looks.once("trial", lambda: _try_template(target))
    block = freeze_block(target.namespace, target.freeze_mode)
    if target.frozen:
        if refusal is not None and is_blocked(target.cluster, block, refusal):
            return "the platform is frozen: a worker pod is refused"
        found = "accepted" if refusal is None else f"refused for another reason ({refusal})"
        raise _fail(
            f"the platform is frozen but a worker pod is {found}; see that {describe_block(block)} exist:"
            " `pulumi up --refresh` puts back what is missing",
            "short",
        )
    _require_account(target)
    if refusal is None:
        return _ACCEPTED
    if is_freeze_denial(refusal, namespace=target.namespace):
        if target.lifting:
            return _ACCEPTED
        left = "quota" if is_quota_denial(refusal) else "policy"
        raise _fail(
            f"the platform is not frozen but what a freeze left behind refuses worker pods: {refusal}; delete it:"
            f" `{how_to_delete(freeze_block(target.namespace, left))}`"
        )
    if is_quota_denial(refusal):
        return _ACCEPTED
    if _is_limit_denial(refusal) and (leaving := _find_leaving(target, LIMITS)):
        raise _skip_leaving(LIMITS, min(leaving), refusal)
    raise _fail(
        f"the cluster refuses a worker pod made from the template: {refusal}; change the template, or what refuses it",
        "short" if "serviceaccount" in refusal else "none",
    )


_ACCEPTED = "a worker pod made from the template is accepted"


def _require_account(target: Target) -> None:
    """Fail where the template's service account is there for this test but not for the dev environments after it."""
    spec = (target.pod_template or {}).get("spec") or {}
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if not account or (SERVICE_ACCOUNT, account) in target.declared:
        return
    if account in _find_leaving(target, SERVICE_ACCOUNT):
        raise _fail(
            f"the template names a service account that is declared no more:"
            f" {_describe_leaving(SERVICE_ACCOUNT, account)}; put it back into `serviceAccounts`, or change"
            " `serviceAccountName` in the template"
        )


def _find_leaving(target: Target, kind: Kind) -> set[str]:
    """Name the platform's own objects of a kind that are declared no more: Pulumi deletes them after all updates."""
    if not target.updating:
        return set()
    labels = f"{PLATFORM_LABEL}={target.platform}"
    try:
        own = target.cluster.list_all(kind, target.namespace, labels=labels, metadata_only=True)
    except Refused as error:
        # Who has made one may look at it.
        if error.status != 403:
            raise
        return set()
    names = {name_of(thing) for thing in own if stack_of(thing["metadata"])}
    return {name for name in names if (kind, name) not in target.declared}


def _describe_leaving(kind: Kind, name: str) -> str:
    return f"{kind.name} {name} goes at the end of this update"


def _skip_leaving(kind: Kind, name: str, refusal: str) -> _Outcome:
    return _skip(f"{_describe_leaving(kind, name)}; until then it refuses a worker pod: {refusal}")


def _is_limit_denial(message: str) -> bool:
    """Tell whether a LimitRange refused a pod, or gave it a default that does not go with what the pod says."""
    signs = ("usage per Container is", "request ratio per Container is", "must be less than or equal to")
    return any(sign in message for sign in signs)


def _try_template(target: Target) -> str | None:
    """Ask in a dry run for a worker pod made from the template; give the API server's refusal, if any."""
    template = target.pod_template
    if template is None:
        raise _skip("no pod template is given")
    pod = worker_pod(template, name=TRIAL_NAME, namespace=target.namespace, labels={}, annotations={})
    try:
        target.cluster.create(POD, pod, target.namespace, dry_run=True)
    except Refused as error:
        if error.status == 404:
            raise _skip(f"namespace {target.namespace} does not exist") from None
        if is_missing_right(error.message):
            raise _skip("we may not create pods") from None
        if error.status not in {400, 403, 409, 422}:
            raise
        return one_line(hide_values(error.message, template), 600)
    return None


def hide_values(text: str, template: Mapping[str, Any]) -> str:
    """Take values of environment variables out of the API server's words: they may be secret."""
    spec = template.get("spec") or {}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        for variable in container.get("env") or []:
            value = variable.get("value")
            if isinstance(value, str) and len(value) >= _SHORTEST_HIDDEN:
                text = text.replace(value, "...")
    return text


_SHORTEST_HIDDEN = 4


def _check_storage_class(target: Target) -> str:
    name = target.storage_class
    if name is None:
        raise _skip("no storage class is named")
    found = _get_class(target, STORAGE_CLASS, name)
    if found is None:
        raise _fail(f"storage class {name} does not exist; run `pulumi up --refresh`, which puts it back")
    return f"storage class {name} exists"


def _check_snapshot_class(target: Target) -> str:
    name = target.snapshot_class
    if name is None:
        raise _skip("no volume snapshot class is named")
    found = _get_class(target, SNAPSHOT_CLASS, name)
    if found is None and not target.cluster.serves(SNAPSHOT_CLASS):
        raise _fail("the cluster knows no volume snapshots; install the CSI snapshot controller and its CRDs")
    if found is None:
        raise _fail(f"volume snapshot class {name} does not exist; run `pulumi up --refresh`, which puts it back")
    storage = _get_class(target, STORAGE_CLASS, target.storage_class) if target.storage_class else None
    if storage is not None and storage.get("provisioner") != found.get("driver"):
        raise _fail(
            f"volume snapshot class {name} is for driver {found.get('driver')}, but storage class"
            f" {target.storage_class} for {storage.get('provisioner')}; give both the same driver"
        )
    return f"volume snapshot class {name} exists"


def _get_class(target: Target, kind: Kind, name: str) -> dict[str, Any] | None:
    try:
        return target.cluster.get(kind, name)
    except Refused as error:
        if error.status != 403:
            raise
        raise _skip(f"we may not read {kind.plural}") from None


def _check_quota(target: Target) -> str:
    """See that one more dev environment fits; the API server itself does the sums for its pod."""
    if target.frozen:
        raise _skip("the platform is frozen")
    try:
        refusal = target.looks.once("trial", lambda: _try_template(target))
    except _Outcome:
        refusal = None
    if refusal is not None and is_quota_denial(refusal) and not is_freeze_denial(refusal, namespace=target.namespace):
        for name in _find_leaving(target, QUOTA):
            if re.search(rf"quota: {re.escape(name)}[:,]", refusal):
                raise _skip_leaving(QUOTA, name, refusal)
        if "must specify" in refusal:
            raise _fail(
                f"a quota refuses a worker pod that does not say what it takes: {refusal}; give `worker-main` these"
                " requests and limits in the pod template, or the platform defaults by `limits`"
            )
        raise _fail(f"no room for another dev environment: {refusal}; raise the quota or stop dev environments")
    for quota in sorted(target.cluster.list_all(QUOTA, target.namespace), key=name_of):
        full = _full_resources(quota, target.storage_class)
        if full and name_of(quota) not in _find_leaving(target, QUOTA):
            raise _fail(
                f"no room for another volume: ResourceQuota {name_of(quota)} is used up for {join_names(full)};"
                " raise the quota or delete dev environments"
            )
    lifted = target.lifting and refusal is not None and is_freeze_denial(refusal, namespace=target.namespace)
    if refusal is not None and not lifted:
        raise _skip("not seen: the worker pod is refused before a quota counts")
    return "there is room for another dev environment"


def _full_resources(quota: dict[str, Any], storage_class: str | None) -> list[str]:
    """Name the resources of volumes that a quota has no room for; those of other storage classes do not matter."""
    from kubernetes.utils import quantity

    parse: Any = quantity.parse_quantity  # the package ships no types
    status = quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    prefixes = ["", *([f"{storage_class}.storageclass.storage.k8s.io/"] if storage_class else [])]
    counted = {prefix + name for prefix in prefixes for name in ("persistentvolumeclaims", "requests.storage")}
    return sorted(name for name in hard if name in used and name in counted and parse(used[name]) >= parse(hard[name]))


REACHABLE = "Cluster reachable"
"""The check without which no other says anything."""

_CHECKS: dict[str, Callable[[Target], str]] = {
    REACHABLE: _check_reachable,
    "Permissions": _check_permissions,
    "Namespace": _check_namespace,
    "Helm release": _check_release,
    "Operator": _check_operator,
    "Operator permissions": _check_operator_rights,
    "Pod template": _check_template,
    "Storage class": _check_storage_class,
    "Volume snapshot class": _check_snapshot_class,
    "Quota": _check_quota,
}

CHECK_NAMES = tuple(_CHECKS)
"""The checks, in the order in which they are shown."""
