"""The key of an operator, and what Helm keeps of earlier ones, read out of the cluster's Secrets."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING

from codecanvas_provider.cluster import SECRET

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster

_KEY = "jwtPrivateKey"


def operator_key(cluster: Cluster, namespace: str) -> str:
    """Give the private key that the operator is given."""
    found = [item for item in cluster.list_all(SECRET, namespace) if _KEY in (item.get("data") or {})]
    assert len(found) == 1, [item["metadata"]["name"] for item in found]
    return base64.b64decode(found[0]["data"][_KEY]).decode()


def helm_history(cluster: Cluster, namespace: str) -> str:
    """Give all revisions that Helm keeps, decoded; line breaks in their texts are real ones."""
    texts = []
    for secret in cluster.list_all(SECRET, namespace, labels="owner=helm"):
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        texts.append(json.dumps(json.loads(gzip.decompress(packed)), ensure_ascii=False).replace("\\n", "\n"))
    return "\n".join(texts)
