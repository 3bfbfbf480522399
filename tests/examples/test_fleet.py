"""examples/fleet on the real engine: what regions share, and one platform's freeze among many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.example_stack import Stack
from tests.support.examples import FLEET, SHARED

if TYPE_CHECKING:
    from tests.examples.conftest import Site
    from tests.support.example_stack import Run

pytestmark = pytest.mark.engine
MOVED = "http://codecanvas.example.net:8098"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of the region `eu`.

    Attributes:
        up: the first update.
        again: the second one.
        outputs: after it, and while one platform is frozen.
        freeze: the update that freezes warsaw.
        moved: the update after the shared stack has a new address.
        destroy: the destroy.
        left: resources in the state after it.
    """

    up: Run
    again: Run
    freeze: Run
    moved: Run
    destroy: Run
    outputs: list[dict[str, Any]]
    left: list[dict[str, Any]]


@pytest.fixture(scope="module")
def seen(site: Site) -> Seen:
    region = site.stack(FLEET, "eu")
    shared = site.stack(SHARED, "main")
    shared.up()
    for cluster in ("clusters-eks/frankfurt", "clusters-gke/warsaw"):
        make_cluster_stack(site, shared, *cluster.split("/"))
    up, again = region.up(), region.up("--expect-no-changes")
    outputs = [region.outputs()["platforms"]]
    region.set({"freeze": ["warsaw"]})
    freeze = region.up()
    outputs.append(region.outputs()["platforms"])
    region.set({"freeze": []})
    shared.set({"serverUrl": MOVED})
    shared.up()
    moved = region.up()
    destroy = region.destroy()
    return Seen(
        up=up, again=again, freeze=freeze, moved=moved, destroy=destroy, outputs=outputs, left=region.resources()
    )


def make_cluster_stack(site: Site, like: Stack, project: str, name: str) -> None:
    """Make the stack of a cluster, as another team would have it: it exports a kubeconfig."""
    folder = site.home.root / "clusters" / project
    folder.mkdir(parents=True, exist_ok=True)
    program = {"name": project, "runtime": "yaml", "outputs": {"kubeconfig": "${kubeconfig}"}}
    program["config"] = {"kubeconfig": {"type": "string", "secret": True}}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(program))
    stack = Stack(folder, name, like.environment)
    stack.set_secret("kubeconfig", site.cluster.kubeconfig.read_text())
    stack.up()


def test_a_second_up_changes_nothing(seen: Seen) -> None:
    assert seen.up.changes
    assert seen.again.changes == []


def test_every_platform_of_the_region_connects(seen: Seen) -> None:
    assert set(seen.outputs[0]) == {"frankfurt", "warsaw"}
    for platform in seen.outputs[0].values():
        assert {check["status"] for check in platform["connection"]} == {"Success"}


def test_a_freeze_touches_the_named_platform_only(seen: Seen) -> None:
    changed = {step.name for step in seen.freeze.changes if not step.type.startswith("pulumi:")}
    assert changed
    assert all(name.startswith("warsaw") for name in changed), changed
    assert {name: facts["frozen"] for name, facts in seen.outputs[1].items()} == {"frankfurt": False, "warsaw": True}


def test_a_change_of_what_is_shared_reaches_every_platform(seen: Seen) -> None:
    releases = {step.name for step in seen.moved.changes if step.type == "kubernetes:helm.sh/v3:Release"}
    assert releases == {"frankfurt-release", "warsaw-release"}


def test_no_token_of_a_cluster_is_shown(seen: Seen, site: Site) -> None:
    token = yaml.safe_load(site.cluster.kubeconfig.read_text())["users"][0]["user"]["token"]
    for run in (seen.up, seen.again, seen.freeze, seen.moved, seen.destroy):
        assert token not in run.text


def test_nothing_is_left(seen: Seen, site: Site) -> None:
    assert seen.left == []
    assert site.kubernetes.platform_objects() == []
