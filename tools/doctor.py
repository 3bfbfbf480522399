"""What is on this machine, what a run would download or build, and what is missing. Changes nothing that counts."""

from __future__ import annotations

import platform
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.errors import ToolsError
from tools.pins import TOOLS
from tools.sources import consider
from tools.toolchain import CHECKOUT, Toolchain, describe_failure

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tools.pins import Tool

_GIBIBYTE = 1 << 30
# What Go's caches grow by with each tool that it builds, about.
_BUILD_MEBIBYTES = 1600


@dataclass(frozen=True)
class Finding:
    """How it stands with one tool.

    Attributes:
        tool: which.
        text: where it is, how it would be got, or why it cannot be.
        seconds: how long getting it takes, about; None where it cannot be had.
        mebibytes: how much disk getting it takes, about.
        real: whether it is the tool itself that is or would be here.
    """

    tool: Tool
    text: str
    seconds: int | None = 0
    mebibytes: int = 0
    real: bool = True


def examine(toolchain: Toolchain) -> list[Finding]:
    """Look at every tool, verifying the checksums of those in the cache."""
    return [_examine_tool(toolchain, tool) for tool in TOOLS.values()]


def format_report(toolchain: Toolchain, findings: Iterable[Finding]) -> str:
    """Write the findings, and what they come to, as text for a person."""
    findings = list(findings)
    free = shutil.disk_usage(toolchain.cache).free
    lines = [
        f"checkout  {CHECKOUT}",
        f"python    {platform.python_version()} ({sys.executable})",
        f"cache     {toolchain.cache}: {_size(toolchain.cache) / _GIBIBYTE:.1f} GiB, {free / _GIBIBYTE:.0f} GiB free",
        "",
    ]
    width = max(len(f"{finding.tool.name} {finding.tool.version}") for finding in findings)
    lines += [f"{f'{finding.tool.name} {finding.tool.version}':{width}}  {finding.text}" for finding in findings]
    return "\n".join([*lines, "", _summarise(findings, free)])


def doctor() -> bool:
    """Print the report; tell whether every tool is here or can be had."""
    toolchain = Toolchain.default()
    findings = examine(toolchain)
    print(format_report(toolchain, findings))
    return all(finding.seconds is not None for finding in findings)


def _examine_tool(toolchain: Toolchain, tool: Tool) -> Finding:
    try:
        override = toolchain.override(tool)
    except ToolsError as error:
        return Finding(tool, f"MISSING: {error}", seconds=None)
    if override is not None:
        return Finding(tool, f"here: {override}, named by {tool.variable}")
    if tool.stand_in and toolchain.stand_ins:
        return Finding(tool, toolchain.describe(tool), real=False)
    stored = toolchain.store.find(tool, thorough=True)
    if stored is not None:
        return Finding(tool, f"here: in the cache, {stored.origin}")
    damaged = "damaged in the cache; " if toolchain.store.is_present(tool) else ""
    tried = []
    for source in (*toolchain.ready_sources, *toolchain.build_sources):
        plan = consider(source, tool)
        if isinstance(plan, str):
            tried.append(plan)
            continue
        skipped = "".join(f"\n    not from {attempt}" for attempt in tried)
        mebibytes = tool.mebibytes + (_BUILD_MEBIBYTES if source in toolchain.build_sources else 0)
        return Finding(tool, f"{damaged}would {plan.action}, about {plan.seconds} s{skipped}", plan.seconds, mebibytes)
    if tool.stand_in:
        return Finding(tool, f"STAND-IN {tool.stand_in}, as there is none\n{describe_failure(tool, tried)}", real=False)
    if tool.optional:
        return Finding(tool, f"left out, with the tests that need it\n{describe_failure(tool, tried)}", real=False)
    return Finding(tool, f"MISSING\n{describe_failure(tool, tried)}", seconds=None)


def _summarise(findings: list[Finding], free: int) -> str:
    missing = [finding.tool.name for finding in findings if finding.seconds is None]
    if missing:
        return f"missing: {', '.join(missing)}; see above for how to get it"
    seconds = sum(finding.seconds or 0 for finding in findings)
    unreal = [finding.tool.name for finding in findings if not finding.real]
    if not seconds and unreal:
        return f"a run can start, and needs no network; not the real ones, or not here: {', '.join(unreal)}"
    if not seconds:
        return "everything is here; no network is needed"
    mebibytes = sum(finding.mebibytes for finding in findings)
    room = "" if mebibytes << 20 < free else ", which is more than there is"
    return f"to go: about {seconds} s and {mebibytes / 1024:.1f} GiB of disk{room}; `make tools` does it"


def _size(path: Path) -> int:
    """Give the bytes under a folder, each file counted once however many names it has."""
    inodes = {}
    for file in path.rglob("*"):
        if file.is_file() and not file.is_symlink():
            status = file.stat()
            inodes[status.st_dev, status.st_ino] = status.st_size
    return sum(inodes.values())
