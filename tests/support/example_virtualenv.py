"""The virtualenv that the examples run in: the cloud SDKs, the package from this checkout, and its plugin."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tools.cache import cache_dir, locked
from tools.console import say

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "examples" / "requirements.lock"


def example_virtualenv() -> Path:
    """Give the virtualenv, made on first use, kept in the cache and brought up to date when the lock changes.

    It has the Python that runs the tests, and takes some 500 MB. The package in it is this checkout, editable.
    What an interrupted run has downloaded is kept by uv, and what it has installed stays.
    """
    place = hashlib.sha256(f"{ROOT} {sys.version}".encode()).hexdigest()[:12]
    content = hashlib.sha256(LOCK.read_bytes() + (ROOT / "pyproject.toml").read_bytes()).hexdigest()
    virtualenv = cache_dir() / "examples" / place
    ready = virtualenv / "ready"
    with locked(virtualenv, lambda: say("examples: waiting for another run that installs the clouds' SDKs")):
        if not ready.exists() or ready.read_text() != content:
            ready.unlink(missing_ok=True)
            say("examples: installing the clouds' SDKs into the cache (500 MB; only after a change of their lock)")
            _make(virtualenv)
            ready.write_text(content)
    return virtualenv


def _make(virtualenv: Path) -> None:
    python = virtualenv / "bin" / "python"
    if not python.exists():
        _uv("venv", "--allow-existing", "--python", sys.executable, str(virtualenv))
    _uv("pip", "sync", "--python", str(python), "--require-hashes", str(LOCK))
    _uv("pip", "install", "--python", str(python), "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def _uv(*arguments: str) -> None:
    environment = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    command = [sys.executable, "-m", "uv", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stderr}"
