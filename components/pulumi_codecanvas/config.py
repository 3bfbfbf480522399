"""The stack's config -> the arguments of its platforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.args import (
    SECRET_ARGUMENTS,
    PlatformArgs,
    check_args,
    from_camel,
    sketch_args,
    to_camel,
    twofold_faults,
)
from pulumi_codecanvas.checks import dns_subdomain_faults, join_path, suggest
from pulumi_codecanvas.connection import Place, place_of_args, place_of_snippet
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.kubeconfig import is_path
from pulumi_codecanvas.snippet import parse_snippet
from pulumi_codecanvas.storage import storage_name

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST_PATH = 1024
"""A kubeconfig in one line that is longer is no path: many keep its content as base64."""

KEYS = ("platforms", "freezeAll")
"""The keys under `codecanvas:` in a stack's config."""


def read_platforms(config: Mapping[str, Any], *, base_dir: Path) -> dict[str, dict[str, Any]]:
    """Read the arguments of every platform of a stack, sorted by name.

    Args:
        config: the stack's config under `codecanvas:`, key to parsed value: `platforms` is a mapping from a
            platform's name to its arguments in camelCase, `freezeAll` freezes every one.
        base_dir: folder that relative paths start from.

    Raises:
        InvalidArgumentsError: with every fault of every platform, each path as in `platforms.eu.podTemplate`.

    """
    faults = [
        Fault(join_path("", key), "there is no such key", suggest(key, KEYS) or "there are `platforms` and `freezeAll`")
        for key in config
        if key not in KEYS
    ]
    freeze_all = config.get("freezeAll", False)
    if not isinstance(freeze_all, bool):
        faults.append(Fault("freezeAll", "must be true or false", _FREEZE_ALL))
    named = config.get("platforms")
    if not isinstance(named, Mapping) or not named:
        faults.append(Fault("platforms", "must map the name of each platform to its arguments", _EXAMPLE))
        named = {}
    platforms: dict[str, dict[str, Any]] = {}
    for name in sorted(named, key=str):
        given = named[name] if named[name] is not None else {}
        path = join_path("platforms", str(name))
        if not isinstance(given, Mapping):
            faults.append(Fault(path, "must be a mapping of arguments", _EXAMPLE))
            continue
        faults += [fault.within(path) for fault in twofold_faults(given)]
        platforms[str(name)] = from_camel(given) | ({"freeze": True} if freeze_all is True else {})
    claims: dict[str, list[_Claim]] = {}
    for name, args in platforms.items():
        claims[name], found = _check_platform(name, args, base_dir)
        faults += [fault.within(join_path("platforms", name)) for fault in found]
    faults += _clashes(claims)
    if faults:
        raise InvalidArgumentsError(faults)
    return platforms


def list_secrets(config: Mapping[str, Any]) -> list[str]:
    """Give the path of each argument that holds a secret, as in `platforms.eu.privateKey`; the config has no faults."""
    return [
        f"{join_path('platforms', str(name))}.{key}"
        for name, given in config["platforms"].items()
        for key, value in (given or {}).items()
        if SECRET_ARGUMENTS & from_camel({key: value}).keys() and _holds_secret(key, value)
    ]


def _holds_secret(key: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    return key != "kubeconfig" or not is_path(value) or len(value) >= _LONGEST_PATH


_FREEZE_ALL = "such as: pulumi config set codecanvas:freezeAll true"
_EXAMPLE = "such as: pulumi config set --path 'codecanvas:platforms.eu.serverUrl' http://codecanvas.example.com:8098"


@dataclass(frozen=True)
class _Claim:
    """What a platform must have for itself.

    Attributes:
        argument: the argument that decides it, as the config spells it.
        key: kind and name; of what is on a cluster, the cluster stands between the two.
        needs: arguments without which it cannot be told.
    """

    argument: str
    key: tuple[Any, ...]
    needs: frozenset[str]


def _check_platform(name: str, args: Mapping[str, Any], base_dir: Path) -> tuple[list[_Claim], list[Fault]]:
    """Check one platform's arguments; give also what it claims, as far as faults let one tell."""
    try:
        return _claims(check_args(name, args, base_dir=base_dir, spell=to_camel)), []
    except InvalidArgumentsError as error:
        sketch, untold = sketch_args(name, args, base_dir=base_dir)
        told = [claim for claim in _claims(sketch) if not claim.needs & untold and _is_name(claim.key[-1])]
        return told, list(error.faults)


def _is_name(text: str) -> bool:
    """Tell whether a claim's name can be one: what cannot has a fault of its own, and may hold anything."""
    return all(not dns_subdomain_faults("", part) for part in text.split("/"))


def _clashes(claims: Mapping[str, list[_Claim]]) -> list[Fault]:
    """Find platforms that would use the same name, namespace, release or storage class."""
    faults: list[Fault] = []
    owners: dict[tuple[Any, ...], str] = {}
    for name, claimed in claims.items():
        for claim in claimed:
            first = owners.setdefault(claim.key, name)
            if first != name:
                cause = f"`{claim.key[-1]}` is taken by platform `{first}`" + (
                    " on the same cluster" if len(claim.key) > 2 else ""
                )
                path = f"{join_path('platforms', name)}.{claim.argument}"
                faults.append(Fault(path, cause, "give each platform its own"))
    return faults


_CLUSTER = frozenset({"platform_name", "kubeconfig", "context"})
_PLACE = _CLUSTER | {"namespace", "connection_snippet"}


def _claims(args: PlatformArgs) -> list[_Claim]:
    """List what a platform must have for itself."""
    named = _Claim("platformName", ("name", args.platform_name), frozenset({"platform_name"}))
    return [named, *_place_claims(args), *_storage_claims(args)]


def _place_claims(args: PlatformArgs) -> list[_Claim]:
    """List the namespaces and the release; none where the snippet that says them cannot be read."""
    try:
        place = _place(args)
    except InvalidArgumentsError:
        return []
    cluster = (args.kubeconfig, args.context)
    release = f"{place.operator_namespace}/{place.release_name}"
    apart = _PLACE | {"operator_namespace"}
    claims = [
        _Claim("namespace", ("namespace", *cluster, place.namespace), _PLACE),
        _Claim("releaseName", ("release", *cluster, release), apart | {"release_name"}),
    ]
    if args.create_operator_namespace and place.operator_namespace != place.namespace:
        key = ("namespace", *cluster, place.operator_namespace)
        claims.append(_Claim("createOperatorNamespace", key, apart | {"create_operator_namespace"}))
    return claims


def _storage_claims(args: PlatformArgs) -> list[_Claim]:
    """List the name of the classes, which belong to no namespace."""
    if not isinstance(args.storage, str | Mapping):
        return []
    argument = "storage.name" if isinstance(args.storage, Mapping) and "name" in args.storage else "storage"
    name = storage_name(args.storage, args.platform_name)
    return [_Claim(argument, ("storage", args.kubeconfig, args.context, name), _CLUSTER)]


def _place(args: PlatformArgs) -> Place:
    if args.connection_snippet is None:
        return place_of_args(args)
    return place_of_snippet(vars(args), parse_snippet(args.connection_snippet, base_dir=args.base_dir))
