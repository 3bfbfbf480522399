"""The rules, on plain facts of resources: none of them needs Pulumi."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

PLATFORM = "codecanvas:index:ComputingPlatform"
RELEASE = "kubernetes:helm.sh/v3:Release"
ENVIRONMENTS = "codecanvas:index:DevEnvironments"
NAMESPACE = "kubernetes:core/v1:Namespace"
POD_TEMPLATE = "kubernetes:core/v1:PodTemplate"
QUOTA = "kubernetes:core/v1:ResourceQuota"

PRODUCTION = ("prod", "prod-*", "*-prod", "production")
"""Patterns of the names of production stacks."""

_EXACT = re.compile(r"v?\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
# An `oci://` reference may say which version it is; a port is none.
_REFERENCE = re.compile(r"oci://.*/[^/:@]+(?::(?P<tag>[^/:@]+))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?")
_NO_PODS = {"pods": "0"}
_ENFORCE = "pod-security.kubernetes.io/enforce"


@dataclass(frozen=True)
class Resource:
    """What the rules look at: a resource's type, URN, its parent's URN, and its inputs."""

    type: str
    urn: str
    parent: str | None
    inputs: Mapping[str, Any]

    @property
    def of_platform(self) -> bool:
        """Whether a platform declared it, as opposed to the rest of the program."""
        return f"{PLATFORM}$" in self.urn


def unpinned_chart(resource: Resource) -> str | None:
    """Find a release of a published chart whose version is left open."""
    if resource.type != RELEASE or not resource.of_platform:
        return None
    chart, version = str(resource.inputs.get("chart", "")), resource.inputs.get("version")
    if chart.startswith((".", "/")) or (isinstance(version, str) and _EXACT.fullmatch(version)):
        return None
    if not version and (reference := _REFERENCE.fullmatch(chart)) and _is_exact(reference):
        return None
    found = f"is `{version}`" if version else "is not given"
    return f"the version of chart {chart} {found}; pin chartVersion to one exact version"


def _is_exact(reference: re.Match[str]) -> bool:
    return bool(reference["digest"] or _EXACT.fullmatch(reference["tag"] or ""))


def unguarded_delete(resource: Resource, production: Sequence[str] = PRODUCTION) -> str | None:
    """Find a platform of a production stack that a delete would take with running dev environments."""
    if resource.type != ENVIRONMENTS or not resource.inputs.get("forceDelete"):
        return None
    stack = resource.urn.split("::")[0].rpartition(":")[2]
    if not any(fnmatch.fnmatchcase(stack, pattern) for pattern in production):
        return None
    return (
        f"forceDelete is on in the production stack {stack}; take it out again, or, where a delete has to take running"
        " dev environments along, run that one update without this policy pack"
    )


def too_wide_pod_security(resources: Iterable[Resource]) -> dict[str, str]:
    """Find namespaces that allow privileged pods although their worker pods run under Sysbox; by URN."""
    known = list(resources)
    confined = {item.parent for item in known if item.type == POD_TEMPLATE and item.of_platform and _is_sysbox(item)}
    return {
        item.urn: "worker pods run under Sysbox and need no privileges; set podSecurity to `baseline`"
        for item in known
        if item.type == NAMESPACE and item.parent in confined and _labels(item).get(_ENFORCE) == "privileged"
    }


def missing_quota(resources: Iterable[Resource]) -> dict[str, str]:
    """Find platforms whose dev environments may take the whole cluster; by URN."""
    known = list(resources)
    # The quota of a freeze allows no pods and limits nothing else.
    limited = {item.parent for item in known if item.type == QUOTA and _is_lasting(item)}
    return {
        item.urn: "the platform has no quota; set `quota`, such as requests.cpu and requests.memory"
        for item in known
        if item.type == PLATFORM and item.urn not in limited
    }


def _is_sysbox(template: Resource) -> bool:
    spec = (template.inputs.get("template") or {}).get("spec") or {}
    return "sysbox" in str(spec.get("runtimeClassName", ""))


def _is_lasting(quota: Resource) -> bool:
    spec = quota.inputs.get("spec")
    # Anything but a mapping is not known yet.
    return not isinstance(spec, Mapping) or spec.get("hard") != _NO_PODS


def _labels(resource: Resource) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (resource.inputs.get("metadata") or {}).get("labels") or {}
    return found
