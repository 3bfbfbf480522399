"""Too small rights are listed before anything is written, and the list is all that is needed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from codecanvas_provider.cluster import NAMESPACE, Cluster
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.namespaces import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, make_namespace
from tests.support.releases import SERVICE_ACCOUNT
from tests.support.stack import failed_checks
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

RBAC = "rbac.authorization.k8s.io"
CHART_RULES = [
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["serviceaccounts", "pods", "configmaps", "services"], "verbs": ["*"]},
    {"apiGroups": [RBAC], "resources": ["roles", "rolebindings"], "verbs": ["*"]},
]
"""What the stand-in chart's own objects need: no list of ours can know that."""


@fault(
    46,
    "Rights too small",
    happens="The preview, and an `up` too, lists every right that is missing; nothing is written. What the chart's own"
    " objects need is not known before Helm makes them: there the release fails and is taken back.",
    user="Grant the rights that are listed, then `pulumi up`",
)
def test_missing_rights_are_listed_and_nothing_is_written(
    stack: Stack, admin: Cluster, shared_cluster: LocalCluster
) -> None:
    name, home = unique("rights"), make_namespace(admin, "poor")
    admin.apply(SERVICE_ACCOUNT, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci"}}, home)
    stack.set(name, kubeconfig=stack.seal(shared_cluster.service_account_kubeconfig(home, "ci").read_text()))
    for refused in (stack.preview(ok=False), stack.up(ok=False)):
        listed = re.findall(r"  - (\w+) ([\w.]+)(?: [\w-]+)? (?:in .*)?\(.*\)", refused.text)
        assert ("create", "namespaces") in listed
        assert ("create", "podtemplates") in listed
        assert ("update", "secrets") in listed
        assert ("delete", "pods") in listed
    assert admin.get(NAMESPACE, name) is None
    assert not {kind for kind in (item["type"] for item in stack.state()) if "kubernetes:core" in kind}
    grant(admin, home, listed)
    stack.up()
    assert failed_checks(stack.outputs(name)) == []
    stack.destroy()
    assert admin.get(NAMESPACE, name) is None
    admin.delete(CLUSTER_ROLE_BINDING, home)
    admin.delete(CLUSTER_ROLE, home)


def grant(admin: Cluster, home: str, listed: list[tuple[str, str]]) -> None:
    """Grant exactly what was listed, and what the chart needs."""
    rules = [
        {"apiGroups": [what.partition(".")[2]], "resources": [what.partition(".")[0]], "verbs": [verb]}
        for verb, what in sorted(set(listed))
    ]
    role = {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": home}}
    # The chart's Role grants more than its maker has.
    escalate = {"apiGroups": [RBAC], "resources": ["roles"], "verbs": ["escalate", "bind"]}
    admin.apply(CLUSTER_ROLE, {**role, "rules": [*rules, *CHART_RULES, escalate]})
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": home},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": home},
        "subjects": [{"kind": "ServiceAccount", "name": "ci", "namespace": home}],
    }
    admin.apply(CLUSTER_ROLE_BINDING, binding)
    wait_for(lambda: admin.get(CLUSTER_ROLE_BINDING, home), "the binding")
