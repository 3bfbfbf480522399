"""Where a pod template comes from: YAML text, a file, a mapping, or nowhere (a bare worker pod)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pulumi_codecanvas.checks import show, type_name
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.manifests import WORKER_CONTAINER
from pulumi_codecanvas.strict_yaml import MAX_BYTES, load_yaml

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIXES = (".yaml", ".yml")


def read_source(source: object, base_dir: Path) -> object:
    """Give the tree of a pod template's source, not yet normalised.

    Raises:
        InvalidArgumentsError: the file or its YAML is not readable, or the source is of another type.

    """
    if source is None:
        spec = {"containers": [{"name": WORKER_CONTAINER}], "restartPolicy": "Never"}
        return {"apiVersion": "v1", "kind": "Pod", "spec": spec}
    if isinstance(source, Mapping):
        return source
    if isinstance(source, str):
        return load_yaml(_read_file(source.strip(), base_dir) if _is_path(source) else source)
    if isinstance(source, os.PathLike):
        return load_yaml(_read_file(os.fsdecode(source), base_dir))
    cause = f"is {type_name(source)}"
    raise InvalidArgumentsError([Fault("", cause, "give YAML text, a mapping, or the path of a .yaml or .yml file")])


def _is_path(text: str) -> bool:
    line = text.strip()
    return len(line.splitlines()) == 1 and line.lower().endswith(_SUFFIXES)


def _read_file(name: str, base_dir: Path) -> str:
    problem, remedy = "", ""
    try:
        path = base_dir / name
        # Opening a pipe or a device could wait for ever.
        if path.exists() and not path.is_file():
            problem = "is a directory" if path.is_dir() else "is not a regular file"
        else:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) <= MAX_BYTES:
                return data.decode()
            problem, remedy = "is larger than 1 MiB", "a pod template is a few KiB at most"
    except FileNotFoundError:
        problem, remedy = "does not exist", f"relative paths start from {base_dir}"
    except UnicodeDecodeError:
        problem, remedy = "is not UTF-8 text", "save it as UTF-8"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    except ValueError:
        problem = "is not a valid path"
    raise InvalidArgumentsError([Fault("", f"the file {show(name)} {problem}", remedy)]) from None
