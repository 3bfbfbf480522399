"""examples/existing-cluster on the real engine: its whole life on a cluster that was there before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.examples.life import Life, live
from tests.examples.promises import StandInPromises
from tests.support.examples import EXISTING

if TYPE_CHECKING:
    from tests.examples.site import Site

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def life(site: Site) -> Life:
    stack = site.stack(EXISTING, "dev")
    stack.set_secret("kubeconfig", site.cluster.kubeconfig.read_text())
    return live(stack, site)


class TestExistingCluster(StandInPromises):
    def test_the_kubeconfig_is_sealed_in_the_stacks_config(self, life: Life, site: Site) -> None:
        assert life.left == []
        config = (site.home.root / "examples" / EXISTING.path / "Pulumi.dev.yaml").read_text()
        assert "kubeconfig:\n    secure: " in config


def test_a_missing_kubeconfig_is_named_in_the_preview(site: Site) -> None:
    run = site.stack(EXISTING, "empty").preview(ok=False)
    assert "kubeconfig" in run.text
