"""The error that developer commands raise on purpose."""

from __future__ import annotations


class ToolsError(Exception):
    """What a developer command could not do, and the way out; shown as text, without a traceback."""
