"""Objects in the cluster: created, compared, read, updated by server-side apply, deleted and waited for."""

from __future__ import annotations

import copy
import itertools
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codecanvas_provider.failures import RecordedFailure
from codecanvas_provider.resource import UNKNOWN, holds_unknown
from codecanvas_provider.waiting import Deadline, in_thread, pause
from pulumi_codecanvas.errors import CodeCanvasError
from tools.standin.kubernetes.api import CREATOR, NoSuchKindError, RefusedError
from tools.standin.kubernetes.diffs import compare, prune, replaces, replacing_fields
from tools.standin.kubernetes.values import encode, without_nulls

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from google.protobuf import struct_pb2  # type: ignore[import-untyped] # protobuf ships no types
    from pulumi.runtime.proto import provider_pb2 as proto

    from codecanvas_provider.resource import Context
    from codecanvas_provider.wire import Path, Properties
    from tools.standin.kubernetes.api import Kind, Manifest
    from tools.standin.kubernetes.target import Target

INPUTS, VERSION, MANAGER = "__inputs", "__initialApiVersion", "__fieldManager"

_PATCH_FORCE = "pulumi.com/patchForce"
_DELETE_SECONDS = 600.0
_QUOTA_SECONDS = 60.0
_LOOK_SECONDS = (0.1, 2.0)
_CREATE_TRIES = 5
_WAITED_FOR = frozenset(
    {
        *("DaemonSet", "Deployment", "Ingress", "Job", "PersistentVolume", "PersistentVolumeClaim", "Pod"),
        *("ReplicaSet", "ReplicationController", "Service", "StatefulSet"),
    }
)
_CLUSTERS_OWN = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"})
# Whose fields an update takes over: those that a create, kubectl or another version of the plugin had set.
_TAKEN_OVER = frozenset(
    {
        ("kubectl", "Apply"),
        ("kubectl", "Update"),
        ("before-first-apply", "Update"),
        (CREATOR, "Update"),
        ("pulumi-resource-kubernetes", "Update"),
    }
)


@dataclass(frozen=True)
class Outcome:
    """An object as it is recorded: ID, outputs, and inputs where they were read."""

    id: str
    outputs: struct_pb2.Struct
    inputs: struct_pb2.Struct | None = None


