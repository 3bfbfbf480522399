"""A delete as its user sees it: `pulumi destroy`, or a platform taken out of the config, on the real engine."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider.cluster import (
    CLAIM,
    CONFIG_MAP,
    NAMESPACE,
    POD,
    POLICY,
    POLICY_BINDING,
    SERVICE_ACCOUNT,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    Cluster,
)
from pulumi_codecanvas.freeze import freeze_name
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.stack import CHART, SERVER_URL, find_ours, make_stack, write_program
from tests.support.waiting import wait_for
from tests.support.workers import create_worker, worker_pod

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.site import Site
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

EVERYTHING: dict[str, Any] = {
    "serviceAccounts": {"dev-environments": {"example.com/role": "developer"}},
    "quota": {"persistentvolumeclaims": 50},
    "limits": {"default": {"cpu": "4"}},
    "networkPolicy": True,
    "storage": {"driver": "ebs.csi.aws.com"},
}
"""Arguments that make every kind of child."""


def test_destroy_is_refused_while_dev_environments_run_and_by_force_leaves_nothing(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    name, neighbour = unique("busy"), unique("neighbour")
    stack.set(name, **EVERYTHING)
    stack.up()
    place = site(name)
    place.start(3)
    there, ours, resources = place.inventory(), find_ours(admin), stack.names()

    def see_nothing_changed() -> None:
        assert place.inventory() == there
        assert find_ours(admin) == ours
        assert stack.names() == resources

    refused = stack.destroy(ok=False)
    assert f"3 dev environments are running on platform {name} (namespace {name}): env-0, env-1, env-2" in refused.text
    assert "`freeze: true`" in refused.text
    assert "`forceDelete: true`" in refused.text
    see_nothing_changed()

    stack.set(neighbour)
    stack.up()
    ours, resources = find_ours(admin), stack.names()
    arguments = stack.platforms.pop(name)
    assert "3 dev environments are running" in stack.up(ok=False).text
    see_nothing_changed()
    stack.platforms[name] = arguments
    stack.up("--expect-no-changes")

    stack.set(name, forceDelete=True)
    recorded = {f"{name}-{part}": "update" for part in ("key", "environments", "test")}
    assert stack.up().changes == recorded
    assert place.inventory() == there
    del stack.platforms[name]
    removed = stack.up()
    order = [step.removeprefix(f"{name}-") for step, operation in removed.steps if operation == "delete"]
    ends = [order.index(part) for part in ("test", "environments", "release", "pod-template", "namespace")]
    assert ends == sorted(ends), order
    assert admin.get(NAMESPACE, name) is None
    assert not [thing for thing in find_ours(admin) if name in thing[2] or thing[1] == name]
    assert not [volume for volume in place.volumes() if volume.startswith(name)]


@fault(35)
def test_destroy_at_rest_just_works_and_a_frozen_platform_is_at_rest(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    idle, frozen = unique("idle"), unique("frozen")
    for name in (idle, frozen):
        stack.set(name)
    stack.up()
    for name in (idle, frozen):
        site(name).start(2)
    stack.set(frozen, freeze=True)
    stack.up()
    for name in ("env-0", "env-1"):
        admin.delete(POD, name, idle)
    wait_for(lambda: not site(idle).workers(), "the dev environments to stop")
    assert len(site(idle).claims()) == len(site(frozen).claims()) == 2
    stack.destroy()
    for name in (idle, frozen):
        assert admin.get(NAMESPACE, name) is None
    assert admin.get(POLICY, freeze_name(frozen)) is None
    assert admin.get(POLICY_BINDING, freeze_name(frozen)) is None


def test_an_adopted_namespace_that_is_not_there_is_told(stack: Stack) -> None:
    name = unique("nowhere")
    stack.set(name, createNamespace=False)
    assert f"namespace {name} does not exist: unless something else makes it" in stack.preview().text
    assert f"namespace {name} does not exist: create it, or let the platform do so" in stack.up(ok=False).errors


def test_a_destroy_that_refreshes_first_ends_everything_too(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    own, adopted = unique("own"), make_namespace(admin, "adopted")
    stack.set(own, forceDelete=True)
    stack.set(adopted, createNamespace=False, forceDelete=True)
    stack.up()
    for name in (own, adopted):
        site(name).start(1)
    destroyed = stack.destroy("--refresh")
    assert "go on in its successor" not in destroyed.text
    assert (site(adopted).workers(), site(adopted).claims()) == ({}, {})
    admin.delete(NAMESPACE, adopted)


def test_delete_leaves_an_adopted_namespace_as_it_was(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    namespace = make_namespace(admin, "adopted", {"team": "ide"})
    place = site(namespace)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"a": "b"}}
    admin.create(CONFIG_MAP, theirs, namespace)
    pod = worker_pod("theirs")
    pod["spec"]["containers"][0]["name"] = "web"
    admin.create(POD, pod, namespace)
    before, labels = place.inventory(), place.labels()

    stack.set("tenant", namespace=namespace)
    refused = stack.up(ok=False)
    assert f"the Namespace {namespace} exists already" in refused.text
    assert "set `createNamespace` to false" in refused.text
    stack.set("tenant", createNamespace=False, forceDelete=True, **EVERYTHING)
    stack.up()
    place.start(2)
    assert place.claims().keys() == {"env-0-home", "env-1-home"}
    stack.destroy()

    assert place.inventory() == before
    assert place.labels() == labels
    assert [admin.get(kind, "tenant-storage") for kind in (STORAGE_CLASS, SNAPSHOT_CLASS)] == [None, None]


def test_what_holds_the_namespace_is_named_and_the_next_destroy_goes_on(stack: Stack, admin: Cluster) -> None:
    name = unique("held")
    stack.set(name, stopTimeout=10)
    stack.up()
    held = {"name": "held", "finalizers": ["example.com/holds"]}
    admin.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}, name)
    started = time.monotonic()
    for _ in range(2):
        failed = stack.destroy(ok=False)
        assert "after 10 s: ConfigMap held (finalizers example.com/holds); see that" in failed.errors
    assert time.monotonic() - started < 120
    found = admin.get(CONFIG_MAP, "held", name)
    assert found is not None
    assert found["metadata"]["finalizers"] == ["example.com/holds"]
    assert f"{name}-release" in stack.names(), "the operator may be the one that takes it off"
    admin.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}}, name)
    stack.destroy()
    assert admin.get(NAMESPACE, name) is None


@pytest.mark.parametrize("command", ["destroy", "up"])
def test_a_namespace_that_is_still_going_is_waited_for(stack: Stack, admin: Cluster, command: str) -> None:
    name = unique("going")
    stack.set(name)
    stack.up()
    owner = admin.get(SERVICE_ACCOUNT, "default", name)
    assert owner is not None
    held = {
        "name": "held",
        "finalizers": ["example.com/holds"],
        "ownerReferences": [
            {
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "name": "default",
                "uid": owner["metadata"]["uid"],
                "controller": True,
            }
        ],
    }
    admin.create(CONFIG_MAP, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": held}, name)
    with stack.start("destroy", "--skip-preview", "--yes") as running:
        wait_for(lambda: running.has_step(f"{name}-key"), "the namespace to be deleted")
        running.interrupt()
        interrupted = running.wait()
    assert "goes only when these are gone: ConfigMap held (finalizers example.com/holds)" in interrupted.text
    assert {known for known in stack.names() if known.startswith(f"{name}-")} == {f"{name}-key"}
    found = admin.get(NAMESPACE, name)
    assert found is not None
    assert found["metadata"]["deletionTimestamp"]
    free = threading.Timer(3, admin.patch, [CONFIG_MAP, "held", {"metadata": {"finalizers": None}}, name])
    free.start()
    if command == "up":
        stack.up()
        again = admin.get(NAMESPACE, name)
        assert again is not None
        assert again["metadata"]["uid"] != found["metadata"]["uid"]
        free.join()
        stack.destroy()
    else:
        stack.destroy()
        assert admin.get(NAMESPACE, name) is None


def test_a_platform_that_moves_takes_its_key_along_and_empties_its_old_namespace(stack: Stack, admin: Cluster) -> None:
    name = unique("mover")
    stack.set(name)
    stack.up()
    (key,) = [resource["id"] for resource in stack.state() if resource["urn"].endswith(f"::{name}-key")]
    stack.set(name, namespace=f"{name}-2")
    stack.up()
    (kept,) = [resource["id"] for resource in stack.state() if resource["urn"].endswith(f"::{name}-key")]
    assert kept == key
    wait_for(lambda: admin.get(NAMESPACE, name) is None, "the old namespace to go", seconds=60)
    assert stack.up("--expect-no-changes").changes == {}
    stack.destroy()
    assert admin.get(NAMESPACE, f"{name}-2") is None


def test_retained_volumes_stay_with_their_namespace_and_nothing_else(
    stack: Stack, site: Callable[[str], Site], admin: Cluster
) -> None:
    name = unique("kept")
    stack.set(name, retainVolumes=True, forceDelete=True, serviceAccounts={"dev-environments": {}})
    stack.up()
    place = site(name)
    place.start(2)
    claims = place.claims()
    stack.destroy()
    assert place.claims() == claims
    left = {kind for kind, _ in place.inventory()} - {"PersistentVolumeClaim"}
    assert left <= {"ConfigMap", "ServiceAccount"}, "what Kubernetes itself puts into every namespace"
    assert [account for kind, account in place.inventory() if kind == "ServiceAccount"] == ["default"]
    # It can be adopted, as the error says, and its volumes are used again.
    assert "to use it as it is, set `createNamespace` to false" in stack.up(ok=False).errors
    stack.destroy()
    stack.set(name, createNamespace=False)
    stack.up()
    assert place.claims() == claims
    stack.destroy()
    assert place.claims() == claims
    admin.delete(NAMESPACE, name)
    wait_for(lambda: admin.get(NAMESPACE, name) is None, "the namespace to go")


PROGRAM = """
import json
import pulumi
from pathlib import Path
from pulumi_codecanvas import ComputingPlatform

