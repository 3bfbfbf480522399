"""Finds or makes the tools that a run needs.

Each tool is looked for in a fixed order: what an environment variable names, the cache, the prebuilt tools
beside the checkout, the official release, an own build from pinned Go modules, a stand-in of this project. A
stand-in is never put into the cache's store, so a real tool is taken as soon as there is one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tools.cache import cache_dir, locked
from tools.console import say
from tools.errors import ToolsError
from tools.gobuild import GoBuildSource
from tools.pins import TOOLS, Platform, Tool
from tools.prebuilt import PrebuiltSource
from tools.releases import ReleaseSource
from tools.sources import UnavailableError, consider
from tools.standin.launchers import launcher_path, write_launcher
from tools.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tools.sources import Source
    from tools.store import Stored

CHECKOUT = Path(__file__).parents[1]
STAND_INS_VARIABLE = "CODECANVAS_STAND_INS"
_ALWAYS = tuple(tool.name for tool in TOOLS.values() if not tool.on_demand)
PULUMI_TOOLS = tuple(tool.name for tool in TOOLS.values() if tool.on_path)
_THREADS = 2

_announced: set[tuple[str, str]] = set()
_announcing = threading.Lock()


def ensure(*names: str, quiet: bool = False, stand_ins: bool | None = None) -> dict[str, Path]:
    """Find or make the named tools and give each one's absolute path.

    Where none is named these are all that a run of the project needs.
    Says one line a tool, once in a process; `quiet` leaves out the lines about what was there already.
    Optional tools that cannot be had are missing from the answer.
    Raises ToolsError, once for all other tools that cannot be had.

    Args:
        names: the tools.
        quiet: see above.
        stand_ins: take stand-ins where there are any (True), or only where nothing else can be had (False); by
            default as `CODECANVAS_STAND_INS` says.
    """
    return Toolchain.default(stand_ins).ensure(names or _ALWAYS, quiet=quiet)


def bin_dir(stand_ins: bool | None = None) -> Path:
    """Give the folder to put first on PATH: in it `ensure` puts pulumi, its language hosts and their scripts.

    Which folder it is depends on the pinned versions, on overrides and on stand-ins: checkouts that differ in
    these share a cache and never see each other's tools.
    """
    return Toolchain.default(stand_ins).bin_dir()


def stands_in(name: str, stand_ins: bool | None = None) -> bool:
    """Tell whether a tool's stand-in is what serves here; to be asked after `ensure` and with its arguments."""
    return Toolchain.default(stand_ins).stands_in(_tool_named(name))


