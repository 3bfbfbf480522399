"""What somebody else changes in the cluster: seen by a refresh, mended by the next `up`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider import cluster
from codecanvas_provider.cluster import CONFIG_MAP, NAMESPACE, POD_TEMPLATE, Cluster, Kind
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.printed import run_printed
from tests.support.releases import NAME, ROLE_BINDING
from tests.support.stack import Run, Stack, failed_checks, make_stack
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

PSA = "pod-security.kubernetes.io/enforce"


@dataclass
class Story:
    """Four platforms that somebody meddled with, and what was seen then."""

    stack: Stack
    admin: Cluster
    lost: str
    edited: str
    tight: str
    labelled: str
    runs: dict[str, Run] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    uids: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def tell(self) -> None:
        stack, admin = self.stack, self.admin
        for name in (self.lost, self.edited, self.tight):
            stack.set(name)
        stack.set(self.labelled, labels={"team": "ide"})
        stack.up()
        self.uids["lost"] = uid_of(admin, self.lost)
        self.outputs["before"] = stack.outputs(self.lost)
        self._meddle()
        self.runs["refresh"] = stack.refresh()
        self.failed = {
            check["name"]
            for item in stack.state()
            if item["urn"].endswith(f"::{self.tight}-test")
            for check in item["outputs"]["checks"]
            if check["status"] == "Failed"
        }
        self.runs["up"] = stack.up()
        self.runs["again"] = stack.up("--refresh", "--expect-no-changes")
        self.outputs["after"] = stack.outputs(self.lost)

    def _meddle(self) -> None:
        labels = {"team": "tools", "cost-centre": "42"}
        self._patch("cost-controller", NAMESPACE, self.labelled, {"metadata": {"labels": labels}})
        self._patch("kubectl-label", NAMESPACE, self.tight, {"metadata": {"labels": {PSA: "restricted"}}})
        edited = {"metadata": {"labels": {"edited": "by-hand"}}, "spec": {"restartPolicy": "Always"}}
        self._patch("kubectl-edit", POD_TEMPLATE, self.edited, {"template": edited}, self.edited)
        self.admin.delete(NAMESPACE, self.lost)
        wait_for(lambda: self.admin.get(NAMESPACE, self.lost) is None, "the namespace to be gone", 60)

    def _patch(self, manager: str, kind: Kind, name: str, body: dict[str, Any], namespace: str | None = None) -> None:
        """Change an object as another tool would."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(cluster, "FIELD_MANAGER", manager)
            self.admin.patch(kind, name, body, namespace)


@pytest.fixture(scope="module")
def story(home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster) -> Iterator[Story]:
    with make_stack(home, shared_cluster.kubeconfig, [admin], stem="drift") as stack:
        told = Story(stack, admin, unique("lost"), unique("edited"), unique("tight"), unique("labelled"))
        told.tell()
        yield told


@fault(
    24,
    "Namespace deleted by hand",
    happens="A refresh sees that everything in it is gone; the next `up` makes it again with the same key, so that"
    " CodeCanvas knows the platform as before. The volumes are lost with the namespace.",
    user="`pulumi refresh`, then `pulumi up`",
)
def test_deleted_namespace_is_made_again_with_the_same_key(story: Story) -> None:
    assert story.runs["refresh"].changes[f"{story.lost}-namespace"] in {"refresh", "delete"}
    changes = story.runs["up"].changes
    assert changes[f"{story.lost}-namespace"] == "create"
    # Ours, which the refresh dropped with its namespace.
    assert changes[f"{story.lost}-environments"] == "create"
    assert changes[f"{story.lost}-release"] == "create"
    assert f"{story.lost}-key" not in changes
    assert uid_of(story.admin, story.lost) != story.uids["lost"]
    assert story.outputs["after"]["key_fingerprint"] == story.outputs["before"]["key_fingerprint"]
    assert failed_checks(story.outputs["after"]) == []


