"""A CodeCanvas computing platform on a cluster that is there already: all it takes is a kubeconfig."""

from __future__ import annotations

import pulumi

from pulumi_codecanvas import ComputingPlatform

config = pulumi.Config()
stack = pulumi.get_stack()

platform = ComputingPlatform(
    stack,
    namespace=f"codecanvas-{stack}",
    server_url=config.require("serverUrl"),
    kubeconfig=config.require_secret("kubeconfig"),
    pod_template="worker-pod.yaml",
    chart=config.require("chart"),
    freeze=config.require_bool("freeze"),
    freeze_reason=config.require("freezeReason"),
)

pulumi.export("namespace", platform.namespace)
pulumi.export("podTemplate", platform.pod_template_yaml)
pulumi.export("applicationValues", platform.application_values)
pulumi.export("connection", platform.connection)
pulumi.export("frozen", platform.frozen)
