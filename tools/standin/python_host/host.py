# ruff: noqa: N802, ARG002, D102 - methods and their parameters are the protocol's, which also says what they do
"""The language host's service: it starts programs and plugins with the interpreter of their virtualenv."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import empty_pb2, json_format  # type: ignore[import-untyped] # protobuf ships no types
from pulumi.runtime.proto import language_pb2 as proto
from pulumi.runtime.proto import language_pb2_grpc, plugin_pb2

from tools.pins import PULUMI_VERSION

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

SHOWN = 32
"""Exit code of a program that has told the user already what went wrong."""

_PROGRAM = Path(__file__).with_name("run_program.py")
_CHUNK = 1 << 16
_STOP_SECONDS = 5.0


class PythonHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Runs one program, and any number of plugins, for one engine.

    Attributes:
        end: set when the engine is gone.
    """

    def __init__(self, engine: str) -> None:
        self.end = asyncio.Event()
        self._engine = engine
        self._running: set[asyncio.subprocess.Process] = set()

    async def Handshake(self, request: proto.LanguageHandshakeRequest, context: Any) -> proto.LanguageHandshakeResponse:
        self._engine = self._engine or request.engine_address
        return proto.LanguageHandshakeResponse()

    async def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=PULUMI_VERSION)

    async def GetRequiredPackages(self, request: Any, context: Any) -> proto.GetRequiredPackagesResponse:
        """Name none: the engine learns from each resource which plugin it needs."""
        return proto.GetRequiredPackagesResponse()

    async def GetRequiredPlugins(self, request: Any, context: Any) -> proto.GetRequiredPluginsResponse:
        return proto.GetRequiredPluginsResponse()

    async def RuntimeOptionsPrompts(self, request: Any, context: Any) -> proto.RuntimeOptionsResponse:
        return proto.RuntimeOptionsResponse()

    async def About(self, request: Any, context: Any) -> proto.AboutResponse:
        return proto.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    async def GetProgramDependencies(self, request: Any, context: Any) -> proto.GetProgramDependenciesResponse:
        return proto.GetProgramDependenciesResponse()

    async def InstallDependencies(
        self, request: proto.InstallDependenciesRequest, context: Any
    ) -> AsyncIterator[proto.InstallDependenciesResponse]:
        """Install nothing: the programs of this project bring their virtualenv along."""
        python = _interpreter(request.info)
        text = f"the stand-in installs no dependencies; {python} is taken as it is\n"
        yield proto.InstallDependenciesResponse(stderr=text.encode())

    async def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        for process in self._running:
            _interrupt(process)
        return empty_pb2.Empty()

    async def Run(self, request: proto.RunRequest, context: Any) -> proto.RunResponse:
        """Run a program; what it prints is the engine's to show, as is this process's own output."""
        python = _interpreter(request.info)
        if not shutil.which(python):
            return proto.RunResponse(error=f"the virtualenv has no interpreter {python}; make it, then run again")
        environment = os.environ | {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        settings = {
            "monitor": request.monitor_address,
            "engine": self._engine,
            "project": request.project,
            "stack": request.stack,
            "organization": request.organization,
            "parallel": request.parallel,
            "dry_run": request.dryRun,
            "root_directory": request.info.root_directory,
        }
        entry = request.info.entry_point or request.program or "."
        process = await asyncio.create_subprocess_exec(
            *(python, "-u", str(_PROGRAM), json.dumps(settings), entry, *request.args),
            cwd=request.pwd or None,
            env=environment,
        )
        code = await self._wait(process)
        if code == SHOWN:
            return proto.RunResponse(bail=True)
        return proto.RunResponse(error=f"program exited with non-zero exit code: {code}" if code else "")

    async def RunPlugin(self, request: proto.RunPluginRequest, context: Any) -> AsyncIterator[proto.RunPluginResponse]:
        """Run the plugin in a folder and hand on what it prints."""
        process = await asyncio.create_subprocess_exec(
            *(_interpreter(request.info), "-u", request.info.program_directory, *request.args),
            cwd=request.pwd or None,
            env=os.environ | dict(entry.partition("=")[::2] for entry in request.env),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output: asyncio.Queue[proto.RunPluginResponse | None] = asyncio.Queue()
        readers = [
            asyncio.create_task(_read(process.stdout, "stdout", output)),
            asyncio.create_task(_read(process.stderr, "stderr", output)),
        ]
        try:
            for _ in readers:
                while (piece := await output.get()) is not None:
                    yield piece
            yield proto.RunPluginResponse(exitcode=await self._wait(process))
        finally:
            await self._stop(process)

    async def _wait(self, process: asyncio.subprocess.Process) -> int:
        self._running.add(process)
        try:
            return await process.wait()
        finally:
            self._running.discard(process)
            await self._stop(process)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        """End a process that the engine no longer waits for."""
        if process.returncode is not None:
            return
        _interrupt(process)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.wait(), _STOP_SECONDS)
        if process.returncode is None:
            process.kill()


async def _read(
    stream: asyncio.StreamReader | None, name: str, output: asyncio.Queue[proto.RunPluginResponse | None]
) -> None:
    while stream is not None and (piece := await stream.read(_CHUNK)):
        await output.put(
            proto.RunPluginResponse(stdout=piece) if name == "stdout" else proto.RunPluginResponse(stderr=piece)
        )
    await output.put(None)


def _interrupt(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGINT)


def _interpreter(info: proto.ProgramInfo) -> str:
    """Give the interpreter that the project's runtime options name."""
    options: Mapping[str, Any] = json_format.MessageToDict(info.options)
    virtualenv = options.get("virtualenv") or (".venv" if options.get("toolchain") == "uv" else "")
    if not virtualenv:
        return sys.executable
    return str(Path(info.root_directory, str(virtualenv), "bin", "python"))
