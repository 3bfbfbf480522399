"""The one list of rights, as the README and `codecanvas permissions` show it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from typer.testing import CliRunner

from codecanvas_provider.cli import UNUSABLE, app
from codecanvas_provider.permissions import ALL_RULES, Rule
from codecanvas_provider.roles import make_roles

if TYPE_CHECKING:
    from collections.abc import Iterable

README = Path(__file__).parents[2] / "README.md"
PLACES = {"platform": "platform's namespace", "operator": "operator's namespace", "cluster": "cluster"}


def describe_features() -> list[str]:
    """Write the README's table: a line for each feature and place."""
    lines = ["| feature | where | rights |", "|---|---|---|"]
    for feature, rules in ALL_RULES.items():
        for scope, place in PLACES.items():
            rights = describe_rights(rule for rule in rules if rule.scope == scope)
            lines += [f"| {feature} | {place} | {rights} |"] if rights else []
    return lines


def describe_rights(rules: Iterable[Rule]) -> str:
    """Write each kind once with its verbs; those that may be missing in italics."""
    verbs: dict[tuple[str, bool], set[str]] = {}
    for rule in rules:
        kind = f"{rule.resource}.{rule.group}" if rule.group else rule.resource
        verbs.setdefault((kind, rule.optional), set()).update(rule.verbs)
    by_verbs: dict[tuple[str, bool], list[str]] = {}
    for (kind, optional), found in verbs.items():
        by_verbs.setdefault((" ".join(sorted(found)), optional), []).append(f"`{kind}`")
    texts = [(f"{words}: {', '.join(kinds)}", optional) for (words, optional), kinds in by_verbs.items()]
    return "; ".join(f"*{text}*" if optional else text for text, optional in texts)


def roles(*arguments: str) -> list[dict[str, Any]]:
    done = CliRunner().invoke(app, ["permissions", *arguments])
    assert done.exit_code == 0, done.output
    return list(yaml.safe_load_all(done.stdout))


def test_readme_lists_every_right_by_feature_and_no_other() -> None:
    section = README.read_text().partition("## Kubernetes permissions")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    assert table == describe_features(), "\n".join(describe_features())


def test_roles_without_a_namespace_are_one_for_the_cluster() -> None:
    [role] = roles()
    assert role["kind"] == "ClusterRole"
    granted = {(group, kind) for rule in role["rules"] for group in rule["apiGroups"] for kind in rule["resources"]}
    assert granted == {(rule.group, rule.resource) for rules in ALL_RULES.values() for rule in rules}
    assert not any("resourceNames" in rule for rule in role["rules"])


def test_roles_for_adopted_namespaces_make_none_and_see_only_theirs() -> None:
    wide, platform, operator = roles("--namespace", "eu", "--operator-namespace", "ops")
    assert (wide["kind"], platform["kind"], operator["kind"]) == ("ClusterRole", "Role", "Role")
    assert (platform["metadata"]["namespace"], operator["metadata"]["namespace"]) == ("eu", "ops")
    assert not any({"secrets", "pods"} & set(rule["resources"]) for rule in wide["rules"])
    assert [rule for rule in wide["rules"] if rule["resources"] == ["namespaces"]] == [
        {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"], "resourceNames": ["kube-system"]}
    ]
    [seen] = [rule for rule in platform["rules"] if rule["resources"] == ["namespaces"]]
    assert seen == {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"], "resourceNames": ["eu"]}


def test_rights_in_the_operators_namespace_join_the_platforms_where_it_is_the_same() -> None:
    wide, both = roles("--namespace", "eu")
    assert wide["kind"] == "ClusterRole"
    verbs = {rule["resources"][0]: rule["verbs"] for rule in both["rules"]}
    assert verbs["pods"] == ["create", "delete", "list"]
    assert "update" in verbs["secrets"]


def test_one_feature_has_its_own_rights_alone() -> None:
    [role] = roles("--namespace", "eu", "--feature", "limits")
    assert [rule["resources"] for rule in role["rules"]] == [["limitranges"]]
    assert make_roles([Rule("pods", ("list",), "x")], "eu")[0]["kind"] == "Role"


def test_wrong_usage_of_the_permissions_is_told() -> None:
    for arguments in (["--feature", "flying"], ["--operator-namespace", "ops"]):
        done = CliRunner().invoke(app, ["permissions", *arguments])
        assert done.exit_code == UNUSABLE
        assert done.stdout == ""