class Objects:
    """The objects of one provider.

    Args:
        target: the cluster, as the provider's configuration names it.
    """

    def __init__(self, target: Target) -> None:
        self._target = target

    async def check(self, context: Context, old: Properties, new: Properties) -> Manifest:
        """Complete the inputs by a name and a namespace.

        Raises:
            CodeCanvasError: the stand-in does not serve such an object.
        """
        manifest: Manifest = without_nulls(new.values)
        if manifest.get("kind") in _WAITED_FOR:
            raise CodeCanvasError(f"the stand-in for the kubernetes plugin does not serve {manifest['kind']}")
        metadata = manifest.setdefault("metadata", {})
        if metadata is UNKNOWN:
            return manifest
        if not metadata.get("name"):
            _name(metadata, old.values.get("metadata") or {}, context.urn)
        kind = await self._find_kind(context, manifest)
        if not metadata.get("namespace") and (kind is None or kind.namespaced):
            metadata["namespace"] = self._target.namespace
        return manifest

    def diff(self, old: Properties, news: Properties) -> tuple[dict[str, proto.PropertyDiff], bool]:
        """Give the differences, and whether a replacement must delete first, as it has the same name."""
        live, inputs = _recorded(old.values)
        new = without_nulls(news.values)
        before = prune(live, inputs)
        if new.get("metadata") is not UNKNOWN and new["metadata"].get("name") not in {None, UNKNOWN}:
            before.setdefault("metadata", {})["name"] = live["metadata"]["name"]
        found = compare(before, before, new, replacing_fields(new["apiVersion"], new["kind"]))
        metadata = new["metadata"] if isinstance(new["metadata"], dict) else {}
        same = all(metadata.get(key) == live["metadata"].get(key) for key in ("name", "namespace"))
        return found, bool(replaces(found)) and same

    async def create(self, context: Context, inputs: Properties) -> Outcome | None:
        """Create an object that must not exist; None in a preview that cannot tell what would come of it."""
        manifest: Manifest = without_nulls(inputs.values)
        kind = None if holds_unknown(manifest) else await self._find_kind(context, manifest)
        if context.preview and kind is None:
            return None
        self._target.require_cluster()
        failed = f'resource "{context.urn}" was not successfully created by the Kubernetes API server'
        if kind is None:
            raise CodeCanvasError(f'{failed}: no matches for kind "{manifest["kind"]}"')
        try:
            live = await self._create(context, kind, manifest)
        except RefusedError as error:
            if context.preview and _is_to_be_expected(error):
                return None
            raise CodeCanvasError(f"{failed}: {error}") from None
        if context.preview:
            live.pop("status", None)
        elif kind.name == "ResourceQuota":
            live = await self._wait_for_quota(context, kind, live)
        manager = f"{CREATOR}-{secrets.token_hex(4)}"
        outputs = _checkpoint(manifest, live, manifest["apiVersion"], manager, inputs.secrets)
        return Outcome(_id(live), outputs)

    async def read(self, context: Context, id_: str, inputs: Properties, state: Properties) -> Outcome | None:
        """Read an object; None where it is gone. Without inputs it is an import."""
        if not self._target.require_cluster(reading=True):
            return None
        api_version, name = context.urn.split("::")[2].rsplit("$", 1)[-1].removeprefix("kubernetes:").rsplit(":", 1)
        try:
            kind = await in_thread(context, self._target.api.find_kind, api_version.removeprefix("core/"), name)
            live = await in_thread(context, self._target.api.get, kind, *_split(id_))
        except NoSuchKindError:
            return None
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        given = without_nulls(inputs.values)
        known = prune(live, given) if given else _importable(live)
        manager = str(state.values.get(MANAGER) or f"{CREATOR}-{secrets.token_hex(4)}")
        version = str(state.values.get(VERSION) or live["apiVersion"])
        outputs = _checkpoint(known, live, version, manager, inputs.secrets)
        return Outcome(id_, outputs, encode(known, inputs.secrets))

    async def update(self, context: Context, state: Properties, inputs: Properties) -> Outcome | None:
        """Apply the inputs; None in a preview that cannot tell what would come of it."""
        manifest: Manifest = without_nulls(inputs.values)
        kind = None if holds_unknown(manifest) else await self._find_kind(context, manifest)
        if context.preview and kind is None:
            return None
        self._target.require_cluster()
        old, _ = _recorded(state.values)
        manager, version = str(state.values[MANAGER]), str(state.values[VERSION])
        if kind is None:
            raise NoSuchKindError(f'no matches for kind "{manifest["kind"]}"')
        place = old["metadata"].get("namespace", ""), old["metadata"]["name"]
        try:
            live = await in_thread(context, self._apply, kind, place, manifest, manager, context.preview)
        except RefusedError as error:
            if context.preview and error.status == 403:
                return None
            raise await self._not_updated(context, kind, place, manifest, state, inputs, error) from None
        return Outcome(_id(live), _checkpoint(manifest, live, version, manager, inputs.secrets))

    async def delete(self, context: Context, id_: str, state: Properties) -> None:
        """Delete an object and wait until it is gone."""
        if not self._target.require_cluster(deleting=True):
            return
        live, _ = _recorded(state.values)
        namespace, name = _split(id_)
        try:
            kind = await in_thread(context, self._target.api.find_kind, live["apiVersion"], live["kind"])
            await in_thread(context, self._target.api.delete, kind, namespace, name)
            await self._wait_until_gone(context, kind, id_, live)
        except NoSuchKindError:
            return
        except RefusedError as error:
            if error.status != 404:
                raise

    async def _find_kind(self, context: Context, manifest: Manifest) -> Kind | None:
        """Give the kind of an object; None where the cluster has none such or cannot be asked."""
        if self._target.unreachable:
            return None
        try:
            return await in_thread(context, self._target.api.find_kind, manifest["apiVersion"], manifest["kind"])
        except NoSuchKindError:
            return None

    async def _create(self, context: Context, kind: Kind, manifest: Manifest) -> Manifest:
        """Create; try again where what it belongs into may be on its way."""
        create, tries = self._target.api.create, 1 if context.preview else _CREATE_TRIES
        for attempt in itertools.count(1):
            try:
                return await in_thread(context, create, kind, manifest, dry_run=context.preview)
            except RefusedError as error:
                if error.status != 404 or attempt == tries:
                    raise
            await pause(context, float(attempt))
        raise AssertionError("unreachable")

    def _apply(self, kind: Kind, place: tuple[str, str], manifest: Manifest, manager: str, preview: bool) -> Manifest:
        api = self._target.api
        live = api.get(kind, *place)
        foreign = [entry for entry in live["metadata"].get("managedFields") or [] if _is_taken_over(entry)]
        if foreign and not preview:
            api.replace_managers(kind, live, _take_over(live["metadata"]["managedFields"], manager))
        asked = (manifest["metadata"].get("annotations") or {}).get(_PATCH_FORCE)
        force = str(asked).lower() == "true" or (preview and bool(foreign))
        try:
            return api.apply(kind, manifest, manager, force=force, dry_run=preview)
        except RefusedError as error:
            if error.status != 409:
                raise
            message = (
                "server-side apply field conflict detected\n"
                f'The resource managed by field manager "{manager}" had an apply conflict: {error}'
            )
            raise RefusedError(409, {"message": message, "reason": error.reason}) from None

    async def _not_updated(
        self,
        context: Context,
        kind: Kind,
        place: tuple[str, str],
        manifest: Manifest,
        state: Properties,
        inputs: Properties,
        error: RefusedError,
    ) -> Exception:
        """Give the failure of an update, with the object as it is, for the engine to record."""
        try:
            live = await in_thread(context, self._target.api.get, kind, *place)
        except CodeCanvasError as unread:
            return CodeCanvasError(
                f'update of resource "{context.urn}" failed: {error}\nunable to get cluster state: {unread}'
            )
        manager, version = str(state.values[MANAGER]), str(state.values[VERSION])
        outputs = _checkpoint(manifest, live, version, manager, inputs.secrets)
        reason = (
            f'the Kubernetes API server reported that "{_id(live)}" failed to fully initialize or become live: {error}'
        )
        return RecordedFailure(_id(live), outputs, reason)

    async def _wait_for_quota(self, context: Context, kind: Kind, live: Manifest) -> Manifest:
        """Wait until the quota counts."""
        deadline = Deadline(_QUOTA_SECONDS)
        place = live["metadata"].get("namespace", ""), live["metadata"]["name"]
        while (live.get("status") or {}).get("hard") != (live.get("spec") or {}).get("hard"):
            if deadline.passed:
                raise CodeCanvasError(f"{_id(live)}: the quota was not in force within {_QUOTA_SECONDS:.0f} s")
            await pause(context, _LOOK_SECONDS[0])
            live = await in_thread(context, self._target.api.get, kind, *place)
        return live

    async def _wait_until_gone(self, context: Context, kind: Kind, id_: str, known: Manifest) -> None:
        deadline = Deadline(context.timeout or _DELETE_SECONDS)
        wait, longest = _LOOK_SECONDS
        while True:
            live = await in_thread(context, self._target.api.get, kind, *_split(id_))
            if live["metadata"]["uid"] != known["metadata"].get("uid", live["metadata"]["uid"]):
                return
            if deadline.passed:
                outputs = encode({**copy.deepcopy(live), INPUTS: {}, VERSION: live["apiVersion"], MANAGER: CREATOR}, ())
                raise RecordedFailure(id_, outputs, f"{known['kind']} {id_}: timed out waiting for its deletion")
            await context.status("waiting for its deletion")
            await pause(context, min(wait, max(deadline.left, _LOOK_SECONDS[0])))
            wait = min(wait * 1.5, longest)


