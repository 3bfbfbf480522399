from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine

PROGRAMS = {
    "yaml": {"Pulumi.yaml": "name: greeting\nruntime: yaml\noutputs:\n  greeting: hello\n"},
    "python": {
        "Pulumi.yaml": "name: greeting\nruntime: python\n",
        "__main__.py": "import pulumi\n\npulumi.export('greeting', 'hello')\n",
    },
}


@pytest.mark.parametrize("runtime", list(PROGRAMS))
def test_a_program_runs_in_the_isolated_home_without_a_warning(tmp_path: Path, runtime: str) -> None:
    # A space in the path is common where a user's name is part of it.
    root = tmp_path / "a home"
    program = tmp_path / "program"
    program.mkdir()
    for name, text in PROGRAMS[runtime].items():
        (program / name).write_text(text)
    environment = PulumiHome(root).env()

    def pulumi(*arguments: str) -> str:
        command = ["pulumi", "--non-interactive", *arguments]
        done = subprocess.run(command, cwd=program, env=environment, capture_output=True, text=True, check=False)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert "warning" not in output
        return done.stdout

    plugins = json.loads(pulumi("plugin", "ls", "--json"))
    assert [(plugin["name"], plugin["version"]) for plugin in plugins] == [("kubernetes", "4.30.0")]
    pulumi("stack", "init", "test")
    pulumi("up", "--yes")
    assert json.loads(pulumi("stack", "output", "--json")) == {"greeting": "hello"}
    assert list((root / "state").rglob("test.json"))
    pulumi("destroy", "--yes")
