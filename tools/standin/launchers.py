"""The executables through which the Pulumi engine starts stand-ins."""

from __future__ import annotations

import hashlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.pins import Tool

_LAUNCH = Path(__file__).with_name("launch.py")


def write_launcher(tool: Tool, cache: Path) -> Path:
    """Write the executable under the tool's name that runs its stand-in from this checkout; give its path."""
    command = shlex.join([sys.executable, str(_LAUNCH), tool.stand_in])
    banner = f"# A stand-in for {tool.name}; tools/standin in the checkout says what it is."
    script = f'#!/bin/sh\n{banner}\nexec {command} "$@"\n'
    path = launcher_path(tool, cache)
    if not path.exists() or path.read_text() != script:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.part")
        fresh.write_text(script)
        fresh.chmod(0o755)
        fresh.replace(path)
    return path


def launcher_path(tool: Tool, cache: Path) -> Path:
    """Give where that executable is: checkouts share a cache, but each has its own stand-ins."""
    digest = hashlib.sha256(f"{sys.executable} {_LAUNCH}".encode()).hexdigest()[:12]
    return cache / "stand-ins" / digest / tool.name
