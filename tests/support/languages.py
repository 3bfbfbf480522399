"""The same platform declared in each language: the examples' programs, ready to run, with SDKs made from the schema."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from codecanvas_provider import schema
from tests.support.stack import CHECKOUT, PROJECT
from tools.cache import cache_dir, locked
from tools.pins import PULUMI_VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tools.pulumi_home import PulumiHome

IN_PROCESS = "python"
OTHERS = {
    "python-sdk": ("pulumi-language-python",),
    "yaml": (),
    "typescript": ("pulumi-language-nodejs",),
    "go": ("pulumi-language-go",),
}
"""The other languages, each with the tools that make its SDK: a stand-in does not."""
SECONDS = 900.0
"""How long one step of a preparation may take; the first one in a cache downloads packages and compiles."""


def prepare_program(language: str, home: PulumiHome) -> Path:
    """Give the folder of `examples/<language>`, ready to run; see `prepare_folder`."""
    return prepare_folder(CHECKOUT / "examples" / language, home)


def prepare_folder(source: Path, home: PulumiHome) -> Path:
    """Copy a program and have Pulumi add the SDK that it generates from the schema, with all that it needs.

    The copy is kept in the cache until the program or the schema changes. In it the project has the name that the
    tests' stacks have, and takes the plugin from the virtualenv that runs the tests.
    """
    content = hashlib.sha256(schema.PATH.read_bytes() + sys.version.encode())
    for path in sorted(source.rglob("*")):
        if path.is_file() and "sdks" not in path.parts:
            content.update(path.name.encode() + path.read_bytes())
    place = hashlib.sha256(f"{CHECKOUT} {source}".encode()).hexdigest()[:12]
    folder = cache_dir() / "languages" / f"{source.name}-{place}"
    ready = folder.with_suffix(".ready")
    with locked(folder):
        if not ready.exists() or ready.read_text() != content.hexdigest():
            ready.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            _make(source, folder, home)
            ready.write_text(content.hexdigest())
    return folder


def run_tool(*command: str, folder: Path, environment: Mapping[str, str], ok: bool = True) -> str:
    """Run a command in a folder and give what it printed; `ok` says how it must end."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    text = done.stdout + done.stderr
    assert (done.returncode == 0) is ok, f"{' '.join(command)}:\n{text}"
    return text


def _make(source: Path, folder: Path, home: PulumiHome) -> None:
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("sdks", "venv", "node_modules", "__pycache__"))
    project = yaml.safe_load((source / "Pulumi.yaml").read_text())
    project.pop("packages", None)
    project["name"] = PROJECT
    project["plugins"] = {"providers": [{"name": "codecanvas", "path": str(Path(sys.prefix) / "bin")}]}
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project, sort_keys=False))
    runtime = project["runtime"]
    if runtime == "yaml":
        return
    environment = home.env()
    if isinstance(runtime, dict):
        _make_virtualenv(source, folder, environment)
    else:
        run_tool("pulumi", "package", "add", str(schema.PATH), folder=folder, environment=environment)
    if runtime == "go":
        # The language host's own build then takes seconds: compiling Pulumi's SDK takes minutes, once.
        run_tool("go", "build", "-o", os.devnull, ".", folder=folder, environment=environment)


def _make_virtualenv(source: Path, folder: Path, environment: Mapping[str, str]) -> None:
    if source.name == IN_PROCESS:
        (folder / "venv").symlink_to(sys.prefix)
        return
    sdk = ("pulumi", "package", "gen-sdk", str(schema.PATH), "--local", "--language", "python", "--out", "sdks")
    run_tool(*sdk, folder=folder, environment=environment)
    (folder / "sdks" / "python").rename(folder / "sdks" / "codecanvas")
    uv = (sys.executable, "-m", "uv")
    offline = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    run_tool(*uv, "venv", "--python", sys.executable, "venv", folder=folder, environment=offline)
    # Pulumi's language host asks pip what is installed.
    install = (*uv, "pip", "install", "--python", "venv", "pip", f"pulumi=={PULUMI_VERSION}", "-r", "requirements.txt")
    run_tool(*install, folder=folder, environment=offline)
