"""What a peer asked of the API server, from the audit log: how many requests, and which writes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tools.localcluster.credentials import ADMIN

if TYPE_CHECKING:
    from pathlib import Path

_METHODS = {
    "create": "POST",
    "update": "PUT",
    "patch": "PATCH",
    "delete": "DELETE",
    "deletecollection": "DELETE",
}
_MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class AuditLog:
    """An audit log that is read on from where it was left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._place = 0
        self.skip()

    def skip(self) -> None:
        """Leave out what was asked until now."""
        self._place = self._path.stat().st_size if self._path.exists() else 0

    def take(self) -> list[dict[str, Any]]:
        """Give the finished requests of the administrator, whose kubeconfig the peers have, since the last look."""
        if self._path.stat().st_size < self._place:
            raise RuntimeError("the audit log was rotated meanwhile; use fewer platforms a cluster")
        with self._path.open("rb") as log:
            if self._place:
                log.seek(self._place - 1)
                log.readline()  # what was being written when the place was taken is of before
            whole, _, begun = log.read().rpartition(b"\n")
            self._place = log.tell() - len(begun)
        events = [json.loads(line) for line in whole.splitlines()]
        mine = [event for event in events if event["user"]["username"] == ADMIN]
        return list({event["auditID"]: event for event in mine}.values())


def writes_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give the writes that changed something, in their order: method, url, content type and body."""
    writes = []
    for event in events:
        method = _METHODS.get(event["verb"])
        query = parse_qs(urlsplit(event["requestURI"]).query)
        failed = event.get("responseStatus", {}).get("code", 500) >= 400
        review = "review" in event["objectRef"].get("resource", "") if "objectRef" in event else True
        if method is None or failed or review or "dryRun" in query:
            continue
        body = event.get("requestObject")
        if isinstance(body, list):
            continue  # a JSON patch of who manages which field, which fits only the object that was there
        kind = "application/json"
        if method == "PATCH":
            kind = APPLY if isinstance(body, dict) and "apiVersion" in body and "kind" in body else _MERGE
        writes.append({"method": method, "url": event["requestURI"], "type": kind, "body": _portable(body)})
    return writes


def _portable(body: Any) -> Any:
    """Take out what only fits the objects that were there when it was recorded."""
    if not isinstance(body, dict):
        return body
    body.pop("preconditions", None)
    if isinstance(body.get("metadata"), dict):
        for name in ("resourceVersion", "uid", "managedFields", "creationTimestamp"):
            body["metadata"].pop(name, None)
    return body
