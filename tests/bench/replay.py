"""The floor: sends recorded writes one after the other on one connection that stays open, then waits for their effect.

`python -m tests.bench.replay KUBECONFIG FILE`; FILE holds `writes`, and `ready` or `gone`: namespaces to wait for.
"""

from __future__ import annotations

import base64
import json
import ssl
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

SECONDS = 600.0


def main() -> None:
    kubeconfig, recording = yaml.safe_load(Path(sys.argv[1]).read_text()), json.loads(Path(sys.argv[2]).read_text())
    cluster, user = kubeconfig["clusters"][0]["cluster"], kubeconfig["users"][0]["user"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    headers = {"Authorization": f"Bearer {user['token']}"}
    with httpx.Client(base_url=cluster["server"], verify=context, headers=headers, trust_env=False) as client:
        for write in recording["writes"]:
            send(client, write)
        deadline = time.monotonic() + SECONDS
        while not is_settled(client, set(recording["ready"]), set(recording["gone"])):
            if time.monotonic() > deadline:
                raise SystemExit("the replayed writes had not the effect that was waited for")
            time.sleep(0.1)


def send(client: httpx.Client, write: dict[str, Any]) -> None:
    content = None if write["body"] is None else json.dumps(write["body"])
    answer = client.request(write["method"], write["url"], content=content, headers={"Content-Type": write["type"]})
    if answer.is_error and not (write["method"] == "DELETE" and answer.status_code == httpx.codes.NOT_FOUND):
        raise SystemExit(f"{write['method']} {write['url']}: {answer.status_code} {answer.text[:500]}")


def is_settled(client: httpx.Client, ready: set[str], gone: set[str]) -> bool:
    if ready:
        found = client.get("/apis/apps/v1/deployments").raise_for_status().json()["items"]
        available = {item["metadata"]["namespace"] for item in found if is_available(item)}
        return ready <= available
    if gone:
        found = client.get("/api/v1/namespaces").raise_for_status().json()["items"]
        return gone.isdisjoint(item["metadata"]["name"] for item in found)
    return True


def is_available(item: dict[str, Any]) -> bool:
    status, replicas = item.get("status", {}), item["spec"].get("replicas", 1)
    current = status.get("observedGeneration", 0) >= item["metadata"]["generation"]
    return current and all(status.get(name, 0) >= replicas for name in ("updatedReplicas", "availableReplicas"))


if __name__ == "__main__":
    main()
