"""The computing platforms of one region; the stack's name says which."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pulumi
import yaml

from pulumi_codecanvas import ComputingPlatform

config = pulumi.Config()
region = pulumi.get_stack()
fleet: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(Path("fleet.yaml").read_text(encoding="utf-8"))
if region not in fleet:
    raise pulumi.RunError(f"fleet.yaml has no region {region}, only {', '.join(fleet)}; name the stack like a region")

frozen: list[str] = config.require_object("freeze")
unknown = sorted(set(frozen) - set(fleet[region]))
if unknown:
    key, known = config.full_key("freeze"), ", ".join(fleet[region])
    raise pulumi.RunError(f"{key}: there is no platform {', '.join(unknown)} in region {region}, only {known}")


def refer(stack: str) -> pulumi.StackReference:
    return pulumi.StackReference(f"{pulumi.get_organization()}/{stack}")


shared = refer(config.require("shared"))
platforms = {
    name: ComputingPlatform(
        name,
        server_url=shared.require_output("serverUrl"),
        values=shared.require_output("operatorValues"),
        kubeconfig=refer(facts["cluster"]).require_output("kubeconfig"),
        pod_template="worker-pod.yaml",
        storage=facts["storage"],
        labels={"region": region},
        chart=config.require("chart"),
        freeze=config.require_bool("freezeAll") or name in frozen,
        freeze_reason=config.require("freezeReason"),
    )
    for name, facts in fleet[region].items()
}

pulumi.export(
    "platforms",
    {
        name: {
            "namespace": platform.namespace,
            "applicationValues": platform.application_values,
            "connection": platform.connection,
            "frozen": platform.frozen,
        }
        for name, platform in platforms.items()
    },
)
