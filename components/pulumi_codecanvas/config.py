"""The stack's config -> the arguments of its platforms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .args import PlatformArgs, check_args, from_camel, to_camel
from .checks import join_path, suggest
from .connection import Place, place_of_args, place_of_snippet
from .errors import Fault, InvalidArgumentsError
from .snippet import parse_snippet

if TYPE_CHECKING:
    from pathlib import Path

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
        faults.append(Fault("freezeAll", "must be true or false"))
    named = config.get("platforms")
    if not isinstance(named, Mapping) or not named:
        faults.append(Fault("platforms", "must map the name of each platform to its arguments", _EXAMPLE))
        named = {}
    platforms: dict[str, dict[str, Any]] = {}
    checked: dict[str, PlatformArgs] = {}
    for name in sorted(named, key=str):
        path = join_path("platforms", str(name))
        given = named[name] if named[name] is not None else {}
        if not isinstance(given, Mapping):
            faults.append(Fault(path, "must be a mapping of arguments", _EXAMPLE))
            continue
        args = from_camel(given)
        if freeze_all is True:
            args["freeze"] = True
        platforms[str(name)] = args
        try:
            checked[str(name)] = check_args(str(name), args, base_dir=base_dir, spell=to_camel)
        except InvalidArgumentsError as error:
            faults += [fault.within(path) for fault in error.faults]
    faults += _clashes(checked)
    if faults:
        raise InvalidArgumentsError(faults)
    return platforms


_EXAMPLE = "such as: pulumi config set --path 'codecanvas:platforms.eu.serverUrl' http://codecanvas.example.com:8098"


def _clashes(checked: Mapping[str, PlatformArgs]) -> list[Fault]:
    """Find platforms that would use the same name, namespace or release."""
    faults: list[Fault] = []
    owners: dict[tuple[Any, ...], str] = {}
    for name, args in checked.items():
        for argument, claim in _claims(args):
            first = owners.setdefault(claim, name)
            if first != name:
                cause = f"`{claim[-1]}` is taken by platform `{first}`" + (
                    " on the same cluster" if len(claim) > 2 else ""
                )
                faults.append(Fault(f"{join_path('platforms', name)}.{argument}", cause, "give each platform its own"))
    return faults


def _claims(args: PlatformArgs) -> list[tuple[str, tuple[Any, ...]]]:
    """List what a platform must have for itself: argument and claim."""
    claims: list[tuple[str, tuple[Any, ...]]] = [("platformName", ("name", args.platform_name))]
    cluster = (args.kubeconfig, args.context)
    place = _place(args)
    claims.append(("namespace", ("namespace", *cluster, place.namespace)))
    release = f"{place.operator_namespace}/{place.release_name}"
    claims.append(("releaseName", ("release", *cluster, release)))
    if args.create_operator_namespace and place.operator_namespace != place.namespace:
        claims.append(("createOperatorNamespace", ("namespace", *cluster, place.operator_namespace)))
    return claims


def _place(args: PlatformArgs) -> Place:
    if args.connection_snippet is None:
        return place_of_args(args)
    return place_of_snippet(vars(args), parse_snippet(args.connection_snippet, base_dir=args.base_dir))
