"""`helm.sh/v3:Release`: Helm releases, as the kubernetes plugin has them."""

from __future__ import annotations

import copy
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from codecanvas_provider.failures import RecordedFailure
from codecanvas_provider.resource import UNKNOWN, holds_unknown
from codecanvas_provider.waiting import in_thread
from pulumi_codecanvas.errors import CodeCanvasError
from tools.standin.kubernetes.diffs import compare
from tools.standin.kubernetes.helm import Chart, Helm, HelmError
from tools.standin.kubernetes.objects import INPUTS, Outcome
from tools.standin.kubernetes.values import encode, without_nulls

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Collection, Iterator

    from google.protobuf import struct_pb2  # type: ignore[import-untyped] # protobuf ships no types
    from pulumi.runtime.proto import provider_pb2 as proto

    from codecanvas_provider.resource import Context
    from codecanvas_provider.wire import Path as PropertyPath
    from codecanvas_provider.wire import Properties
    from tools.standin.kubernetes.target import Target

TOKEN = "kubernetes:helm.sh/v3:Release"  # noqa: S105 - a type's token

_TIMEOUT = 300
_NAME_TAKEN = "cannot re-use a name that is still in use"
_SWITCHES = (
    *("allowNullValues", "atomic", "cleanupOnFail", "createNamespace", "dependencyUpdate", "devel"),
    *("disableCRDHooks", "disableOpenapiValidation", "disableWebhooks", "forceUpdate", "lint", "recreatePods"),
    *("renderSubchartNotes", "replace", "resetValues", "reuseValues", "skipAwait", "skipCrds", "verify"),
    "waitForJobs",
)
_TEXTS = ("chart", "description", "keyring", "name", "namespace", "postrender", "version")
_REPOSITORY = ("caFile", "certFile", "keyFile", "password", "repo", "username")
_OUTPUTS = frozenset({"status", "resourceNames"})
_NOT_SERVED = ("lint", "postrender", "valueYamlFiles")

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Releases:
    """The Helm releases of one provider."""

    target: Target
    cancelled: asyncio.Event

    @property
    def _helm(self) -> Helm:
        return Helm(self.target.api, self.cancelled)

    async def check(self, urn: str, old: Properties, new: Properties) -> tuple[Inputs, str]:
        """Complete the inputs, down to the chart's exact version; beside them what is wrong with the chart."""
        given = without_nulls(new.values)
        unserved = [key for key in _NOT_SERVED if given.get(key)]
        if unserved:
            raise CodeCanvasError(f"the stand-in for the kubernetes plugin does not serve {', '.join(unserved)}")
        inputs = _with_defaults(given, str(old.values.get("name") or ""), urn, self.target.namespace)
        if holds_unknown(inputs):
            return inputs, ""
        try:
            inputs["version"] = await self._helm.chart_version(_chart(inputs))
        except HelmError as error:
            return inputs, f"{error}; check the chart name and repository configuration."
        return inputs, ""

    def diff(self, old: Properties, new: Properties) -> dict[str, proto.PropertyDiff]:
        """Give the differences."""
        inputs = old.values.get(INPUTS) or {}
        return compare(inputs, old.values, new.values, ("name", "namespace"))

    async def create(self, context: Context, inputs: Properties) -> Outcome:
        """Install the release; where it failed and is still there, it is recorded as it is."""
        wanted = inputs.values
        if context.preview:
            return Outcome("", _preview(inputs))
        self.target.require_cluster()
        id_ = f"{wanted['namespace']}/{wanted['name']}"
        try:
            await self._helm.install(
                wanted["name"], wanted["namespace"], _chart(wanted), _install(wanted), wanted["values"]
            )
        except HelmError as error:
            # The release of that name is another one.
            release = None if _NAME_TAKEN in str(error) else await self._read(context, wanted)
            if release is None:
                raise
            await context.log(
                f'Helm release "{wanted["name"]}" was created but has a failed status. Use the `helm` command to '
                f"investigate the error, correct it, then retry. Reason: {error}",
                "warning",
            )
            reason = f'Helm release "{id_}" was created, but failed to initialize completely. {_failure(id_, error)}'
            raise RecordedFailure(id_, _checkpoint(inputs, wanted, release), reason) from None
        return Outcome(id_, _checkpoint(inputs, wanted, await self._read(context, wanted)))

    async def read(self, context: Context, id_: str, inputs: Properties, state: Properties) -> Outcome | None:
        """Read the release; None where it is gone. Without a state it is an import."""
        if not self.target.require_cluster(reading=True):
            return None
        namespace, _, name = id_.rpartition("/")
        known = {key: value for key, value in state.values.items() if key not in {INPUTS, *_OUTPUTS}}
        place = {"name": known.get("name", name), "namespace": known.get("namespace", namespace or "default")}
        release = await self._read(context, place)
        if release is None:
            return None
        wanted = state.values.get(INPUTS) or _import(place, release, self.target.namespace)
        outputs = _checkpoint_of(wanted, known or wanted, release, inputs.secrets)
        return Outcome(id_, outputs, encode(wanted, inputs.secrets))

    async def update(self, context: Context, id_: str, state: Properties, inputs: Properties) -> struct_pb2.Struct:
        """Upgrade the release; where that failed, it is recorded as it then is."""
        wanted = inputs.values
        if context.preview:
            return _preview(inputs)
        self.target.require_cluster()
        old = {"name": state.values["name"], "namespace": state.values["namespace"]}
        before = await self._read(context, old)
        try:
            await self._helm.upgrade(old["name"], old["namespace"], _chart(wanted), _upgrade(wanted), wanted["values"])
        except HelmError as error:
            after = await self._read(context, old)
            if before is None or after is None or after["version"] == before["version"]:
                raise
            failed = await self._read(context, old, before["version"] + 1) or after
            failure = _failure(id_, error, "error running update: ")
            reason = f'Helm release "{id_}" failed to initialize completely. {failure}'
            raise RecordedFailure(id_, _checkpoint(inputs, wanted, failed), reason) from None
        return _checkpoint(inputs, wanted, await self._read(context, old))

    async def delete(self, state: Properties) -> None:
        """Uninstall the release and wait until what it made is gone."""
        self.target.require_cluster(deleting=True)
        known = state.values
        waits = known.get("atomic") or not known.get("skipAwait")
        flags = ["--wait", "--timeout", f"{known.get('timeout') or _TIMEOUT}s"] if waits else []
        await self._helm.uninstall(known["name"], known["namespace"], flags)

    async def _read(self, context: Context, place: Inputs, revision: int | None = None) -> dict[str, Any] | None:
        return await in_thread(context, self._helm.read, place["name"], place["namespace"], revision)


