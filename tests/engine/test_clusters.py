"""Which cluster a platform lands in: told by an argument, the stack's config, or a provider of the program's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from codecanvas_provider.cluster import NAMESPACE, POD_TEMPLATE, Cluster
from tests.engine.test_snippet import write_snippet
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.site import Site
from tests.support.stack import CHART, SERVER_URL, failed_checks, make_stack, write_program
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

PROGRAM = f"""
import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_codecanvas import ComputingPlatform

config = pulumi.Config()
there = kubernetes.Provider("there", kubeconfig=config.require_secret("kubeconfig"))
platform = ComputingPlatform(
    config.require("name"),
    server_url="{SERVER_URL}",
    chart="{CHART}",
    opts=pulumi.ResourceOptions(providers=[there]),
)
pulumi.export("connection", platform.connection)
"""


@pytest.fixture
def both_clusters(shared_cluster: LocalCluster, other_cluster: LocalCluster, tmp_path: Path) -> Path:
    """Give one kubeconfig with the contexts `here`, which is the current one, and `there`."""
    merged: dict[str, Any] = {"apiVersion": "v1", "kind": "Config", "current-context": "here"}
    merged |= {"clusters": [], "users": [], "contexts": []}
    for name, cluster in (("here", shared_cluster), ("there", other_cluster)):
        kubeconfig = yaml.safe_load(cluster.kubeconfig.read_text())
        merged["clusters"].append({**kubeconfig["clusters"][0], "name": name})
        merged["users"].append({**kubeconfig["users"][0], "name": name})
        merged["contexts"].append({"name": name, "context": {"cluster": name, "user": name}})
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(merged))
    return path


def place_of(name: str, admin: Cluster, other_admin: Cluster) -> set[str]:
    """Say in which cluster there is a namespace of this name."""
    return {place for place, cluster in (("here", admin), ("there", other_admin)) if cluster.get(NAMESPACE, name)}


def test_argument_comes_before_config_and_config_before_current_context(
    home: PulumiHome, both_clusters: Path, admin: Cluster, other_admin: Cluster
) -> None:
    told, configured = unique("told"), unique("configured")
    with make_stack(home, both_clusters, [admin, other_admin]) as stack:
        stack.config["kubernetes:context"] = "there"
        stack.set(told, context="here")
        stack.set(configured)
        stack.up()
        assert place_of(told, admin, other_admin) == {"here"}
        assert place_of(configured, admin, other_admin) == {"there"}
        assert failed_checks(stack.outputs(configured)) == []


def test_explicit_provider_decides_where_default_providers_are_disabled(
    home: PulumiHome,
    shared_cluster: LocalCluster,
    admin: Cluster,
    other_cluster: LocalCluster,
    other_admin: Cluster,
    tmp_path: Path,
) -> None:
    program = write_program(tmp_path / "program", {"__main__.py": PROGRAM})
    with make_stack(home, shared_cluster.kubeconfig, [admin, other_admin], program=program) as stack:
        name = unique("provided")
        stack.config = {
            "codecanvas:name": name,
            "codecanvas:kubeconfig": stack.seal(other_cluster.kubeconfig.read_text()),
            "pulumi:disable-default-providers": ["*"],
        }
        stack.up()
        assert place_of(name, admin, other_admin) == {"there"}
        assert stack.up("--expect-no-changes").changes == {}
        stack.destroy()
        assert place_of(name, admin, other_admin) == set()


def test_another_way_to_the_same_cluster_replaces_nothing(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster
) -> None:
    own, adopted, pasted = unique("own"), make_namespace(admin, "adopted"), unique("pasted")
    with make_stack(home, shared_cluster.kubeconfig, [admin]) as stack:
        kubeconfig = shared_cluster.kubeconfig.read_text()

        def give(content: str) -> None:
            for name in (own, adopted, pasted):
                stack.set(name, kubeconfig=stack.seal(content))

        give(kubeconfig)
        stack.set(adopted, createNamespace=False, forceDelete=True)
        snippet = {"serverUrl": None, "chart": None, "connectionSnippet": stack.seal(write_snippet(pasted, "s3same"))}
        stack.set(pasted, **snippet)
        stack.up()
        places = [Site(admin, shared_cluster, name) for name in (own, adopted, pasted)]
        for place in places:
            place.start(1)
        inventories = [place.inventory() for place in places]
        noted = yaml.safe_load(kubeconfig)
        extension = {"name": "cluster_info", "extension": {"last-update": "Thu, 26 Nov 2026 18:00:00 UTC"}}
        noted["clusters"][0]["cluster"]["extensions"] = [extension]
        readdressed = kubeconfig.replace("127.0.0.1", "localhost")
        assert readdressed != kubeconfig
        for content in (yaml.safe_dump(noted), readdressed):
            give(content)
            assert set(stack.preview().changes.values()) == {"update"}
            assert set(stack.up().changes.values()) == {"update"}
            assert [place.inventory() for place in places] == inventories
            assert stack.up("--expect-no-changes").changes == {}
        # From the snippet to a key and on to another one, no cluster changes either.
        stack.set(pasted, serverUrl=SERVER_URL, chart=CHART, connectionSnippet=None)
        stack.set(own, tokenVersion="2")
        kinds = {name.removeprefix(f"{pasted}-") for name, op in stack.preview().changes.items() if op != "update"}
        assert kinds == {"key", f"{own}-key"}
        for name in (own, pasted):
            stack.set(name, forceDelete=True)
        stack.up()
        stack.destroy()
        assert places[1].workers() == {}
    admin.delete(NAMESPACE, adopted)


def test_a_kubeconfig_of_a_file_is_known_in_a_preview(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster
) -> None:
    name = unique("filed")
    with make_stack(home, shared_cluster.kubeconfig, [admin]) as stack:
        stack.set(name, kubeconfig=str(shared_cluster.kubeconfig))
        stack.up()
        assert stack.preview("--expect-no-changes").changes == {}
        stack.set(name, kubeconfig=stack.seal(shared_cluster.kubeconfig.read_text()))
        stack.up()
        assert stack.preview("--expect-no-changes").changes == {}


def test_a_move_to_another_cluster_that_failed_goes_on(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, other_cluster: LocalCluster, other_admin: Cluster
) -> None:
    with make_stack(home, shared_cluster.kubeconfig, [admin, other_admin]) as stack:
        name = make_namespace(other_admin, "in-the-way")
        here, there = (stack.seal(cluster.kubeconfig.read_text()) for cluster in (shared_cluster, other_cluster))
        stack.set(name, kubeconfig=here)
        stack.up()
        stack.set(name, kubeconfig=there)
        assert f"the Namespace {name} exists already" in stack.up(ok=False).errors
        other_admin.delete(NAMESPACE, name)
        wait_for(lambda: place_of(name, admin, other_admin) == {"here"}, "what was in the way to go", seconds=60)
        stack.up()
        wait_for(lambda: place_of(name, admin, other_admin) == {"there"}, "the old namespace to go", seconds=60)
        assert other_admin.get(POD_TEMPLATE, name, name)
        assert stack.up("--expect-no-changes").changes == {}


def test_a_platform_leaves_a_cluster_only_when_nothing_runs_there(
    home: PulumiHome,
    shared_cluster: LocalCluster,
    admin: Cluster,
    other_cluster: LocalCluster,
    other_admin: Cluster,
    both_clusters: Path,
) -> None:
    name = unique("emigrant")

    def arrive(place: str) -> None:
        wait_for(lambda: place_of(name, admin, other_admin) == {place}, "the old namespace to go", seconds=60)

    with make_stack(home, both_clusters, [admin, other_admin]) as stack:
        stack.set(name, context="nosuch")
        refused = stack.preview(ok=False).text
        assert f"{name}.context: the kubeconfig has no context `nosuch`; it has `here`, `there`" in refused
        here, there = (stack.seal(cluster.kubeconfig.read_text()) for cluster in (shared_cluster, other_cluster))
        stack.set(name, context=None, kubeconfig=here)
        stack.up()
        place = Site(admin, shared_cluster, name)
        place.start(1)
        inventory = place.inventory()
        stack.set(name, kubeconfig=there)
        for run in (stack.preview(ok=False), stack.up(ok=False)):
            assert f"leave namespace {name}, but 1 dev environment is running there: env-0" in run.errors
        assert place_of(name, admin, other_admin) == {"here"}
        assert place.inventory() == inventory
        stack.set(name, kubeconfig=here, freeze=True)
        stack.up()
        stack.set(name, kubeconfig=there, freeze=None)
        stack.up()
        arrive("there")
        assert stack.up("--expect-no-changes").changes == {}
        both = stack.seal(both_clusters.read_text())
        for step in ("here", "there"):
            stack.set(name, kubeconfig=both, context=step)
            stack.up()
            arrive(step)