given = json.loads(Path("given.json").read_text())
for name, options in given["platforms"].items():
    ComputingPlatform(
        name, chart=given["chart"], server_url=given["server_url"], opts=pulumi.ResourceOptions(**options)
    )
"""


class Program:
    """A program of a user, with platforms under the resource options that a test gives."""

    def __init__(self, directory: Path) -> None:
        self.directory = write_program(directory, {"__main__.py": PROGRAM})
        self.declare({})

    def declare(self, platforms: dict[str, dict[str, bool]]) -> None:
        given = {"chart": CHART, "server_url": SERVER_URL, "platforms": platforms}
        (self.directory / "given.json").write_text(json.dumps(given))


@fault(
    41,
    "A protected platform (`protect`)",
    happens="`pulumi destroy` refuses before anything is changed. Freezing, unfreezing and rotating the key work as"
    " ever.",
    user="`pulumi state unprotect --all`, then `pulumi destroy`",
)
def test_protect_keeps_every_part_of_a_platform(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, site: Callable[[str], Site], tmp_path: Path
) -> None:
    name, program = unique("guarded"), Program(tmp_path / "program")
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=program.directory) as stack:
        program.declare({name: {"protect": True}})
        stack.up()
        there, resources = site(name).inventory(), stack.names()
        assert "because it is protected" in stack.destroy(ok=False).text
        assert site(name).inventory() == there
        assert stack.names() == resources
        program.declare({name: {"protect": False}})
        stack.up()
        stack.destroy()
        assert admin.get(NAMESPACE, name) is None


@fault(
    42,
    "A platform that a destroy leaves (`retainOnDelete`)",
    happens="`pulumi destroy` forgets the platform; its namespace, operator and dev environments go on.",
    user="To remove it later: `kubectl delete namespace NAME`",
)
def test_retain_on_delete_forgets_a_platform_that_goes_on_running(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, site: Callable[[str], Site], tmp_path: Path
) -> None:
    name, program = unique("let-go"), Program(tmp_path / "program")
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=program.directory) as stack:
        program.declare({name: {"retain_on_delete": True}})
        stack.up()
        place = site(name)
        place.start(2)
        there = place.inventory()
        stack.destroy()
        assert not stack.names()
        assert place.inventory() == there
        assert place.running() == {"env-0", "env-1"}
        admin.delete(NAMESPACE, name)
        wait_for(lambda: admin.get(NAMESPACE, name) is None, "the namespace to go", seconds=60)


def test_destroy_after_an_interrupted_one_goes_on(stack: Stack, site: Callable[[str], Site], admin: Cluster) -> None:
    name = unique("slow")
    stack.set(name, forceDelete=True)
    stack.up()
    place = site(name)
    create_worker(place.core, name, "env-0", ignores_sigterm=True, grace_seconds=15)
    wait_for(lambda: place.running() == {"env-0"}, "a dev environment")
    with stack.start("destroy", "--skip-preview", "--yes") as running:
        wait_for(lambda: (admin.get(POD, "env-0", name) or {})["metadata"].get("deletionTimestamp"), "it to stop")
        running.interrupt()
        assert not running.wait().ok
    stack.destroy()
    assert admin.list_all(CLAIM, name) == []
    assert admin.get(NAMESPACE, name) is None