def _with_defaults(given: Inputs, old_name: str, urn: str, namespace: str) -> Inputs:
    """Complete inputs as the plugin does: what is not given is there with its empty value."""
    inputs: Inputs = dict.fromkeys(_SWITCHES, False) | dict.fromkeys(_TEXTS, "")
    inputs |= {key: value for key, value in given.items() if key not in _OUTPUTS}
    inputs["name"] = inputs["name"] or old_name or f"{urn.rsplit('::', 1)[1]}-{secrets.token_hex(4)}"
    inputs["namespace"] = inputs["namespace"] or namespace
    if "timeout" not in inputs:
        inputs["timeout"] = 0 if inputs["skipAwait"] is True else _TIMEOUT
    if inputs["verify"] is True and not inputs["keyring"]:
        inputs["keyring"] = str(Path("~/.gnupg/pubring.gpg").expanduser())
    if "repositoryOpts" in inputs and inputs["repositoryOpts"] is not UNKNOWN:
        inputs["repositoryOpts"] = dict.fromkeys(_REPOSITORY, "") | inputs["repositoryOpts"]
    inputs.setdefault("values", {})
    return inputs


def _chart(inputs: Inputs) -> Chart:
    return Chart(
        inputs["chart"],
        inputs["version"],
        inputs.get("repositoryOpts") or {},
        inputs["devel"],
        inputs["verify"],
        inputs["keyring"],
    )


