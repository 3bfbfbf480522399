"""The few requests that the local cluster itself sends to its API server and to its parts."""

from __future__ import annotations

import contextlib
import json
import ssl
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tools.localcluster.credentials import Credentials


def open_client(credentials: Credentials, *, server: str = "", token: str = "", timeout: float = 5.0) -> httpx.Client:
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


def ensure_crd(client: httpx.Client, manifest: Mapping[str, Any]) -> bool:
    """Apply a CustomResourceDefinition and tell whether its objects can be made."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{manifest['metadata']['name']}"
    options = {"fieldManager": "local-cluster", "force": "true"}
    crd = _send(client, "PATCH", path, "application/apply-patch+yaml", manifest, params=options)
    conditions = (crd or {}).get("status", {}).get("conditions") or []
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


def ensure_node(client: httpx.Client, manifest: Mapping[str, Any]) -> bool:
    """Make the node unless it exists, let pods onto it, and tell whether that succeeded.

    The API server gives each new node a taint until its kubelet reports, and the controller that takes the
    taint away does not run in the local cluster.
    """
    _send(client, "POST", "/api/v1/nodes", "application/json", manifest)
    path = f"/api/v1/nodes/{manifest['metadata']['name']}"
    return bool(_send(client, "PATCH", path, "application/merge-patch+json", {"spec": {"taints": None}}))


def is_node_ready(client: httpx.Client, name: str) -> bool:
    """Tell whether kwok has the node in hand: it is Ready and takes pods."""
    node = _send(client, "GET", f"/api/v1/nodes/{name}") or {"status": {}, "spec": {}}
    conditions = {item["type"]: item["status"] for item in node["status"].get("conditions") or []}
    return conditions.get("Ready") == "True" and not node["spec"].get("taints")


def request_token(client: httpx.Client, namespace: str, name: str, seconds: int) -> str:
    """Get a token of a ServiceAccount.

    Raises:
        httpx.HTTPError: there is no such ServiceAccount, or the API server does not answer.
    """
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": seconds},
    }
    token: str = client.post(path, json=body).raise_for_status().json()["status"]["token"]
    return token


def explain(error: httpx.HTTPError) -> str:
    """Give the API server's own words, where it answered; else what went wrong on the way."""
    if isinstance(error, httpx.HTTPStatusError):
        with contextlib.suppress(ValueError):
            return str(error.response.json().get("message"))
    return str(error)


def _send(
    client: httpx.Client,
    method: str,
    path: str,
    content_type: str = "",
    body: Mapping[str, Any] | None = None,
    params: Mapping[str, str] | None = None,
) -> dict[str, Any] | None:
    """Send one request; give the object that it answers with, None where it fails for whatever reason.

    The caller tries again: a server that has just started fails in many ways.
    """
    headers = {"Content-Type": content_type} if content_type else {}
    content = json.dumps(body) if body is not None else None
    try:
        answer = client.request(method, path, params=params, content=content, headers=headers)
        result: dict[str, Any] | None = answer.json() if answer.is_success else None
    except (httpx.HTTPError, ValueError):
        return None
    return result
