"""A CodeCanvas computing platform on the cluster of the current kubeconfig."""

from __future__ import annotations

import pulumi

from pulumi_codecanvas import ComputingPlatform

config = pulumi.Config()

platform = ComputingPlatform(
    "eu",
    namespace="codecanvas-eu",
    server_url=config.require("serverUrl"),
    pod_template="worker-pod.yaml",
    service_accounts={
        "dev-environments": {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/dev-environments"}
    },
    propagate_env=["TEAM"],
    quota={"requests.cpu": "64", "pods": 40},
    network_policy=True,
    values={"podLabels": {"team": "platform"}},
    chart=config.require("chart"),
    freeze=config.require_bool("freeze"),
    freeze_reason="maintenance",
)

pulumi.export("namespace", platform.namespace)
pulumi.export("podTemplate", platform.pod_template_yaml)
pulumi.export("applicationValues", platform.application_values)
pulumi.export("connection", platform.connection)
pulumi.export("frozen", platform.frozen)
