from __future__ import annotations

import asyncio
import functools
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pulumi
import pytest

from pulumi_codecanvas.shared_hooks import SharedErrorHook, SharedHook, alone, bind_hooks, make_room

TOKEN = "kubernetes:core/v1:Namespace"


class Monitor:
    """Stands for the connection of one program to the engine."""


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Give the hooks that were registered with the engine."""
    hooks: list[Any] = []

    def register(hook: Any) -> str:
        hooks.append(hook)
        return f"registration of {hook.name}"

    monkeypatch.setattr("pulumi.resource_hooks.register_resource_hook", register)
    monkeypatch.setattr("pulumi.resource_hooks.register_error_hook", register)
    enter(monkeypatch, Monitor())
    return hooks


def enter(monkeypatch: pytest.MonkeyPatch, monitor: Monitor) -> None:
    monkeypatch.setattr("pulumi.runtime.settings.get_monitor", lambda: monitor)


def call(hook: Any, name: str, token: str = TOKEN, parents: str = "") -> Any:
    urn = f"urn:pulumi:prod::codecanvas::{parents}{token}::{name}"
    return asyncio.run(hook.callback(SimpleNamespace(type=token, name=name, urn=urn)))


def declare(stem: str, heard: list[str]) -> SharedHook:
    async def handler(args: Any) -> None:
        heard.append(f"{stem} hears of {args.name}")

    hook = SharedHook(stem, "rights", handler)
    bind_hooks(options(before_create=[hook]), TOKEN, f"{stem}-namespace")
    return hook


def options(parent: Any = None, **hooks: Any) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(parent=parent, hooks=pulumi.ResourceHookBinding(**hooks))


def test_platforms_share_one_registration_and_each_hears_of_its_own_resources(registered: list[Any]) -> None:
    heard: list[str] = []
    hooks = [declare(stem, heard) for stem in ("eu", "eu-west", "us")]
    assert [hook.name for hook in registered] == ["eu-rights"]
    assert {hook.name for hook in hooks} == {"eu-rights"}
    assert {str(hook._registered) for hook in hooks} == {"registration of eu-rights"}
    for name in ("us-namespace", "eu-west-namespace", "eu-namespace"):
        call(registered[0], name)
    assert heard == ["us hears of us-namespace", "eu-west hears of eu-west-namespace", "eu hears of eu-namespace"]


def _note(heard: list[str], kind: str, _args: object) -> None:
    heard.append(kind)


def test_platforms_of_one_name_are_told_apart_by_their_parents(registered: list[Any]) -> None:
    heard: list[str] = []
    for kind in ("Eks", "Gke", "EksRegion"):
        urn = f"urn:pulumi:prod::codecanvas::my:{kind}$codecanvas:index:ComputingPlatform::dev"
        parent = SimpleNamespace(urn=SimpleNamespace(future=lambda urn=urn: asyncio.sleep(0, urn)))
        hook = SharedHook("dev", "rights", functools.partial(_note, heard, kind))
        bind_hooks(options(parent, before_create=[hook]), TOKEN, "dev-namespace")
    assert len(registered) == 1
    for kind in ("Gke", "EksRegion", "Eks"):
        call(registered[0], "dev-namespace", parents=f"my:{kind}$codecanvas:index:ComputingPlatform$")
    assert heard == ["Gke", "EksRegion", "Eks"]


def test_a_resource_that_no_platform_bound_is_refused(registered: list[Any]) -> None:
    declare("eu", [])
    with pytest.raises(KeyError):
        call(registered[0], "eu-namespace", "kubernetes:core/v1:Secret")


def test_error_hooks_are_shared_by_kind_and_give_the_answer(registered: list[Any]) -> None:
    for stem in ("eu", "us"):
        one = SharedErrorHook(stem, "object-exists", lambda args: args.name == "eu-template")
        other = SharedErrorHook(stem, "namespace-exists", lambda _args: False)
        bind_hooks(options(on_error=[one]), TOKEN, f"{stem}-template")
        bind_hooks(options(on_error=[other]), TOKEN, f"{stem}-namespace")
    assert [hook.name for hook in registered] == ["eu-object-exists", "eu-namespace-exists"]
    assert [call(registered[0], f"{stem}-template") for stem in ("eu", "us")] == [True, False]


def test_programs_in_one_process_share_nothing(registered: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    declare("eu", [])
    enter(monkeypatch, Monitor())
    declare("us", [])
    assert [hook.name for hook in registered] == ["eu-rights", "us-rights"]


def test_platforms_that_a_plugin_constructs_share_nothing(registered: list[Any]) -> None:
    token = alone.set(True)
    try:
        heard: list[str] = []
        for stem in ("eu", "us"):
            declare(stem, heard)
    finally:
        alone.reset(token)
    assert [hook.name for hook in registered] == ["eu-rights", "us-rights"]
    call(registered[1], "us-namespace")
    assert heard == ["us hears of us-namespace"]


def test_a_hook_asks_the_engine_while_every_thread_of_the_sdk_waits_for_a_resource() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(2))
        made = threading.Event()
        make_room()
        make_room()
        registrations = [loop.run_in_executor(None, made.wait, 10) for _ in range(100)]
        answer = await asyncio.wait_for(loop.run_in_executor(None, lambda: "the hook's answer"), 5)
        made.set()
        assert all(await asyncio.gather(*registrations))
        return answer

    assert asyncio.run(main()) == "the hook's answer"


def test_no_room_is_made_where_no_loop_runs() -> None:
    make_room()
