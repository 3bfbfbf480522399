"""A stand-in for the package of components for EKS: `eks.Cluster`, out of resources of the stand-in for AWS.

It makes the resources that the real component makes for the arguments of examples/eks, by the same names, but
for its security groups (which the example does without), its kubernetes provider and the wait for the API server.
"""

from __future__ import annotations

import importlib
import json
from typing import Any

import pulumi
from pulumi.provider import ConstructResult, Provider

from codecanvas_provider.resource import UNKNOWN
from tests.support.clouds.package import RefusedError
from tests.support.clouds.sdk import input_faults

CLUSTER = "eks:index:Cluster"


class Eks(Provider):
    """Constructs `eks.Cluster`."""

    def __init__(self) -> None:
        super().__init__(version="0.0.0")

    def construct(
        self, name: str, resource_type: str, inputs: pulumi.Inputs, options: pulumi.ResourceOptions | None = None
    ) -> ConstructResult:
        """Construct a cluster."""
        if resource_type != CLUSTER:
            raise RefusedError(f"the stand-in for eks has no component {resource_type}")
        faults = input_faults(CLUSTER, _without_outputs(inputs))
        if faults:
            raise RefusedError("\n".join(faults))
        cluster = Cluster(name, dict(inputs), options)
        return ConstructResult(cluster.urn, cluster.state)


class Cluster(pulumi.ComponentResource):
    """The component."""

    def __init__(self, name: str, inputs: dict[str, Any], options: pulumi.ResourceOptions | None) -> None:
        super().__init__(CLUSTER, name, {}, options)
        self._aws: Any = importlib.import_module("pulumi_aws")
        self._opts = pulumi.ResourceOptions(parent=self)
        cluster = self._create_cluster(name, inputs)
        self._create_access(name, cluster, inputs.get("accessEntries") or {})
        for addon in ("kube-proxy", "vpc-cni"):
            self._aws.eks.Addon(f"{name}-{addon}", cluster_name=cluster.name, addon_name=addon, opts=self._opts)
        issuer = cluster.identities[0].oidcs[0].issuer
        oidc: Any = None
        if inputs.get("createOidcProvider"):
            oidc = self._aws.iam.OpenIdConnectProvider(
                f"{name}-oidcProvider",
                client_id_lists=["sts.amazonaws.com"],
                url=issuer,
                thumbprint_lists=["9e99a48a9960b14926bb7f3b02e22da2b0ab7280"],
                opts=self._opts,
            )
        kubeconfig = pulumi.Output.all(cluster.name, cluster.endpoint, cluster.certificate_authority.data).apply(
            lambda known: _kubeconfig(*known)
        )
        self.state = {
            "eksCluster": cluster,
            "kubeconfig": kubeconfig,
            "kubeconfigJson": kubeconfig.apply(json.dumps),
            "oidcProviderArn": oidc.arn if oidc else "",
            "oidcProviderUrl": issuer,
            "oidcIssuer": issuer.apply(lambda url: url.removeprefix("https://")),
            "clusterSecurityGroupId": cluster.vpc_config.cluster_security_group_id,
        }
        self.register_outputs(self.state)

    def _create_cluster(self, name: str, inputs: dict[str, Any]) -> Any:
        statement = {"Effect": "Allow", "Principal": {"Service": "eks.amazonaws.com"}, "Action": ["sts:AssumeRole"]}
        role = self._aws.iam.Role(
            f"{name}-eksRole-role", assume_role_policy=json.dumps({"Statement": [statement]}), opts=self._opts
        )
        attached = self._aws.iam.RolePolicyAttachment(
            f"{name}-eksRole",
            role=role.name,
            policy_arn="arn:aws:iam::aws:policy/AmazonEKSClusterPolicy",
            opts=self._opts,
        )
        return self._aws.eks.Cluster(
            f"{name}-eksCluster",
            name=inputs.get("name"),
            role_arn=role.arn,
            version=inputs.get("version"),
            access_config={"authentication_mode": inputs.get("authenticationMode")},
            enabled_cluster_log_types=inputs.get("enabledClusterLogTypes"),
            vpc_config={
                "subnet_ids": inputs["privateSubnetIds"],
                "endpoint_private_access": inputs.get("endpointPrivateAccess"),
                "endpoint_public_access": inputs.get("endpointPublicAccess"),
                "public_access_cidrs": inputs.get("publicAccessCidrs"),
            },
            opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=[attached])),
        )

    def _create_access(self, name: str, cluster: Any, entries: dict[str, Any]) -> None:
        for key, entry in entries.items():
            granted = self._aws.eks.AccessEntry(
                f"{name}-{key}", cluster_name=cluster.name, principal_arn=entry["principalArn"], opts=self._opts
            )
            for policy, association in (entry.get("accessPolicies") or {}).items():
                self._aws.eks.AccessPolicyAssociation(
                    f"{name}-{key}-{policy}",
                    cluster_name=cluster.name,
                    principal_arn=entry["principalArn"],
                    policy_arn=association["policyArn"],
                    access_scope={"type": association["accessScope"]["type"]},
                    opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(depends_on=[granted])),
                )


def _kubeconfig(name: str, endpoint: str, certificate: str) -> dict[str, Any]:
    """Write the kubeconfig as the real component does: a token comes from the command-line tool of AWS."""
    login = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "aws",
        "args": ["eks", "get-token", "--cluster-name", name, "--output", "json"],
        "env": [{"name": "KUBERNETES_EXEC_INFO", "value": '{"apiVersion": "client.authentication.k8s.io/v1beta1"}'}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "kubernetes", "cluster": {"server": endpoint, "certificate-authority-data": certificate}}
        ],
        "users": [{"name": "aws", "user": {"exec": login}}],
        "contexts": [{"name": "aws", "context": {"cluster": "kubernetes", "user": "aws"}}],
        "current-context": "aws",
    }


def _without_outputs(value: Any) -> Any:
    """Take an output for a value that is not known yet, so that the rest can be checked."""
    if isinstance(value, pulumi.Output):
        return UNKNOWN
    if isinstance(value, dict):
        return {key: _without_outputs(item) for key, item in value.items()}
    return [_without_outputs(item) for item in value] if isinstance(value, list) else value
