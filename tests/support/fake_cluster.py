"""A cluster in memory, with the interface of `codecanvas_provider.cluster`: for unit tests of what builds on it."""

from __future__ import annotations

import copy
import itertools
import threading
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import CLAIM, NAMESPACE, POD, Cluster, Kind, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOW = "2025-05-01T10:00:00Z"


class FakeCluster(Cluster):
    """Keeps objects by kind, namespace and name.

    Attributes:
        calls: each change that was asked for, as `verb Kind name`.
        refuse_pod: decides on a pod that is to be made: the API server's message, or None.
        holds: names of pods that stay after a delete, with what is merged into their metadata then.
        claims_held: names of claims that stay after a delete.
        denied: rights that nobody has, as `verb resource`.
        on_list: called with each kind before it is listed.
        on_get: called with each kind before one of it is read.
        away: every call fails as with a cluster that does not answer.
        on_version: says whether the question for the version fails so.
        version: of Kubernetes.

    """

    def __init__(self, *namespaces: str) -> None:
        super().__init__(None, None)
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.calls: list[str] = []
        self.refuse_pod: Callable[[dict[str, Any]], str | None] = lambda _pod: None
        self.holds: dict[str, dict[str, Any]] = {}
        self.claims_held: set[str] = set()
        self.denied: set[str] = set()
        self.on_list: Callable[[Kind], None] = lambda _kind: None
        self.on_get: Callable[[Kind], None] = lambda _kind: None
        self.away = False
        self.on_version: Callable[[], bool] = lambda: False
        self.version = "v1.33.1"
        self._guard = threading.RLock()
        self._uids = itertools.count(1)
        for namespace in namespaces:
            self.put(NAMESPACE, {"metadata": {"name": namespace}, "status": {"phase": "Active"}})

    def connect_to(self, _kubeconfig: str | None, _context: str | None) -> Cluster:
        """Stand in for `Cluster.connect`."""
        return self

    def put(self, kind: Kind, body: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
        """Have an object, without a call."""
        with self._guard:
            thing = copy.deepcopy(dict(body))
            metadata = thing["metadata"]
            number = next(self._uids)
            metadata.setdefault("uid", f"uid-{number}")
            metadata.setdefault("creationTimestamp", NOW)
            metadata.setdefault("resourceVersion", str(number))
            self.objects[self._key(kind, namespace, metadata["name"])] = thing
            return thing

    def find(self, kind: Kind, name: str, namespace: str | None = None) -> dict[str, Any] | None:
        """Give an object as it is kept, without a call."""
        return self.objects.get(self._key(kind, namespace, name))

    def names(self, kind: Kind, namespace: str | None = None) -> list[str]:
        """Name the objects of a kind, without a call."""
        return sorted(key[2] for key in self.objects if key[:2] == (kind.name, namespace or ""))

    def read_version(self) -> str:
        self._answer(away=self.on_version())
        return self.version

    def get(
        self, kind: Kind, name: str, namespace: str | None = None, *, metadata_only: bool = False
    ) -> dict[str, Any] | None:
        self._answer()
        self._authorize("get", kind)
        self.on_get(kind)
        with self._guard:
            return _shown(self.find(kind, name, namespace), metadata_only=metadata_only)

    def list_all(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", metadata_only: bool = False
    ) -> list[dict[str, Any]]:
        self._answer()
        self._authorize("list", kind)
        self.on_list(kind)
        wanted = dict(pair.split("=", 1) for pair in labels.split(",") if pair)
        with self._guard:
            found = [thing for key, thing in sorted(self.objects.items()) if key[:2] == (kind.name, namespace or "")]
            return [
                shown
                for thing in found
                if wanted.items() <= (thing["metadata"].get("labels") or {}).items()
                and (shown := _shown(thing, metadata_only=metadata_only))
            ]

    def create(
        self, kind: Kind, body: Mapping[str, Any], namespace: str | None = None, *, dry_run: bool = False
    ) -> dict[str, Any]:
        self._answer()
        self._authorize("create", kind)
        if namespace and self.find(NAMESPACE, namespace) is None:
            raise refusal(404, f'namespaces "{namespace}" not found')
        message = self.refuse_pod(dict(body)) if kind is POD else None
        if message is not None:
            raise refusal(403, message)
        if dry_run:
            return dict(body)
        self.calls.append(f"create {kind.name} {body['metadata']['name']}")
        return self.put(kind, body, namespace)

    def apply(self, kind: Kind, body: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
        self._answer()
        self._authorize("patch", kind)
        self.calls.append(f"apply {kind.name} {body['metadata']['name']}")
        return self.put(kind, body, namespace)

    def patch(self, kind: Kind, name: str, patch: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
        self._answer()
        self._authorize("patch", kind)
        with self._guard:
            self.calls.append(f"patch {kind.name} {name}")
            thing = self.find(kind, name, namespace)
            if thing is None:
                raise refusal(404, "not found")
            _merge(thing, patch)
            return copy.deepcopy(thing)

    def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str = "",
        seen: Mapping[str, Any] | None = None,
    ) -> bool:
        self._answer()
        self._authorize("delete", kind)
        with self._guard:
            thing = self.find(kind, name, namespace)
            if thing is None or (uid and thing["metadata"]["uid"] != uid):
                return False
            if seen is not None and thing["metadata"] != seen["metadata"]:
                return False
            self.calls.append(f"delete {kind.name} {name}")
            if kind is POD and name in self.holds:
                thing["metadata"].update({"deletionTimestamp": NOW, **self.holds[name]})
            elif name in self.claims_held:
                thing["metadata"]["deletionTimestamp"] = NOW
            else:
                del self.objects[self._key(kind, namespace, name)]
            return True

    def may(self, verb: str, group: str, resource: str, namespace: str | None = None, name: str = "") -> bool:  # noqa: ARG002
        self._answer()
        return not self.denied if verb == "*" else f"{verb} {resource}" not in self.denied

    def account_may(self, account: str, home: str, verb: str, resource: str, namespace: str) -> bool:  # noqa: ARG002
        self._answer()
        return f"system:serviceaccount:{home}:{account} {verb} {resource}" not in self.denied

    def serves(self, kind: Kind) -> bool:
        self._answer()
        return f"serve {kind.plural}" not in self.denied

    def discover(self) -> list[Kind]:
        """Give the namespaced kinds that matter to a platform's namespace."""
        self._answer()
        return [POD, CLAIM]

    def _answer(self, *, away: bool = False) -> None:
        if self.away or away:
            raise Unreachable("no answer from https://gone.example.com", "see that kubectl works")

    def _authorize(self, verb: str, kind: Kind) -> None:
        if f"{verb} {kind.plural}" in self.denied:
            message = (
                f'{kind.plural} is forbidden: User "somebody" cannot {verb} resource "{kind.plural}" in API group ""'
            )
            raise refusal(403, message)

    @staticmethod
    def _key(kind: Kind, namespace: str | None, name: str) -> tuple[str, str, str]:
        return kind.name, (namespace or "") if kind.namespaced else "", name


def refusal(status: int, message: str) -> Refused:
    """Make the error for an API server's answer."""
    reasons = {403: "Forbidden", 404: "NotFound", 422: "Invalid"}
    return Refused("do this", status, reasons.get(status, ""), message)


def _shown(thing: dict[str, Any] | None, *, metadata_only: bool) -> dict[str, Any] | None:
    if thing is None:
        return None
    return copy.deepcopy({"metadata": thing["metadata"]} if metadata_only else thing)


def _merge(target: dict[str, Any], patch: Mapping[str, Any]) -> None:
    for key, value in patch.items():
        if isinstance(value, dict):
            _merge(target.setdefault(key, {}), value)
        elif value is None:
            target.pop(key, None)
        else:
            target[key] = value
