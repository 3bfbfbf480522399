"""The few requests that the local cluster itself sends to its API server and to its parts."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tools.localcluster.credentials import Credentials

_MANAGER = {"fieldManager": "local-cluster", "force": "true"}


def open_client(
    credentials: Credentials, *, server: str = "", token: str = "", timeout: float = 5.0
) -> httpx.Client:
    """Make a client that trusts the cluster's certificate and shows it, as etcd demands.

    Settings of the environment, such as proxies, do not touch it.

    Args:
        credentials: the cluster's.
        server: URL of the API server, the base of relative paths.
        token: bearer token; only for a client that talks to nothing but the API server.
        timeout: seconds for each step of a request.
    """
    context = ssl.create_default_context(cafile=str(credentials.ca))
    context.load_cert_chain(credentials.certificate, credentials.key)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.Client(base_url=server, verify=context, headers=headers, timeout=timeout, trust_env=False)


def is_healthy(client: httpx.Client, url: str) -> bool:
    """Tell whether a health endpoint answers 200."""
    try:
        return client.get(url).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def apply(client: httpx.Client, path: str, manifest: str) -> None:
    """Apply a manifest (YAML text) by server-side apply at the object's path."""
    headers = {"Content-Type": "application/apply-patch+yaml"}
    client.patch(path, params=_MANAGER, content=manifest, headers=headers).raise_for_status()


def make_node(client: httpx.Client, name: str, manifest: dict[str, Any]) -> None:
    """Make the node unless it exists, and let pods onto it.

    The API server gives each new node a taint until its kubelet reports, and the controller that takes the
    taint away does not run in the local cluster.
    """
    path = f"/api/v1/nodes/{name}"
    if client.get(path).status_code == httpx.codes.NOT_FOUND:
        client.post("/api/v1/nodes", json=manifest).raise_for_status()
    headers = {"Content-Type": "application/merge-patch+json"}
    client.patch(path, json={"spec": {"taints": None}}, headers=headers).raise_for_status()


def is_node_ready(client: httpx.Client, name: str) -> bool:
    """Tell whether kwok has the node in hand: it is Ready and takes pods."""
    answer = client.get(f"/api/v1/nodes/{name}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return False
    node = answer.raise_for_status().json()
    conditions = {item["type"]: item["status"] for item in node["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")


def request_token(client: httpx.Client, namespace: str, name: str, seconds: int) -> str:
    """Get a token of a ServiceAccount.

    Raises:
        httpx.HTTPStatusError: when there is no such ServiceAccount.
    """
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }
    token: str = client.post(path, json=body).raise_for_status().json()["status"]["token"]
    return token