def _name(metadata: Manifest, old: Any, urn: str) -> None:
    """Give an object without a name the one that it had, or a new one."""
    if isinstance(old, dict) and old.get("name"):
        metadata["name"] = old["name"]
    else:
        metadata["name"] = f"{urn.rsplit('::', 1)[1]}-{secrets.token_hex(4)}"
    metadata.setdefault("annotations", {})["pulumi.com/autonamed"] = "true"


def _recorded(state: Mapping[str, Any]) -> tuple[Manifest, Manifest]:
    """Take a recorded state apart: the object as it was, and the inputs that it came from."""
    live = {key: value for key, value in copy.deepcopy(dict(state)).items() if not key.startswith("__")}
    return live, without_nulls(state.get(INPUTS) or {})


def _checkpoint(
    inputs: Manifest, live: Manifest, version: str, manager: str, origin: Collection[Path]
) -> struct_pb2.Struct:
    """Write the state to record: the object, and beside it where it comes from."""
    # Inputs are kept with their own secrets, at the paths where they are as inputs.
    within = [(INPUTS, *path) for path in origin]
    if inputs.get("kind") == "Secret":
        within += [(INPUTS, "data"), (INPUTS, "stringData")]
    state = {**live, INPUTS: inputs, VERSION: version, MANAGER: manager}
    return encode(state, [*origin, *within])


def _importable(live: Manifest) -> Manifest:
    """Leave out of an object what no program would ask for."""
    known = {key: value for key, value in copy.deepcopy(live).items() if key != "status"}
    known["metadata"] = {key: value for key, value in known["metadata"].items() if key not in _CLUSTERS_OWN}
    return known


def _is_to_be_expected(error: RefusedError) -> bool:
    """Tell whether a dry run fails only because it is one: what it needs is not there yet, or still there."""
    missing_home = error.status == 404 and error.kind == "namespaces"
    return missing_home or error.status == 403 or (error.status == 409 and error.reason == "AlreadyExists")


def _is_taken_over(entry: Manifest) -> bool:
    return (entry.get("manager"), entry.get("operation")) in _TAKEN_OVER and not entry.get("subresource")


def _take_over(managers: list[Manifest], manager: str) -> list[Manifest]:
    """Write the list of managers with one for all entries that an update takes over."""
    own = [entry for entry in managers if (entry.get("manager"), entry.get("operation")) == (manager, "Apply")]
    foreign = [entry for entry in managers if _is_taken_over(entry)]
    fields: Manifest = {}
    for entry in [*own, *foreign]:
        _merge(fields, entry.get("fieldsV1") or {})
    taken = {**foreign[0], "manager": manager, "operation": "Apply", "fieldsV1": fields}
    return [taken, *(entry for entry in managers if entry not in own and entry not in foreign)]


def _merge(target: Manifest, more: Manifest) -> None:
    for key, value in copy.deepcopy(more).items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def _id(live: Manifest) -> str:
    metadata = live["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else str(metadata["name"])


def _split(id_: str) -> tuple[str, str]:
    namespace, _, name = id_.rpartition("/")
    return namespace, name
