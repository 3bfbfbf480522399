"""What the Makefile promises."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

MAKEFILE = Path(__file__).parents[2] / "Makefile"
# Of the `make` that runs the tests.
FOREIGN = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}


def make(folder: Path, target: str, *options: str) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in FOREIGN}
    command = ["make", "-f", str(MAKEFILE), *options, target]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_help_names_every_variable_that_a_target_takes() -> None:
    taken = set(re.findall(r"\$\((ARGS\w*|PLATFORMS|WORKERS)\)", MAKEFILE.read_text()))
    shown = make(MAKEFILE.parent, "help")
    assert {name for name in taken if not re.search(rf"\b{name}\b", shown)} == set()


def test_clean_leaves_nothing_of_what_the_commands_made(tmp_path: Path) -> None:
    sources = ("components", "provider", "tools", "tests", "examples", "policies")
    for name in sources:
        (tmp_path / name / "__pycache__").mkdir(parents=True)
    (tmp_path / ".cache").mkdir()
    (tmp_path / ".cache" / "bench-quick.jsonl").touch()
    make(tmp_path, "clean")
    assert sorted(path.name for path in tmp_path.rglob("*")) == sorted(sources)


def test_a_quick_benchmark_keeps_nothing() -> None:
    assert make(MAKEFILE.parent, "bench-quick", "--dry-run").splitlines()[-1] == "rm -f .cache/bench-quick.jsonl"
