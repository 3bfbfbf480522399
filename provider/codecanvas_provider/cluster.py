"""The one module that talks to API servers.

Everything here blocks; resources call it through `waiting.in_thread`. Objects are plain dicts as the API
server gives them.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn
from urllib.parse import quote, urlencode

from codecanvas_provider.waiting import MAX_THREADS
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.kubeconfig import describe_source
from pulumi_codecanvas.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from codecanvas_provider.session import Session

FIELD_MANAGER = "pulumi-codecanvas"

FIRST_PATIENCE = 15.0
"""Seconds of retries before a cluster that has not answered yet counts as not there."""
PATIENCE = 75.0
"""Seconds of retries for a cluster that has answered before, or says itself that it is busy."""
LONGEST_PAUSE = 10.0
"""The longest wait between two attempts, whatever `Retry-After` says."""

KINDS_SECONDS = 30.0
"""How long the kinds that a cluster knows are remembered."""

PAGE = 500
"""Objects per answer of a list."""

# A connection pool that is asked for more connections than it keeps throws them away and says so on stderr.
_requests = threading.BoundedSemaphore(MAX_THREADS)

_BUSY: Final = frozenset({429, 502, 503, 504})
# An etcd that changes its leader or a webhook that restarts shows as a 500, but so does what is broken for good.
_STUMBLES: Final = 3
# From the start of the text on: what comes later may quote anybody, a freeze's reason for one.
_MISSING_RIGHT = re.compile(r'\S+ (?:"[^"]*" )?is forbidden: User ".*?" cannot \S+ resource "', re.DOTALL)
_METADATA = "application/json;as={kind};g=meta.k8s.io;v=v1"
_DISCOVERY = ",".join(
    f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")
)
_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Kind:
    """A kind of object, as the URL of its endpoint needs it."""

    name: str
    api_version: str
    plural: str
    namespaced: bool = True
    away: bool = False
    """Whether the API server that serves it was away when it was discovered."""

    @property
    def group(self) -> str:
        """The API group; empty for the core."""
        return self.api_version.rpartition("/")[0]


POD = Kind("Pod", "v1", "pods")
POD_TEMPLATE = Kind("PodTemplate", "v1", "podtemplates")
CLAIM = Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims")
VOLUME = Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False)
SECRET = Kind("Secret", "v1", "secrets")
CONFIG_MAP = Kind("ConfigMap", "v1", "configmaps")
EVENT = Kind("Event", "v1", "events")
QUOTA = Kind("ResourceQuota", "v1", "resourcequotas")
LIMITS = Kind("LimitRange", "v1", "limitranges")
SERVICE_ACCOUNT = Kind("ServiceAccount", "v1", "serviceaccounts")
NETWORK_POLICY = Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies")
NAMESPACE = Kind("Namespace", "v1", "namespaces", namespaced=False)
NODE = Kind("Node", "v1", "nodes", namespaced=False)
DEPLOYMENT = Kind("Deployment", "apps/v1", "deployments")
STATEFUL_SET = Kind("StatefulSet", "apps/v1", "statefulsets")
DAEMON_SET = Kind("DaemonSet", "apps/v1", "daemonsets")
STORAGE_CLASS = Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", namespaced=False)
SNAPSHOT_CLASS = Kind("VolumeSnapshotClass", "snapshot.storage.k8s.io/v1", "volumesnapshotclasses", namespaced=False)
POLICY = Kind(
    "ValidatingAdmissionPolicy",
    "admissionregistration.k8s.io/v1",
    "validatingadmissionpolicies",
    namespaced=False,
)
POLICY_BINDING = Kind(
    "ValidatingAdmissionPolicyBinding",
    "admissionregistration.k8s.io/v1",
    "validatingadmissionpolicybindings",
    namespaced=False,
)
_SELF_REVIEW = Kind("SelfSubjectAccessReview", "authorization.k8s.io/v1", "selfsubjectaccessreviews", namespaced=False)
_LOCAL_REVIEW = Kind("LocalSubjectAccessReview", "authorization.k8s.io/v1", "localsubjectaccessreviews")


class Unreachable(ClusterError):  # noqa: N818 - reads as what it is: the cluster is unreachable
    """The cluster gave no answer, or none that it stands behind."""


class Refused(ClusterError):  # noqa: N818 - reads as what it is: the request was refused
    """The API server answered with an error.

    Attributes:
        status: the HTTP status.
        reason: Kubernetes' word for it, such as `Forbidden`.
        message: the API server's own sentence. It may quote the object that was sent, so it belongs in an error
            only where that object holds nothing secret.

    """

    def __init__(self, doing: str, status: int, reason: str, message: str, remedy: str = "") -> None:
        self.status = status
        self.reason = reason
        self.message = message
        # Only these two sentences are known to speak of names alone.
        quotable = message if (status == 403 and is_missing_right(message)) or status == 409 else ""
        cause = f"cannot {doing}: {status} {reason}".rstrip()
        super().__init__(f"{cause}: {quotable[:400]}" if quotable else cause, remedy)


def is_missing_right(message: str) -> bool:
    """Tell the authorizer's refusal (RBAC) from that of an admission plugin or webhook."""
    return _MISSING_RIGHT.match(message) is not None


