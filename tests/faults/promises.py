"""What is promised after every fault, and looking at what Helm left."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import SECRET, Cluster
from tests.support.stack import failed_checks

if TYPE_CHECKING:
    from tests.support.stack import Run, Stack

KEY = "jwtPrivateKey"

signed_by_the_plugin = pytest.mark.real("pulumi-resource-kubernetes")
"""What is recovered from is known by the name with which the real plugin signs Helm's records."""


def assert_recovered(stack: Stack, admin: Cluster, *platforms: str) -> Run:
    """See that the next plain `up` converges, a second one has nothing to do, and no key is in plain text."""
    assert_valid(stack)
    run = stack.up()
    for platform in platforms:
        outputs = stack.outputs(platform)
        assert outputs["release_status"] == "deployed"
        assert release_status(admin, outputs["operator_namespace"]) == ["deployed"]
        assert failed_checks(outputs) == []
        assert_sealed(stack, admin, outputs["operator_namespace"])
    assert stack.up("--expect-no-changes").changes == {}
    return run


def assert_valid(stack: Stack) -> None:
    """See that the state can be read and that every resource comes after what it needs."""
    known: set[str] = set()
    for resource in stack.state():
        needed = [resource.get("parent"), *(resource.get("dependencies") or [])]
        assert {urn for urn in needed if urn} <= known, resource["urn"]
        known.add(resource["urn"])


def pending(stack: Stack) -> list[str]:
    """Name the resources whose operation was cut off, as the state has it."""
    operations = json.loads(stack.export())["deployment"].get("pending_operations") or []
    return [f"{entry['type']} {entry['resource']['urn'].rsplit('::', 1)[1]}" for entry in operations]


def release_status(admin: Cluster, namespace: str) -> list[str]:
    """Give the statuses of Helm's records in a namespace, without those that a newer one superseded."""
    records = admin.list_all(SECRET, namespace, labels="owner=helm", metadata_only=True)
    labels = [record["metadata"]["labels"] for record in records]
    found = sorted((int(label["version"]), str(label["status"])) for label in labels)
    return [status for _, status in found if status != "superseded"]


def read_key(admin: Cluster, namespace: str) -> str:
    """Give the private key that the operator runs on."""
    secrets = [secret for secret in admin.list_all(SECRET, namespace) if KEY in (secret.get("data") or {})]
    assert len(secrets) == 1
    return base64.b64decode(secrets[0]["data"][KEY]).decode()


def assert_sealed(stack: Stack, admin: Cluster, namespace: str) -> None:
    """See that the operator's key is in plain text neither in anything printed nor in the backend's files."""
    body = [line for line in read_key(admin, namespace).splitlines() if "-----" not in line]
    needles = [*body, base64.b64encode(body[0].encode()).decode().rstrip("=")[:-2]]
    texts = [text for run in stack.runs for text in (run.text, run.event_log)]
    texts += [path.read_text(errors="replace") for path in stack.stack_files()]
    for text in texts:
        assert not any(needle in text for needle in needles)