@fault(
    26,
    "Pod template edited in the cluster",
    happens="A refresh shows which of our fields differ; the next `up` puts them back. Fields that were added stay.",
    user="`pulumi refresh`, then `pulumi up`",
)
def test_edited_pod_template_is_put_back(story: Story) -> None:
    assert story.runs["up"].changes[f"{story.edited}-pod-template"] == "update"
    found = story.admin.get(POD_TEMPLATE, story.edited, story.edited)
    assert found is not None
    assert found["template"]["spec"]["restartPolicy"] == "Never"


@fault(
    28,
    "Pod Security label of the namespace tightened",
    happens="The connection test says that worker pods are refused and why; the next `up` puts the label back.",
    user="`pulumi refresh`, then `pulumi up`",
)
def test_tightened_pod_security_is_seen_and_put_back(story: Story) -> None:
    assert story.failed == {"Pod template"}
    assert 'violates PodSecurity "restricted:latest"' in story.runs["refresh"].text
    assert story.runs["up"].changes[f"{story.tight}-namespace"] == "update"
    assert labels_of(story.admin, story.tight)[PSA] == "privileged"


@fault(
    30,
    "Another tool owns a label",
    happens="A label that only the other tool sets stays and is no difference. One that both set is put back by the"
    ' next `up`: what we make bears `pulumi.com/patchForce: "true"`. With "false" for it in `annotations`, `up` fails'
    " on the conflict instead, and names the other tool.",
    user="`pulumi refresh`, then `pulumi up`",
)
def test_label_of_another_tool_stays_and_ours_is_put_back(story: Story) -> None:
    labels = labels_of(story.admin, story.labelled)
    assert labels["cost-centre"] == "42"
    assert labels["team"] == "ide"
    assert set(story.runs["again"].changes.values()) <= {"refresh"}


@fault(
    29,
    "The operator's RoleBinding removed",
    happens="The connection test says so, with the command that puts it back.",
    user="The command that is shown, `helm rollback ...`, then `pulumi up --refresh`",
)
def test_removed_role_binding_is_put_back_by_the_printed_commands(stack: Stack, admin: Cluster) -> None:
    name = unique("rights")
    stack.set(name)
    stack.up()
    admin.delete(ROLE_BINDING, NAME, name)
    failed = stack.up("--refresh", ok=False)
    assert "may not create and delete pods" in failed.errors
    run_printed(failed.errors, "helm rollback", stack)
    assert "pulumi up --refresh" in failed.errors
    stack.up("--refresh")
    assert admin.get(ROLE_BINDING, NAME, name) is not None
    assert stack.up("--expect-no-changes").changes == {}


@fault(
    25,
    "Namespace stuck in Terminating",
    happens="The connection test names the namespace's state and what holds it. Nobody strips finalizers.",
    user="Mend what holds it, then `pulumi refresh` and `pulumi up`",
)
def test_namespace_stuck_terminating_is_named_with_its_holder(stack: Stack, admin: Cluster) -> None:
    name = unique("stuck")
    stack.set(name, timeout=20)
    stack.up()
    held = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/holds"]}}
    admin.create(CONFIG_MAP, held, name)
    admin.delete(NAMESPACE, name)
    failed = stack.up("--refresh", ok=False)
    assert f"namespace {name} is Terminating" in failed.text
    assert "ConfigMap held (finalizers example.com/holds)" in failed.text
    admin.patch(CONFIG_MAP, "held", {"metadata": {"finalizers": None}}, name)
    wait_for(lambda: admin.get(NAMESPACE, name) is None, "the namespace to go", 60)
    stack.refresh()
    stack.up()
    assert failed_checks(stack.outputs(name)) == []


def uid_of(admin: Cluster, namespace: str) -> str:
    found = admin.get(NAMESPACE, namespace)
    assert found is not None
    return str(found["metadata"]["uid"])


def labels_of(admin: Cluster, namespace: str) -> dict[str, str]:
    found = admin.get(NAMESPACE, namespace)
    assert found is not None
    return dict(found["metadata"]["labels"])
