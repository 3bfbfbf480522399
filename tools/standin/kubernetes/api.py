"""The API server as the stand-in needs it: any kind of object, the API server's own words in errors."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from codecanvas_provider.session import NoAnswer, Session, open_session
from pulumi_codecanvas.errors import CodeCanvasError

if TYPE_CHECKING:
    from collections.abc import Mapping

Manifest = dict[str, Any]

CREATOR = "pulumi-kubernetes"
"""Field manager of creates; updates have one of their own for each object."""

_JSON = "application/json"
_BUSY_TRIES = 10


class UnreachableError(CodeCanvasError):
    """There is no API server that answers."""


class RefusedError(CodeCanvasError):
    """The API server answered with an error, whose text is this error's.

    Attributes:
        status: the HTTP status.
        reason: Kubernetes' word for it, such as `AlreadyExists`.
        kind: the kind of object that the error is about, in plural, as in `namespaces`.
    """

    def __init__(self, status: int, reply: Mapping[str, Any]) -> None:
        self.status = status
        self.reason = str(reply.get("reason") or "")
        self.kind = str((reply.get("details") or {}).get("kind") or "")
        super().__init__(str(reply.get("message") or f"HTTP status {status}"))


class NoSuchKindError(CodeCanvasError):
    """The cluster does not serve such objects."""


@dataclass(frozen=True)
class Kind:
    """A kind of object in one version, as discovery tells it."""

    api_version: str
    name: str
    plural: str
    namespaced: bool


class Api:
    """One cluster as one user sees it. Safe to use from many threads at a time."""

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        self.kubeconfig = kubeconfig
        self.context = context
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._kinds: dict[str, list[Kind]] = {}

    def find_kind(self, api_version: str, name: str) -> Kind:
        """Ask the cluster for a kind.

        Raises:
            NoSuchKindError: it serves none of this name in this version.
        """
        known = self._kinds.get(api_version) or []
        if not any(kind.name == name for kind in known):
            # Asked anew, as a resource definition may have been made since.
            known = self._kinds[api_version] = self._discover(api_version)
        for kind in known:
            if kind.name == name:
                return kind
        raise NoSuchKindError(f'no matches for kind "{name}" in version "{api_version}"')

    def _discover(self, api_version: str) -> list[Kind]:
        root = "/apis/" if "/" in api_version else "/api/"
        try:
            answer = self._send("GET", root + api_version)
        except RefusedError as error:
            if error.status == 404:
                return []
            raise
        return [
            Kind(api_version, entry["kind"], entry["name"], bool(entry["namespaced"]))
            for entry in answer.get("resources") or []
            if "/" not in entry["name"]
        ]

    def read_version(self) -> str:
        """Give the API server's version."""
        return str(self._send("GET", "/version").get("gitVersion"))

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest:
        """Give an object."""
        return self._send("GET", _path(kind, namespace, name))

    def list_labelled(self, kind: Kind, namespace: str, labels: str) -> list[Manifest]:
        """List the objects with these labels."""
        query = {"labelSelector": labels}
        return self._send("GET", _path(kind, namespace), query=query).get("items") or []

    def create(self, kind: Kind, manifest: Manifest, *, dry_run: bool) -> Manifest:
        """Create an object, or find out what would come of it."""
        query = _query(fieldManager=CREATOR, dry_run=dry_run)
        namespace = manifest["metadata"].get("namespace", "")
        return self._send("POST", _path(kind, namespace), query=query, body=manifest)

    def apply(self, kind: Kind, manifest: Manifest, manager: str, *, force: bool, dry_run: bool) -> Manifest:
        """Bring an object into shape by server-side apply."""
        query = _query(fieldManager=manager, force=str(force).lower(), dry_run=dry_run)
        path = _path(kind, manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"])
        return self._send("PATCH", path, query=query, body=manifest, content_type="application/apply-patch+yaml")

    def replace_managers(self, kind: Kind, live: Manifest, managers: list[Manifest]) -> Manifest:
        """Write who manages which fields of an object, if it is still as it was read."""
        metadata = live["metadata"]
        patch = [
            {"op": "replace", "path": "/metadata/managedFields", "value": managers},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]},
        ]
        path = _path(kind, metadata.get("namespace", ""), metadata["name"])
        return self._send("PATCH", path, body=patch, content_type="application/json-patch+json")

    def delete(self, kind: Kind, namespace: str, name: str) -> None:
        """Ask for an object's deletion, what it owns first."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        self._send("DELETE", _path(kind, namespace, name), body=body)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = _JSON,
    ) -> Manifest:
        url = f"{path}?{urlencode(query)}" if query else path
        headers = {"Accept": _JSON, "User-Agent": "codecanvas-stand-in", "Content-Type": content_type}
        data = None if body is None else json.dumps(body)
        for attempt in range(_BUSY_TRIES):
            session = self._log_in()
            try:
                answer = session.request(method, url, headers, data)
            except NoAnswer as error:
                raise UnreachableError(f'{method.capitalize()} "{session.host}{path}": {error}') from None
            if answer.status == 429 and attempt + 1 < _BUSY_TRIES:
                time.sleep(answer.pause or 1.0)
                continue
            reply = _parse(answer.body)
            if answer.status >= 400:
                raise RefusedError(answer.status, reply)
            return reply
        raise AssertionError("unreachable")

    def _log_in(self) -> Session:
        with self._lock:
            if self._session is None or self._session.expired:
                self._session = open_session(self.kubeconfig, self.context)
            return self._session


def _parse(reply: bytes) -> Manifest:
    try:
        answer = json.loads(reply)
    except ValueError:
        answer = None
    return answer if isinstance(answer, dict) else {"message": "what answered is no Kubernetes API server"}


def _query(*, dry_run: bool, **settings: str) -> dict[str, str]:
    return {**settings, **({"dryRun": "All"} if dry_run else {})}


def _path(kind: Kind, namespace: str, name: str = "") -> str:
    root = "/apis/" if "/" in kind.api_version else "/api/"
    parts = [root + kind.api_version]
    if kind.namespaced:
        parts += ["namespaces", quote(namespace, safe="")]
    parts += [kind.plural, *([quote(name, safe="")] if name else [])]
    return "/".join(parts)
