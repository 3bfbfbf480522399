"""`python launch.py MODULE [ARGUMENT...]`: runs a module of this checkout from whatever directory."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

# Instead of PYTHONPATH, which the programs that a stand-in starts would inherit.
sys.path[0] = str(Path(__file__).resolve().parents[2])
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
