"""The real Helm for the tests here, from the tool chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.parity.helm import HelmValues
from tools.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def helm() -> Path:
    return ensure("helm", quiet=True)["helm"]


@pytest.fixture(scope="session")
def helm_values(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HelmValues]:
    """Helm's own reading of value flags; relative paths start in an empty directory."""
    program = ensure("helm-values", quiet=True)["helm-values"]
    with HelmValues(program, tmp_path_factory.mktemp("helm-values")) as running:
        yield running
