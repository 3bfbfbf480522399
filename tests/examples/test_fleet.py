"""examples/fleet on the real engine: what regions share, and one platform's freeze among many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.examples.fleet_life import FleetLife, live_fleet

if TYPE_CHECKING:
    from tests.examples.site import Site

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def seen(site: Site) -> FleetLife:
    return live_fleet(site)


def test_a_second_up_changes_nothing(seen: FleetLife) -> None:
    assert seen.up.changes
    assert seen.again.changes == []


def test_every_platform_of_the_region_connects(seen: FleetLife) -> None:
    assert set(seen.outputs[0]) == {"frankfurt", "warsaw"}
    for platform in seen.outputs[0].values():
        assert {check["status"] for check in platform["connection"]} == {"Success"}


def test_a_freeze_touches_the_named_platform_only(seen: FleetLife) -> None:
    changed = {step.name for step in seen.freeze.changes if not step.type.startswith("pulumi:")}
    assert changed
    assert all(name.startswith("warsaw") for name in changed), changed
    assert {name: facts["frozen"] for name, facts in seen.outputs[1].items()} == {"frankfurt": False, "warsaw": True}


def test_a_change_of_what_is_shared_reaches_every_platform(seen: FleetLife) -> None:
    releases = {step.name for step in seen.moved.changes if step.type == "kubernetes:helm.sh/v3:Release"}
    assert releases == {"frankfurt-release", "warsaw-release"}


def test_no_token_of_a_cluster_is_shown(seen: FleetLife, site: Site) -> None:
    for run in (seen.up, seen.again, seen.freeze, seen.moved, seen.destroy):
        assert site.token not in run.text


def test_nothing_is_left(seen: FleetLife, site: Site) -> None:
    assert seen.left == []
    assert site.leftovers() == []
