"""A policy pack for stacks with CodeCanvas computing platforms: `pulumi up --policy-pack policies`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from rules import (
    PRODUCTION,
    Resource,
    missing_quota,
    too_wide_pod_security,
    unguarded_delete,
    unpinned_chart,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def _plain(props: Any) -> dict[str, Any]:
    # The SDK hands on proxies that refuse to tell unknown values; JSON leaves plain ones.
    return {key: _open(props, key) for key in props}


def _open(props: Any, key: str) -> Any:
    try:
        return json.loads(json.dumps(props[key], default=dict))
    except Exception:  # noqa: BLE001 - unknown in a preview, for which the SDK raises errors of several types
        return None


def _of_resource(args: ResourceValidationArgs) -> Resource:
    return Resource(args.resource_type, args.urn, None, _plain(args.props))


def _of_stack(args: StackValidationArgs) -> list[Resource]:
    return [
        Resource(item.resource_type, item.urn, item.parent.urn if item.parent else None, _plain(item.props))
        for item in args.resources
    ]


def _check_chart(args: ResourceValidationArgs, report: ReportViolation) -> None:
    problem = unpinned_chart(_of_resource(args))
    if problem:
        report(problem)


def _check_guard(args: ResourceValidationArgs, report: ReportViolation) -> None:
    problem = unguarded_delete(_of_resource(args), args.get_config().get("productionStacks") or PRODUCTION)
    if problem:
        report(problem)


def _on_stack(rule: Callable[[Iterable[Resource]], dict[str, str]]) -> Any:
    def check(args: StackValidationArgs, report: ReportViolation) -> None:
        for urn, problem in rule(_of_stack(args)).items():
            report(problem, urn)

    return check


PolicyPack(
    name="codecanvas",
    policies=[
        ResourceValidationPolicy(
            name="chart-version-pinned",
            description="The operator's chart has one exact version, so that every update is reviewed.",
            enforcement_level=EnforcementLevel.MANDATORY,
            validate=_check_chart,
        ),
        ResourceValidationPolicy(
            name="deletion-guard",
            description="In production stacks a delete never takes running dev environments along.",
            enforcement_level=EnforcementLevel.MANDATORY,
            config_schema=PolicyConfigSchema(
                properties={
                    "productionStacks": {
                        "type": "array",
                        "items": {"type": "string"},
                        "default": list(PRODUCTION),
                    }
                }
            ),
            validate=_check_guard,
        ),
        StackValidationPolicy(
            name="pod-security-no-wider-than-needed",
            description="A namespace whose worker pods run under Sysbox does not allow privileged pods.",
            enforcement_level=EnforcementLevel.ADVISORY,
            validate=_on_stack(too_wide_pod_security),
        ),
        StackValidationPolicy(
            name="quota-set",
            description="Every platform has a quota.",
            enforcement_level=EnforcementLevel.ADVISORY,
            validate=_on_stack(missing_quota),
        ),
    ],
)
