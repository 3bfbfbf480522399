"""examples/gke on the real engine: its whole life, and what it refuses before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.examples.life import Life, live
from tests.examples.promises import ClusterPromises, Promises
from tests.examples.real_cloud import REAL_CLOUD, live_for_real
from tests.support.examples import GKE

if TYPE_CHECKING:
    from tests.examples.site import Site

pytestmark = [pytest.mark.engine, pytest.mark.timeout(7200 if REAL_CLOUD else 1500)]

if not REAL_CLOUD:

    @pytest.fixture(scope="module")
    def life(site: Site) -> Life:
        return live(site.stack(GKE, "dev"), site)

    class TestGke(ClusterPromises):
        example = GKE

        @pytest.mark.parametrize(
            ("key", "value"),
            [
                ("gcp:project", None),
                ("gcp:project", "somebody-elses"),
                ("gcp:region", "europe-wset3"),
                ("kubernetesVersion", "1.22"),
            ],
        )
        def test_a_wrong_setting_is_refused_in_the_preview(self, site: Site, key: str, value: str | None) -> None:
            self.check_refusal(site, key, value)


if REAL_CLOUD == "gke":

    @pytest.fixture(scope="module")
    def real_life() -> Life:
        return live_for_real(GKE)

    class TestRealGke(Promises):
        @pytest.fixture
        def life(self, real_life: Life) -> Life:
            return real_life
