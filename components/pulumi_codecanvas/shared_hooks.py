"""Resource hooks that all platforms of a program share: registered with the engine once, not once a platform.

Each registration costs a request, a server in the program and a connection of the engine, in every command, also where
nothing changes. So a hook is registered for the first platform and finds by type and name whose it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import pulumi
from pulumi.runtime import settings

MAX_THREADS = 4096
"""Requests to the engine that may be under way at a time; see `make_room`."""

Handler = Callable[[Any], Any]

_Place = tuple[str, str, str]


@dataclass
class _Program:
    """What one program has registered, and who is meant: by name of the hook, type and name of the resource.

    Resources below parents of different types may have one name: then the parent tells them apart.
    """

    hooks: dict[str, Any] = field(default_factory=dict)
    handlers: dict[_Place, list[tuple[pulumi.Resource | None, Handler]]] = field(default_factory=dict)
    started: asyncio.Task[Any] | None = None


alone: ContextVar[bool] = ContextVar("alone", default=False)
"""Whether platforms share nothing: those that a plugin constructs come and go one by one."""

# A plugin's process runs several programs at a time, each with a monitor of its own.
_programs: WeakKeyDictionary[Any, _Program] = WeakKeyDictionary()


_roomy: WeakSet[asyncio.AbstractEventLoop] = WeakSet()


def make_room() -> None:
    """Let hooks ask the engine while any number of resources wait for it.

    The SDK gives a thread to each resource that is registered, for as long as it takes to be made, and has few of
    them: a fleet takes them all. A hook of one of these resources that asks the engine would wait for a thread, and the
    thread for the hook: nothing would ever go on.
    """
    with contextlib.suppress(RuntimeError):  # no loop runs: nothing is registered either
        loop = asyncio.get_running_loop()
        if loop not in _roomy:
            _roomy.add(loop)
            loop.set_default_executor(ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="engine"))


def start_once(question: Callable[[], Coroutine[Any, Any, Any]]) -> asyncio.Task[Any]:
    """Ask the first question of a program; to be awaited before any hook can ask one."""
    program = _program()
    if program.started is None:
        program.started = asyncio.ensure_future(question())
    return program.started


class SharedHook(pulumi.ResourceHook):
    """A resource hook of one platform; `kind` says what it does and is the same for all platforms."""

    def __init__(self, stem: str, kind: str, handler: Handler, opts: pulumi.ResourceHookOptions | None = None) -> None:
        # As the SDK's own stubs do, without the registration in the base class.
        self.callback = handler
        self.opts = opts
        _share(self, stem, kind, lambda dispatch: pulumi.ResourceHook(f"{stem}-{kind}", dispatch, opts))


class SharedErrorHook(pulumi.ErrorHook):
    """As `SharedHook`, for failures."""

    def __init__(self, stem: str, kind: str, handler: Handler) -> None:
        self.callback = handler
        _share(self, stem, kind, lambda dispatch: pulumi.ErrorHook(f"{stem}-{kind}", dispatch))


def bind_hooks(opts: pulumi.ResourceOptions, token: str, name: str) -> None:
    """Have the shared hooks in a resource's options act for it."""
    hooks = opts.hooks
    lists = (hooks.before_create, hooks.before_update, hooks.on_error) if hooks else ()
    for hook in [each for listed in lists for each in listed or []]:
        if isinstance(hook, SharedHook | SharedErrorHook):
            _program().handlers.setdefault((hook.name, token, name), []).append((opts.parent, hook.callback))


_Shared = TypeVar("_Shared", SharedHook, SharedErrorHook)


def _share(hook: _Shared, stem: str, kind: str, register: Callable[[Handler], Any]) -> None:
    program = _program()
    group = f"{stem}-{kind}" if alone.get() else kind

    async def dispatch(args: Any) -> Any:
        known = program.handlers[(program.hooks[group].name, args.type, args.name)]
        answer = (await _choose(known, args.urn))(args)
        return await answer if inspect.isawaitable(answer) else answer

    if group not in program.hooks:
        program.hooks[group] = register(dispatch)
    registered = program.hooks[group]
    hook.name = registered.name
    hook._registered = registered._registered  # noqa: SLF001 - the SDK awaits it, and has no public way


async def _choose(known: list[tuple[pulumi.Resource | None, Handler]], urn: str) -> Handler:
    """Give the handler of the resource that a hook was called for: its URN holds the types of its parents."""
    for parent, handler in known[:-1]:
        above = None if parent is None else await parent.urn.future()
        if above and _types(urn).startswith(f"{_types(above)}$"):
            return handler
    return known[-1][1]


def _types(urn: str) -> str:
    return urn.split("::")[2]


def _program() -> _Program:
    return _programs.setdefault(settings.get_monitor(), _Program())
