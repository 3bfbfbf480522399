"""Computing platforms for JetBrains CodeCanvas, declared with Pulumi."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pulumi_codecanvas.version import VERSION

if TYPE_CHECKING:
    from pulumi_codecanvas.args import ComputingPlatformArgs
    from pulumi_codecanvas.platform import ComputingPlatform

__all__ = ["VERSION", "ComputingPlatform", "ComputingPlatformArgs"]


def __getattr__(name: str) -> object:
    """Import on first use: the plugin and the pure modules do without Pulumi's SDK."""
    if name == "ComputingPlatform":
        from pulumi_codecanvas.platform import ComputingPlatform

        return ComputingPlatform
    if name == "ComputingPlatformArgs":
        from pulumi_codecanvas.args import ComputingPlatformArgs

        return ComputingPlatformArgs
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
