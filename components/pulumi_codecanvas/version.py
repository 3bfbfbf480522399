"""The version of the package, of its plugin and of its schema: one and the same."""

from __future__ import annotations

from typing import Final

VERSION: Final = "0.1.0"
"""Semantic version, equal to the distribution's."""
