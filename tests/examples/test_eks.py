"""examples/eks on the real engine: its whole life, and what it refuses before it begins."""

from __future__ import annotations

import pytest

from tests.examples.conftest import REAL_CLOUD, Site, real_stack
from tests.examples.life import Life, live
from tests.examples.promises import ClusterPromises, Promises
from tests.support.examples import EKS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(7200 if REAL_CLOUD else 600)]

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
    def real_life(tmp_path_factory: pytest.TempPathFactory) -> Life:
        return live(real_stack(EKS, tmp_path_factory.mktemp("real")), None)

    class TestRealEks(Promises):
        @pytest.fixture
        def life(self, real_life: Life) -> Life:
            return real_life
