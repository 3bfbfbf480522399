"""What the stand-in for the Python language host decides without an engine."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from pulumi.runtime.proto import language_pb2 as proto

from tools.standin.python_host.host import SHOWN, _interpreter
from tools.standin.python_host.run_program import SHOWN as SHOWN_BY_PROGRAM


@pytest.mark.parametrize(
    ("options", "interpreter"),
    [
        ({"virtualenv": ".venv"}, "/project/.venv/bin/python"),
        ({"virtualenv": "/elsewhere/venv"}, "/elsewhere/venv/bin/python"),
        ({"toolchain": "uv"}, "/project/.venv/bin/python"),
        ({}, sys.executable),
    ],
)
def test_a_program_runs_in_the_virtualenv_of_its_project(options: dict[str, Any], interpreter: str) -> None:
    info = proto.ProgramInfo(root_directory="/project")
    info.options.update(options)
    assert _interpreter(info) == interpreter


def test_host_and_program_agree_on_what_was_told_already() -> None:
    assert SHOWN == SHOWN_BY_PROGRAM
