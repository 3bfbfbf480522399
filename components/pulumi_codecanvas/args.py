"""The arguments of a computing platform, and the check that finds every fault in them at once.

The docstring under each key of `ComputingPlatformArgs` is also its text in the package's schema.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

from pulumi_codecanvas.chart_values import DEFAULT_CHART, derive_instance_id, owned_key_faults
from pulumi_codecanvas.checks import (
    annotation_faults,
    as_whole,
    dns_label_faults,
    is_output,
    join_path,
    label_faults,
    release_name_faults,
    suggest,
    type_name,
)
from pulumi_codecanvas.connection import (
    DEFAULT_TOKEN_VERSION,
    LOCAL_CHART,
    brought_faults,
    chart_faults,
    contradictions,
    values_faults,
)
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.freeze import freeze_faults
from pulumi_codecanvas.hardening import (
    POD_SECURITY_LEVELS,
    limits_faults,
    pod_security_faults,
    quota_faults,
    service_account_faults,
)
from pulumi_codecanvas.keys import private_key_faults
from pulumi_codecanvas.plain_values import read_plain
from pulumi_codecanvas.pod_template import PodTemplate, load_pod_template
from pulumi_codecanvas.snippet import parse_snippet
from pulumi_codecanvas.storage import storage_faults

if TYPE_CHECKING:
    from pathlib import Path

    from pulumi import Input


class ComputingPlatformArgs(TypedDict, total=False):
    """The arguments of a `ComputingPlatform`."""

    server_url: Input[str]
    """Address of the CodeCanvas application that the operator dials, such as `http://codecanvas.example.com:8098`.
    Required unless `connection_snippet` is given."""
    platform_name: str
    """Name of the connection in CodeCanvas, a DNS-1123 label; also the stem of every child's name. Another name is
    another platform, with another key and `instance_id`, and needs another `namespace`; the old one is deleted then.
    Defaults to the resource's name."""
    instance_id: Input[str]
    """The operator's instance ID (`operator.secret.instanceId`). Defaults to a UUID derived from the platform's name,
    the same on every machine and in every run. Excludes `connection_snippet`, which brings its own."""
    namespace: str
    """Kubernetes namespace in which dev environments run. A change moves the platform: the new namespace comes first,
    then the old one is deleted, which is refused while dev environments run there. Defaults to `platform_name`."""
    create_namespace: bool
    """Whether to create the namespace. `false` adopts an existing one: it keeps its own labels, and deleting the
    platform leaves it and every foreign object in it. Defaults to `true`."""
    operator_namespace: str
    """Namespace of the operator's Helm release. Defaults to `namespace`."""
    create_operator_namespace: bool
    """Whether to create `operator_namespace` where it differs from `namespace`. `false` adopts an existing one, such
    as one that several platforms share. Defaults to `true`."""
    pod_template: Any
    """The worker pod: YAML text, a mapping, or the path of a `.yaml` or `.yml` file relative to the program. It must
    be one `v1` `Pod` with a container named `worker-main`. Defaults to a bare `worker-main` Pod."""
    propagate_env: Sequence[str]
    """Names of environment variables that `worker-main` passes on into dev-environment containers."""
    propagate_paths: Sequence[str]
    """Paths of files that `worker-main` passes on into dev-environment containers."""
    service_accounts: Mapping[str, Mapping[str, Input[str]]]
    """Kubernetes ServiceAccounts to create in `namespace`: name to annotations, which carry the cloud rights of dev
    environments (IRSA on EKS, Workload Identity on GKE)."""
    labels: Mapping[str, str]
    """Labels put on every object that the platform owns."""
    annotations: Mapping[str, str]
    """Annotations put on every object that the platform owns."""
    chart: str
    """The operator's Helm chart: an `oci://` reference, a chart name (with `chart_repository`) or a local path.
    Defaults to the published operator chart."""
    chart_version: str
    """Version of the chart. Of an `oci://` reference without a tag or digest, and of a chart in a repository, the
    default is the version that this package was made for; a local path needs none. With a snippet that has no
    `--version` there is no default: the newest is taken."""
    chart_repository: str
    """URL of the Helm repository that holds `chart`."""
    chart_username: Input[str]
    """User name for a private chart registry or repository."""
    chart_password: Input[str]
    """Password for a private chart registry or repository."""
    release_name: str
    """Name of the Helm release, used as it is. Defaults to `codecanvas-operator`."""
    values: Input[Mapping[str, Any]]
    """Helm values, merged under those that this package sets, or on top of a snippet's. Overriding a key that the
    package owns is an error that names it."""
    private_key: Input[str]
    """Private key of the connection: an EC P-256 key as PEM. Defaults to a generated one."""
    token_version: str
    """A change makes a new key and restarts the operator on it. Defaults to `"1"`. Without effect on a key of your
    own; excludes `connection_snippet`."""
    connection_snippet: Input[str]
    """The `helm upgrade` command from the platform's settings page in CodeCanvas, with the generated token in it.
    Chart, version, release, namespace and every `--set` value come from it. Excludes `private_key`, `server_url`,
    `instance_id` and `token_version`."""
    freeze: bool
    """Block new dev environments and stop the running ones; volumes stay. Defaults to `false`."""
    freeze_reason: str
    """Why the platform is frozen: shown to whoever is refused, unless `freeze_mode` is `quota`; the first 500
    characters."""
    freeze_mode: str
    """How a freeze blocks: `policy` (a ValidatingAdmissionPolicy, Kubernetes 1.30 and later) or `quota` (a
    ResourceQuota of no pods; needs `operator_namespace` to differ from `namespace`). Defaults to `policy`."""
    stop_timeout: int
    """Seconds to wait for running dev environments to stop, and in a delete for what finalizers hold, volumes, and the
    namespace (for that at least 300). Defaults to 600."""
    test_connection: bool
    """Run the connection checks after every change; a failed check fails the update, by name. Defaults to `true`."""
    force_delete: bool
    """Let a delete, or a move to another namespace or cluster, stop dev environments that are running. It counts once
    an update has brought it into the state. Defaults to `false`."""
    retain_volumes: bool
    """Let a delete leave the volumes (PersistentVolumeClaims), and so the namespace. Defaults to `false`."""
    pod_security: str
    """Pod Security level that the namespace enforces: `privileged`, `baseline` or `restricted`. Audit and warn are set
    to `baseline`. Defaults to `privileged`, which Docker in the worker pod needs unless Sysbox is used. An adopted
    namespace keeps its own."""
    quota: Mapping[str, Any]
    """ResourceQuota for `namespace`: resource name to quantity, such as `requests.cpu: "64"`."""
    limits: Mapping[str, Any]
    """LimitRange for the containers in `namespace`: any of `default`, `defaultRequest`, `min`, `max` and
    `maxLimitRequestRatio`, each a mapping of resource name to quantity."""
    network_policy: bool
    """Isolate `namespace` by a NetworkPolicy: no traffic in from other namespaces but the operator's, no access to the
    cloud's metadata address. Policies add up, so one of your own allows what else has to reach worker pods, such as
    the application's jump server, or their way to the metadata server that Workload Identity on GKE takes (TCP 80 of
    169.254.169.254/32); IRSA and EKS Pod Identity need no such thing. Defaults to `false`."""
    storage: Any
    """StorageClass and VolumeSnapshotClass for dev environments: `eks`, `gke`, or a mapping with the CSI `driver` and
    any of `name`, `parameters`, `snapshotParameters`, `reclaimPolicy`, `deletionPolicy`, `volumeBindingMode`,
    `allowVolumeExpansion` and `default`. Both classes are named `codecanvas-` and the platform's name unless `name`
    says otherwise, and are the cluster's default only where `default` is true. Defaults to none."""
    kubeconfig: Input[str]
    """Kubeconfig of the platform's cluster: the file's content or its path. By default the component's kubernetes
    provider counts, else the stack's `kubernetes:` config, else the ambient kubeconfig. Content that leads to
    another cluster moves the platform."""
    context: str
    """Context to use, of `kubeconfig` or, without it, of the ambient kubeconfig. Defaults to the current one."""
    timeout: int
    """Seconds that the Helm release, a restart onto another key, and the connection test may take. Defaults to a
    snippet's `--timeout`, else to 600."""
    skip_await: bool
    """Let Helm not wait for the release's workloads to become ready; a release that never does is not rolled back
    then. The connection test still waits for the operator, unless `test_connection` is `false`. Defaults to
    `false`."""


