"""What starting a program or the plugin imports: it decides how long every command takes before it does anything."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import pulumi
before = set(sys.modules)
from pulumi_codecanvas import ComputingPlatform
added = set(sys.modules) - before
"""
PLUGIN = """
import sys
import pulumi.provider.server
before = set(sys.modules)
from codecanvas_provider import server
from codecanvas_provider.__main__ import custom_resources, functions
custom_resources(), functions()
added = set(sys.modules) - before
"""
SHOW = """
packages = {name.partition(".")[0] for name in added} - set(sys.stdlib_module_names)
print(len(added), *sorted(name for name in packages if not name.startswith("_")))
"""


def imported_by(code: str) -> tuple[int, set[str]]:
    """Give how many modules the code imports beyond Pulumi's SDK, and the packages that they are of."""
    shown = subprocess.run([sys.executable, "-c", code + SHOW], capture_output=True, text=True, check=True)
    count, *packages = shown.stdout.split()
    return int(count), set(packages)


def test_a_program_imports_nothing_heavy_for_a_platform() -> None:
    count, packages = imported_by(PROGRAM)
    assert packages == {"pulumi_codecanvas"}
    assert count <= 45


def test_the_plugin_imports_nothing_heavy_to_serve() -> None:
    count, packages = imported_by(PLUGIN)
    assert packages == {"codecanvas_provider", "pulumi_codecanvas"}
    assert count <= 61
