"""Brings up the computing platforms that the stack's config names under `codecanvas:platforms`."""

from __future__ import annotations

from pulumi_codecanvas.stack import declare_platforms

declare_platforms()
