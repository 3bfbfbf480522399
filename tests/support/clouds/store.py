"""What is in a stand-in's cloud: a file for each resource."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from tests.support.clouds.package import Properties, RefusedError

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Record:
    """A resource in the cloud."""

    token: str
    id: str
    inputs: Properties
    outputs: Properties


class Store:
    """The resources in one folder, which several plugins share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, record: Record) -> None:
        """Create or change a resource."""
        self._path(record.token, record.id).write_text(json.dumps(asdict(record)), encoding="utf-8")

    def get(self, token: str, id_: str) -> Record | None:
        """Give a resource, None where there is none."""
        path = self._path(token, id_)
        return _read(path) if path.exists() else None

    def delete(self, token: str, id_: str) -> None:
        """Delete a resource; that it is gone already is no error.

        Raises:
            RefusedError: another resource uses it.
        """
        users = [record.id for record in self.all() if record.id != id_ and _names(record.inputs, id_)]
        if users:
            raise RefusedError(f"DependencyViolation: {id_} is in use by {', '.join(users)}")
        self._path(token, id_).unlink(missing_ok=True)

    def all(self) -> list[Record]:
        """List every resource."""
        return [_read(path) for path in sorted(self._folder.glob("*.json"))]

    def _path(self, token: str, id_: str) -> Path:
        return self._folder / f"{hashlib.sha256(f'{token} {id_}'.encode()).hexdigest()[:24]}.json"


def _read(path: Path) -> Record:
    return Record(**json.loads(path.read_text(encoding="utf-8")))


def _names(value: object, id_: str) -> bool:
    """Tell whether a resource's inputs refer to `id_`; names and tags are free texts and refer to nothing."""
    if isinstance(value, dict):
        return any(_names(item, id_) for key, item in value.items() if key not in {"name", "tags"})
    if isinstance(value, list):
        return any(_names(item, id_) for item in value)
    return value == id_
