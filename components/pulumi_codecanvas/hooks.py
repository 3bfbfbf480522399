"""Resource hooks: what a failed child means, in the words of the platform's arguments.

The kubernetes plugin only says that a release timed out, and by then an atomic release is rolled back; so the
plugin of this package watches it meanwhile and tells afterwards which workload was not ready and why.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi

if TYPE_CHECKING:
    from collections.abc import Mapping

WATCH = "codecanvas:index:watchRelease"
EXPLAIN = "codecanvas:index:explainRelease"


def explain_existing_namespace(name: str, argument: str) -> pulumi.ResourceHookBinding:
    """Name the argument that adopts a namespace when it exists already."""

    def explain(args: pulumi.ErrorHookArgs) -> bool:
        if any("already exists" in error for error in args.errors or []):
            namespace = ((args.new_inputs or {}).get("metadata") or {}).get("name")
            pulumi.log.error(
                f"the namespace {namespace} exists already and is not this platform's; to use it as it is, "
                f"set {argument} to false, else choose another namespace"
            )
        return False

    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook(f"{name}-exists", explain)])


def explain_release(name: str, release: Mapping[str, Any], options: pulumi.InvokeOptions) -> pulumi.ResourceHookBinding:
    """Watch a release while it is installed or upgraded, and tell what was not ready when it failed.

    Args:
        name: unique stem of the hooks' names.
        release: inputs of the plugin's functions: where the release is, and how long it may take.
        options: the provider to ask.

    """

    async def watch(_args: pulumi.ResourceHookArgs) -> None:
        await pulumi.runtime.invoke_async(WATCH, dict(release), options)

    async def explain(_args: pulumi.ErrorHookArgs) -> bool:
        found = await pulumi.runtime.invoke_async(EXPLAIN, dict(release), options)
        for reason in found.get("reasons") or []:
            pulumi.log.error(str(reason))
        return False

    quiet = pulumi.ResourceHookOptions(ignore_errors=True)
    before = pulumi.ResourceHook(f"{name}-watch", watch, quiet)
    return pulumi.ResourceHookBinding(
        before_create=[before],
        before_update=[before],
        on_error=[pulumi.ErrorHook(f"{name}-explain", explain)],
    )
