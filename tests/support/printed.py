"""Running the commands that an error prints, as its reader would."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from tools.toolchain import ensure

if TYPE_CHECKING:
    from tests.support.stack import Stack


def run_printed(text: str, command: str, stack: Stack) -> None:
    """Run the command that an error prints between backticks."""
    found = re.search(rf"`({command}[^`]*)`", text)
    assert found, text
    program, *words = found[1].split()
    tool = ensure(program, quiet=True)[program]
    done = subprocess.run([tool, *words], env=stack.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
