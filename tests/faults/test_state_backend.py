"""The stack's state: full, locked, or one of several that claim the same things."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cli import NOT_WELL
from codecanvas_provider.cluster import NAMESPACE
from codecanvas_provider.state_files import read_copy
from tests.faults.promises import assert_recovered, signed_by_the_plugin
from tests.support import small_disk, victims
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.stack import Run, make_stack
from tests.support.waiting import wait_for
from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from codecanvas_provider.cluster import Cluster
    from tests.support.api_proxy import ApiProxy
    from tests.support.small_disk import SmallDisk
    from tests.support.stack import Running, Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine


def run_printed(stack: Stack) -> str:
    """Run what `codecanvas find-state` prints, as it stands, and give it."""
    printed = run_beside(stack, "codecanvas", "find-state")
    assert printed.exit_code == NOT_WELL, printed.text
    done = run_beside(stack, "sh", "-e", stdin=printed.stdout)
    assert done.ok, printed.text + done.text
    assert run_beside(stack, "codecanvas", "find-state").ok
    return printed.stdout


def run_beside(stack: Stack, *line: str, stdin: str = "") -> Run:
    """Run a command that is not Pulumi's in the stack's project."""
    done = subprocess.run(
        line, cwd=stack.project, env=stack.environment, input=stdin, capture_output=True, text=True, check=False
    )
    stack.runs.append(Run(line, done.returncode, done.stdout, done.stderr))
    return stack.runs[-1]


def is_cut_off(path: Path) -> bool:
    return path.is_file() and read_copy(path) is None


def state_file(stack: Stack) -> Path:
    return stack.home.state / ".pulumi" / "stacks" / "codecanvas" / f"{stack.name}.json"


def kill_cut_off(running: Running, stack: Stack) -> None:
    """Kill a run whose state is cut off, as when the time of a CI job is over; the copy beside it is cut off as well.

    Whether Pulumi gets as far as that with the copy hangs on which of its threads finds a free page.
    """
    wait_for(lambda: is_cut_off(state_file(stack)), "the state to be cut off", 60)
    victims.kill(running)
    running.wait()
    for path in (state_file(stack), Path(f"{state_file(stack)}.bak")):
        os.truncate(path, path.stat().st_size // 2)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Give the file system of the backend of `small`."""
    with small_disk.mount(tmp_path / "pulumi" / "state") as mounted:
        yield mounted


@pytest.fixture
def small(tmp_path: Path, disk: SmallDisk, proxy: ApiProxy, admin: Cluster) -> Iterator[Stack]:
    """Give a stack whose backend is on a small disk."""
    home = PulumiHome(tmp_path / "pulumi")
    assert home.state == disk.root
    with make_stack(home, proxy.kubeconfig, [admin]) as made:
        yield made
        # While its backend is still there.
        made.destroy()


@fault(
    13,
    "state backend full",
    happens="on a file backend, Pulumi leaves its state file cut off, and with several resources at work the `.bak`"
    " beside it, too. `codecanvas find-state` finds the newest whole state among all that Pulumi keeps and prints the"
    " commands that put it back; the next `up` makes anew what that one does not know. A namespace that is not empty"
    " and that no whole state knows is refused by name, with the command that removes it",
    user="make room; `codecanvas find-state`, and run what it prints (`cp ...`, `pulumi cancel` where the lock stayed,"
    " `pulumi stack import` of an empty state where none is whole); then `pulumi up`",
)
@signed_by_the_plugin
def test_a_backend_that_runs_full_in_an_update_goes_back_to_the_copy_beside_it(
    small: Stack, disk: SmallDisk, proxy: ApiProxy, admin: Cluster
) -> None:
    platform = unique("eu")
    small.set(platform, timeout=20)
    hold = proxy.hold("POST", "/deployments", after=True)
    with small.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        with disk.kept_full():
            hold.release()
            run = running.wait()
    assert not run.ok
    assert "no space left on device" in run.text
    assert is_cut_off(state_file(small))
    told = run_beside(small, "codecanvas", "status")
    assert "`codecanvas find-state` tells how it comes back" in told.stderr
    assert f"cp {state_file(small)}.bak {state_file(small)}" in run_printed(small)
    assert f"{platform}-release" not in small.names()
    assert "it is taken over" in assert_recovered(small, admin, platform).text


@fault(13)
def test_a_backend_that_is_full_from_the_start_changes_nothing(small: Stack, disk: SmallDisk, admin: Cluster) -> None:
    platform = unique("eu")
    small.set(platform)
    with disk.kept_full():
        run = small.up(ok=False)
    assert "no space left on device" in run.text
    assert run.changes == {}
    assert admin.get(NAMESPACE, platform) is None
    # What it could not write of its lock stays, and counts as one.
    assert "unexpected end of JSON input" in small.up(ok=False).text
    assert "pulumi cancel" in run_printed(small)
    assert_recovered(small, admin, platform)


