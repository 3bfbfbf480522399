"""Which rights are missing in a cluster, asked before anything is written there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import Cluster
from codecanvas_provider.inputs import Field, require_fields
from codecanvas_provider.permissions import RULES
from codecanvas_provider.resource import holds_unknown
from codecanvas_provider.waiting import in_thread
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.kubeconfig import find_context_fault
from pulumi_codecanvas.tokens import FIND_MISSING_RIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codecanvas_provider.dev_environments import Connect
    from codecanvas_provider.permissions import Feature
    from codecanvas_provider.resource import Context
    from codecanvas_provider.server import Function


_FIELDS: dict[str, Field] = {
    "kubeconfig": Field(str, "As for the resources.", secret=True),
    "context": Field(str, "As for the resources."),
    "namespace": Field(str, "The platform's namespace.", required=True),
    "operatorNamespace": Field(str, "The operator's namespace.", required=True),
    "features": Field(list, "Features whose rights are asked for.", required=True, items="str"),
}


def find_missing(
    cluster: Cluster, features: Iterable[Feature], *, namespace: str, operator_namespace: str
) -> list[str]:
    """List the rights that we do not have, each with the feature that needs it: `delete pods in namespace eu (freeze)`.

    Raises:
        ClusterError: the cluster does not say.

    """
    # Administrators, whom pipelines often are, have everything: one question instead of a score.
    if cluster.may("*", "*", "*"):
        return []
    places = {"platform": namespace, "operator": operator_namespace, "cluster": None}
    asked: dict[tuple[str, str, str, str | None, str], Feature] = {}
    for feature in features:
        for rule in RULES[feature]:
            for verb in () if rule.optional else rule.verbs:
                name = rule.name.format(namespace=namespace)
                asked.setdefault((verb, rule.group, rule.resource, places[rule.scope], name), feature)
    return [_describe(*right, feature) for right, feature in asked.items() if not cluster.may(*right)]


def _describe(verb: str, group: str, resource: str, namespace: str | None, name: str, feature: str) -> str:
    what = f"{resource}.{group}" if group else resource
    if name:
        return f"{verb} {what} {name} ({feature})"
    where = f"in namespace {namespace}" if namespace else "in the cluster"
    return f"{verb} {what} {where} ({feature})"


class MissingRights:
    """The function that the component calls from a resource hook, before it makes its first object."""

    def __init__(self, connect: Connect = Cluster.connect) -> None:
        """Take what tests replace: how to reach a cluster."""
        self._connect = connect

    def functions(self) -> dict[str, Function]:
        """Give the function by its token."""
        return {FIND_MISSING_RIGHTS: self.find_missing_rights}

    async def find_missing_rights(self, context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give `missing`: the rights that are missing; none where the cluster does not say, or is not known yet.

        And `fault`: that there is no such context, which no cluster will ever answer.
        """
        if holds_unknown(arguments):
            return {"missing": []}
        given = require_fields(arguments, _FIELDS)
        if not given["features"]:
            return {"missing": []}
        fault = find_context_fault(given.get("kubeconfig"), given.get("context"))
        if fault:
            return {"missing": [], "fault": fault}
        cluster = self._connect(given.get("kubeconfig"), given.get("context"))
        home, operator_home = given["namespace"], given["operatorNamespace"]
        features = [feature for feature in RULES if feature in given["features"]]
        try:
            missing = await in_thread(
                context, find_missing, cluster, features, namespace=home, operator_namespace=operator_home
            )
        except ClusterError:
            return {"missing": []}
        return {"missing": missing}
