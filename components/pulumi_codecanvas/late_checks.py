"""What can be checked only once an Output is known: a snippet's text, values that a program computes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

from pulumi_codecanvas import chart_values
from pulumi_codecanvas.args import respell, to_camel, way_faults
from pulumi_codecanvas.connection import contradictions, values_faults
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.helm_values import merge_values
from pulumi_codecanvas.hooks import settle_hooks
from pulumi_codecanvas.keys import private_key_faults, public_key_pem
from pulumi_codecanvas.plain_values import read_plain
from pulumi_codecanvas.snippet import Snippet, parse_snippet

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pulumi_codecanvas.args import PlatformArgs


class ArgumentsError(InvalidArgumentsError, pulumi.RunError):
    """The arguments have faults; Pulumi shows a `RunError` as text, without a traceback."""


def parse_later(args: PlatformArgs) -> pulumi.Output[Snippet] | None:
    """Parse the snippet where its text is known; what it holds is secret."""
    if args.connection_snippet is None:
        return None

    async def parse(text: str) -> Snippet:
        try:
            snippet = parse_snippet(text, base_dir=args.base_dir)
        except InvalidArgumentsError as error:
            await _refuse(args.platform_name, [fault.within("connection_snippet") for fault in error.faults])
        await _refuse(args.platform_name, contradictions(vars(args), snippet))
        return snippet

    return pulumi.Output.secret(args.connection_snippet).apply(parse)


async def _refuse(platform_name: str, faults: Sequence[Fault]) -> None:
    """Report what only an Output's value shows to be wrong, if there is anything."""
    if faults:
        await settle_hooks()
        raise ArgumentsError(respell(fault, to_camel).within(platform_name) for fault in faults)


async def checked_kubeconfig(platform_name: str, kubeconfig: str | None) -> str | None:
    """Give a kubeconfig that was an output, after the check that a plain one got earlier."""
    await _refuse(platform_name, way_faults("kubeconfig", kubeconfig))
    return kubeconfig


async def checked_values(platform_name: str, known: dict[str, Any]) -> dict[str, Any]:
    """Merge values that were an output, after the checks that plain ones got earlier."""
    values, faults = read_plain("values", known["values"])
    await _refuse(platform_name, [*faults, *chart_values.owned_key_faults(known["values"])])
    return chart_values.operator_values(**{**known, "values": values})


async def merged_values(platform_name: str, snippet: Snippet, values: Mapping[str, Any]) -> dict[str, Any]:
    """Merge the user's values over a snippet's, after the checks that plain ones got earlier."""
    plain, faults = read_plain("values", values)
    await _refuse(platform_name, [*faults, *values_faults(values)])
    return merge_values(snippet.values, plain)


def public_half(private_key: str | None) -> str | None:
    """Give the public half of a snippet's token where it is a key that we understand."""
    if private_key is None or private_key_faults(private_key):
        return None
    return public_key_pem(private_key)
