"""What examples/existing-cluster and examples/fleet are meant to do, read off what their programs declare."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from pulumi_codecanvas.chart_values import DEFAULT_CHART
from tests.support.examples import EKS, EXISTING, FLEET, GKE, SERVER_URL, SHARED, Declared, Example, is_secret, reveal

PROVIDER = "pulumi:providers:kubernetes"
PLATFORM = "codecanvas:index:ComputingPlatform"
STACKS = {
    "organization/codecanvas-fleet-shared/main": {"serverUrl": SERVER_URL, "operatorValues": {"replicaCount": 2}},
    "organization/clusters-eks/frankfurt": {"kubeconfig": "kubeconfig of frankfurt"},
    "organization/clusters-gke/warsaw": {"kubeconfig": "kubeconfig of warsaw"},
    "organization/clusters-eks/virginia": {"kubeconfig": "kubeconfig of virginia"},
}


def fleet(changes: dict[str, str | None] | None = None, *, stack: str = "eu") -> Declared:
    return FLEET.declare(changes, stack=stack, stacks=STACKS)


def names(declared: Declared, type_: str) -> list[str]:
    return [str(item["name"]) for item in declared.all(type_)]


def test_an_existing_cluster_takes_a_kubeconfig_and_keeps_it_secret() -> None:
    key = "codecanvas-existing-cluster:kubeconfig"
    declared = EXISTING.declare({"kubeconfig": "apiVersion: v1"}, secrets=(key,))
    kubeconfig = declared.inputs(PROVIDER)["kubeconfig"]
    assert is_secret(kubeconfig)
    assert reveal(kubeconfig) == "apiVersion: v1"
    assert "kubeconfig" not in declared.outputs


def test_an_existing_clusters_kubeconfig_is_declared_secret() -> None:
    assert EXISTING.project["config"]["kubeconfig"]["secret"] is True


def test_a_region_has_the_platforms_of_the_map_on_their_clusters() -> None:
    declared = fleet()
    assert declared.error is None
    assert names(declared, PLATFORM) == ["frankfurt", "warsaw"]
    given = {item["name"]: reveal(item["inputs"]["kubeconfig"]) for item in declared.all(PROVIDER)}
    assert given == {"frankfurt": "kubeconfig of frankfurt", "warsaw": "kubeconfig of warsaw"}
    drivers = {item["name"]: item["inputs"]["provisioner"] for item in _classes(declared)}
    assert drivers == {
        "frankfurt-storage-class": "ebs.csi.aws.com",
        "warsaw-storage-class": "pd.csi.storage.gke.io",
    }


def test_each_region_of_the_map_is_a_stack() -> None:
    regions = yaml.safe_load((FLEET.folder / "fleet.yaml").read_text(encoding="utf-8"))
    for region, platforms in regions.items():
        assert names(fleet(stack=region), PLATFORM) == sorted(platforms)


def test_regions_share_what_the_shared_stack_exports() -> None:
    for stack in ("eu", "us"):
        for release in fleet(stack=stack).all("kubernetes:helm.sh/v3:Release"):
            values: dict[str, Any] = reveal(release["inputs"]["values"])
            assert values["operator"]["secret"]["operatorServerUrl"] == SERVER_URL
            assert values["replicaCount"] == 2


def test_the_shared_stack_exports_what_regions_read() -> None:
    assert set(SHARED.declare(stack="main").outputs) == {"serverUrl", "operatorValues"}


def test_one_platform_of_a_region_freezes() -> None:
    declared = fleet({"freeze": '["warsaw"]'})
    frozen = {name: facts["frozen"] for name, facts in declared.outputs["platforms"].items()}
    assert frozen == {"frankfurt": False, "warsaw": True}


def test_a_whole_region_freezes() -> None:
    outputs = fleet({"freezeAll": "true"}).outputs["platforms"]
    assert all(facts["frozen"] for facts in outputs.values())


def test_a_freeze_of_an_unknown_platform_is_refused() -> None:
    declared = fleet({"freeze": '["warsav"]'})
    assert declared.error is not None
    assert "codecanvas-fleet:freeze: there is no platform warsav in region eu" in declared.error
    assert declared.resources == []


def test_a_stack_that_is_no_region_is_refused() -> None:
    error = fleet(stack="eu-west").error
    assert error is not None
    assert "has no region eu-west, only eu, us" in error


@pytest.mark.parametrize("example", [EKS, GKE, EXISTING, FLEET], ids=lambda example: str(example.path))
def test_the_chart_is_the_packages_own_unless_named(example: Example) -> None:
    assert example.project["config"]["chart"]["default"] == DEFAULT_CHART


@pytest.mark.parametrize("example", [EKS, GKE, EXISTING, FLEET, SHARED], ids=lambda example: str(example.path))
def test_a_program_is_short_and_every_setting_is_described_and_used(example: Example) -> None:
    program = (example.folder / "__main__.py").read_text(encoding="utf-8")
    assert len(program.splitlines()) < 150
    used = "".join(path.read_text(encoding="utf-8") for path in example.folder.glob("*.py"))
    for key, facts in example.project["config"].items():
        assert facts["description"]
        assert json.dumps(key) in used


def _classes(declared: Declared) -> list[dict[str, Any]]:
    return declared.all("kubernetes:storage.k8s.io/v1:StorageClass")