@dataclass(frozen=True)
class Toolchain:
    """A cache, the places that tools come from, and the environment that may override them.

    Attributes:
        ready_sources: those that have executables, best first.
        build_sources: those that make them, taken one tool after the other.
        stop: makes the ready sources give up soon, for a Ctrl-C.
        stand_ins: take stand-ins even where real tools can be had.
    """

    cache: Path
    platform: Platform
    environment: Mapping[str, str]
    ready_sources: Sequence[Source]
    build_sources: Sequence[Source]
    stop: Callable[[], None] = lambda: None
    stand_ins: bool = False

    @staticmethod
    def default(stand_ins: bool | None = None) -> Toolchain:
        """Give the tool chain of this checkout on this machine; `stand_ins` as for `ensure`."""
        platform, cache = Platform.current(), cache_dir()
        releases = ReleaseSource(cache, platform, os.environ)
        return Toolchain(
            cache=cache,
            platform=platform,
            environment=os.environ,
            ready_sources=[PrebuiltSource(CHECKOUT.parent / "shared" / "toolchain", platform), releases],
            build_sources=[GoBuildSource(CHECKOUT / "tools" / "go", cache, os.environ)],
            stop=releases.stop,
            stand_ins=bool(os.environ.get(STAND_INS_VARIABLE)) if stand_ins is None else stand_ins,
        )

    @property
    def store(self) -> Store:
        """The tools in the cache."""
        return Store(self.cache, self.platform)

    def override(self, tool: Tool) -> Path | None:
        """Give the executable that the environment names for the tool. Raises ToolsError if it is none."""
        value = self.environment.get(tool.variable)
        if not value:
            return None
        path = Path(value).expanduser().absolute()
        if not path.is_file() or not os.access(path, os.X_OK):
            raise ToolsError(f"{tool.variable} names {path}, which is not an executable file; correct or unset it")
        return path

    def stands_in(self, tool: Tool) -> bool:
        """Tell whether the tool's stand-in is what serves here; to be asked after `ensure`."""
        if not tool.stand_in or self.override(tool) is not None:
            return False
        return self.stand_ins or self.store.find(tool) is None

    def describe(self, tool: Tool) -> str:
        """Say in a phrase what serves as the tool here, as far as it is known without getting anything."""
        override, stored = self.override(tool), self.store.find(tool)
        if override is not None:
            return f"{override}, named by {tool.variable}"
        if tool.stand_in and self.stand_ins:
            return f"STAND-IN {tool.stand_in}, asked for by {STAND_INS_VARIABLE}"
        if stored is not None:
            return stored.origin
        return "not here yet" + (f"; the STAND-IN {tool.stand_in} if it cannot be had" if tool.stand_in else "")

    def bin_dir(self) -> Path:
        """See the function of this name."""
        tools = [TOOLS[name] for name in PULUMI_TOOLS]
        key = [(tool.name, tool.version, self.environment.get(tool.variable, "")) for tool in tools]
        key += [(tool.name, str(launcher_path(tool, self.cache)), "stand-in") for tool in tools if self.stands_in(tool)]
        digest = hashlib.sha256(repr((str(self.platform), key)).encode()).hexdigest()
        path = self.cache / "bin" / digest[:12]
        path.mkdir(parents=True, exist_ok=True)
        return path

    def ensure(self, names: Iterable[str], *, quiet: bool = False) -> dict[str, Path]:
        """See the function of this name."""
        tools = [_tool_named(name) for name in dict.fromkeys(names)]
        overrides = {tool.name: path for tool in tools if (path := self.override(tool)) is not None}
        wanted = [tool for tool in tools if tool.name not in overrides and not (self.stand_ins and tool.stand_in)]
        stored, tried = self._obtain_all(wanted, quiet=quiet)

        paths = {}
        for tool in tools:
            if tool.name in overrides:
                _announce(tool, f"{tool.name}: {overrides[tool.name]} ({tool.variable})", quiet=quiet)
                files = _with_scripts(overrides[tool.name], tool)
            elif tool.name in stored:
                files = {name: stored[tool.name].directory / name for name in stored[tool.name].files}
            elif tool.stand_in:
                why = "; ".join(tried.get(tool.name, ["the real one was not asked for"]))
                _announce(tool, f"{tool.name} {tool.version}: STAND-IN {tool.stand_in} ({why})", quiet=quiet)
                files = {tool.name: write_launcher(tool, self.cache)}
            else:
                why = "; ".join(tried[tool.name])
                _announce(tool, f"{tool.name} {tool.version}: NOT HERE, what needs it is left out ({why})", quiet=quiet)
                continue
            paths[tool.name] = self._link(files)[tool.name] if tool.on_path else files[tool.name]
        return paths

    def _obtain_all(self, tools: Sequence[Tool], *, quiet: bool) -> tuple[dict[str, Stored], dict[str, list[str]]]:
        """Give what could be had, and why each place did not give what was not in the cache."""
        found = {tool.name: stored for tool in tools if (stored := self.store.find(tool)) is not None}
        for tool in tools:
            if tool.name in found:
                _announce(tool, f"{tool.name} {tool.version}: in the cache, {found[tool.name].origin}", quiet=quiet)
        tried = {tool.name: list[str]() for tool in tools if tool.name not in found}
        found |= self._obtain_ready(tried)
        found |= self._build({name: attempts for name, attempts in tried.items() if name not in found})
        return found, tried

    def _obtain_ready(self, tried: Mapping[str, list[str]]) -> dict[str, Stored]:
        """Get what can be had ready-made, several at once, the largest first."""
        tools = sorted((TOOLS[name] for name in tried), key=lambda tool: -tool.mebibytes)
        with ThreadPoolExecutor(_THREADS) as pool:
            try:
                results = list(pool.map(lambda tool: self._obtain(tool, self.ready_sources, tried[tool.name]), tools))
            except BaseException:
                self.stop()
                pool.shutdown(cancel_futures=True)
                raise
        return {tool.name: stored for tool, stored in zip(tools, results, strict=True) if stored is not None}

    def _build(self, tried: Mapping[str, list[str]]) -> dict[str, Stored]:
        """Build the rest, one after the other: each build uses every core already."""
        # A tool that cannot be built is found out before the minutes that the others take.
        refusals = {name: self._refusals(TOOLS[name]) for name in tried}
        for name, reasons in refusals.items():
            tried[name].extend(reasons)
        refused = [name for name, reasons in refusals.items() if len(reasons) == len(self.build_sources)]
        lost = [name for name in refused if _is_needed(TOOLS[name])]
        built: dict[str, Stored] = {}
        for name in tried if not lost else ():
            if name in refused:
                continue
            stored = self._obtain(TOOLS[name], self.build_sources, tried[name])
            if stored is not None:
                built[name] = stored
            elif _is_needed(TOOLS[name]):
                lost.append(name)
        if lost:
            raise ToolsError("\n".join(_describe_lost(TOOLS[name], tried[name]) for name in lost))
        return built

    def _refusals(self, tool: Tool) -> list[str]:
        """Say why sources would not build the tool; nothing where they would."""
        plans = (consider(source, tool) for source in self.build_sources)
        return [plan for plan in plans if isinstance(plan, str)]

    def _obtain(self, tool: Tool, sources: Iterable[Source], tried: list[str]) -> Stored | None:
        """Take the tool from the first source that has it; note in `tried` why others had not."""
        directory = self.store.directory(tool)
        with locked(directory, waiting=lambda: say(f"{tool.name}: waiting for another run that prepares it")):
            stored = self.store.find(tool)
            if stored is not None:
                _announce(tool, f"{tool.name} {tool.version}: in the cache, {stored.origin}")
                return stored
            if not tried and self.store.is_present(tool):
                say(f"{tool.name} {tool.version}: damaged in the cache, made again")
            for source in sources:
                started = time.monotonic()
                try:
                    stored = self.store.install(tool, partial(source.fill, tool))
                except UnavailableError as error:
                    tried.append(f"{source.label}: {error}")
                    continue
                except OSError as error:
                    raise ToolsError(f"{tool.name} {tool.version} cannot be put into the cache: {error}") from error
                _announce(tool, f"{tool.name} {tool.version}: {stored.origin} ({time.monotonic() - started:.1f} s)")
                return stored
        return None

    def _link(self, files: Mapping[str, Path]) -> dict[str, Path]:
        """Put files into the PATH folder.

        As hard links or copies: the engine follows a symbolic link of its own executable and then warns about
        the language hosts that it finds on PATH instead of beside the link's target.
        """
        directory = self.bin_dir()
        with locked(directory):
            return {name: _link_file(path, directory / name) for name, path in files.items()}