SECRET_ARGUMENTS = frozenset({"private_key", "chart_password", "kubeconfig", "connection_snippet"})
"""Arguments that are secret from the first Output on, however they arrive."""

ARGUMENTS: dict[str, str] = {
    # A TypedDict holds annotations as ForwardRefs because evaluating them would import pulumi.
    name: getattr(hint, "__forward_arg__", str(hint))
    for name, hint in ComputingPlatformArgs.__annotations__.items()
}
"""Argument name to its annotation's text."""


@dataclass(frozen=True, repr=False)
class PlatformArgs:
    """Checked arguments with their defaults filled in. A value typed `Any` may be a `pulumi.Output`.

    Has no repr because some values are secret.
    """

    platform_name: str
    pod_template: PodTemplate
    base_dir: Path
    instance_id: Any = None
    server_url: Any = None
    namespace: str | None = None
    create_namespace: bool = True
    operator_namespace: str | None = None
    create_operator_namespace: bool = True
    service_accounts: Any = None
    labels: Mapping[str, str] | None = None
    annotations: Mapping[str, str] | None = None
    chart: str | None = None
    chart_version: str | None = None
    chart_repository: str | None = None
    chart_username: Any = None
    chart_password: Any = None
    release_name: str | None = None
    values: Any = None
    private_key: Any = None
    token_version: str = DEFAULT_TOKEN_VERSION
    connection_snippet: Any = None
    freeze: bool = False
    freeze_reason: str | None = None
    freeze_mode: str = "policy"
    stop_timeout: int = 600
    test_connection: bool = True
    force_delete: bool = False
    retain_volumes: bool = False
    pod_security: str = "privileged"
    quota: Mapping[str, Any] | None = None
    limits: Mapping[str, Any] | None = None
    network_policy: bool = False
    storage: Any = None
    kubeconfig: Any = None
    context: str | None = None
    timeout: int | None = None
    skip_await: bool = False


