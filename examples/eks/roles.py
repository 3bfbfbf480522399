"""IAM roles: who may take them, and what they allow."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_aws as aws


def trust(principal: dict[str, str], *actions: str, condition: dict[str, Any] | None = None) -> str:
    """Write a trust policy: `principal` may take the role by `actions`."""
    statement: dict[str, Any] = {"Effect": "Allow", "Principal": principal, "Action": list(actions)}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def trust_account(cluster: Any, namespace: str, account: str) -> pulumi.Output[str]:
    """Write the trust policy for one ServiceAccount of the cluster and for no other (IRSA)."""
    return pulumi.Output.all(cluster.oidc_provider_arn, cluster.oidc_issuer).apply(
        lambda known: trust(
            {"Federated": known[0]},
            "sts:AssumeRoleWithWebIdentity",
            condition={
                "StringEquals": {
                    f"{known[1]}:sub": f"system:serviceaccount:{namespace}:{account}",
                    f"{known[1]}:aud": "sts.amazonaws.com",
                }
            },
        )
    )


def create_role(name: str, trusts: pulumi.Input[str], policy_arns: list[str]) -> tuple[aws.iam.Role, list[Any]]:
    """Create a role and attach managed policies; gives it and what has to be there before it is used."""
    role = aws.iam.Role(name, assume_role_policy=trusts)
    return role, [
        role,
        *(
            aws.iam.RolePolicyAttachment(f"{name}-{arn.rpartition('/')[2]}", role=role.name, policy_arn=arn)
            for arn in policy_arns
        ),
    ]
