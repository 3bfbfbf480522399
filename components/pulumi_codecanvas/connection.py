"""What connects a platform: where its release lives and with which values, from arguments or a snippet."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.chart_values import DEFAULT_CHART, DEFAULT_CHART_VERSION, DEFAULT_RELEASE_NAME, owned_key_faults
from pulumi_codecanvas.errors import Fault
from pulumi_codecanvas.freeze import freeze_faults
from pulumi_codecanvas.snippet import BAD_NAMESPACE, BAD_VERSION, exists, is_address, is_namespace, is_version
from pulumi_codecanvas.snippet_values import PATHS_START

if TYPE_CHECKING:
    from pathlib import Path

    from pulumi_codecanvas.args import PlatformArgs
    from pulumi_codecanvas.snippet import Snippet


DEFAULT_TIMEOUT = 600
"""Seconds that a release may take where neither the arguments nor a snippet say so."""

LOCAL_CHART = ("./", "../", "/")
"""How a chart begins that can be nothing but a path."""

DEFAULT_TOKEN_VERSION = "1"  # noqa: S105 - a version, not a token
"""The version of a generated key that was never rotated."""

SECRET_FIELDS = frozenset({"chart_username", "chart_password"})
"""Fields of a `Place` that stay secret where they come from a snippet."""

_REPOSITORY_SCHEMES = ("https", "http", "oci")
_LOGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@")

_BROUGHT = {
    "server_url": "",
    "private_key": "",
    "instance_id": "",
    "token_version": "; to rotate, paste the snippet with a newly generated token",
}
"""Arguments that a snippet leaves no room for, and what else there is to say about each."""


@dataclass(frozen=True, repr=False)
class Place:
    """The place and the chart of a platform's operator. Has no repr because some values are secret."""

    namespace: str
    operator_namespace: str
    release_name: str
    chart: str
    chart_version: str | None
    chart_repository: str | None
    chart_username: Any
    chart_password: Any
    devel: bool
    timeout: int


def place_of_args(args: PlatformArgs) -> Place:
    """Take the connection from the arguments alone."""
    namespace = args.namespace or args.platform_name
    chart = args.chart or DEFAULT_CHART
    default_version = DEFAULT_CHART_VERSION if _takes_version(chart, args.chart_repository) else None
    return Place(
        namespace=namespace,
        operator_namespace=args.operator_namespace or namespace,
        release_name=args.release_name or DEFAULT_RELEASE_NAME,
        chart=chart,
        chart_version=args.chart_version or default_version,
        chart_repository=args.chart_repository,
        chart_username=args.chart_username,
        chart_password=args.chart_password,
        devel=False,
        timeout=args.timeout or DEFAULT_TIMEOUT,
    )


def _takes_version(chart: str, repository: str | None) -> bool:
    """Say whether a chart comes in versions of which none is chosen yet: not a path, nor a reference with a tag."""
    if chart.startswith("oci://"):
        return not re.search("[:@]", chart.rpartition("/")[2])
    return repository is not None and not chart.startswith(LOCAL_CHART)


def place_of_snippet(args: Mapping[str, Any], snippet: Snippet) -> Place:
    """Take the connection from a snippet; the arguments only fill what it leaves open."""
    target = target_namespace(snippet)
    release_namespace = snippet.namespace or args.get("operator_namespace") or args.get("namespace")
    namespace = target or args.get("namespace") or release_namespace or args["platform_name"]
    return Place(
        namespace=namespace,
        operator_namespace=release_namespace or namespace,
        release_name=snippet.release_name or args.get("release_name") or DEFAULT_RELEASE_NAME,
        chart=snippet.chart,
        chart_version=snippet.chart_version or args.get("chart_version"),
        chart_repository=snippet.chart_repository,
        chart_username=snippet.chart_username or args.get("chart_username"),
        chart_password=snippet.chart_password or args.get("chart_password"),
        devel=snippet.devel,
        timeout=args.get("timeout") or snippet.timeout or DEFAULT_TIMEOUT,
    )


def brought_faults(args: Mapping[str, Any]) -> list[Fault]:
    """Refuse the arguments beside which a snippet makes no sense; `args` holds what was given.

    The default of `token_version` passes: SDKs of other languages always send it.
    """
    return [
        Fault(key, "does not go with a connection snippet, which brings its own", "remove one of the two" + more)
        for key, more in _BROUGHT.items()
        if args.get(key) is not None and (key, args[key]) != ("token_version", DEFAULT_TOKEN_VERSION)
    ]


def chart_faults(args: Mapping[str, Any], base_dir: Path) -> list[Fault]:
    """Check what the arguments say of the chart, each by itself; `args` holds those of the right type."""
    chart, repository, version = (args.get(key) for key in ("chart", "chart_repository", "chart_version"))
    addresses = {"chart": chart, "chart_repository": repository}
    logins = [key for key, address in addresses.items() if _holds_login(address)]
    faults = [Fault(key, "holds a login", "give it by `chart_username` and `chart_password`") for key in logins]
    if chart is not None and chart.startswith(LOCAL_CHART) and not exists(base_dir, chart):
        faults.append(Fault("chart", "is a path, and nothing is there", PATHS_START))
    if repository is not None and "chart_repository" not in logins and not is_address(repository, _REPOSITORY_SCHEMES):
        cause = "is not a plain https://, http:// or oci:// address of a chart repository"
        faults.append(Fault("chart_repository", cause, "write it as in https://charts.example.com, without a query"))
    if version is not None and not is_version(version):
        faults.append(Fault("chart_version", BAD_VERSION, f"write it as in {DEFAULT_CHART_VERSION}"))
    return faults


