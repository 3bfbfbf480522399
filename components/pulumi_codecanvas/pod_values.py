"""A pod template's values, made what Kubernetes wants: texts where it wants texts, nothing that JSON cannot hold.

This knows which fields of a Pod are texts, by their names, and no more of the Pod's schema: the API server checks
the rest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from pulumi_codecanvas.checks import as_whole, is_storable, join_path, key_fault, type_name
from pulumi_codecanvas.errors import Fault
from pulumi_codecanvas.strict_yaml import MAX_BYTES, MAX_DEPTH, MAX_FAULTS, MAX_NODES, Plain, Written


class _Kind(Enum):
    """What Kubernetes wants at a place."""

    ANY = auto()
    TEXT = auto()
    TEXT_LIST = auto()
    TEXT_MAP = auto()
    TEXT_ENTRY = auto()


# Each name has one meaning wherever it stands in a Pod.
_TEXT_FIELDS = (
    "apiVersion",
    "kind",
    "name",
    "generateName",
    "namespace",
    "value",
    "key",
    "image",
    "workingDir",
    "path",
    "subPath",
    "subPathExpr",
    "mountPath",
    "hostname",
    "subdomain",
    "nodeName",
    "serviceAccountName",
    "serviceAccount",
    "schedulerName",
    "priorityClassName",
    "runtimeClassName",
    "secretName",
    "claimName",
    "topologyKey",
    "fieldPath",
    "ip",
    "hostIP",
)
_KINDS = {
    **dict.fromkeys(_TEXT_FIELDS, _Kind.TEXT),
    **dict.fromkeys(["command", "args", "values", "hostnames", "nameservers", "searches"], _Kind.TEXT_LIST),
    **dict.fromkeys(["labels", "annotations", "nodeSelector", "matchLabels", "volumeAttributes"], _Kind.TEXT_MAP),
}
_INSIDE = {_Kind.TEXT_LIST: _Kind.TEXT_ENTRY, _Kind.TEXT_MAP: _Kind.TEXT_ENTRY}
# What stands under these may be secret, so a note of a change says only what kind of value it was.
_MAYBE_SECRET = frozenset({"value", "command", "args", "annotations"})


@dataclass
class Normalised:
    """The outcome: the value, what was changed or left out, what is wrong; not whole if the tree was too large."""

    value: Any = None
    is_whole: bool = True
    changes: list[str] = field(default_factory=list)
    omissions: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)


def normalise(tree: object) -> Normalised:
    """Normalise a tree of mappings, lists and scalars, as `load_yaml` gives it or a program builds it.

    Fields that are null are left out, as the API server does. Depth, number of values and of faults are bounded,
    so a tree that contains itself ends too.
    """
    walk = _Walk()
    try:
        walk.outcome.value = walk.visit(_Place("", _Kind.ANY), tree)
    except _TooLargeError as error:
        walk.outcome.faults.append(error.fault)
        walk.outcome.is_whole = False
    return walk.outcome


@dataclass(frozen=True)
class _Place:
    path: str
    kind: _Kind
    depth: int = 0
    is_secret: bool = False

    def under(self, key: str) -> _Place:
        kind = _INSIDE.get(self.kind) or _KINDS.get(key, _Kind.ANY)
        return _Place(join_path(self.path, key), kind, self.depth + 1, self.is_secret or key in _MAYBE_SECRET)

    def at(self, index: int) -> _Place:
        kind = _INSIDE.get(self.kind, _Kind.ANY)
        return _Place(f"{self.path}[{index}]", kind, self.depth + 1, self.is_secret)


class _TooLargeError(Exception):
    """The tree is not worth going on with."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.cause)
        self.fault = fault


class _Walk:
    """One pass over a tree."""

    def __init__(self) -> None:
        self.outcome = Normalised()
        self._nodes = 0
        self._size = 0

    def visit(self, place: _Place, value: object) -> Any:
        """Give the normalised value; faults leave a stand-in that nobody uses."""
        self._count(place, 1)
        if isinstance(value, Mapping):
            return self._visit_mapping(place, value)
        if isinstance(value, list | tuple):
            return [self._visit_item(place.at(index), item) for index, item in enumerate(value)]
        if isinstance(value, str):
            return self._check_text(place, str.__str__(value))
        if isinstance(value, Written):
            return self._visit_plain(place, value.text, value.value)
        if value is None or isinstance(value, bool | int | float):
            return self._visit_plain(place, None, as_whole(value))
        self._report(place, f"is {type_name(value)}", "use texts, numbers, booleans, lists and mappings only")
        return None

    def _visit_mapping(self, place: _Place, mapping: Mapping[object, object]) -> dict[str, Any]:
        result = {}
        for key, value in mapping.items():
            if not isinstance(key, str):
                self.outcome.faults.append(key_fault(place.path, key))
                continue
            name = self._check_text(place, str.__str__(key))
            below = place.under(name)
            if _is_null(value) and below.kind is not _Kind.TEXT_ENTRY:
                self.outcome.omissions.append(below.path)
            else:
                result[name] = self.visit(below, value)
        return result

    def _visit_item(self, place: _Place, value: object) -> Any:
        if _is_null(value) and place.kind is not _Kind.TEXT_ENTRY:
            self._report(place, "is empty", "give it a value, or remove it")
            return None
        return self.visit(place, value)

    def _visit_plain(self, place: _Place, written: str | None, value: Plain) -> Any:
        # What was written in YAML is short enough to be a text; an integer of a program may have any size.
        if place.kind in {_Kind.TEXT, _Kind.TEXT_ENTRY} and (written is not None or _fits(value)):
            text = "" if value is None else written or json.dumps(value)
            self._note(place, value if written is None else Written(written, value), json.dumps(text))
            return text
        if not _fits(value):
            self._report(place, "is not a number that Kubernetes can hold", "quote it if it is a text")
            return None
        return value

    def _check_text(self, place: _Place, text: str) -> str:
        self._count(place, 0, len(text))
        try:
            text.encode()
        except UnicodeEncodeError:
            self._report(place, "holds a character that is not Unicode text", "remove it")
        return text

    def _note(self, place: _Place, value: object, outcome: str) -> None:
        """Note a change: `metadata.labels.codecanvas: true -> "true"`."""
        plain = value.value if isinstance(value, Written) else value
        written = value.text if isinstance(value, Written) else json.dumps(value)
        is_number = not isinstance(plain, bool) and plain is not None
        if is_number and place.is_secret:
            written, outcome = "number", "text"
        self.outcome.changes.append(f"{place.path}: {written or 'empty'} -> {outcome}")

    def _report(self, place: _Place, cause: str, remedy: str) -> None:
        self.outcome.faults.append(Fault(place.path, cause, remedy))
        if len(self.outcome.faults) >= MAX_FAULTS:
            raise _TooLargeError(Fault(place.path, "has further faults from here on", "mend those above first"))

    def _count(self, place: _Place, nodes: int, size: int = 0) -> None:
        self._nodes += nodes
        self._size += size
        if self._nodes > MAX_NODES or self._size > MAX_BYTES:
            cause = f"holds more than {MAX_NODES} values or 1 MiB"
            raise _TooLargeError(Fault("", cause, "a pod template is a few KiB at most"))
        if place.depth > MAX_DEPTH:
            raise _TooLargeError(Fault("", f"is nested more than {MAX_DEPTH} levels deep"))


def _is_null(value: object) -> bool:
    return value is None or (isinstance(value, Written) and value.value is None)


def _fits(value: Plain) -> bool:
    return value is None or is_storable(value)
