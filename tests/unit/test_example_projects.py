"""Which examples can be copied, and which run in place only."""

from __future__ import annotations

import re
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def named_after(words: str) -> set[str]:
    """Name the examples that a sentence of the README lists after some words."""
    text = (EXAMPLES / "README.md").read_text()
    sentence = text[text.index(words) :].split(". ")[0]
    return set(re.findall(r"\[([a-z-]+)\]", sentence))


def test_only_what_names_no_path_out_of_its_folder_is_said_to_be_copied() -> None:
    projects = {path.parent.name: path.read_text() for path in EXAMPLES.glob("*/Pulumi.yaml")}
    bound = {name for name, text in projects.items() if "../" in text}
    assert named_after("Projects to copy:") == projects.keys() - bound
    assert named_after("Projects that run in place:") == bound
