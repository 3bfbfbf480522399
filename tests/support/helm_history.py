"""What Helm remembers of a release: the values of its revisions, and so the keys in them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING

from codecanvas_provider.cluster import SECRET

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster


def read_history(admin: Cluster, namespace: str) -> str:
    """Give all revisions that Helm keeps in a namespace, decoded, with real line breaks in their texts."""
    texts = []
    for secret in admin.list_all(SECRET, namespace, labels="owner=helm"):
        packed = base64.b64decode(base64.b64decode(secret["data"]["release"]))
        texts.append(json.dumps(json.loads(gzip.decompress(packed)), ensure_ascii=False).replace("\\n", "\n"))
    return "\n".join(texts)
