"""Deletion and upgrade under Pulumi's own options, without the cluster, with other credentials, and of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import yaml

from codecanvas_provider.cluster import DEPLOYMENT, NAMESPACE, POD, Cluster
from codecanvas_provider.delete_guard import DELETE_UNREACHABLE
from codecanvas_provider.freeze_block import ACCEPTED, try_worker_pod
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.namespaces import CLUSTER_ROLE_BINDING, make_namespace
from tests.support.releases import NAME, SERVICE_ACCOUNT
from tests.support.stack import CHART, SERVER_URL, Stack, make_stack, write_program
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_proxy import ApiProxy
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

PROGRAM = """
import pulumi
from pulumi_codecanvas import ComputingPlatform

config = pulumi.Config()
ComputingPlatform(
    "{name}",
    server_url="{server_url}",
    chart="{chart}",
    freeze=config.get_bool("freeze") or False,
    token_version=config.get("version") or "1",
    opts=pulumi.ResourceOptions(protect=True),
)
"""


@fault(41)
def test_protected_platform_can_be_frozen_and_rotated_but_not_destroyed(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path
) -> None:
    name = unique("protected")
    text = PROGRAM.format(name=name, server_url=SERVER_URL, chart=CHART)
    program = write_program(tmp_path / "program", {"__main__.py": text})
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=program) as stack:
        stack.up()
        stack.config = {"codecanvas:freeze": "true", "codecanvas:version": "2"}
        stack.up()
        assert try_worker_pod(admin, name) != ACCEPTED
        stack.config = {"codecanvas:version": "3"}
        stack.up()
        wait_for(lambda: try_worker_pod(admin, name) == ACCEPTED, "the block to be lifted")
        before = {(item["urn"], item.get("id")) for item in stack.state()}
        assert "because it is protected" in stack.destroy(ok=False).text
        assert {(item["urn"], item.get("id")) for item in stack.state()} == before
        stack._manage("state", "unprotect", "--all", "--yes")
        stack.destroy()


@fault(
    43,
    "The cluster is gone already",
    happens="`pulumi destroy` fails and changes nothing, naming the command that gives the objects of the cluster up.",
    user="`PULUMI_K8S_DELETE_UNREACHABLE=true pulumi destroy --refresh`; for some platforms of a stack take them"
    " out, and `up` instead of `destroy`",
)
def test_platform_of_a_lost_cluster_is_given_up_on_request(proxied: Stack, proxy: ApiProxy, admin: Cluster) -> None:
    name = unique("gone")
    proxied.set(name)
    proxied.up()
    known = proxied.names()
    with proxy.away():
        failed = proxied.destroy(ok=False)
        assert f"`{DELETE_UNREACHABLE}=true pulumi up --refresh`" in failed.text
        assert f"{name}-namespace" in proxied.names() & known
        proxied.environment[DELETE_UNREACHABLE] = "true"
        proxied.destroy("--refresh")
        del proxied.environment[DELETE_UNREACHABLE]
    assert not proxied.names()
    # The cluster of this test is not really gone.
    remove_by_hand(admin, name)


@fault(
    44,
    "The kubeconfig is rotated",
    happens="Other credentials for the same cluster are an update: nothing is replaced, nothing restarts.",
)
def test_other_credentials_replace_nothing(stack: Stack, admin: Cluster, shared_cluster: LocalCluster) -> None:
    name = unique("rotated")
    stack.set(name, kubeconfig=stack.seal(shared_cluster.kubeconfig.read_text()))
    stack.up()
    pods = {pod["metadata"]["uid"] for pod in admin.list_all(POD, name)}
    home = make_namespace(admin, "ci")
    admin.apply(SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci"}}, home)
    binding = {
        "apiVersion": CLUSTER_ROLE_BINDING.api_version,
        "kind": "ClusterRoleBinding",
        "metadata": {"name": home},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": home}],
    }
    admin.apply(CLUSTER_ROLE_BINDING, binding)
    other = yaml.safe_load(shared_cluster.service_account_kubeconfig(home, "ci").read_text())
    stack.set(name, kubeconfig=stack.seal(yaml.safe_dump(other)))
    shown = stack.preview()
    assert set(shown.changes.values()) <= {"update"}, shown.changes
    done = stack.up()
    assert set(done.changes.values()) <= {"update"}, done.changes
    assert {pod["metadata"]["uid"] for pod in admin.list_all(POD, name)} == pods
    assert stack.up("--expect-no-changes").changes == {}
    stack.destroy()
    admin.delete(CLUSTER_ROLE_BINDING, home)


MANY = 50


@fault(
    45,
    "One of 50 platforms fails",
    happens="With `--continue-on-error` the other 49 come up; the error names the one. The next `up` changes"
    " nothing but that one.",
    user="Mend the platform that the error names, then `pulumi up`",
)
@pytest.mark.timeout(900)
def test_one_of_fifty_platforms_fails_alone(stack: Stack, admin: Cluster) -> None:
    names = [unique("many") for _ in range(MANY)]
    broken = names[17]
    for name in names:
        # The least that a platform can cost: what matters here is their number.
        stack.set(name, skipAwait=True, testConnection=False)
    stack.set(broken, values={"podLabels": {"not a label": "x"}})
    failed = stack.up("--continue-on-error", "--parallel", "50", ok=False)
    assert f"{broken}-release" in failed.text
    assert f"resource {broken}-release [kubernetes:helm.sh/v3:Release] failed to register" in failed.errors
    assert not [name for name in names if name != broken and f"{name}-release" in failed.errors]
    done = {name for name in names if f"{name}-test" in stack.names()}
    assert done == set(names) - {broken}
    assert all(admin.get(DEPLOYMENT, NAME, name) for name in done)
    stack.set(broken, values=None)
    mended = stack.up("--parallel", "50")
    others = tuple(f"{name}-" for name in names if name != broken)
    assert not [name for name in mended.changes if name.startswith(others)]
    assert f"{broken}-test" in stack.names()
    stack.destroy("--parallel", "50")


def remove_by_hand(admin: Cluster, name: str) -> None:
    """Remove a platform that no stack knows any more."""
    admin.delete(NAMESPACE, name)
    wait_for(lambda: admin.get(NAMESPACE, name) is None, "the namespace to go", 60)
