"""Runs that are killed in the middle: the engine, its plugins, or all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import DEPLOYMENT, NAMESPACE, POD_TEMPLATE, Cluster
from tests.faults.promises import assert_recovered, assert_valid, pending, release_status, signed_by_the_plugin
from tests.support import victims
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.api_proxy import ApiProxy, Hold
    from tests.support.stack import Stack

pytestmark = pytest.mark.engine

SECONDS = 20
"""Time-out of the releases: after it, and a margin, a killed Helm counts as dead."""


def kill_at(stack: Stack, hold: Hold, command: str = "up") -> None:
    """Start a command, kill all of it when this request is held, and take its lock away."""
    with stack.start(command, "--skip-preview", "--yes") as running:
        hold.wait(running)
        victims.kill(running)
        hold.drop()
        running.wait()
    stack.cancel()


@fault(
    2,
    "SIGKILL of the engine after the API server took an object and before the state has it",
    happens="the object bears the stack's mark and nothing depends on it yet: the next `up` makes it anew; an object"
    " without the mark, a namespace that holds anything, or, after an hour, whatever is not in a namespace is refused"
    " by name, with what to do. Pulumi warns of the pending operation"
    " until `pulumi refresh --clear-pending-creates` drops it",
    user="`pulumi cancel` where the lock stayed",
)
def test_objects_that_the_state_lacks_are_made_anew(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    kill_at(proxied, proxy.hold("POST", r"/api/v1/namespaces(\?|$)", after=True))
    assert admin.get(NAMESPACE, platform)
    assert f"{platform}-namespace" not in proxied.names()
    kill_at(proxied, proxy.hold("POST", "/podtemplates", after=True))
    assert f"{platform}-pod-template" not in proxied.names()
    run = assert_recovered(proxied, admin, platform)
    assert f"the PodTemplate {platform} was left by an interrupted run" in run.text
    assert f"creating {platform}-pod-template" in pending(proxied)
    proxied.refresh("--clear-pending-creates")
    assert pending(proxied) == []
    assert proxied.up("--expect-no-changes").changes == {}


@fault(2)
def test_an_object_of_somebody_else_is_refused_by_name(stack: Stack, admin: Cluster) -> None:
    namespace = unique("theirs")
    admin.apply(NAMESPACE, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    pod = {"spec": {"containers": [{"name": "main", "image": "theirs"}]}}
    theirs = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "eu"}, "template": pod}
    admin.create(POD_TEMPLATE, theirs, namespace)
    platform = unique("eu")
    stack.set(platform, platformName="eu", namespace=namespace, createNamespace=False)
    assert "the PodTemplate eu exists already and is not of this stack" in stack.up(ok=False).text
    found = admin.get(POD_TEMPLATE, "eu", namespace)
    assert found
    assert found["template"]["spec"]["containers"][0]["image"] == "theirs"


@fault(
    3,
    "SIGKILL in the first Helm install",
    happens="the release stays `pending-install`. The next `up` proves it this stack's own by its key, waits until no"
    " Helm can be at work on it any more (`timeout`, from its last sign of life), and takes it over",
    user="`pulumi cancel` where the lock stayed",
)
@signed_by_the_plugin
def test_a_killed_first_install_is_taken_over(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform, timeout=SECONDS)
    kill_at(proxied, proxy.hold("POST", "/deployments"))
    assert release_status(admin, platform) == ["pending-install"]
    assert f"{platform}-release" not in proxied.names()
    run = assert_recovered(proxied, admin, platform)
    assert "waiting until it ends" in run.text
    assert "it is taken over" in run.text


@fault(3)
@signed_by_the_plugin
def test_an_install_that_outlived_its_engine_is_taken_over_as_it_is(
    proxied: Stack, proxy: ApiProxy, admin: Cluster
) -> None:
    platform = unique("eu")
    proxied.set(platform, timeout=SECONDS)
    with proxied.start("up", "--skip-preview", "--yes") as running:
        hold = proxy.hold("POST", "/deployments")
        hold.wait(running)
        victims.kill(running, "engine")
        hold.release()
        wait_for(lambda: release_status(admin, platform) == ["deployed"], "the orphan's install")
    proxied.cancel()
    before = {item["metadata"]["uid"] for item in admin.list_all(DEPLOYMENT, platform)}
    run = assert_recovered(proxied, admin, platform)
    assert "it is taken over" in run.text
    assert {item["metadata"]["uid"] for item in admin.list_all(DEPLOYMENT, platform)} == before


@fault(
    4,
    "SIGKILL in a Helm upgrade",
    happens="the release stays `pending-upgrade`. The next `up` proves that revision this stack's own and dead, as"
    " above, drops it, and upgrades from the deployed one",
    user="`pulumi cancel` where the lock stayed",
)
@signed_by_the_plugin
def test_a_killed_upgrade_is_dropped_and_done_again(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform, timeout=SECONDS)
    proxied.up()
    proxied.set(platform, values={"podLabels": {"round": "two"}})
    kill_at(proxied, proxy.hold("PATCH", "/deployments/"))
    assert release_status(admin, platform) == ["deployed", "pending-upgrade"]
    run = assert_recovered(proxied, admin, platform)
    assert "this revision was dropped" in run.text
    [deployment] = admin.list_all(DEPLOYMENT, platform)
    assert deployment["spec"]["template"]["metadata"]["labels"]["round"] == "two"


@fault(
    6,
    "SIGKILL in a destroy, between release and namespace",
    happens="what is gone is gone in the state, too: `pulumi destroy` goes on, `pulumi up` makes it anew. Where the"
    " release went unrecorded, `up` and `destroy` want a refresh first",
    user="`pulumi cancel` where the lock stayed; `--refresh` where the error asks for it",
)
def test_a_destroy_killed_before_the_namespace_goes_on_or_back(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    proxied.up()
    kill_at(proxied, proxy.hold("DELETE", rf"/api/v1/namespaces/{platform}(\?|$)"), command="destroy")
    assert release_status(admin, platform) == []
    assert f"{platform}-namespace" in proxied.names()
    assert_recovered(proxied, admin, platform)
    kill_at(proxied, proxy.hold("DELETE", rf"/api/v1/namespaces/{platform}(\?|$)"), command="destroy")
    proxied.destroy()
    assert admin.get(NAMESPACE, platform) is None


@fault(6)
def test_a_release_that_is_gone_but_in_the_state_comes_back_with_a_refresh(
    proxied: Stack, proxy: ApiProxy, admin: Cluster
) -> None:
    platform = unique("eu")
    proxied.set(platform)
    proxied.up()
    kill_at(proxied, proxy.hold("DELETE", "/secrets/sh.helm", after=True), command="destroy")
    assert release_status(admin, platform) == []
    assert f"{platform}-release" in proxied.names()
    assert "`pulumi up --refresh` installs it again" in proxied.up(ok=False).text
    proxied.up("--refresh")
    assert_recovered(proxied, admin, platform)
    kill_at(proxied, proxy.hold("DELETE", "/secrets/sh.helm", after=True), command="destroy")
    proxied.destroy("--refresh")
    assert admin.get(NAMESPACE, platform) is None


@fault(
    7,
    "a release left `uninstalling` by a killed destroy",
    happens="`pulumi destroy` goes on from there. `pulumi up` says what to do to have the release back",
    user="`pulumi destroy`; or `pulumi up --replace '**::NAME-release'`",
)
def test_a_release_left_uninstalling_is_destroyed_or_put_back(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    proxied.up()
    kill_at(proxied, proxy.hold("DELETE", "/deployments/"), command="destroy")
    assert release_status(admin, platform) == ["uninstalling"]
    assert f"pulumi up --replace '**::{platform}-release'" in proxied.up(ok=False).text
    proxied.up("--replace", f"**{platform}-release")
    assert_recovered(proxied, admin, platform)
    kill_at(proxied, proxy.hold("DELETE", "/deployments/"), command="destroy")
    assert_valid(proxied)
    proxied.destroy()
    assert admin.get(NAMESPACE, platform) is None
