"""The life of a fleet's region, lived once for the tests that look at it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from tests.support.example_stack import Stack
from tests.support.examples import FLEET, SHARED

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.examples.site import Site
    from tests.support.example_stack import Run

_MOVED = "http://codecanvas.example.net:8098"


@dataclass(frozen=True, kw_only=True)
class FleetLife:
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


def live_fleet(site: Site, say: Callable[[str], None] = lambda _: None) -> FleetLife:
    """Live it: up, no change, a freeze of one platform, a change of what regions share, destroy."""
    region = site.stack(FLEET, "eu")
    shared = site.stack(SHARED, "main")
    say("what others have: the stacks of two clusters, and the one that regions share")
    shared.up()
    for cluster in ("clusters-eks/frankfurt", "clusters-gke/warsaw"):
        _make_cluster_stack(site, shared, *cluster.split("/"))
    say("the region eu: pulumi up")
    up = region.up()
    say("pulumi up, with nothing changed")
    again = region.up("--expect-no-changes")
    outputs = [region.outputs()["platforms"]]
    say("freeze: [warsaw], pulumi up")
    region.set({"freeze": ["warsaw"]})
    freeze = region.up()
    outputs.append(region.outputs()["platforms"])
    say("the shared stack gets another server URL; freeze: [], pulumi up")
    region.set({"freeze": []})
    shared.set({"serverUrl": _MOVED})
    shared.up()
    moved = region.up()
    say("pulumi destroy")
    destroy = region.destroy()
    return FleetLife(
        up=up, again=again, freeze=freeze, moved=moved, destroy=destroy, outputs=outputs, left=region.resources()
    )


def _make_cluster_stack(site: Site, like: Stack, project: str, name: str) -> None:
    """Make the stack of a cluster, as another team would have it: it exports a kubeconfig."""
    folder = site.home.root / "clusters" / project
    folder.mkdir(parents=True, exist_ok=True)
    program = {"name": project, "runtime": "yaml", "outputs": {"kubeconfig": "${kubeconfig}"}}
    program["config"] = {"kubeconfig": {"type": "string", "secret": True}}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(program))
    stack = Stack(folder, name, like.environment)
    stack.set_secret("kubeconfig", site.cluster.kubeconfig.read_text())
    stack.up()
