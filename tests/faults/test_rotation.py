"""Rotations of the key: cut off between their halves, and repeated."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import NAMESPACE, POD_TEMPLATE
from pulumi_codecanvas.keys import fingerprint, public_key_pem
from tests.support.faults import fault
from tests.support.helm_records import helm_history, operator_key
from tests.support.names import unique
from tests.support.releases import NAME
from tests.support.secret_search import find_secrets
from tests.support.site import Site
from tests.support.stack import Stack, failed_checks, make_stack
from tests.support.victims import kill
from tests.support.waiting import wait_for
from tools.toolchain import ensure

if TYPE_CHECKING:
    from pathlib import Path

    from codecanvas_provider.cluster import Cluster
    from tests.support.api_proxy import ApiProxy
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine


@fault(
    38,
    "Rotation with a SIGKILL between its halves",
    happens="The next `up` ends it: the operator runs on the new key, the old one is in no Secret any more.",
    user="`pulumi cancel`, then `pulumi up`",
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/secrets"), ("PATCH", "/deployments/")],
    ids=["before-the-release-is-upgraded", "before-the-operator-is-restarted"],
)
def test_rotation_that_was_killed_is_ended_by_the_next_up(
    proxied: Stack, proxy: ApiProxy, admin: Cluster, method: str, path: str
) -> None:
    name = unique("killed")
    proxied.set(name)
    proxied.up()
    first = operator_key(admin, name)
    proxied.set(name, tokenVersion="2")
    with proxied.start("up", "--skip-preview", "--yes") as running:
        held = proxy.hold(method, f"/namespaces/{name}{path}")
        held.wait()
        kill(running)
        held.drop()
        running.wait()
    proxied._manage("cancel", "--yes")
    proxied.up()
    second = operator_key(admin, name)
    assert second != first
    outputs = proxied.outputs(name)
    assert outputs["key_fingerprint"] == fingerprint(public_key_pem(second))
    assert failed_checks(outputs) == []
    assert find_secrets({"history": helm_history(admin, name).encode()}, {"old": first, "new": second}) == [
        "new in history"
    ]
    assert proxied.up("--expect-no-changes").changes == {}
    places = {str(number): (run.text + run.event_log).encode() for number, run in enumerate(proxied.runs)}
    places |= {path.name: path.read_bytes() for path in proxied.stack_files()}
    assert find_secrets(places, {"old": first, "new": second}) == []


@fault(
    39,
    "Two rotations",
    happens="The keys of before are in no Secret of Helm's and in no other.",
)
def test_two_rotations_leave_no_old_key_in_the_cluster(stack: Stack, admin: Cluster) -> None:
    name = unique("twice")
    keys = []
    for version in ("1", "2", "3"):
        stack.set(name, tokenVersion=version)
        stack.up()
        keys.append(operator_key(admin, name))
    assert len(set(keys)) == 3
    found = find_secrets({"history": helm_history(admin, name).encode()}, dict(zip(("1", "2", "3"), keys, strict=True)))
    assert found == ["3 in history"]


@fault(
    40,
    "The stack's passphrase is lost",
    happens="`pulumi up` refuses before anything is changed: what is sealed in the state is lost with it. The platform"
    " is taken over by a new stack with a new key; its volumes stay.",
    user="`pulumi stack rm --force`, `helm uninstall codecanvas-operator --namespace NAME`, `kubectl delete"
    " podtemplates,serviceaccounts,resourcequotas,limitranges,networkpolicies --namespace NAME --selector"
    " app.kubernetes.io/part-of=codecanvas`, and so with what is cluster-wide: storage classes, a freeze's policy and"
    " binding; then `pulumi stack init`, `createNamespace: false`, `pulumi up`",
)
def test_platform_of_a_lost_passphrase_is_taken_over_by_a_new_stack(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path
) -> None:
    name, old = unique("forgotten"), Stack(home, shared_cluster.kubeconfig)
    old.set(name)
    old.up()
    site = Site(admin, shared_cluster, name)
    site.start(1)
    claims, key, pods = site.claims(), operator_key(admin, name), site.operator_pods()
    other = tmp_path / "passphrase"
    other.write_text("another one")
    old.environment["PULUMI_CONFIG_PASSPHRASE_FILE"] = str(other)
    refused = old.up(ok=False)
    assert "incorrect passphrase" in refused.text
    assert find_secrets({"output": refused.text.encode()}, {"key": key}) == []
    assert site.operator_pods() == pods

    old._manage("stack", "rm", old.name, "--force", "--yes", "--preserve-config")
    helm = ensure("helm", quiet=True)["helm"]
    uninstall = (helm, "uninstall", NAME, "--namespace", name)
    subprocess.run(uninstall, env=old.environment, check=True, capture_output=True)
    admin.delete(POD_TEMPLATE, name, name)
    with make_stack(home, shared_cluster.kubeconfig, [admin]) as new:
        new.set(name, createNamespace=False, forceDelete=True)
        new.up()
        assert operator_key(admin, name) != key
        assert site.claims() == claims
        assert failed_checks(new.outputs(name)) == []
        new.destroy()
        # An adopted namespace stays; it is this test's own.
        admin.delete(NAMESPACE, name)
        wait_for(lambda: admin.get(NAMESPACE, name) is None, "the namespace to go", 60)
