"""Local clusters for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tools.cluster import LocalCluster
from tools.toolchain import ensure

if TYPE_CHECKING:
    from pathlib import Path


def make_cluster(directory: Path, **options: Any) -> LocalCluster:
    """Give a cluster in a directory of the test's, not started; options as for `LocalCluster`."""
    programs = ensure("controlplane", "kwok", quiet=True)
    return LocalCluster(directory, controlplane=programs["controlplane"], kwok=programs["kwok"], **options)
