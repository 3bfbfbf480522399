"""What a user of the root program is promised, on the real engine, API server and Helm."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest
import yaml

from codecanvas_provider.cluster import CONFIG_MAP, DEPLOYMENT, NAMESPACE, POD, SECRET, Cluster
from codecanvas_provider.connection_checks import CHECK_NAMES
from tests.support.command_lines import CommandLines
from tests.support.helm_records import helm_history, operator_key
from tests.support.namespaces import make_namespace
from tests.support.stack import CHECKOUT, make_stack

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.stack import Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

DOCUMENTED = (CHECKOUT / "tools/charts/worker-pod.yaml").read_text()
FAULTY_TEMPLATES = {
    "misspelt": ("kind: Pod\napiVersion: v1\nspec: {contaners: [{name: worker-main}]}", "spec.contaners"),
    "no-worker": ("kind: Pod\napiVersion: v1\nspec: {containers: [{name: main}]}", "no container is named worker-main"),
    "deployment": ("kind: Deployment\napiVersion: apps/v1\nspec: {}", "kind"),
    "two": (DOCUMENTED + "\n---\n" + DOCUMENTED, "document"),
    "syntax": ("kind: Pod\nspec: {containers: [", "line 2"),
    "tab": ("kind: Pod\nspec:\n\tcontainers: []", "tab"),
    "missing": ("no-such-file.yaml", "no-such-file.yaml"),
    "twice": (
        DOCUMENTED.replace(
            "          value: true", "          value: b\n          valueFrom: {fieldRef: {fieldPath: a}}"
        ),
        "valueFrom",
    ),
}


def test_documented_template_is_accepted_from_text_and_from_file(stack: Stack, admin: Cluster) -> None:
    stack.set("doc-text", podTemplate=DOCUMENTED)
    stack.set("doc-file", podTemplate="tools/charts/worker-pod.yaml")
    text = stack.up().text
    assert 'metadata.labels.codecanvas: true -> "true"' in text
    assert CHECK_NAMES[0] not in stack.outputs("doc-text")["connection"]
    assert stack.outputs("doc-file")["release_status"] == "deployed"
    assert admin.get(NAMESPACE, "doc-text") is not None
    assert stack.up("--expect-no-changes").changes == {}


def test_every_fault_of_a_config_is_refused_in_preview_with_its_path(stack: Stack) -> None:
    for name, (template, _) in FAULTY_TEMPLATES.items():
        stack.set(name, podTemplate=template)
    stack.set("typo", serverUrll="http://x")
    stack.set("clash", namespace="typo")
    text = stack.preview(ok=False).text
    for name, (_, expected) in FAULTY_TEMPLATES.items():
        mentioned = "\n".join(line for line in text.splitlines() if f"platforms.{name}.podTemplate" in line)
        assert expected in mentioned, f"{name}: {text}"
    assert "platforms.typo.serverUrll" in text
    assert "did you mean `serverUrl`?" in text


def test_unknown_field_is_refused_in_preview_before_and_after_the_namespace_exists(stack: Stack) -> None:
    stack.set("fields", podTemplate=DOCUMENTED.replace("restartPolicy", "restartPolcy"))
    assert "restartPolcy" in stack.preview(ok=False).text
    stack.set("fields", podTemplate=DOCUMENTED)
    stack.up()
    stack.set("fields", podTemplate=DOCUMENTED.replace("restartPolicy", "restartPolcy"))
    assert "restartPolcy" in stack.preview(ok=False).text


def test_a_third_platform_touches_none_of_the_others(stack: Stack) -> None:
    stack.set("first")
    stack.set("second")
    stack.up()
    stack.set("third")
    added = stack.up().changes
    assert added
    assert all(name.startswith(("third", "codecanvas-")) for name in added), added
    del stack.platforms["third"]
    removed = stack.up().changes
    assert all(name.startswith(("third", "codecanvas-")) for name in removed), removed
    assert set(removed.values()) <= {"delete", "update"}


def test_two_clusters_in_one_stack_without_default_providers(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, other_cluster: LocalCluster, other_admin: Cluster
) -> None:
    with make_stack(home, shared_cluster.kubeconfig, [admin, other_admin]) as stack:
        stack.set("here", kubeconfig=stack.seal(shared_cluster.kubeconfig.read_text()))
        stack.set("there", kubeconfig=stack.seal(other_cluster.kubeconfig.read_text()))
        stack.config["pulumi:disable-default-providers"] = ["*"]
        stack.up()
        assert admin.get(NAMESPACE, "here")
        assert admin.get(NAMESPACE, "there") is None
        assert other_admin.get(NAMESPACE, "there")
        assert other_admin.get(NAMESPACE, "here") is None
        token = yaml.safe_load(other_cluster.kubeconfig.read_text())["users"][0]["user"]["token"]
        assert token not in stack.export()
        stack.destroy()
        assert other_admin.get(NAMESPACE, "there") is None


def test_adopted_namespace_stays_with_foreign_objects(stack: Stack, admin: Cluster) -> None:
    namespace = make_namespace(admin, "adopted")
    foreign = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}, "data": {"a": "b"}}
    admin.create(CONFIG_MAP, foreign, namespace)
    stack.set("adopted", namespace=namespace)
    refused = stack.up(ok=False).text
    assert "already exists" in refused
    assert "createNamespace" in refused
    stack.set("adopted", createNamespace=False)
    stack.up()
    stack.destroy()
    assert admin.get(NAMESPACE, namespace)
    assert admin.get(CONFIG_MAP, "foreign", namespace)
    assert admin.list_all(SECRET, namespace, labels="owner=helm") == []


def test_private_keys_are_in_plain_text_nowhere_and_old_ones_leave_helm(stack: Stack, admin: Cluster) -> None:
    stack.set("sealed")
    seen = CommandLines()
    with seen:
        stack.up()
        stack.preview()
        first = operator_key(admin, "sealed")
        pods = _operator_pods(admin, "sealed")
        stack.set("sealed", tokenVersion="2")
        stack.preview("--diff", "--json")
        stack.up()
        second = operator_key(admin, "sealed")
        stack.set("sealed", tokenVersion="3")
        stack.up()
        third = operator_key(admin, "sealed")
    assert len({first, second, third}) == 3
    assert not pods & _operator_pods(admin, "sealed")
    history = helm_history(admin, "sealed")
    assert third in history
    assert first not in history
    assert second not in history
    files = [path for path in (*stack.stack_files(), *stack.project.rglob("*")) if path.is_file()]
    texts = [*(run.text + run.event_log for run in stack.runs), *seen.lines]
    haystack = b"\n".join([*(path.read_bytes() for path in files), *(text.encode() for text in texts)])
    assert b"sealed-release" in haystack
    for key in (first, second, third):
        for needle in _spellings(key):
            assert needle not in haystack


def test_order_of_config_keys_and_working_directory_change_nothing(stack: Stack, tmp_path: Path) -> None:
    stack.set(
        "order",
        chart="./tools/charts/codecanvas-operator",
        labels={"a": "1", "b": "2"},
        values={"podLabels": {"x": "1", "y": "2"}},
        quota={"pods": 9, "services": 4},
    )
    stack.up()
    arguments = stack.platforms["order"]
    stack.platforms["order"] = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(arguments.items())
    }
    assert stack.up("--expect-no-changes").changes == {}
    stack.cwd = tmp_path
    assert stack.up("--expect-no-changes").changes == {}


def test_a_release_that_never_becomes_ready_says_why_and_is_mended_by_the_next_up(stack: Stack) -> None:
    stack.set("stuck", timeout=8, values={"nodeSelector": {"no": "such-node"}})
    text = stack.up(ok=False).text
    assert "Deployment codecanvas-operator" in text
    assert "nodes are available" in text or "Unschedulable" in text
    stack.set("stuck", timeout=60, values={})
    stack.up()
    assert stack.outputs("stuck")["release_status"] == "deployed"


def _spellings(key: str) -> list[bytes]:
    """The key as somebody could find it: its lines, its body, and both in base64."""
    lines = [line for line in key.splitlines() if line and "-----" not in line]
    body = "".join(lines)
    inside = base64.b64encode(key.encode()).decode()
    return [*(line.encode() for line in lines if len(line) > 20), body.encode(), inside[40:120].encode()]


def _operator_pods(admin: Cluster, namespace: str) -> set[str]:
    assert admin.list_all(DEPLOYMENT, namespace)
    return {pod["metadata"]["uid"] for pod in admin.list_all(POD, namespace)}
