"""The SDKs that Pulumi generates from the schema: they compile, and refuse an argument that there is not."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest

from tests.support.languages import prepare_program, run_tool
from tests.support.stack import CHART, PROJECT, SERVER_URL, make_stack

if TYPE_CHECKING:
    from pathlib import Path

    from codecanvas_provider.cluster import Cluster
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine


def misspell(program: Path, file: str, directory: Path) -> Path:
    """Copy a program, with a misspelt argument; what it needs beside is linked."""
    directory.mkdir()
    for path in program.iterdir():
        if path.name != file:
            (directory / path.name).symlink_to(path)
    right = (program / file).read_text()
    # Where it is given a value: as an argument, and not as a key of the project's config.
    wrong, count = re.subn(r"(?m)^(\s+)(server_?url)([:=] *\S)", r"\1\2l\3", right, flags=re.IGNORECASE)
    assert count == 1
    (directory / file).write_text(wrong)
    return directory


@pytest.mark.real("pulumi-language-nodejs")
def test_typescript_compiles_and_is_told_what_was_meant(home: PulumiHome, tmp_path: Path) -> None:
    program = prepare_program("typescript", home)
    compiler = str(program / "node_modules" / ".bin" / "tsc")
    run_tool(compiler, folder=program, environment=os.environ)
    wrong = misspell(program, "index.ts", tmp_path / "wrong")
    text = run_tool(compiler, folder=wrong, environment=os.environ, ok=False)
    assert "'serverUrll' does not exist in type 'ComputingPlatformArgs'" in text
    assert "Did you mean to write 'serverUrl'?" in text


@pytest.mark.real("pulumi-language-go")
def test_go_compiles_and_refuses_an_unknown_field(home: PulumiHome, tmp_path: Path) -> None:
    program = prepare_program("go", home)
    run_tool("go", "vet", "./...", folder=program, environment=os.environ)
    wrong = misspell(program, "main.go", tmp_path / "wrong")
    assert "unknown field ServerUrll" in run_tool("go", "vet", ".", folder=wrong, environment=os.environ, ok=False)


@pytest.mark.real("pulumi-language-python")
def test_python_compiles_and_refuses_an_unknown_argument(home: PulumiHome, tmp_path: Path) -> None:
    program = prepare_program("python-sdk", home)
    python = str(program / "venv" / "bin" / "python")
    sdk = program / "sdks" / "codecanvas" / "pulumi_codecanvas_sdk"
    run_tool(python, "-m", "compileall", "-q", str(sdk), folder=program, environment=os.environ)
    run_tool(python, "-c", "import pulumi_codecanvas_sdk", folder=program, environment=os.environ)
    wrong = misspell(program, "__main__.py", tmp_path / "wrong")
    assert "server_urll=" in (wrong / "__main__.py").read_text()


@pytest.mark.parametrize(
    ("language", "file", "expected"),
    [
        ("yaml", "Pulumi.yaml", "serverUrll does not exist"),
        pytest.param(
            "python-sdk",
            "__main__.py",
            "unexpected keyword argument 'server_urll'",
            marks=pytest.mark.real("pulumi-language-python"),
        ),
        ("python", "__main__.py", "server_urll: there is no such argument; did you mean `server_url`?"),
    ],
)
def test_a_preview_refuses_an_unknown_argument(
    language: str,
    file: str,
    expected: str,
    home: PulumiHome,
    shared_cluster: LocalCluster,
    admin: Cluster,
    tmp_path: Path,
) -> None:
    wrong = misspell(prepare_program(language, home), file, tmp_path / "wrong")
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=wrong, stem="wrong") as stack:
        stack.config = {
            f"{PROJECT}:serverUrl": SERVER_URL,
            f"{PROJECT}:chart": CHART,
            f"{PROJECT}:freeze": False,
        }
        running = stack.start("preview")
        with running:
            stdout, stderr = running._process.communicate(timeout=300)
        assert running._process.returncode != 0
        assert expected in stdout + stderr
