from __future__ import annotations

from typing import Any

import pytest
import yaml

from pulumi_codecanvas import hardening
from tests.support.opaque import Output

COMMON: dict[str, Any] = {"labels": {"a": "b"}, "annotations": {"c": "d"}}


def test_namespace_enforces_the_asked_level_and_watches_baseline() -> None:
    made = hardening.namespace_object("dev", pod_security="privileged", **COMMON)
    assert made == {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {
            "name": "dev",
            "labels": {
                "a": "b",
                "pod-security.kubernetes.io/enforce": "privileged",
                "pod-security.kubernetes.io/audit": "baseline",
                "pod-security.kubernetes.io/warn": "baseline",
            },
            "annotations": {"c": "d"},
        },
    }


def test_pod_security_wins_over_a_label_of_the_user() -> None:
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    made = hardening.namespace_object("dev", pod_security="restricted", labels=labels, annotations={})
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert "annotations" not in made["metadata"]
    assert labels == {"pod-security.kubernetes.io/enforce": "privileged"}


def test_operator_namespace_has_no_pod_security_levels() -> None:
    made = hardening.plain_namespace("operators", labels={"a": "b"}, annotations={})
    assert made["metadata"] == {"name": "operators", "labels": {"a": "b"}}


def test_owned_labels_keep_the_users_and_win_over_them() -> None:
    assert hardening.owned_labels("eu", {"team": "x", "app.kubernetes.io/instance": "other"}) == {
        "team": "x",
        "app.kubernetes.io/instance": "eu",
        "app.kubernetes.io/managed-by": "pulumi",
        "app.kubernetes.io/part-of": "codecanvas",
    }


def test_quota_and_limits_turn_numbers_into_quantities() -> None:
    asked = {"pods": 40, "requests.cpu": "64", "limits.cpu": 96.0, "cpu": 0.5}
    quota = hardening.resource_quota("eu", namespace="dev", quota=asked, **COMMON)
    assert quota["spec"] == {"hard": {"pods": "40", "requests.cpu": "64", "limits.cpu": "96", "cpu": "0.5"}}
    assert quota["metadata"]["namespace"] == "dev"
    limits: dict[str, dict[str, Any]] = {"default": {"cpu": 1.5}, "max": {"memory": "8Gi"}}
    made = hardening.limit_range("eu", namespace="dev", limits=limits, **COMMON)
    assert made["spec"] == {
        "limits": [{"type": "Container", "default": {"cpu": "1.5"}, "max": {"memory": "8Gi"}}],
    }


def test_network_policy_lets_in_the_namespace_and_the_operator_only() -> None:
    made = hardening.network_policy("eu", namespace="dev", operator_namespace="operators", **COMMON)
    assert made["spec"]["podSelector"] == {}
    assert made["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert made["spec"]["ingress"] == [
        {
            "from": [
                {"podSelector": {}},
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "operators"}}},
            ]
        }
    ]


def test_network_policy_lets_out_everywhere_but_to_the_metadata_address() -> None:
    made = hardening.network_policy("eu", namespace="dev", operator_namespace="dev", **COMMON)
    anywhere, dns = made["spec"]["egress"]
    assert {"namespaceSelector": {}} in anywhere["to"]
    blocks = {entry["ipBlock"]["cidr"]: entry["ipBlock"]["except"] for entry in anywhere["to"] if "ipBlock" in entry}
    assert blocks == {"0.0.0.0/0": ["169.254.169.254/32"], "::/0": ["fd00:ec2::254/128"]}
    assert dns == {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}


def test_service_account_carries_cloud_rights_as_annotations() -> None:
    rights = {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/dev"}
    made = hardening.service_account("builder", namespace="dev", labels={}, annotations=rights)
    assert made == {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "builder", "namespace": "dev", "annotations": rights},
    }


def test_opaque_leaves_are_handed_on_untouched() -> None:
    secret = Output()
    common: dict[str, Any] = {"labels": {"a": secret}, "annotations": {"b": secret}}
    made = [
        hardening.namespace_object(secret, pod_security="baseline", **common),
        hardening.plain_namespace(secret, **common),
        hardening.resource_quota("x", namespace=secret, quota={"pods": secret}, **common),
        hardening.limit_range("x", namespace=secret, limits={"max": {"cpu": secret}}, **common),
        hardening.network_policy("x", namespace=secret, operator_namespace=secret, **common),
        hardening.service_account("x", namespace=secret, **common),
    ]
    for manifest in made:
        assert manifest["metadata"]["labels"]["a"] is secret
        assert manifest["metadata"]["annotations"]["b"] is secret
    assert made[2]["spec"]["hard"]["pods"] is secret


def test_opaque_values_pass_the_checks() -> None:
    secret = Output()
    assert hardening.quota_faults("quota", {"pods": secret}) == []
    assert hardening.limits_faults("limits", {"max": {"cpu": secret}}) == []
    assert hardening.service_account_faults("serviceAccounts", {"a": {"b": secret}, "c": None}) == []


def test_manifests_are_plain_data() -> None:
    made = hardening.network_policy("eu", namespace="dev", operator_namespace="dev", **COMMON)
    assert yaml.safe_load(yaml.safe_dump(made)) == made


@pytest.mark.parametrize("level", ["privileged", "baseline", "restricted"])
def test_pod_security_level_is_accepted(level: str) -> None:
    assert hardening.pod_security_faults("podSecurity", level) == []


