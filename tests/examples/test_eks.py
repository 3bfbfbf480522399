"""examples/eks on the real engine: its whole life, and what it refuses before it begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.examples.life import Life, live
from tests.examples.promises import ClusterPromises, Promises
from tests.examples.real_cloud import REAL_CLOUD, live_for_real
from tests.support.examples import EKS

if TYPE_CHECKING:
    from tests.examples.site import Site

pytestmark = [pytest.mark.engine, pytest.mark.timeout(7200 if REAL_CLOUD else 1500)]

if not REAL_CLOUD:

    @pytest.fixture(scope="module")
    def life(site: Site) -> Life:
        return live(site.stack(EKS, "dev"), site)

    class TestEks(ClusterPromises):
        example = EKS

        @pytest.mark.parametrize(
            ("key", "value"),
            [("aws:region", "eu-centrall-1"), ("kubernetesVersion", "1.22"), ("workerInstanceType", "m6i.large")],
        )
        def test_a_wrong_setting_is_refused_in_the_preview(self, site: Site, key: str, value: str) -> None:
            self.check_refusal(site, key, value)


if REAL_CLOUD == "eks":

    @pytest.fixture(scope="module")
    def real_life() -> Life:
        return live_for_real(EKS)

    class TestRealEks(Promises):
        @pytest.fixture
        def life(self, real_life: Life) -> Life:
            return real_life
