"""The cluster's kubeconfig. There is no credential in it: gke-gcloud-auth-plugin asks Google Cloud for a token."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pulumi

if TYPE_CHECKING:
    import pulumi_gcp as gcp


def kubeconfig_of(cluster: gcp.container.Cluster) -> pulumi.Output[str]:
    """Write the kubeconfig, secret."""
    known = pulumi.Output.all(cluster.name, cluster.endpoint, cluster.master_auth.cluster_ca_certificate)
    return pulumi.Output.secret(known.apply(lambda facts: _write(*facts)))


def _write(name: str, endpoint: str, certificate: str) -> str:
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1beta1",
        "command": "gke-gcloud-auth-plugin",
        "provideClusterInfo": True,
        "interactiveMode": "Never",
        "installHint": "install it with: gcloud components install gke-gcloud-auth-plugin",
    }
    server = {"server": f"https://{endpoint}", "certificate-authority-data": certificate}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": server}],
            "users": [{"name": name, "user": {"exec": plugin}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
    )