@fault(13)
@pytest.mark.real("pulumi-resource-kubernetes")  # seen with this one only
def test_a_backend_that_stays_full_goes_back_to_the_end_of_the_last_update(
    small: Stack, disk: SmallDisk, admin: Cluster
) -> None:
    platforms = [unique("eu"), unique("us")]
    for platform in platforms:
        small.set(platform)
    small.up()
    for platform in platforms:
        small.set(platform, tokenVersion="2", values={"note": "more than there is room for. " * 1500})
    with disk.kept_full(room=4), small.start("up", "--skip-preview", "--yes") as running:
        kill_cut_off(running, small)
    printed = run_printed(small)
    assert "pulumi cancel" in printed
    assert f"/{small.name}" in printed
    assert "The newest whole copy is of " in printed
    assert_recovered(small, admin, *platforms)


@fault(13)
@pytest.mark.real("pulumi-resource-kubernetes")  # seen with this one only
@pytest.mark.slow
def test_a_backend_that_stays_full_in_the_first_update_begins_anew(
    small: Stack, disk: SmallDisk, proxy: ApiProxy, admin: Cluster
) -> None:
    platforms = [unique("eu"), unique("us")]
    for platform in platforms:
        small.set(platform, timeout=20)
    holds = [proxy.hold("POST", f"/namespaces/{platform}/deployments", after=True) for platform in platforms]
    with small.start("up", "--skip-preview", "--yes") as running:
        for hold in holds:
            hold.wait(running)
        with disk.kept_full():
            for hold in holds:
                hold.release()
            kill_cut_off(running, small)
    printed = run_printed(small)
    assert "pulumi cancel" in printed
    assert f"/{small.name}" in printed
    assert "pulumi stack import" in printed
    refused = small.up(ok=False).text
    for platform in platforms:
        assert f"nobody works in it yet: `kubectl delete namespace {platform}`" in refused
        admin.delete(NAMESPACE, platform)
    wait_for(lambda: not any(admin.get(NAMESPACE, platform) for platform in platforms), "both namespaces to go")
    assert_recovered(small, admin, *platforms)


@fault(
    14,
    "two `up` at once",
    happens="the second is refused by the backend's lock and changes nothing",
    user="nothing, or wait for the first",
)
def test_the_second_of_two_ups_changes_nothing(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    hold = proxy.hold("POST", "/podtemplates")
    with proxied.start("up", "--skip-preview", "--yes") as first:
        hold.wait(first)
        second = proxied.up(ok=False)
        assert "the stack is currently locked by 1 lock(s)" in second.text
        assert second.changes == {}
        hold.release()
        assert first.wait().ok
    assert_recovered(proxied, admin, platform)


@fault(
    16,
    "stale stack lock",
    happens="Pulumi names whose lock it is",
    user="`pulumi cancel`, once that run is known to be dead",
)
def test_a_stale_lock_is_cancelled(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    platform = unique("eu")
    proxied.set(platform)
    hold = proxy.hold("POST", "/podtemplates")
    with proxied.start("up", "--skip-preview", "--yes") as running:
        hold.wait(running)
        victims.kill(running)
        hold.drop()
        running.wait()
    refused = proxied.up(ok=False).text
    assert "the stack is currently locked by 1 lock(s)" in refused
    assert "pulumi cancel" in refused
    proxied.cancel()
    assert_recovered(proxied, admin, platform)


@fault(
    15,
    "two stacks on one namespace or release",
    happens="the second is refused by name, before it touches anything of the first",
    user="choose another `namespace` or `releaseName`",
)
def test_a_second_stack_touches_nothing_of_the_first(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster
) -> None:
    platform, shared = unique("eu"), make_namespace(admin, "shared")
    with make_stack(home, shared_cluster.kubeconfig, [admin]) as first:
        first.set(platform)
        first.set("one", namespace=shared, createNamespace=False)
        first.up()
        with make_stack(home, shared_cluster.kubeconfig, [admin]) as second:
            owner = f"organization/codecanvas/{first.name}"
            second.set("other", namespace=platform)
            refused = second.up(ok=False).text
            assert f"the Namespace {platform} exists already and is of the stack {owner}" in refused
            del second.platforms["other"]
            second.set("one", namespace=shared, createNamespace=False)
            refused = second.up(ok=False).text
            assert f"the PodTemplate one exists already and is of the stack {owner}" in refused
            del second.platforms["one"]
            second.set("two", namespace=shared, createNamespace=False)
            refused = second.up(ok=False).text
            assert f"namespace {shared} has a Helm release codecanvas-operator already" in refused
            second.destroy()
        first.up("--refresh", "--expect-no-changes")
        assert_recovered(first, admin, platform, "one")
