"""The component: a namespace, a pod template, a key, the operator's release and what guards them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi

from pulumi_codecanvas.args import ComputingPlatformArgs, PlatformArgs, check_args, to_camel
from pulumi_codecanvas.checks import join_path
from pulumi_codecanvas.children import Builder
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.late_checks import ArgumentsError
from pulumi_codecanvas.origins import brief_origin
from pulumi_codecanvas.outputs import gathered_outputs
from pulumi_codecanvas.quiet import quiet_registrations
from pulumi_codecanvas.tokens import COMPUTING_PLATFORM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Unpack


class ComputingPlatform(pulumi.ComponentResource):
    """A computing platform of JetBrains CodeCanvas: the namespace in which dev environments run, connected.

    Creates the namespace, has the API server check the pod template, makes a key, runs the operator's Helm
    release with it, freezes on request, and tests the connection.
    """

    platform_name: pulumi.Output[str]
    """Name of the connection in CodeCanvas."""
    instance_id: pulumi.Output[str | None]
    """The operator's instance ID; none with a snippet, whose values all stay secret."""
    namespace: pulumi.Output[str]
    """Namespace in which dev environments run."""
    operator_namespace: pulumi.Output[str]
    """Namespace of the operator's Helm release."""
    release_name: pulumi.Output[str]
    """Name of the Helm release."""
    release_status: pulumi.Output[str]
    """Helm's status of the release, such as `deployed`."""
    chart_version: pulumi.Output[str]
    """Version of the operator's chart that is installed."""
    pod_template_yaml: pulumi.Output[str]
    """The worker pod as normalised YAML, to be pasted into CodeCanvas."""
    public_key: pulumi.Output[str | None]
    """Public half of the key, PEM; none where the snippet's token is not a key."""
    key_fingerprint: pulumi.Output[str]
    """SHA-256 fingerprint of the public key, or of the snippet's values."""
    token: pulumi.Output[str | None]
    """The private key that the operator connects with, secret; none where a snippet's token is not given as
    `operator.secret.jwtPrivateKey`."""
    application_values: pulumi.Output[dict[str, Any] | None]
    """Values for the CodeCanvas application's chart that make the platform connect with no click; none with a
    snippet, which the application has given itself."""
    connection: pulumi.Output[list[dict[str, str]]]
    """The connection checks: name, status (`Success`, `Failed`, `Skipped`) and message of each."""
    frozen: pulumi.Output[bool]
    """Whether the platform is frozen."""

    def __init__(
        self,
        resource_name: str,
        args: ComputingPlatformArgs | None = None,
        opts: pulumi.ResourceOptions | None = None,
        **kwargs: Unpack[ComputingPlatformArgs],
    ) -> None:
        """Declare a computing platform.

        Args:
            resource_name: the resource's name; the platform's name unless `platform_name` is given.
            args: the arguments as a mapping; they may be given by keyword as well.
            opts: Pulumi resource options; `providers` may hold the kubernetes provider of the cluster.
            kwargs: the arguments by keyword.

        Raises:
            ArgumentsError: with every fault of the arguments, before anything is registered.

        """
        checked = _check(resource_name, {**(args or {}), **kwargs})
        with quiet_registrations(), gathered_outputs():
            with brief_origin():
                super().__init__(COMPUTING_PLATFORM, resource_name, {}, opts)
            for name, value in Builder(self, checked).build().items():
                setattr(self, name, pulumi.Output.from_input(value))
            # Named as in the schema, so that the state is the same whichever language declared the platform.
            kept = (name for name in OUTPUTS if name not in SECRET_OUTPUTS | _OF_CHILDREN)
            self.register_outputs({to_camel(name): getattr(self, name) for name in kept})


OUTPUTS = tuple(name for name in ComputingPlatform.__annotations__)
"""Names of the component's outputs."""

SECRET_OUTPUTS = frozenset({"token"})
"""Outputs that a program can use but that are not written into the component's own state."""

_OF_CHILDREN = frozenset({"connection"})
"""Long outputs that the state holds already, with the child that they are of."""


def _check(name: str, args: Mapping[str, Any]) -> PlatformArgs:
    try:
        return check_args(name, args, base_dir=Path.cwd())
    except InvalidArgumentsError as error:
        raise ArgumentsError(fault.within(join_path("", name)) for fault in error.faults) from None
