"""Resource hooks: what a failed child means in the words of the platform's arguments, and what mends it by itself.

The kubernetes plugin only says that a release timed out, and by then an atomic release is rolled back; so the
plugin of this package watches it meanwhile and tells afterwards which workload was not ready and why. What a killed
run left in the way, it proves to be ours and clears.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakSet

import pulumi
from pulumi.runtime.mocks import MockMonitor

from pulumi_codecanvas.connection import values_fingerprint
from pulumi_codecanvas.errors import CodeCanvasError
from pulumi_codecanvas.shared_hooks import SharedErrorHook, SharedHook, alone, make_room, start_once
from pulumi_codecanvas.tokens import (
    CLEAR_LEFTOVER,
    EXPLAIN_RELEASE,
    FIND_MISSING_RIGHTS,
    RECOVER_RELEASE,
    WATCH_RELEASE,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CLEARINGS = 3
"""How often a create is tried again; somebody who makes the object over and over is not to be fought."""

_ADVICE = {
    "cannot re-use a name that is still in use": (
        "namespace {namespace} has a Helm release {name} already, and it is not this platform's; choose another"
        " `releaseName` or `operatorNamespace` (with a snippet: in its text), or remove it: helm uninstall {name}"
        " --namespace {namespace}"
    ),
    "another operation (install/upgrade/rollback) is in progress": (
        "a Helm operation on release {name} runs, or was cut off, and is not known to be this stack's; wait for it or,"
        " where none runs, end it: helm rollback {name} --namespace {namespace} --wait (a release that was never"
        " installed whole: helm uninstall {name} --namespace {namespace}); then run `pulumi up` again"
    ),
    "has no deployed releases": (
        "the Helm release {name} was removed past this stack; run `pulumi up --refresh`, which installs it again"
    ),
}
"""Helm's refusals, each with what it means; `name` and `namespace` are the release's."""

_Hook = TypeVar("_Hook", pulumi.ResourceHook, pulumi.ErrorHook)
_registrations: WeakSet[asyncio.Future[None]] = WeakSet()


async def settle_hooks() -> None:
    """Wait until every hook so far is registered.

    To be awaited before an error is raised inside an Output: where a program fails while hooks are being registered,
    Pulumi's SDK stops a gRPC server that has not started, and the process dies without a word.
    """
    loop = asyncio.get_running_loop()
    pending = [registration for registration in _registrations if registration.get_loop() is loop]
    await asyncio.gather(*pending, return_exceptions=True)


def _fingerprint_of(values: Any) -> pulumi.Output[str]:
    return pulumi.Output.unsecret(pulumi.Output.from_input(values).apply(values_fingerprint))


def _missing_namespace(errors: Sequence[str]) -> str:
    """Give the namespace that an object was to be made in and that is not there; empty where that is not the error."""
    found = re.search(r'namespaces "([^"]+)" not found', "".join(errors))
    return found.group(1) if found else ""


def _is_mocked() -> bool:
    """Say whether Pulumi's mocks stand in for the engine, as in tests of programs: they take no hooks."""
    return isinstance(pulumi.runtime.settings.get_monitor(), MockMonitor)


def _noted(hook: _Hook) -> _Hook:
    _registrations.add(hook._registered)  # noqa: SLF001 - no public way
    return hook


class MissingRightsError(CodeCanvasError):
    """The user that the kubeconfig names may not do what the platform needs."""


class WrongContextError(CodeCanvasError):
    """The kubeconfig has no such context."""


