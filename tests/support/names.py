"""Names that no two tests of a run share: its clusters and its Pulumi backend are shared."""

from __future__ import annotations

import itertools

_numbers = itertools.count(1)


def unique(stem: str) -> str:
    """Give a name that no other test of this run uses."""
    return f"{stem}-{next(_numbers)}"
