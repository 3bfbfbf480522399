from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_codecanvas.freeze import (
    denial_message,
    freeze_faults,
    freeze_name,
    freeze_policy,
    freeze_quota,
    is_freeze_denial,
)

COMMON: dict[str, Any] = {"labels": {"a": "b"}, "annotations": {"c": "d"}}


def policy_of(namespace: str = "dev", reason: str | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    policy, binding = freeze_policy(namespace=namespace, platform_name="eu", reason=reason, **COMMON)
    return policy, binding


def test_message_names_the_platform_and_the_reason() -> None:
    frozen = "CodeCanvas computing platform eu is frozen, no new dev environments are started"
    assert denial_message("eu") == frozen
    assert denial_message("eu", " ") == frozen
    assert denial_message("eu", "cluster upgrade") == f"{frozen}: cluster upgrade"


def test_reason_is_written_on_one_line() -> None:
    assert denial_message("eu", "a\r\nb\tc\u2028d\x00e\x1b[31m  é").endswith(": a b c d e [31m é")


@given(st.text(min_size=400) | st.text(st.characters(exclude_categories=["L"])))
def test_message_is_printable_and_bounded_for_any_reason(reason: str) -> None:
    message = denial_message("p" * 63, reason)
    assert message.isprintable()
    assert len(message) < 700
    message.encode()


def test_policy_refuses_new_pods_with_a_worker() -> None:
    policy, _ = policy_of(reason="upgrade")
    spec = policy["spec"]
    assert policy["apiVersion"] == "admissionregistration.k8s.io/v1"
    assert policy["kind"] == "ValidatingAdmissionPolicy"
    assert spec["failurePolicy"] == "Fail"
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert (rule["apiGroups"], rule["resources"], rule["operations"]) == ([""], ["pods"], ["CREATE"])
    (validation,) = spec["validations"]
    assert validation["expression"] == "!object.spec.containers.exists(c, c.name == 'worker-main')"
    assert validation["message"] == denial_message("eu", "upgrade")


def test_policy_is_bound_to_the_one_namespace() -> None:
    policy, binding = policy_of("dev")
    assert binding["kind"] == "ValidatingAdmissionPolicyBinding"
    assert binding["spec"] == {
        "policyName": policy["metadata"]["name"],
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "dev"}}},
    }
    assert policy["metadata"] == {"name": "codecanvas-freeze-dev", "labels": {"a": "b"}, "annotations": {"c": "d"}}


@given(st.text())
def test_user_text_never_reaches_the_expression(reason: str) -> None:
    plain, _ = policy_of()
    policy, _ = policy_of(reason=reason)
    validation = policy["spec"]["validations"][0]
    assert {**validation, "message": ""} == {**plain["spec"]["validations"][0], "message": ""}
    assert {**policy["spec"], "validations": []} == {**plain["spec"], "validations": []}


def test_names_of_policies_fit_and_differ_for_every_namespace() -> None:
    assert len(freeze_name("n" * 63)) <= 253
    assert freeze_name("a") != freeze_name("b")


def test_quota_allows_no_new_pod_and_says_why() -> None:
    made = freeze_quota(namespace="dev", platform_name="eu", reason="upgrade", **COMMON)
    assert made == {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {
            "name": "codecanvas-freeze",
            "namespace": "dev",
            "labels": {"a": "b"},
            "annotations": {"c": "d", "kubernetes.io/description": denial_message("eu", "upgrade")},
        },
        "spec": {"hard": {"pods": "0"}},
    }


def test_refusal_by_our_block_is_told_from_others() -> None:
    quota = "requested: pods=1, used: pods=0, limited: pods=0"
    refusals = {
        "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'codecanvas-freeze-dev' with binding "
        "'codecanvas-freeze-dev' denied request: CodeCanvas computing platform eu is frozen": True,
        f'pods "x" is forbidden: exceeded quota: codecanvas-freeze, {quota}': True,
        "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'codecanvas-freeze-dev-2' with binding "
        "'codecanvas-freeze-dev-2' denied request: x": False,
        "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'no-root' with binding 'no-root' denied request: y": False,
        f'pods "x" is forbidden: exceeded quota: codecanvas-freeze-2, {quota}': False,
        'pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged': False,
    }
    assert {message: is_freeze_denial(message, namespace="dev") for message in refusals} == refusals


@pytest.mark.parametrize(
    ("mode", "operator_namespace"), [("policy", "dev"), ("policy", "operators"), ("quota", "operators")]
)
def test_freeze_mode_is_accepted(mode: str, operator_namespace: str) -> None:
    assert freeze_faults(mode, "dev", operator_namespace) == []


def test_quota_is_refused_where_the_operator_lives() -> None:
    (fault,) = freeze_faults("quota", "dev", "dev")
    assert fault.path == "freezeMode"
    assert "operatorNamespace" in fault.remedy


@pytest.mark.parametrize(
    ("mode", "text"),
    [
        ("Policy", "freezeMode: is not a freeze mode; did you mean `policy`?"),
        ("x", "freezeMode: is not a freeze mode; use `policy` or `quota`"),
        (None, "freezeMode: is empty; use `policy` or `quota`"),
        (["quota"], "freezeMode: is a list; use `policy` or `quota`"),
    ],
)
def test_other_freeze_mode_is_refused(mode: object, text: str) -> None:
    assert [str(fault) for fault in freeze_faults(mode, "dev", "dev")] == [text]