@dataclass(frozen=True)
class Hooks:
    """Makes the hooks of one platform.

    Attributes:
        stem: the platform's name, the stem of the hooks' names.
        access: `kubeconfig` and `context`, inputs of every function of the plugin.
        owner: the stack, as `organization/project/stack`.
        options: the provider to ask.

    """

    stem: str
    access: Mapping[str, Any]
    owner: str
    options: pulumi.InvokeOptions

    def __post_init__(self) -> None:
        make_room()

    def first_answer(self) -> list[asyncio.Task[Any]]:
        """Have the engine start the plugin, if that is still to be done; to be awaited before the first object.

        The engine starts it as it makes a resource. Where all that it may make at a time are objects whose hooks wait
        for an answer of the plugin, nothing would ever go on.
        """
        if _is_mocked() or alone.get() or self.options.provider is not None:
            return []
        nothing = {"namespace": self.stem, "operatorNamespace": self.stem, "features": []}
        return [start_once(lambda: self._ask(FIND_MISSING_RIGHTS, nothing))]

    def for_object(self, name: str = "object", remedy: str = "") -> pulumi.ResourceHookBinding:
        """Make way where an interrupted run of this stack has left the object; else say what to do.

        Args:
            name: of the hook, unique in the platform.
            remedy: what to do about an object that bears no stack's mark.

        """
        if _is_mocked():
            return pulumi.ResourceHookBinding()

        async def reclaim(args: pulumi.ErrorHookArgs) -> bool:
            errors = args.errors or []
            home = _missing_namespace(errors[:1])
            if home and not pulumi.runtime.is_dry_run():
                text = f"namespace {home} does not exist: create it, or let the platform do so"
                pulumi.log.error(f"{text} (`createNamespace: true`)")
                return False
            if pulumi.runtime.is_dry_run() or not any("already exists" in error for error in errors[:1]):
                return False
            metadata = (args.new_inputs or {}).get("metadata") or {}
            kind = args.type.rpartition(":")[2]
            thing = {"kind": kind, "name": metadata.get("name"), "namespace": metadata.get("namespace")}
            found = await self._ask(CLEAR_LEFTOVER, {**thing, "owner": self.owner, "platformName": self.stem})
            what = f"the {kind} {thing['name']}"
            if found.get("cleared") and len(errors) <= _CLEARINGS:
                pulumi.log.warn(f"{what} was left by an interrupted run of this stack; it is made anew")
                return True
            text = f"{what} exists already {found.get('reason', '')}"
            pulumi.log.error(f"{text}; {remedy}" if remedy and found.get("adoptable") else text)
            return False

        return pulumi.ResourceHookBinding(on_error=[_noted(SharedErrorHook(self.stem, f"{name}-exists", reclaim))])

    def for_first(self, needs: Mapping[str, Any]) -> pulumi.ResourceHookBinding:
        """List the rights that are missing before an object is made, already in a preview; asked once a platform.

        Args:
            needs: `namespace`, `operatorNamespace` and `features`, inputs of the plugin's function.

        """
        if _is_mocked():
            return pulumi.ResourceHookBinding()
        asked: list[asyncio.Task[dict[str, Any]]] = []

        async def refuse(_args: pulumi.ResourceHookArgs) -> None:
            if not asked:
                asked.append(asyncio.ensure_future(self._ask(FIND_MISSING_RIGHTS, needs)))
            answer = await asked[0]
            if answer.get("fault"):
                raise WrongContextError(f"nothing was written to the cluster: {self.stem}.context: {answer['fault']}")
            missing = answer.get("missing") or []
            if missing:
                listed = "".join(f"\n  - {right}" for right in missing)
                raise MissingRightsError(
                    f"nothing was written to the cluster, because these rights are missing:{listed}\n"
                    "grant them to the user that the kubeconfig names (`codecanvas permissions` prints them as roles),"
                    " then run `pulumi up`"
                )

        hook = _noted(SharedHook(self.stem, "rights", refuse, pulumi.ResourceHookOptions(on_dry_run=True)))
        return pulumi.ResourceHookBinding(before_create=[hook])

    def for_release(self, release: Mapping[str, Any], values: Any) -> pulumi.ResourceHookBinding:
        """Recover what a killed run left, watch the release, and tell what was not ready when it failed.

        Args:
            release: `namespace`, `releaseName` and `timeout`, inputs of the plugin's functions.
            values: its values, by whose fingerprint the plugin knows the stack's own.

        """
        if _is_mocked():
            return pulumi.ResourceHookBinding()

        fingerprint = _fingerprint_of(values)

        async def recover(args: pulumi.ResourceHookArgs, *, creating: bool) -> None:
            # The run that was cut off may have had the old time-out, or already the new one.
            known = [inputs.get("timeout") for inputs in (args.old_inputs, args.new_inputs) if inputs]
            timeout = max((int(seconds) for seconds in known if seconds), default=release["timeout"])
            # What a failed update puts back has the values of before.
            former = (args.old_inputs or {}).get("values")
            before = None if former is None else _fingerprint_of(former)
            facts = {"fingerprint": fingerprint, "formerFingerprint": before, "owner": self.owner, "creating": creating}
            arguments = {**release, **facts, "timeout": timeout}
            found = await self._ask(RECOVER_RELEASE, arguments)
            if found.get("done"):
                pulumi.log.warn(str(found["done"]))

        async def take_over(args: pulumi.ResourceHookArgs) -> None:
            await recover(args, creating=True)

        async def unblock(args: pulumi.ResourceHookArgs) -> None:
            await recover(args, creating=False)

        async def watch(_args: pulumi.ResourceHookArgs) -> None:
            await self._ask(WATCH_RELEASE, release)

        async def explain(args: pulumi.ErrorHookArgs) -> bool:
            found = await self._ask(EXPLAIN_RELEASE, release)
            inputs = args.new_inputs or args.old_inputs or {}
            place = {"name": inputs.get("name"), "namespace": inputs.get("namespace")}
            advice = [text.format(**place) for sign, text in _ADVICE.items() if sign in "".join(args.errors or [])]
            for reason in advice or found.get("reasons") or []:
                # Several platforms may fail at a time, and the engine shows this beneath none of them.
                pulumi.log.error(f"platform {self.stem} (namespace {place['namespace']}): {reason}")
            return False

        quiet = pulumi.ResourceHookOptions(ignore_errors=True)
        before = _noted(SharedHook(self.stem, "release-watch", watch, quiet))
        return pulumi.ResourceHookBinding(
            before_create=[_noted(SharedHook(self.stem, "release-take-over", take_over, quiet)), before],
            before_update=[_noted(SharedHook(self.stem, "release-unblock", unblock, quiet)), before],
            on_error=[_noted(SharedErrorHook(self.stem, "release-explain", explain))],
        )

    async def _ask(self, function: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found = await pulumi.runtime.invoke_async(function, {**self.access, **arguments}, self.options)
        return dict(found or {})