@pytest.mark.parametrize("level", ["", "Privileged", "none", None, 1, ["baseline"]])
def test_other_pod_security_level_is_refused(level: object) -> None:
    (fault,) = hardening.pod_security_faults("podSecurity", level)
    assert str(fault).endswith("use one of privileged, baseline, restricted")


NO_QUOTA = "is no resource that a quota can limit"
NO_LIMIT = "is no resource that a container can be limited in"
QUANTITY = "write a quantity, such as `64`, `500m` or `128Gi`"


@pytest.mark.parametrize(
    ("quota", "fault"),
    [
        ("pods=4", "quota: is a text, not a map; write a map from resource to quantity"),
        ({"pods": True}, f"quota.pods: is a boolean, not a quantity; {QUANTITY}"),
        ({"pods": None}, f"quota.pods: is empty, not a quantity; {QUANTITY}"),
        ({"pods": b"4"}, f"quota.pods: is of type bytes, not a quantity; {QUANTITY}"),
        ({"pods": "many"}, f"quota.pods: is not a quantity; {QUANTITY}"),
        ({"pods": "-1"}, f"quota.pods: is negative; {QUANTITY}"),
        ({"pods": -1}, f"quota.pods: is negative; {QUANTITY}"),
        ({"pods": float("nan")}, f"quota.pods: is not a quantity; {QUANTITY}"),
        ({"pods": 10**5000}, f"quota.pods: is too large; {QUANTITY}"),
        ({"requests cpu": 1}, f'quota["requests cpu"]: {NO_QUOTA}; did you mean `requests.cpu`?'),
        ({"?": 1}, f'quota["?"]: {NO_QUOTA}; write it such as `requests.cpu`'),
        ({"cpus": 1}, f"quota.cpus: {NO_QUOTA}; did you mean `cpu`?"),
        ({"request.cpu": 1}, f'quota["request.cpu"]: {NO_QUOTA}; did you mean `requests.cpu`?'),
        ({"Pods": 1}, f"quota.Pods: {NO_QUOTA}; did you mean `pods`?"),
        ({"storage": 1}, f"quota.storage: {NO_QUOTA}; write it such as"),
        ({"gpu": 1}, f"quota.gpu: {NO_QUOTA}; write it such as"),
        ({1: 1}, "quota: holds a key that is a number; write every key as text"),
    ],
)
def test_quota_is_refused_with_its_path(quota: object, fault: str) -> None:
    (found,) = hardening.quota_faults("quota", quota)
    assert str(found).startswith(fault)


def test_quota_is_accepted() -> None:
    quota = {"requests.cpu": 64, "limits.memory": "128Gi", "count/pods": "40", "requests.nvidia.com/gpu": 4}
    quota |= {"hugepages-2Mi": "1Gi", "requests.hugepages-1Gi": "2Gi", "count/widgets.example.com": 5, "secrets": 9}
    quota |= {"fast.storageclass.storage.k8s.io/requests.storage": "500Gi", "services.loadbalancers": 0}
    assert hardening.quota_faults("quota", quota) == []


@pytest.mark.parametrize("name", ["cpu", "memory", "ephemeral-storage", "hugepages-2Mi", "nvidia.com/gpu"])
def test_limits_of_what_a_container_asks_for_are_accepted(name: str) -> None:
    assert hardening.limits_faults("limits", {"max": {name: 1}}) == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("cpus", f"limits.max.cpus: {NO_LIMIT}; did you mean `cpu`?"),
        ("Memory", f"limits.max.Memory: {NO_LIMIT}; did you mean `memory`?"),
        ("requests.cpu", f'limits.max["requests.cpu"]: {NO_LIMIT}; write it such as'),
        ("pods", f"limits.max.pods: {NO_LIMIT}; write it such as `memory` or `nvidia.com/gpu`"),
        ("requests.nvidia.com/gpu", f'limits.max["requests.nvidia.com/gpu"]: {NO_LIMIT}; write it such as'),
    ],
)
def test_limits_of_anything_else_are_refused(name: str, fault: str) -> None:
    (found,) = hardening.limits_faults("limits", {"max": {name: 1}})
    assert str(found).startswith(fault)


def test_limits_are_checked_kind_by_kind() -> None:
    limits = {"default": {"cpu": "x"}, "defaultRequests": {}, "max": 5, "min": {"memory": "1Gi"}}
    assert [str(fault) for fault in hardening.limits_faults("limits", limits)] == [
        "limits.defaultRequests: is not known; did you mean `defaultRequest`?",
        f"limits.default.cpu: is not a quantity; {QUANTITY}",
        "limits.max: is a number, not a map; write a map from resource to quantity, such as `cpu: 64`",
    ]
    assert hardening.limits_faults("limits", [])[0].path == "limits"


def test_service_accounts_are_checked_by_name_and_annotation() -> None:
    accounts = {"Builder": {}, "ok": {"a b": "c"}, "list": ["a"], 5: {}}
    assert [fault.path for fault in hardening.service_account_faults("serviceAccounts", accounts)] == [
        "serviceAccounts.Builder",
        'serviceAccounts.ok["a b"]',
        "serviceAccounts.list",
        "serviceAccounts",
    ]
    assert hardening.service_account_faults("serviceAccounts", ["builder"])[0].cause == "is a list, not a map"
