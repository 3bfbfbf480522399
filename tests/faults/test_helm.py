"""Charts and releases: what fails by itself, and what people do to a release past the stack."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider.cluster import DEPLOYMENT, SECRET, Cluster
from tests.faults.promises import assert_recovered, release_status
from tests.support.chart_repository import pack_chart, serve_chart
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.stack import CHART, CHECKOUT, make_stack, write_program
from tools.toolchain import ensure

if TYPE_CHECKING:
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

RELEASE = "codecanvas-operator"


def helm(cluster: LocalCluster, *arguments: str) -> None:
    """Do to a release what a person does."""
    program = ensure("helm", quiet=True)["helm"]
    line = [str(program), *arguments, "--kubeconfig", str(cluster.kubeconfig)]
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@fault(17, "the first install fails on a hook", happens="Helm takes it back, the error names the hook's Job")
def test_a_failing_hook_leaves_nothing_in_the_way(stack: Stack, admin: Cluster) -> None:
    platform = unique("eu")
    stack.set(platform, timeout=15, values={"standIn": {"failingHook": True}})
    assert "failing-hook" in stack.up(ok=False).text
    assert release_status(admin, platform) == []
    stack.set(platform, values=None, timeout=60)
    assert_recovered(stack, admin, platform)


@fault(
    18,
    "chart registry away, or a wrong password",
    happens="the run says so before the release is touched; where it is installed, the preview does. No password is"
    " shown",
    user="correct the password, or wait",
)
def test_a_chart_that_cannot_be_had_changes_no_release(stack: Stack, admin: Cluster) -> None:
    platform, user, password = unique("eu"), "puller", "correct-horse-battery-staple"
    archive = pack_chart(Path(CHART))
    with serve_chart(Path(CHART), archive, username=user, password=password) as url:
        stack.set(platform, chart=Path(CHART).name, chartRepository=url, chartUsername=user)
        stack.set(platform, chartPassword=stack.seal("wrong-horse"))
        assert "401" in stack.up(ok=False).text
    assert "connection refused" in stack.up(ok=False).text
    assert release_status(admin, platform) == []
    with serve_chart(Path(CHART), archive, username=user, password=password) as url:
        stack.set(platform, chartRepository=url, chartPassword=stack.seal(password))
        assert_recovered(stack, admin, platform)
    assert "connection refused" in stack.preview(ok=False).text
    # What goes needs no chart.
    stack.destroy()
    texts = [run.text + run.event_log for run in stack.runs]
    texts += [path.read_text(errors="replace") for path in stack.stack_files()]
    for text in texts:
        assert password not in text
        assert "wrong-horse" not in text


@fault(
    19,
    "a chart that its values do not fit, by its own schema",
    happens="the release is refused and the value named; nothing is installed",
    user="correct `values`",
)
def test_values_that_break_the_charts_schema_are_named(stack: Stack, admin: Cluster) -> None:
    platform = unique("eu")
    stack.set(platform, values={"replicaCount": "many"})
    assert "replicaCount" in stack.up(ok=False).text
    assert release_status(admin, platform) == []
    stack.set(platform, values=None)
    assert_recovered(stack, admin, platform)


@fault(
    20,
    "the operator never becomes ready",
    happens="Helm takes the install back, or the upgrade; the error says which workload and why",
    user="mend what the error names",
)
def test_an_operator_that_never_becomes_ready_is_taken_back(stack: Stack, admin: Cluster) -> None:
    platform = unique("eu")
    nowhere = {"nodeSelector": {"no": "such-node"}}
    stack.set(platform, timeout=8, values=nowhere)
    assert f"Deployment {RELEASE}" in stack.up(ok=False).text
    assert release_status(admin, platform) == []
    stack.set(platform, values=None, timeout=60)
    assert_recovered(stack, admin, platform)
    stack.set(platform, timeout=8, values=nowhere)
    assert f"Deployment {RELEASE}" in stack.up(ok=False).text
    assert release_status(admin, platform)[-1] == "deployed"
    assert "nodeSelector" not in deployment(admin, platform)["spec"]["template"]["spec"]
    stack.set(platform, values=None, timeout=60)
    assert_recovered(stack, admin, platform)


@fault(
    21,
    "`helm uninstall` by hand",
    happens="a plain `up` does not look; one that has to change the release fails and says this",
    user="`pulumi up --refresh`, `pulumi destroy --refresh`",
)
def test_an_uninstalled_release_comes_back_with_a_refresh(
    stack: Stack, shared_cluster: LocalCluster, admin: Cluster
) -> None:
    platform = unique("eu")
    stack.set(platform)
    stack.up()
    helm(shared_cluster, "uninstall", RELEASE, "--namespace", platform, "--wait")
    assert stack.up("--expect-no-changes").changes == {}
    stack.set(platform, values={"podLabels": {"round": "two"}})
    assert "run `pulumi up --refresh`" in stack.up(ok=False).text
    stack.up("--refresh")
    assert_recovered(stack, admin, platform)
    helm(shared_cluster, "uninstall", RELEASE, "--namespace", platform, "--wait")
    stack.destroy("--refresh")


@fault(
    22,
    "`helm upgrade` by hand",
    happens="a refresh sees values that were changed and puts them back; values that were added go with the release's"
    " next change",
    user="`pulumi up --refresh`",
)
def test_an_upgrade_by_hand_is_put_back(stack: Stack, shared_cluster: LocalCluster, admin: Cluster) -> None:
    platform = unique("eu")
    stack.set(platform, values={"podLabels": {"by": "program"}})
    stack.up()
    hand = ("--reuse-values", "--set", "podLabels.by=hand,podLabels.more=hand", "--wait")
    helm(shared_cluster, "upgrade", RELEASE, CHART, "--namespace", platform, *hand)
    assert pod_labels(admin, platform)["by"] == "hand"
    stack.up("--refresh")
    assert pod_labels(admin, platform)["by"] == "program"
    assert_recovered(stack, admin, platform)
    stack.set(platform, values={"podLabels": {"by": "next"}})
    stack.up()
    assert pod_labels(admin, platform)["by"] == "next"
    assert "more" not in pod_labels(admin, platform)
    assert len(admin.list_all(SECRET, platform, labels="owner=helm")) <= 2


def deployment(admin: Cluster, namespace: str) -> dict[str, Any]:
    """Give the operator's Deployment."""
    [found] = admin.list_all(DEPLOYMENT, namespace)
    return found


def pod_labels(admin: Cluster, namespace: str) -> dict[str, str]:
    """Give the labels of the operator's pods, as its Deployment has them."""
    labels: dict[str, str] = deployment(admin, namespace)["spec"]["template"]["metadata"]["labels"]
    return labels


@fault(23, "the program's directory moved", happens="nothing changes: no path of it is in the state")
def test_a_moved_program_changes_nothing(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path
) -> None:
    files = {
        "__main__.py": (CHECKOUT / "__main__.py").read_text(),
        "worker-pod.yaml": (CHECKOUT / "tools" / "charts" / "worker-pod.yaml").read_text(),
    }
    here, there = tmp_path / "here", tmp_path / "there" / "deeper"
    write_program(here, files)
    shutil.copytree(CHART, here / "operator")
    platform = unique("eu")
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=here) as stack:
        stack.set(platform, chart="./operator", podTemplate="worker-pod.yaml")
        stack.up()
        there.parent.mkdir()
        here.rename(there)
        stack.program = stack.cwd = there
        assert stack.up("--expect-no-changes").changes == {}
        assert_recovered(stack, admin, platform)