def _is_needed(tool: Tool) -> bool:
    """Tell whether a run cannot go on without the tool itself."""
    return not (tool.stand_in or tool.optional)


def _tool_named(name: str) -> Tool:
    try:
        return TOOLS[name]
    except KeyError:
        raise ToolsError(f"no tool is named {name!r}; there are {', '.join(TOOLS)}") from None


def _announce(tool: Tool, line: str, *, quiet: bool = False) -> None:
    with _announcing:
        if quiet or (tool.name, tool.version) in _announced:
            return
        _announced.add((tool.name, tool.version))
    say(line)


def _with_scripts(executable: Path, tool: Tool) -> dict[str, Path]:
    """Give an override's files under the tool's names: the executable and the scripts that lie beside it."""
    scripts = {script: executable.with_name(script) for script in tool.scripts}
    return {tool.name: executable, **{name: path for name, path in scripts.items() if path.is_file()}}


def _link_file(source: Path, target: Path) -> Path:
    if target.exists() and _same(source, target):
        return target
    fresh = target.with_name(f".{target.name}.part")
    fresh.unlink(missing_ok=True)
    try:
        fresh.hardlink_to(source)
    except OSError:
        shutil.copy2(source, fresh)
    fresh.replace(target)
    return target


def _same(source: Path, target: Path) -> bool:
    one, other = source.stat(), target.stat()
    if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino):
        return True
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def describe_failure(tool: Tool, tried: Iterable[str]) -> str:
    """Say, in indented lines, what was tried to get a tool and what to do now."""
    attempts = [f"{tool.variable}: not set", "cache: not there", *tried]
    remedy = (
        f"To get it: `make tools` where the internet is open fills the cache, which can be copied; "
        f"or set {tool.variable} to the path of an installed {tool.name} {tool.version}."
    )
    return "\n".join(f"    {line}" for line in [*attempts, remedy])


def _describe_lost(tool: Tool, tried: Iterable[str]) -> str:
    return f"{tool.name} {tool.version} cannot be had:\n{describe_failure(tool, tried)}"
