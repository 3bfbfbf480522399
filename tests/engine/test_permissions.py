"""The whole life of a platform with exactly the rights that the README lists; the API server's audit log tells."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from typer.testing import CliRunner

from codecanvas_provider.cli import app
from codecanvas_provider.cluster import NAMESPACE, Cluster, Kind
from codecanvas_provider.permissions import ALL_RULES
from codecanvas_provider.roles import merge_rules
from pulumi_codecanvas.keys import generate_private_key
from tests.engine.test_snippet import write_documented_snippet
from tests.support.clusters import make_cluster
from tests.support.names import unique
from tests.support.namespaces import CLUSTER_ROLE, CLUSTER_ROLE_BINDING, make_namespace
from tests.support.releases import ROLE, ROLE_BINDING, SERVICE_ACCOUNT
from tests.support.site import Site
from tests.support.stack import failed_checks, make_stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from codecanvas_provider.permissions import Rule
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

Right = tuple[str, str, str]
"""API group, resource and verb."""

ANYBODYS = {"selfsubjectaccessreviews", "selfsubjectreviews"}
"""What every user may make."""
EVERYTHING: dict[str, Any] = {
    "serviceAccounts": {"dev-environments": {}},
    "quota": {"persistentvolumeclaims": 50},
    "limits": {"default": {"cpu": "4"}},
    "networkPolicy": True,
    "storage": {"driver": "ebs.csi.aws.com"},
}
UNMET: set[Right] = {
    ("", "nodes", "get"),
    ("", "configmaps", "get"),
    ("", "events", "list"),
    ("apps", "daemonsets", "patch"),
    ("apps", "statefulsets", "patch"),
    ("rbac.authorization.k8s.io", "rolebindings", "patch"),
    ("rbac.authorization.k8s.io", "roles", "patch"),
    ("rbac.authorization.k8s.io", "roles", "bind"),
    ("rbac.authorization.k8s.io", "roles", "escalate"),
}
"""Rights for what these lives do not have: pods that do not stop, an operator of another shape or that does not start,
another version of the chart; and those that the API server asks about itself, so that no request shows them."""


class Pipeline:
    """Somebody who runs Pulumi with the roles that `codecanvas permissions` prints, and nothing else."""

    def __init__(self, cluster: LocalCluster, admin: Cluster, *options: str) -> None:
        self._cluster = cluster
        self._admin = admin
        self.name = unique("pipeline")
        self.home = make_namespace(admin, "pipelines")
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": self.name}}
        admin.apply(SERVICE_ACCOUNT, account, self.home)
        self.user = f"system:serviceaccount:{self.home}:{self.name}"
        printed = CliRunner().invoke(app, ["permissions", *options])
        assert printed.exit_code == 0, printed.output
        for role in yaml.safe_load_all(printed.stdout):
            self._grant(role)
        self.kubeconfig = cluster.service_account_kubeconfig(self.home, self.name)

    def _grant(self, role: dict[str, Any]) -> None:
        place = role["metadata"].get("namespace")
        kinds: tuple[Kind, Kind] = (ROLE, ROLE_BINDING) if place else (CLUSTER_ROLE, CLUSTER_ROLE_BINDING)
        # One name a pipeline, for all of them share the cluster.
        metadata = {"name": self.name}
        self._admin.apply(kinds[0], {**role, "metadata": metadata}, place)
        binding = {
            "apiVersion": role["apiVersion"],
            "kind": kinds[1].name,
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role["kind"], "name": self.name},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": self.home}],
        }
        self._admin.apply(kinds[1], binding, place)

    def requests(self) -> Iterator[dict[str, Any]]:
        """Give the audited requests of this user for kinds of objects."""
        for line in self._cluster.audit_log.read_text().splitlines():
            event = json.loads(line)
            reference = event.get("objectRef") or {}
            if event["user"]["username"] == self.user and reference.get("resource", "") not in {"", *ANYBODYS}:
                yield event

    def used(self) -> set[Right]:
        """Give every right that was used."""
        return {_right(event) for event in self.requests() if _is_allowed(event)}

    def refused(self) -> set[Right]:
        """Give every right that was missing."""
        return {_right(event) for event in self.requests() if not _is_allowed(event)}


def _right(event: dict[str, Any]) -> Right:
    reference = event["objectRef"]
    resource = "/".join(part for part in (reference["resource"], reference.get("subresource")) if part)
    return reference.get("apiGroup", ""), resource, event["verb"]


def _is_allowed(event: dict[str, Any]) -> bool:
    return bool((event.get("annotations") or {}).get("authorization.k8s.io/decision") == "allow")


def all_rights(rules: Iterable[Rule]) -> set[Right]:
    return {(group, resource, verb) for group, resource, verbs in merge_rules(rules) for verb in verbs}


@dataclass(frozen=True)
class Lives:
    """Two lives: in namespaces that Pulumi made, and in adopted ones."""

    own: Pipeline
    adopted: Pipeline
    namespaces: frozenset[str]


@pytest.fixture(scope="module")
def lives(home: PulumiHome, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    with make_cluster(tmp_path_factory.mktemp("audited"), audit=True, owner_pid=os.getpid()) as cluster:
        admin = Cluster.connect(str(cluster.kubeconfig), None)
        name = unique("own")
        own = Pipeline(cluster, admin)
        with make_stack(home, own.kubeconfig, [admin]) as stack:
            live(stack, Site(admin, cluster, name), name, operatorNamespace=f"{name}-operator")
        # Without a key it is the kubernetes plugin that waits for the namespace's end.
        pasted = unique("pasted")
        with make_stack(home, own.kubeconfig, [admin]) as stack:
            snippet = write_documented_snippet(pasted, pasted, generate_private_key())
            stack.set(pasted, connectionSnippet=stack.seal(snippet), serverUrl=None, chart=None)
            stack.up()
            stack.destroy()
        assert [admin.get(NAMESPACE, own) for own in (name, pasted)] == [None, None]

        namespace, operator = make_namespace(admin, "team"), make_namespace(admin, "operators")
        adopted = Pipeline(cluster, admin, "--namespace", namespace, "--operator-namespace", operator)
        given = {"operatorNamespace": operator, "createNamespace": False, "createOperatorNamespace": False}
        with make_stack(home, adopted.kubeconfig, [admin]) as stack:
            live(stack, Site(admin, cluster, namespace), unique("team"), namespace=namespace, **given)
        yield Lives(own, adopted, frozenset({namespace, operator}))


def live(stack: Stack, site: Site, name: str, **arguments: Any) -> None:
    """Live through everything that a platform can be told to do."""
    stack.set(name, **arguments, **EVERYTHING)
    stack.up()
    site.start(2)
    stack.set(name, freeze=True)
    stack.up()
    stack.set(name, freezeReason="maintenance", labels={"team": "ide"})
    stack.up()
    stack.refresh()
    stack.set(name, freezeMode="quota")
    stack.up()
    stack.set(name, freezeReason="more of it")
    stack.up()
    assert site.workers() == {}
    stack.set(name, freeze=None, freezeMode=None, freezeReason=None, tokenVersion="2")
    stack.preview()
    stack.up()
    assert failed_checks(stack.outputs(name)) == []
    site.start(1)
    stack.set(name, forceDelete=True)
    stack.up()
    stack.destroy()


def test_no_right_that_is_not_listed_is_missed(lives: Lives) -> None:
    """Only looks that pass over what they may not see are refused."""
    searched = {right for right in lives.own.refused() if right[2] == "list"}
    assert lives.own.refused() - searched == set()
    # The kubernetes plugin would like to see the events of the whole cluster beside a cluster-wide object.
    assert lives.adopted.refused() <= {("", "events", "watch"), ("", "events", "list")}


# The stand-in looks again and again where the real plugin watches.
@pytest.mark.real("pulumi-resource-kubernetes")
def test_every_listed_right_is_used(lives: Lives) -> None:
    rules = [rule for listed in ALL_RULES.values() for rule in listed]
    # Older API servers are asked for a list before they can be watched; this one gives both in one.
    older = {(rule.group, rule.resource, "list") for rule in rules if {"list", "watch"} <= set(rule.verbs)}
    assert all_rights(rules) - lives.own.used() - lives.adopted.used() - UNMET - older == set()


def test_adopted_namespaces_need_little_in_the_rest_of_the_cluster(lives: Lives) -> None:
    places = [request["objectRef"] for request in lives.adopted.requests() if _is_allowed(request)]
    outside = {place["resource"] for place in places if place.get("namespace") not in lives.namespaces}
    assert outside <= {rule.resource for rules in ALL_RULES.values() for rule in rules if rule.scope == "cluster"}
    assert not outside & {"pods", "secrets", "roles", "rolebindings"}
