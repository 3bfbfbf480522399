"""A copy of this checkout elsewhere, as another machine's clone: its code, and a virtualenv that runs it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.support.stack import CHECKOUT

PARTS = ("components", "provider", "tools/charts", "Pulumi.yaml", "__main__.py")
SCRIPT = "pulumi-resource-codecanvas"


def copy_checkout(target: Path) -> Path:
    """Copy what a stack of the root program needs; other packages are those of the tests' virtualenv."""
    for part in PARTS:
        source, copy = CHECKOUT / part, target / part
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, copy)
    _make_virtualenv(target)
    return target


def _make_virtualenv(target: Path) -> None:
    virtualenv = target / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(virtualenv)], check=True)
    here = Path(sysconfig.get_path("purelib"))
    site = virtualenv / here.relative_to(sys.prefix)
    # The copy comes first; and the other virtualenv's own path files, one of which names this checkout, count for
    # nothing in a folder that is named by a path file.
    (site / "copy.pth").write_text(f"{target / 'components'}\n{target / 'provider'}\n{here}\n")
    script = virtualenv / "bin" / SCRIPT
    script.write_text(f"#!{virtualenv / 'bin' / 'python'}\nfrom codecanvas_provider.__main__ import main\n\nmain()\n")
    script.chmod(0o755)