def check_args(
    name: str, args: Mapping[str, Any], *, base_dir: Path, spell: Callable[[str], str] = str
) -> PlatformArgs:
    """Check the arguments of the platform `name` and fill in the defaults.

    Args:
        name: the resource's name, the default of `platform_name`.
        args: argument name (snake_case) to value; None counts as not given.
        base_dir: folder that relative paths start from.
        spell: how the user spells an argument's name, for the faults' paths.

    Raises:
        InvalidArgumentsError: with every fault; each path starts with the argument's name.

    """
    given = {key: value for key, value in args.items() if value is not None}
    typed, faults = _read_types(given)
    faults = [*(_unknown_fault(key, spell) for key in given if key not in ARGUMENTS), *faults]
    typed.setdefault("platform_name", name)
    if isinstance(typed.get("values"), Mapping):
        typed["values"], found = read_plain("values", typed["values"])
        faults += found
    faults += _value_faults(typed) + chart_faults(typed, base_dir) + _combination_faults(given.keys(), typed, base_dir)
    faults += _idle_faults(typed)
    propagated = {key: typed.pop(key, ()) for key in ("propagate_env", "propagate_paths")}
    try:
        typed["pod_template"] = load_pod_template(typed.get("pod_template"), base_dir=base_dir, **propagated)
    except InvalidArgumentsError as error:
        faults += [_under_template(fault) for fault in error.faults]
    if faults:
        raise InvalidArgumentsError(respell(fault, spell) for fault in faults)
    if "connection_snippet" not in typed:
        typed.setdefault("instance_id", derive_instance_id(typed["platform_name"]))
    return PlatformArgs(base_dir=base_dir, **typed)


