"""Charts and releases: what fails by itself, and what people do to a release past the stack."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider.cluster import DEPLOYMENT, SECRET, Cluster
from tests.faults.promises import assert_recovered, release_status
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.stack import CHART
from tools.toolchain import ensure

if TYPE_CHECKING:
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

RELEASE = "codecanvas-operator"


def helm(cluster: LocalCluster, *arguments: str) -> None:
    """Do to a release what a person does."""
    program = ensure("helm", quiet=True)["helm"]
    line = [str(program), *arguments, "--kubeconfig", str(cluster.kubeconfig)]
    done = subprocess.run(line, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


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