class Cluster:
    """One cluster as one user sees it. Safe to use from many threads at a time."""

    _known: dict[tuple[str, str, str], Cluster] = {}  # noqa: RUF012 - the process's one cache
    _known_lock = threading.Lock()

    def __init__(self, kubeconfig: str | None, context: str | None) -> None:
        """Prefer `connect`, which shares one connection pool a cluster."""
        self._kubeconfig = kubeconfig or None
        self._context = context or None
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._answered = False
        self._kinds: tuple[float, tuple[Kind, ...]] = (0.0, ())

    @classmethod
    def connect(cls, kubeconfig: str | None, context: str | None) -> Cluster:
        """Give the cluster that these name; nothing is read or sent before the first request.

        Args:
            kubeconfig: YAML or JSON text, or a path; None: the ambient one.
            context: the context in it; None: the current one.

        """
        ambient = "" if kubeconfig else os.environ.get("KUBECONFIG", "")
        key = (kubeconfig or "", context or "", ambient)
        with cls._known_lock:
            return cls._known.setdefault(key, cls(kubeconfig, context))

    def read_version(self) -> str:
        """Give the API server's version, such as `v1.33.1`."""
        return str(self._send("GET", "/version", "read the version of the cluster").get("gitVersion", ""))

    def get(
        self, kind: Kind, name: str, namespace: str | None = None, *, metadata_only: bool = False
    ) -> dict[str, Any] | None:
        """Give an object, or None where there is none, or no such kind in this cluster.

        With `metadata_only` the API server leaves spec, status and data out, so that nothing secret travels.
        """
        accept = _METADATA.format(kind="PartialObjectMetadata") if metadata_only else _JSON
        try:
            return self._send("GET", _path(kind, namespace, name), _words("get", kind, name, namespace), accept=accept)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def list_all(
        self, kind: Kind, namespace: str | None = None, *, labels: str = "", metadata_only: bool = False
    ) -> list[dict[str, Any]]:
        """Give all objects of a kind, consistently: what was created before the call is in it."""
        accept = _METADATA.format(kind="PartialObjectMetadataList") if metadata_only else _JSON
        items: list[dict[str, Any]] = []
        query = {"limit": str(PAGE)}
        if labels:
            query["labelSelector"] = labels
        while True:
            try:
                page = self._send(
                    "GET",
                    _path(kind, namespace),
                    _words("list", kind, "", namespace),
                    query=query,
                    accept=accept,
                )
            except Refused as error:
                if error.status != 410 or "limit" not in query:
                    raise
                # The pages outlived the server's memory of that moment: take it all in one.
                items, query = [], {key: value for key, value in query.items() if key == "labelSelector"}
                continue
            items += page.get("items") or []
            following = (page.get("metadata") or {}).get("continue")
            if not following:
                return items
            query["continue"] = following

    def create(
        self, kind: Kind, body: Mapping[str, Any], namespace: str | None = None, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Create an object; with `dry_run` only find out whether the API server would."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        name = (body.get("metadata") or {}).get("name", "")
        doing = _words("create", kind, name, namespace)
        return self._send("POST", _path(kind, namespace), doing, query=query, body=body)

    def apply(self, kind: Kind, body: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
        """Bring an object into this shape, whether it exists or not (server-side apply)."""
        name = body["metadata"]["name"]
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        doing = _words("apply", kind, name, namespace)
        return self._send("PATCH", _path(kind, namespace, name), doing, query=query, body=body, content_type=_APPLY)

    def patch(self, kind: Kind, name: str, patch: Mapping[str, Any], namespace: str | None = None) -> dict[str, Any]:
        """Change an object by a JSON merge patch."""
        query = {"fieldManager": FIELD_MANAGER}
        doing = _words("patch", kind, name, namespace)
        return self._send("PATCH", _path(kind, namespace, name), doing, query=query, body=patch, content_type=_MERGE)

    def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str | None = None,
        *,
        uid: str = "",
        seen: Mapping[str, Any] | None = None,
    ) -> bool:
        """Ask for an object's deletion with its own grace period; False where it is gone already.

        With `uid` a successor of the same name is left alone; with `seen`, the object as it was read, also one that
        has changed since.
        """
        body: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        conditions = {"uid": uid} if uid else {}
        if seen is not None:
            conditions = {name: seen["metadata"][name] for name in ("uid", "resourceVersion")}
        if conditions:
            body["preconditions"] = conditions
        try:
            self._send("DELETE", _path(kind, namespace, name), _words("delete", kind, name, namespace), body=body)
        except Refused as error:
            if error.status == 404 or (error.status == 409 and conditions):
                return False
            raise
        return True

    def serves(self, kind: Kind) -> bool:
        """Tell whether the cluster knows a kind's API group in this version."""
        root = "/apis/" if kind.group else "/api/"
        try:
            self._send("GET", root + kind.api_version, f"find out about {kind.api_version}")
        except Refused as error:
            if error.status == 404:
                return False
            raise
        return True

    def may(self, verb: str, group: str, resource: str, namespace: str | None = None, name: str = "") -> bool:
        """Ask whether we may do this to all objects of a kind, or to the one named."""
        review = {"spec": {"resourceAttributes": _attributes(verb, group, resource, namespace, name)}}
        answer = self._send("POST", _path(_SELF_REVIEW, None), "ask for our own rights", body=review)
        return bool((answer.get("status") or {}).get("allowed"))

    def account_may(self, account: str, home: str, verb: str, resource: str, namespace: str) -> bool:
        """Ask whether a service account of namespace `home` may do this to a core kind in a namespace."""
        user = f"system:serviceaccount:{home}:{account}"
        # A review counts only the groups that it names.
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{home}", "system:authenticated"]
        attributes = _attributes(verb, "", resource, namespace)
        spec = {"user": user, "groups": groups, "resourceAttributes": attributes}
        review = {"metadata": {"namespace": namespace}, "spec": spec}
        doing = f"ask for the rights of {user} in namespace {namespace}"
        answer = self._send("POST", _path(_LOCAL_REVIEW, namespace), doing, body=review)
        return bool((answer.get("status") or {}).get("allowed"))

    def discover(self) -> list[Kind]:
        """Give every namespaced kind that can be listed, each once, in its preferred version.

        What was found out lately is given again: the answer is long, and many platforms ask at the same time.
        """
        with self._lock:
            asked, kinds = self._kinds
        if kinds and time.monotonic() < asked + KINDS_SECONDS:
            return list(kinds)
        kinds = tuple(self._discover())
        with self._lock:
            self._kinds = (time.monotonic(), kinds)
        return list(kinds)

    def _discover(self) -> list[Kind]:
        found: dict[tuple[str, str], Kind] = {}
        for root in ("/api", "/apis"):
            answer = self._send("GET", root, "discover the kinds of the cluster", accept=_DISCOVERY)
            for group in answer.get("items") or []:
                group_name = (group.get("metadata") or {}).get("name", "")
                for version in group.get("versions") or []:
                    api_version = "/".join(part for part in (group_name, version["version"]) if part)
                    for resource in version.get("resources") or []:
                        plural = resource["resource"]
                        if resource.get("scope") == "Namespaced" and "list" in (resource.get("verbs") or []):
                            away = version.get("freshness") == "Stale"
                            kind = Kind(resource["responseKind"]["kind"], api_version, plural, away=away)
                            found.setdefault((group_name, plural), kind)
        return list(found.values())

    def _send(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = _JSON,
        accept: str = _JSON,
    ) -> dict[str, Any]:
        """Send a request, again where that may help, and give the decoded answer.

        Every request of this module may be repeated: reads, dry runs, reviews, patches that state the result, and
        deletes by uid. (A `create` that did happen is answered with 409.)
        """
        from codecanvas_provider.session import NoAnswer

        url = f"{path}?{urlencode(query)}" if query else path
        data = None if body is None else json.dumps(body)
        headers = {"Accept": accept, "User-Agent": f"pulumi-codecanvas/{VERSION}"}
        if data is not None:
            headers["Content-Type"] = content_type
        started = time.monotonic()
        renewed = False
        for attempt in itertools.count():
            session = self._log_in()
            wait = 0.25 * 2**attempt
            try:
                with _requests:
                    answer = session.request(method, url, headers, data)
            except NoAnswer as error:
                failure: ClusterError = self._unreachable(doing, session, error)
                if error.final:
                    raise failure from None
            else:
                self._answered = True
                if answer.status < 400:
                    return _decode(answer.body)
                failure = _refusal(doing, answer.status, answer.body)
                if answer.status == 401 and not renewed:
                    renewed = True
                    self._log_in(instead_of=session)
                    continue
                if answer.status not in _BUSY and (answer.status != 500 or attempt >= _STUMBLES):
                    raise failure
                wait = answer.pause if answer.pause is not None else wait
            wait = min(wait, LONGEST_PAUSE)
            if time.monotonic() + wait > started + (PATIENCE if self._answered else FIRST_PATIENCE):
                raise failure
            time.sleep(wait)
        raise AssertionError("unreachable")

    def _log_in(self, instead_of: Session | None = None) -> Session:
        """Give the session, a new one where there is none, it has expired or it is the one named.

        Raises:
            Unreachable: there is no way to log in; that the way to a cluster is gone is all that is left of many.

        """
        from codecanvas_provider.session import open_session

        with self._lock:
            if self._session is None or self._session is instead_of or self._session.expired:
                try:
                    self._session = open_session(self._kubeconfig, self._context)
                except ClusterError as error:
                    raise Unreachable(error.cause, error.remedy) from None
            return self._session

    def _unreachable(self, doing: str, session: Session, error: Exception) -> Unreachable:
        source = describe_source(self._kubeconfig, self._context)
        return Unreachable(
            f"cannot {doing}: no answer from {session.host} ({error})",
            f"see that `kubectl version` works with {source} on this machine, then run the command again",
        )


def _path(kind: Kind, namespace: str | None, name: str = "") -> str:
    """Build an endpoint's path; names are quoted, so that none can leave its place in it."""
    root = "/apis/" if kind.group else "/api/"
    path = root + kind.api_version
    if kind.namespaced and namespace:
        path += f"/namespaces/{_quote(namespace)}"
    path += f"/{kind.plural}"
    return f"{path}/{_quote(name)}" if name else path


def _quote(name: str) -> str:
    # A dot segment would survive quoting and be resolved on the way.
    return "%2E" * len(name) if name in {".", ".."} else quote(name, safe="")


def _words(verb: str, kind: Kind, name: str, namespace: str | None) -> str:
    """Say what is being done, for an error: verb, kind and name, never content."""
    what = f"{verb} {kind.name} {name}".rstrip() if name else f"{verb} {kind.plural}"
    return f"{what} in namespace {namespace}" if namespace and kind.namespaced else what


def _attributes(verb: str, group: str, resource: str, namespace: str | None, name: str = "") -> dict[str, str]:
    attributes = {"verb": verb, "group": group, "resource": resource, "namespace": namespace or "", "name": name}
    return {key: value for key, value in attributes.items() if value or key == "group"}


def _decode(reply: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(reply)
    except ValueError:
        _raise_foreign()
    if not isinstance(answer, dict):
        _raise_foreign()
    return answer


def _raise_foreign() -> NoReturn:
    raise Unreachable("what answered is no Kubernetes API server", "see that `server` in the kubeconfig is right")


def _refusal(doing: str, status: int, reply: bytes) -> Refused:
    try:
        answer = json.loads(reply)
    except ValueError:
        answer = {}
    if not isinstance(answer, dict):
        answer = {}
    reason = str(answer.get("reason") or "")
    message = str(answer.get("message") or "")
    return Refused(doing, status, reason, message, _remedy(status, message))


def _remedy(status: int, message: str) -> str:
    if status == 401:
        return "log in to the cluster again, or renew the credentials in the kubeconfig"
    if status == 403 and is_missing_right(message):
        return "grant this right to the user that the kubeconfig names"
    return "run the command again once the cluster has recovered" if status in _BUSY else ""
