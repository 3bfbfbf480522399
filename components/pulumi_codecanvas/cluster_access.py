"""How the plugin's own resources reach the cluster that the kubernetes provider of a platform talks to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

from pulumi_codecanvas.tokens import IDENTIFY_CLUSTER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pulumi_codecanvas.args import PlatformArgs

GET_RESOURCE = "pulumi:pulumi:getResource"
"""The engine's own function that gives a registered resource's state."""


def find_access(args: PlatformArgs, providers: Mapping[str, pulumi.ProviderResource]) -> dict[str, Any]:
    """Give `kubeconfig` (secret) and `context` in the order in which the kubernetes plugin takes them.

    The platform's arguments come first, then the explicit kubernetes provider, then the stack's config; where
    none says anything both are None and the ambient kubeconfig counts.

    Args:
        args: the platform's arguments.
        providers: explicit providers by package, as the component has them.

    """
    if args.kubeconfig is not None or args.context is not None:
        return _access(args.kubeconfig, args.context)
    provider = providers.get("kubernetes")
    if provider is not None:
        found = pulumi.runtime.invoke_output(GET_RESOURCE, {"urn": provider.urn})
        state = pulumi.Output.from_input(found).apply(lambda result: result["state"])
        return _access(
            state.apply(lambda known: known.get("kubeconfig")),
            pulumi.Output.unsecret(state.apply(lambda known: known.get("context"))),
        )
    return _access(pulumi.runtime.get_config("kubernetes:kubeconfig"), pulumi.runtime.get_config("kubernetes:context"))


def find_identity(access: Mapping[str, Any], options: pulumi.InvokeOptions) -> pulumi.Output[str | None]:
    """Ask the plugin what tells the cluster from others; None where nothing does.

    Args:
        access: `kubeconfig` and `context`.
        options: the provider to ask.

    """
    found = pulumi.Output.from_input(pulumi.runtime.invoke_output(IDENTIFY_CLUSTER, dict(access), options))
    return pulumi.Output.unsecret(found.apply(lambda answer: answer["cluster"] or None))


def _access(kubeconfig: Any, context: Any) -> dict[str, Any]:
    return {
        "kubeconfig": None if kubeconfig is None else pulumi.Output.secret(kubeconfig),
        "context": context,
    }
