"""The executables through which the Pulumi engine starts stand-ins."""

from __future__ import annotations

import hashlib
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tools.pins import Tool

_CHECKOUT = Path(__file__).parents[2]
# A shell script to the system, which so takes any path of an interpreter, and a Python script to Python.
_SCRIPT = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''
# A stand-in for {name}; tools/standin in the checkout says what it is.
import runpy
import sys

# Instead of PYTHONPATH, which the programs that a stand-in starts would inherit.
sys.path[0] = {checkout!r}
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def write_launcher(tool: Tool, cache: Path) -> Path:
    """Write the executable under the tool's name that runs its stand-in from this checkout; give its path."""
    python = shlex.quote(sys.executable)
    script = _SCRIPT.format(python=python, name=tool.name, checkout=str(_CHECKOUT), module=tool.stand_in)
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
    digest = hashlib.sha256(f"{sys.executable} {_CHECKOUT}".encode()).hexdigest()[:12]
    return cache / "stand-ins" / digest / tool.name