def _holds_login(address: str | None) -> bool:
    return address is not None and _LOGIN.match(address) is not None


def values_faults(values: object) -> list[Fault]:
    """Refuse values that would replace what the chart's public keys take from the snippet."""
    return [
        Fault(fault.path, "comes from the connection snippet", "change it in the snippet's text")
        for fault in owned_key_faults(values)
    ]


def contradictions(args: Mapping[str, Any], snippet: Snippet) -> list[Fault]:
    """Find arguments that do not go with what the snippet says.

    Where two say different things the fault shows both, except for a registry's login, which it never shows.
    """
    place = place_of_snippet(args, snippet)
    return [
        *_target_faults(snippet),
        *_differences(args, snippet),
        *_double_logins(args, snippet),
        *_apart(args, snippet),
        *_together(args, place),
        *freeze_faults(args.get("freeze_mode", "policy"), place.namespace, place.operator_namespace),
    ]


def _target_faults(snippet: Snippet) -> list[Fault]:
    """Refuse what is no namespace, as is what Helm reads `--set` of one that looks like a number or a truth."""
    target = _said_target(snippet)
    if target in (None, "") or target_namespace(snippet) is not None:
        return []
    if isinstance(target, str):
        return [Fault("connection_snippet", f"`operator.targetNamespace` {BAD_NAMESPACE}")]
    cause = "`operator.targetNamespace` is no text, so the operator would not know its namespace"
    return [Fault("connection_snippet", cause, "give it with `--set-string`, or quoted in the values file")]


def _differences(args: Mapping[str, Any], snippet: Snippet) -> list[Fault]:
    pairs = {
        "chart": snippet.chart,
        "chart_version": snippet.chart_version,
        "chart_repository": snippet.chart_repository,
        "release_name": snippet.release_name,
        "operator_namespace": snippet.namespace,
        "namespace": target_namespace(snippet) or (None if args.get("operator_namespace") else snippet.namespace),
    }
    faults = [
        Fault(name, f"is {_show(args[name])}, but the connection snippet says `{theirs}`", "remove one of the two")
        for name, theirs in pairs.items()
        if args.get(name) is not None and theirs is not None and args[name] != theirs
    ]
    repository = args.get("chart_repository")
    if repository is not None and snippet.chart_repository is None:
        cause = f"is {_show(repository)}, but the connection snippet takes its chart from `{snippet.chart}`"
        faults.append(Fault("chart_repository", cause, "remove one of the two"))
    return faults


def _show(text: str) -> str:
    return "an address with a login" if _holds_login(text) else f"`{text}`"


def _double_logins(args: Mapping[str, Any], snippet: Snippet) -> list[Fault]:
    """Refuse a login that is given twice, the same or not: that could not be told without comparing secrets."""
    return [
        Fault(f"chart_{name}", f"is given, and `--{name}` stands in the connection snippet", "remove one of the two")
        for name in ("username", "password")
        if args.get(f"chart_{name}") is not None and getattr(snippet, f"chart_{name}") is not None
    ]


def target_namespace(snippet: Snippet) -> str | None:
    """Give the namespace that the snippet tells the operator to run dev environments in, if it does."""
    target = _said_target(snippet)
    return target if isinstance(target, str) and is_namespace(target) else None


def _said_target(snippet: Snippet) -> object:
    operator = snippet.values.get("operator")
    return operator.get("targetNamespace") if isinstance(operator, Mapping) else None


def values_fingerprint(values: Mapping[str, Any]) -> str:
    """Give a digest by which a stack knows a release of its own: of the private key or, without one, of all values."""
    key = _private_key(values)
    text = key if key is not None else json.dumps(values, sort_keys=True, separators=(",", ":"), default=str)
    return "SHA256:" + hashlib.sha256(text.encode()).hexdigest()


def snippet_fingerprint(snippet: Snippet) -> str:
    """Give a digest of the snippet's values, so that a new token restarts the operator."""
    text = json.dumps(snippet.values, sort_keys=True, separators=(",", ":"), default=str)
    return "SHA256:" + hashlib.sha256(text.encode()).hexdigest()


def snippet_key(snippet: Snippet) -> str | None:
    """Give the private key of a snippet that uses the documented value name."""
    return _private_key(snippet.values)


def _private_key(values: Mapping[str, Any]) -> str | None:
    operator = values.get("operator")
    secret = operator.get("secret") if isinstance(operator, Mapping) else None
    key = secret.get("jwtPrivateKey") if isinstance(secret, Mapping) else None
    return key if isinstance(key, str) else None


def _together(args: Mapping[str, Any], place: Place) -> list[Fault]:
    """Refuse a namespace of the operator's own where the snippet puts all into one."""
    given = args.get("operator_namespace")
    if args.get("namespace") is not None or not given == place.namespace == place.operator_namespace:
        return []
    cause = f"is `{given}`, where the connection snippet has dev environments run as well"
    return [Fault("operator_namespace", cause, "remove it, or give `namespace` where dev environments are to run")]


def _apart(args: Mapping[str, Any], snippet: Snippet) -> list[Fault]:
    """Refuse a snippet that splits the namespaces where the arguments do not say so."""
    target = target_namespace(snippet)
    if args.get("operator_namespace") or not target or not snippet.namespace or target == snippet.namespace:
        return []
    return [
        Fault(
            "connection_snippet",
            f"puts the release into namespace `{snippet.namespace}` and dev environments into `{target}`",
            f"confirm it with `operator_namespace: {snippet.namespace}`",
        )
    ]
