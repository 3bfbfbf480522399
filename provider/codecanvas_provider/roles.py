"""The rights of `permissions.py` as RBAC roles, ready for `kubectl apply`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from codecanvas_provider.permissions import Rule

NAME = "codecanvas-platforms"
"""Name of every role."""

_RBAC = "rbac.authorization.k8s.io"


def make_roles(
    rules: Iterable[Rule], namespace: str | None = None, operator_namespace: str | None = None
) -> list[dict[str, Any]]:
    """Give the roles that hold these rights and no others; without a binding, as that names whoever runs Pulumi.

    Args:
        rules: the rights.
        namespace: of the platform. None: every right for the whole cluster, as it has to be where Pulumi makes the
            namespaces itself, for a Role in a namespace that does not exist yet cannot be made.
        operator_namespace: of the operator's release; by default `namespace`.

    Returns:
        A ClusterRole and, with `namespace`, a Role in each of the two namespaces; empty ones are left out.

    """
    if namespace is None:
        return [_role(rules, None)]
    homes: dict[str, list[Rule]] = {namespace: [], operator_namespace or namespace: []}
    wide: list[Rule] = []
    for rule in rules:
        places = {"platform": homes[namespace], "operator": homes[operator_namespace or namespace], "cluster": wide}
        places[rule.scope].append(rule)
    named = [rule for rule in wide if rule.name]
    roles = [_role([rule for rule in wide if not rule.name], None, named)] if wide else []
    return roles + [_role(inside, place) for place, inside in homes.items() if inside]


def _role(rules: Iterable[Rule], namespace: str | None, named: Iterable[Rule] = ()) -> dict[str, Any]:
    place = {"namespace": namespace} if namespace else {}
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role" if namespace else "ClusterRole",
        "metadata": {"name": NAME, **place},
        "rules": [
            # A namespace is the only thing in a namespace that is asked for by a name known beforehand.
            *(
                _entry(group, resource, verbs, namespace if resource == "namespaces" else None)
                for group, resource, verbs in merge_rules(rules)
            ),
            *(_entry(rule.group, rule.resource, rule.verbs, rule.name) for rule in named),
        ],
    }


def _entry(group: str, resource: str, verbs: Sequence[str], name: str | None) -> dict[str, Any]:
    names = {"resourceNames": [name]} if name else {}
    return {"apiGroups": [group], "resources": [resource], "verbs": list(verbs), **names}


def merge_rules(rules: Iterable[Rule]) -> list[tuple[str, str, Sequence[str]]]:
    """Give API group, resource and verbs, each resource once and all in a fixed order."""
    merged: dict[tuple[str, str], set[str]] = {}
    for rule in rules:
        merged.setdefault((rule.group, rule.resource), set()).update(rule.verbs)
    return [(group, resource, sorted(verbs)) for (group, resource), verbs in sorted(merged.items())]
