"""The component as a remote one: what a program in another language constructs through this plugin."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from pulumi.provider import ConstructResult, Provider

from codecanvas_provider.failures import NotServedError
from pulumi_codecanvas.tokens import COMPUTING_PLATFORM
from pulumi_codecanvas.version import VERSION

if TYPE_CHECKING:
    from pulumi import Inputs, ResourceOptions

    from pulumi_codecanvas.args import ComputingPlatformArgs


class ComponentProvider(Provider):
    """Constructs `ComputingPlatform`. The component is imported on first use: serving a resource needs none of it."""

    def __init__(self) -> None:
        super().__init__(version=VERSION)

    def construct(
        self, name: str, resource_type: str, inputs: Inputs, options: ResourceOptions | None = None
    ) -> ConstructResult:
        """Construct a platform from arguments in camel case.

        Raises:
            NotServedError: the type is no component of this package.
            InvalidArgumentsError: the arguments have faults.
        """
        if resource_type != COMPUTING_PLATFORM:
            raise NotServedError(f"the package codecanvas has no component {resource_type}")
        from pulumi_codecanvas.args import check_args, from_camel, to_camel
        from pulumi_codecanvas.platform import OUTPUTS, ComputingPlatform
        from pulumi_codecanvas.shared_hooks import alone

        alone.set(True)

        arguments = from_camel(inputs)
        # Checked here first, so that faults bear the names that the program used.
        check_args(name, arguments, base_dir=Path.cwd(), spell=to_camel)
        platform = ComputingPlatform(name, cast("ComputingPlatformArgs", arguments), options)
        state = {to_camel(output): getattr(platform, output) for output in OUTPUTS}
        return ConstructResult(urn=platform.urn, state=state)