def _common(inputs: Inputs) -> Iterator[str]:
    """Give the flags that install and upgrade share."""
    yield from ("--timeout", f"{inputs['timeout'] or _TIMEOUT}s")
    if inputs["description"]:
        yield from ("--description", inputs["description"])
    if not inputs["skipAwait"]:
        yield "--wait"
        if inputs["waitForJobs"]:
            yield "--wait-for-jobs"
    for key, flag in (
        ("atomic", "--atomic"),
        ("renderSubchartNotes", "--render-subchart-notes"),
        ("dependencyUpdate", "--dependency-update"),
        ("disableOpenapiValidation", "--disable-openapi-validation"),
        ("skipCrds", "--skip-crds"),
    ):
        if inputs[key]:
            yield flag


def _install(inputs: Inputs) -> list[str]:
    own = (("disableWebhooks", "--no-hooks"), ("replace", "--replace"), ("createNamespace", "--create-namespace"))
    return [*_common(inputs), *(flag for key, flag in own if inputs[key])]


def _upgrade(inputs: Inputs) -> list[str]:
    own = (
        ("disableCRDHooks", "--no-hooks"),
        ("forceUpdate", "--force"),
        ("resetValues", "--reset-values"),
        ("reuseValues", "--reuse-values"),
        ("cleanupOnFail", "--cleanup-on-fail"),
    )
    history = ["--history-max", str(inputs.get("maxHistory") or 0)]
    return [*_common(inputs), *history, *(flag for key, flag in own if inputs[key])]


def _failure(id_: str, error: HelmError, doing: str = "") -> str:
    return (
        f"Use Helm CLI to investigate: {doing}failed to become available within allocated timeout. "
        f"Error: Helm Release {id_}: {error}"
    )


def _preview(inputs: Properties) -> struct_pb2.Struct:
    return _encode({**inputs.values, **dict.fromkeys(_OUTPUTS, UNKNOWN)}, inputs.values, inputs.secrets)


def _checkpoint(inputs: Properties, wanted: Inputs, release: dict[str, Any] | None) -> struct_pb2.Struct:
    if release is None:
        raise CodeCanvasError(f"Helm has no release {wanted['namespace']}/{wanted['name']} after it made it")
    return _checkpoint_of(inputs.values, wanted, release, inputs.secrets)


def _checkpoint_of(
    inputs: Inputs, wanted: Inputs, release: dict[str, Any], origin: Collection[PropertyPath]
) -> struct_pb2.Struct:
    """Write the state to record: what was asked for, with what Helm says of it."""
    metadata = release["chart"]["metadata"]
    outputs = {
        **wanted,
        "values": _merged(wanted.get("values") or {}, release.get("config") or {}),
        "version": metadata["version"],
        "resourceNames": _resource_names(release["manifest"]),
        "status": {
            "appVersion": metadata.get("appVersion", ""),
            "chart": metadata["name"],
            "name": release["name"],
            "namespace": release["namespace"],
            "revision": release["version"],
            "status": release["info"]["status"],
            "version": metadata["version"],
        },
    }
    return _encode(outputs, inputs, origin)


def _encode(outputs: Inputs, inputs: Inputs, origin: Collection[PropertyPath]) -> struct_pb2.Struct:
    return encode({**outputs, INPUTS: inputs}, [*origin, (INPUTS,)])


def _import(place: Inputs, release: dict[str, Any], namespace: str) -> Inputs:
    """Make up inputs for a release that nobody declared."""
    metadata = release["chart"]["metadata"]
    given = {**place, "chart": metadata["name"], "version": metadata["version"], "values": release.get("config") or {}}
    return _with_defaults(given, "", "", namespace)


def _merged(base: Any, over: Any) -> Any:
    if isinstance(base, dict) and isinstance(over, dict):
        return {key: _merged(base.get(key), over.get(key, base.get(key))) for key in {**base, **over}}
    return copy.deepcopy(over)


def _resource_names(manifest: str) -> dict[str, list[str]]:
    """Group the names of what a release made by kind, as the plugin writes them."""
    names: dict[str, set[str]] = {}
    for thing in yaml.safe_load_all(manifest):
        if not isinstance(thing, dict) or not thing.get("kind"):
            continue
        group, _, _ = thing["apiVersion"].rpartition("/")
        kind = f"{thing['kind']}.{group}" if group else thing["kind"]
        metadata = thing["metadata"]
        name = f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]
        names.setdefault(f"{kind}/{thing['apiVersion']}", set()).add(name)
    return {kind: sorted(found) for kind, found in sorted(names.items())}
