"""The stand-ins for the clouds: what they refuse. Else the tests of the examples would prove little."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.support.example_stack import Stack
from tests.support.example_virtualenv import example_virtualenv
from tests.support.workers import connect

if TYPE_CHECKING:
    from tests.examples.site import Site

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1500)]

# The engine interrupts the program when a resource has failed; what Python prints then is not looked at here.
PROGRAM = """
import json, os, pulumi, signal
signal.signal(signal.SIGINT, lambda *_: os._exit(130))
for number, (kind, inputs) in enumerate(json.loads(pulumi.Config().require("resources"))):
    pulumi.CustomResource(kind, f"resource-{number}", inputs)
"""
CLUSTER = {"minMasterVersion": "1.34", "location": "europe-west3", "name": "guarded"}


def make_stack(site: Site, name: str, *resources: list[Any]) -> Stack:
    """Make a stack of a program that declares resources as they are, past every check of an SDK."""
    folder = site.home.root / "raw"
    if not folder.exists():
        folder.mkdir()
        (folder / "venv").symlink_to(example_virtualenv())
        runtime = {"name": "python", "options": {"toolchain": "pip", "virtualenv": "venv"}}
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "raw", "runtime": runtime}))
        (folder / "__main__.py").write_text(PROGRAM)
    stack = Stack(folder, name, site.home.env())
    stack.set({"resources": list(resources)})
    return stack


@pytest.mark.parametrize(
    ("name", "resource", "faults"),
    [
        (
            "vpc",
            ["aws:ec2/vpc:Vpc", {"cidrBlok": "10.0.0.0/16", "enableDnsHostnames": "yes"}],
            ["cidrBlok: there is no such input", "enableDnsHostnames: must be bool"],
        ),
        (
            "pool",
            ["gcp:container/nodePool:NodePool", {"nodeConfig": {"imageTyp": "x"}}],
            ["cluster: is missing", "nodeConfig.imageTyp: there is no such input"],
        ),
        ("bucket", ["aws:s3/bucket:Bucket", {}], ["the stand-in for aws has no resource aws:s3/bucket:Bucket"]),
    ],
)
def test_what_the_sdk_does_not_know_is_refused_in_the_preview(
    site: Site, name: str, resource: list[Any], faults: list[str]
) -> None:
    text = make_stack(site, name, resource).preview(ok=False).text
    assert [fault for fault in faults if fault not in text] == []


def test_a_cluster_is_not_deleted_while_it_holds_a_platform(site: Site) -> None:
    stack = make_stack(site, "guarded", ["gcp:container/cluster:Cluster", CLUSTER])
    stack.up()
    core = connect(site.cluster.kubeconfig)
    labels = {"app.kubernetes.io/part-of": "codecanvas"}
    core.create_namespace({"metadata": {"name": "forgotten", "labels": labels}})
    try:
        assert "the cluster still holds Namespace forgotten" in stack.destroy(ok=False).text
    finally:
        core.delete_namespace("forgotten")
    site.wait_until_empty()
    stack.destroy()
    assert stack.resources() == []


def test_a_resource_is_not_deleted_while_another_uses_it(site: Site) -> None:
    stack = make_stack(site, "used", ["aws:ec2/vpc:Vpc", {}])
    stack.up()
    (vpc,) = [record for record in site.cloud.all() if record.token == "aws:ec2/vpc:Vpc"]
    other = make_stack(site, "user", ["aws:ec2/subnet:Subnet", {"vpcId": vpc.id}])
    other.up()
    assert "DependencyViolation" in stack.destroy(ok=False).text
    other.destroy()
    stack.destroy()
    assert site.cloud.all() == []