def sketch_args(name: str, args: Mapping[str, Any], *, base_dir: Path) -> tuple[PlatformArgs, frozenset[str]]:
    """Give what can be told of arguments with faults, to hold it against other platforms', and what cannot.

    What is of the right type may still be wrong; what is not has its default. The pod template is left out.
    """
    given = {key: value for key, value in args.items() if value is not None and key in ARGUMENTS}
    typed, _ = _read_types(given)
    untold = given.keys() - typed.keys()
    facts = {"platform_name": name, **typed, "pod_template": PodTemplate({})}
    kept = {field.name: facts[field.name] for field in fields(PlatformArgs) if field.name in facts}
    return PlatformArgs(base_dir=base_dir, **kept), frozenset(untold)


def _read_types(given: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """Take the known arguments that are of the right type; the others are faults."""
    typed: dict[str, Any] = {}
    faults = []
    for key in ARGUMENTS:
        if key in given:
            value, fault = _check_type(key, given[key])
            if fault:
                faults.append(fault)
            else:
                typed[key] = value
    return typed, faults


def to_camel(name: str) -> str:
    """Spell an argument as Pulumi configs and other languages do: `server_url` -> `serverUrl`."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def from_camel(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Rename known arguments to snake_case; unknown ones keep the name that the user typed."""
    return {_SNAKE.get(key, key): value for key, value in inputs.items()}


def spell_arguments(text: str, spell: Callable[[str], str]) -> str:
    """Spell the arguments that a text names in back-ticks, alone or with a value as in `freeze: true`."""

    def respell(found: re.Match[str]) -> str:
        name = _SNAKE.get(found[1], found[1])
        return f"`{spell(name)}" if name in ARGUMENTS else found[0]

    return _NAMED.sub(respell, text)


def respell(fault: Fault, spell: Callable[[str], str]) -> Fault:
    """Spell the argument at the head of a fault's path, and those that its texts name, as the user does."""
    head = _head(fault.path)
    name = _SNAKE.get(head, head)
    path = spell(name) + fault.path[len(head) :] if name in ARGUMENTS else fault.path
    return Fault(path, spell_arguments(fault.cause, spell), spell_arguments(fault.remedy, spell))


def twofold_faults(inputs: Mapping[str, Any]) -> list[Fault]:
    """Report arguments that are given in both spellings, for only one of them could count."""
    twofold = [name for name in ARGUMENTS if len({name, to_camel(name)} & inputs.keys()) > 1]
    return [Fault(to_camel(name), f"is given as `{name}` too", "remove one of the two") for name in twofold]


_SNAKE = {to_camel(name): name for name in ARGUMENTS}
_NAMED = re.compile(r"`(\w+)(?=[`:])")


def is_plain(value: object) -> bool:
    """Say whether a value is known now, as opposed to a `pulumi.Output`."""
    return not is_output(value)


_URL_SCHEMES = ("http", "https", "ws", "wss")


def _url_faults(path: str, url: str) -> list[Fault]:
    """Check the address that the operator dials."""
    remedy = "write it as in http://codecanvas.example.com:8098"
    try:
        parts = urlsplit(url)
        right = _is_host(parts.hostname or "") and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        right = False
    if not right or not url.isprintable() or re.search(r"\s", url):
        return [Fault(path, "is not a URL", remedy)]
    return [] if parts.scheme in _URL_SCHEMES else [Fault(path, "is no address of http, https, ws or wss", remedy)]


def _is_host(host: str) -> bool:
    """Tell whether a URL's host is a name or an IP address; one of IPv6 may name its zone."""
    if ":" in host:
        ipaddress.ip_address(host.partition("%")[0])
        return True
    return re.fullmatch(r"[\w-]+(\.[\w-]+)*\.?", host) is not None


def _instance_id_faults(path: str, value: str) -> list[Fault]:
    if value.strip():
        return []
    return [Fault(path, "is empty", "leave it out to have one derived from the platform's name")]


def way_faults(path: str, value: object) -> list[Fault]:
    """Refuse an empty way to a cluster, such as a variable that is not set: the ambient one may lead to another."""
    return [Fault(path, "is empty", "leave it out where the ambient one is meant")] if value == "" else []


_VALUE_CHECKS: dict[str, Callable[[str, Any], list[Fault]]] = {
    "platform_name": dns_label_faults,
    "instance_id": _instance_id_faults,
    "server_url": _url_faults,
    "namespace": dns_label_faults,
    "operator_namespace": dns_label_faults,
    "release_name": release_name_faults,
    "labels": label_faults,
    "annotations": annotation_faults,
    "service_accounts": service_account_faults,
    "pod_security": pod_security_faults,
    "quota": quota_faults,
    "limits": limits_faults,
    "storage": storage_faults,
    "kubeconfig": way_faults,
    "context": way_faults,
}
"""Checks of one plain value each: they take its path and the value."""


def _value_faults(typed: Mapping[str, Any]) -> list[Fault]:
    """Check each argument by itself; outputs are left to the time when they are known."""
    faults = [
        fault
        for key, check in _VALUE_CHECKS.items()
        if key in typed and is_plain(typed[key])
        for fault in check(key, typed[key])
    ]
    if isinstance(typed.get("private_key"), str):
        faults += [fault.within("private_key") for fault in private_key_faults(typed["private_key"])]
    if isinstance(typed.get("values"), Mapping):
        check_values = values_faults if "connection_snippet" in typed else owned_key_faults
        faults += check_values(typed["values"])
    return faults


def _combination_faults(given: Collection[str], typed: Mapping[str, Any], base_dir: Path) -> list[Fault]:
    """Check arguments against each other; one that is of a wrong type is given nevertheless."""
    if "connection_snippet" in given:
        return brought_faults(typed) + _snippet_faults(typed, base_dir)
    faults = _freeze_faults(given, typed)
    if "server_url" not in given:
        remedy = "give the address that the operator dials, or a `connection_snippet`"
        faults.insert(0, Fault("server_url", "is missing", remedy))
    if "chart_repository" in given:
        faults += _repository_faults(typed.get("chart") if "chart" in given else DEFAULT_CHART, given)
    if ("chart_username" in given) != ("chart_password" in given):
        missing = "chart_password" if "chart_username" in given else "chart_username"
        faults.append(Fault(missing, "is missing", "a private registry needs both user name and password"))
    return faults


def _idle_faults(typed: Mapping[str, Any]) -> list[Fault]:
    """Refuse what would have no effect where people rely on it: an adopted namespace keeps its own labels."""
    level = typed.get("pod_security")
    if typed.get("create_namespace", True) or level not in POD_SECURITY_LEVELS[1:]:
        return []
    remedy = f"remove it, and label the namespace yourself: pod-security.kubernetes.io/enforce={level}"
    return [Fault("pod_security", "has no effect on a namespace that is adopted (`create_namespace: false`)", remedy)]


def _repository_faults(chart: str | None, given: Collection[str]) -> list[Fault]:
    """Refuse a repository beside a chart that is an address of its own, as the default one is."""
    if chart is None or not chart.startswith("oci://"):
        return []
    if "chart" in given:
        return [Fault("chart_repository", "does not go with an oci:// chart", "put the registry into `chart`")]
    cause = "does not go with the default chart, which is an oci:// one"
    return [Fault("chart_repository", cause, "name the chart in that repository by `chart`")]


def _freeze_faults(given: Collection[str], typed: Mapping[str, Any]) -> list[Fault]:
    """Check how the platform freezes against where its operator lives, where both can be told."""
    deciding = {"freeze_mode", "platform_name", "namespace", "operator_namespace"}
    if any(key in given and key not in typed for key in deciding):
        return []
    namespace = typed.get("namespace", typed["platform_name"])
    return freeze_faults(typed.get("freeze_mode", "policy"), namespace, typed.get("operator_namespace", namespace))


def _snippet_faults(typed: Mapping[str, Any], base_dir: Path) -> list[Fault]:
    """Check a snippet whose text is known now."""
    snippet = typed.get("connection_snippet")
    if not isinstance(snippet, str):
        return []
    try:
        return contradictions(typed, parse_snippet(snippet, base_dir=base_dir))
    except InvalidArgumentsError as error:
        return [fault.within("connection_snippet") for fault in error.faults]


def _under_template(fault: Fault) -> Fault:
    """Place a fault of the pod template, unless it is in an argument of its own."""
    return fault if _SNAKE.get(_head(fault.path)) in {"propagate_env", "propagate_paths"} else _in_template(fault)


def _in_template(fault: Fault) -> Fault:
    return Fault("pod_template" + (f": {fault.path}" if fault.path else ""), fault.cause, fault.remedy)


def _unknown_fault(key: str, spell: Callable[[str], str]) -> Fault:
    known = [spell(name) for name in ARGUMENTS]
    return Fault(
        join_path("", key), "there is no such argument", suggest(key, known) or "see the arguments in the README"
    )


def _head(path: str) -> str:
    found = re.match(r"[A-Za-z_]+", path)
    return found.group() if found else ""


MAX_SECONDS = 2**31 - 1
"""The longest time that an argument may ask for: 68 years."""

_INTEGER_BITS = 64
"""Python cannot even write out integers of any length."""


def _check_type(key: str, value: Any) -> tuple[Any, Fault | None]:
    """Give the value as its annotation promises it, or the fault."""
    hint = ARGUMENTS[key]
    if not is_plain(value):
        if hint.startswith("Input["):
            return value, None
        return None, Fault(
            key,
            "must be known before the update starts; an output of another resource cannot decide it",
            "give a plain value",
        )
    kind = hint.removeprefix("Input[").removesuffix("]") if hint.startswith("Input[") else hint
    value = _path_text(key, value) if key in _PATHS and isinstance(value, os.PathLike) else as_whole(value)
    if kind == "str" and isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _INTEGER_BITS:
        value = str(value)  # `pulumi config set --path` stores a version `2` as a number
    problem = _type_problem(kind, value)
    if not problem and _holds_unsendable(value):
        return None, Fault(key, "holds a NUL or half a character, which no text of Kubernetes may", "remove it")
    return value, Fault(key, problem) if problem else None


_PATHS = frozenset({"chart", "kubeconfig"})
"""Arguments whose text may be a path, and that may be given as a path of Python's, too."""


def _path_text(key: str, path: os.PathLike[Any]) -> str:
    text = os.fsdecode(path)
    # Helm takes a chart that does not begin as a path does for the name of one in a repository.
    return text if key != "chart" or text.startswith(LOCAL_CHART) else f"./{text}"


_UNSENDABLE = re.compile("[\0\ud800-\udfff]")


def _holds_unsendable(value: object) -> bool:
    """Say whether a text at any depth cannot be sent to the engine or stored in the cluster."""
    pending, seen = [value], set()
    while pending:
        item = pending.pop()
        if isinstance(item, str) and _UNSENDABLE.search(item):
            return True
        if isinstance(item, (Mapping, list, tuple)) and id(item) not in seen:
            seen.add(id(item))
            pending += [*item, *item.values()] if isinstance(item, Mapping) else item
    return False


def _type_problem(kind: str, value: Any) -> str:
    """Say what is wrong with a plain value of an argument of this kind; empty if nothing is."""
    if kind == "int":
        return _seconds_problem(value)
    wanted = next((names for beginning, names in _KINDS.items() if kind.startswith(beginning)), None)
    if wanted is None or isinstance(value, wanted[0]):
        return ""
    return f"must be {wanted[1]}, not {type_name(value)}"


_KINDS: dict[str, tuple[type | tuple[type, ...], str]] = {
    "str": (str, "text"),
    "bool": (bool, "true or false"),
    # Of what is in them, each argument's own check tells more.
    "Sequence": ((list, tuple), "a list"),
    "Mapping": (Mapping, "a mapping"),
}
"""The beginning of an annotation's text, what it allows, and how to call that."""


def _seconds_problem(value: Any) -> str:
    wanted = "must be a whole number above 0"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return f"{wanted}, not {type_name(value)}"
    if isinstance(value, float) or value <= 0:
        return wanted
    return "" if value <= MAX_SECONDS else f"must be at most {MAX_SECONDS}"
