"""The rules of the policy pack."""

from __future__ import annotations

from typing import Any

import pytest

from policies.rules import (
    ENVIRONMENTS,
    NAMESPACE,
    PLATFORM,
    POD_TEMPLATE,
    QUOTA,
    RELEASE,
    Resource,
    missing_quota,
    too_wide_pod_security,
    unguarded_delete,
    unpinned_chart,
)
from pulumi_codecanvas.freeze import freeze_quota

OWNER = f"urn:pulumi:dev::shop::{PLATFORM}::eu"


def child(type_: str, name: str, inputs: dict[str, Any], *, stack: str = "dev") -> Resource:
    return Resource(type_, f"urn:pulumi:{stack}::shop::{PLATFORM}${type_}::{name}", OWNER, inputs)


def platform() -> Resource:
    return Resource(PLATFORM, OWNER, None, {})


@pytest.mark.parametrize("version", ["2025.1.0", "v1.2.3", "1.2.3-rc.1+build"])
def test_an_exact_chart_version_is_pinned(version: str) -> None:
    assert unpinned_chart(child(RELEASE, "eu-release", {"chart": "oci://example.com/c", "version": version})) is None


@pytest.mark.parametrize("version", [None, "", ">=1", "1.2", "^1.2.3", "1.x", "latest"])
def test_an_open_chart_version_is_found(version: str | None) -> None:
    found = unpinned_chart(child(RELEASE, "eu-release", {"chart": "oci://example.com/c", "version": version}))
    assert found
    assert "pin chartVersion" in found


@pytest.mark.parametrize("end", [":2025.1.0", f"@sha256:{'0' * 64}", f":latest@sha256:{'0' * 64}"])
def test_a_reference_may_pin_the_version_itself(end: str) -> None:
    chart = f"oci://example.com:5000/c{end}"
    assert unpinned_chart(child(RELEASE, "eu-release", {"chart": chart})) is None


@pytest.mark.parametrize("end", ["", ":latest", "@sha256:0"])
def test_a_port_or_an_open_tag_pins_nothing(end: str) -> None:
    assert unpinned_chart(child(RELEASE, "eu-release", {"chart": f"oci://example.com:5000/c{end}"}))


def test_a_local_chart_and_releases_of_others_need_no_version() -> None:
    assert unpinned_chart(child(RELEASE, "eu-release", {"chart": "./chart"})) is None
    others = Resource(RELEASE, f"urn:pulumi:dev::shop::{RELEASE}::nginx", None, {"chart": "nginx"})
    assert unpinned_chart(others) is None


@pytest.mark.parametrize(
    ("stack", "force", "found"),
    [
        ("prod", True, True),
        ("eu-prod", True, True),
        ("prod-eu", True, True),
        ("prod", False, False),
        ("dev", True, False),
        ("product", True, False),
    ],
)
def test_force_delete_is_found_in_production_stacks(stack: str, force: bool, found: bool) -> None:
    resource = child(ENVIRONMENTS, "eu-environments", {"forceDelete": force}, stack=stack)
    assert bool(unguarded_delete(resource)) is found


def test_the_way_on_past_the_deletion_guard_is_one_that_the_pack_lets_through() -> None:
    found = unguarded_delete(child(ENVIRONMENTS, "eu-environments", {"forceDelete": True}, stack="prod"))
    assert found
    assert found.endswith("run that one update without this policy pack")


def test_which_stacks_are_production_can_be_configured() -> None:
    resource = child(ENVIRONMENTS, "eu-environments", {"forceDelete": True}, stack="live")
    assert unguarded_delete(resource, ["live"])


@pytest.mark.parametrize(
    ("runtime", "level", "found"),
    [("sysbox-runc", "privileged", True), ("sysbox-runc", "baseline", False), (None, "privileged", False)],
)
def test_privileges_that_sysbox_does_not_need_are_found(runtime: str | None, level: str, found: bool) -> None:
    namespace = child(
        NAMESPACE, "eu-namespace", {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}}
    )
    template = child(POD_TEMPLATE, "eu-pod-template", {"template": {"spec": {"runtimeClassName": runtime}}})
    problems = too_wide_pod_security([platform(), namespace, template])
    assert list(problems) == ([namespace.urn] if found else [])


def test_a_platform_without_a_quota_is_found() -> None:
    assert list(missing_quota([platform()])) == [OWNER]
    assert missing_quota([platform(), child(QUOTA, "eu-quota", {})]) == {}


def test_the_quota_of_a_freeze_is_none_of_the_platform() -> None:
    quota = freeze_quota(platform_name="eu", namespace="eu", reason=None, labels={}, annotations={})
    assert list(missing_quota([platform(), child(QUOTA, "eu-freeze-quota", quota)])) == [OWNER]


def test_a_quota_counts_whatever_its_platform_is_named() -> None:
    quota = child(QUOTA, "pre-freeze-quota", {"spec": {"hard": {"pods": "20"}}})
    assert missing_quota([platform(), quota]) == {}


def test_values_not_known_yet_are_no_violation_of_the_rules_for_stacks() -> None:
    template = child(POD_TEMPLATE, "eu-pod-template", {"template": None})
    assert too_wide_pod_security([platform(), template, child(NAMESPACE, "eu-namespace", {"metadata": None})]) == {}
