"""Where the examples run: the local cluster and the stand-ins for the clouds, or a real cloud on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.examples.real_cloud import REAL_CLOUD
from tests.examples.site import open_site

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.examples.site import Site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Give the stand-ins' site; tests of one example use it at a time."""
    if REAL_CLOUD:
        pytest.skip(f"only the example for {REAL_CLOUD} runs, on the real cloud")
    with open_site(tmp_path_factory.mktemp("examples")) as made:
        yield made
