"""YAML as Kubernetes manifests need it: one document, core tags, no duplicate keys, bounded.

Kubernetes wants texts where people write `true` or `1.10`. So a scalar that YAML reads as something else
comes back as `Written`, with both readings, and whoever knows the field decides. Plain scalars are read as kubectl
reads them: YAML 1.1, yet `1:30` and dates are texts.

Built on PyYAML's events: each limit is checked as the text is read, before anything is expanded.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import yaml

from pulumi_codecanvas.checks import show
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 20_000
MAX_FAULTS = 20

Plain: TypeAlias = "bool | int | float | None"

_MERGE = "<<"
_CORE = "tag:yaml.org,2002:"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE = frozenset({"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
_FALSE = frozenset({"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
_INTEGER = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[0-9][0-9_]*)")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9][0-9_]*(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL_FLOAT = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# Longer than any number that a field of Kubernetes can hold.
_NUMBER_LENGTH = 64
_BASES = {"0x": 16, "0b": 2, "0o": 8}


@dataclass(frozen=True)
class Written:
    """A scalar that YAML does not read as text.

    Attributes:
        text: the scalar as it was written.
        value: what YAML reads in it.

    """

    text: str
    value: Plain


def dump_yaml(value: object) -> str:
    """Write plain data as YAML in block style, keys in their order; `load_yaml` reads every text in it as text."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf)


class _Dumper(yaml.SafeDumper):
    """Quotes what any reader of YAML might take for something else than text; writes no aliases."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002 - PyYAML's signature
        super().increase_indent(flow, indentless=False)


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar(_CORE + "str", text, style=_style(text))


def _style(text: str) -> str | None:
    if not text.replace("\n", "").isprintable():
        # The other styles would fold unusual line breaks into plain ones.
        return '"'
    if "\n" in text:
        return "|"
    return None if isinstance(resolve_plain(text), str) and text != _MERGE else "'"


_Dumper.add_representer(str, _represent_text)


class _Place(NamedTuple):
    """A position in the text, counted from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class _Node:
    """A finished node: its value, and what a copy of it would cost."""

    value: Any
    nodes: int = 1
    size: int = 0
    height: int = 0
    is_merge: bool = False


@dataclass
class _Frame:
    """A mapping or list that is still open."""

    place: _Place
    is_mapping: bool
    anchor: str | None
    items: list[Any] = field(default_factory=list)
    entries: dict[str, Any] = field(default_factory=dict)
    merged: dict[str, Any] = field(default_factory=dict)
    key: str | None = None
    is_merge: bool = False
    nodes: int = 1
    size: int = 0
    height: int = 0


def load_yaml(text: str) -> object:
    """Read one YAML document into dicts (keys are texts), lists, texts and `Written`.

    Raises:
        InvalidArgumentsError: with line and column, without the text around it, the path empty. Syntax, size,
            depth and expansion end the reading; duplicate keys and tags are collected.

    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise InvalidArgumentsError([Fault("", "is larger than 1 MiB", "a pod template is a few KiB at most")])
    loader = _Loader()
    text = _without_json_tabs(text.removeprefix("\ufeff"))
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            loader.take(event)
    except yaml.reader.ReaderError as error:
        raise InvalidArgumentsError([*loader.faults, _reader_fault(text, error)]) from None
    except yaml.MarkedYAMLError as error:
        raise InvalidArgumentsError([*loader.faults, _syntax_fault(text, error)]) from None
    except _StopError as stop:
        raise InvalidArgumentsError([*loader.faults, stop.fault]) from None
    except (ValueError, OverflowError):
        # PyYAML converts version numbers and character codes unchecked.
        cause = "is not valid YAML (a version or character code is out of range)"
        raise InvalidArgumentsError([*loader.faults, Fault("", cause)]) from None
    if loader.faults:
        raise InvalidArgumentsError(loader.faults)
    return loader.documents[0].value if loader.documents else None


def resolve_plain(text: str) -> str | Written:
    """Read a scalar that was written without quotes and tag."""
    if text in _NULLS:
        return Written(text, None)
    if text in _TRUE or text in _FALSE:
        return Written(text, text in _TRUE)
    if len(text) > _NUMBER_LENGTH or not text.isascii():
        return text
    number = _read_number(text)
    return text if number is None else Written(text, number)


def _read_number(text: str) -> int | float | None:
    if _SPECIAL_FLOAT.fullmatch(text):
        return float(text.replace(".", "", 1))
    digits = text.replace("_", "")
    if _INTEGER.fullmatch(text):
        return _read_integer(digits)
    return float(digits) if _FLOAT.fullmatch(text) else None


def _read_integer(digits: str) -> int | None:
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    base = _BASES.get(digits[:2])
    if base:
        return sign * int(digits[2:], base) if digits[2:] else None
    is_octal = len(digits) > 1 and digits[0] == "0" and not set(digits) & {"8", "9"}
    return sign * int(digits, 8 if is_octal else 10)


class _StopError(Exception):
    """Reading cannot go on."""

    def __init__(self, place: _Place, cause: str, remedy: str = "") -> None:
        super().__init__(cause)
        self.fault = _fault(place, cause, remedy)


class _Loader:
    """Builds the document from events, on a stack of its own: depth costs no recursion."""

    def __init__(self) -> None:
        self.documents: list[_Node] = []
        self.faults: list[Fault] = []
        self._stack: list[_Frame] = []
        self._anchors: dict[str, _Node] = {}
        self._nodes = 0
        self._size = 0

    def take(self, event: yaml.Event) -> None:
        """Take the parser's next event."""
        if isinstance(event, yaml.DocumentStartEvent):
            self._anchors = {}
        elif isinstance(event, yaml.ScalarEvent):
            self._close_node(self._read_scalar(event), event.anchor, _place(event))
        elif isinstance(event, yaml.AliasEvent):
            self._close_node(self._resolve_alias(event), None, _place(event))
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._open(event)
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self._close(self._stack.pop())

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> None:
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self._refuse_collection_key(_place(event))
        if event.tag not in {None, "!", _CORE + ("map" if is_mapping else "seq")}:
            self._report_tag(_place(event), event.tag or "")
        if len(self._stack) >= MAX_DEPTH:
            raise _StopError(_place(event), f"is nested more than {MAX_DEPTH} levels deep")
        self._count(_place(event), 1, 0)
        self._stack.append(_Frame(_place(event), is_mapping, event.anchor))

    def _refuse_collection_key(self, place: _Place) -> None:
        if self._stack and self._stack[-1].is_mapping and self._stack[-1].key is None:
            raise _StopError(place, "uses a mapping or list as a key", "write keys as text")

    def _close(self, frame: _Frame) -> None:
        value = {**frame.merged, **frame.entries} if frame.is_mapping else frame.items
        node = _Node(value, frame.nodes, frame.size, frame.height + 1)
        self._put(node, frame.anchor, frame.place)

    def _close_node(self, node: _Node, anchor: str | None, place: _Place) -> None:
        self._count(place, node.nodes, node.size)
        if len(self._stack) + node.height > MAX_DEPTH:
            raise _StopError(place, f"is nested more than {MAX_DEPTH} levels deep")
        self._put(node, anchor, place)

    def _put(self, node: _Node, anchor: str | None, place: _Place) -> None:
        """Put a finished node where it belongs."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._stack:
            self._add_document(node, place)
            return
        frame = self._stack[-1]
        frame.nodes += node.nodes
        frame.size += node.size
        frame.height = max(frame.height, node.height)
        if not frame.is_mapping:
            frame.items.append(node.value)
        elif frame.key is None:
            self._take_key(frame, node, place)
        else:
            self._take_value(frame, node.value, place)

    def _take_key(self, frame: _Frame, node: _Node, place: _Place) -> None:
        value, frame.is_merge = node.value, node.is_merge
        if isinstance(value, dict | list):
            raise _StopError(place, "uses a mapping or list as a key", "write keys as text")
        frame.key = value.text if isinstance(value, Written) else str(value)
        if frame.key in frame.entries:
            self._report(place, f"the key {show(frame.key)} stands here a second time", "keep one of them")

    def _take_value(self, frame: _Frame, value: object, place: _Place) -> None:
        key, frame.key = frame.key or "", None
        if not frame.is_merge:
            frame.entries[key] = value
            return
        for source in value if isinstance(value, list) else [value]:
            if isinstance(source, dict):
                frame.merged = {**source, **frame.merged}
            else:
                self._report(place, "`<<` merges something that is not a mapping")

    def _add_document(self, node: _Node, place: _Place) -> None:
        is_empty = isinstance(node.value, Written) and not node.value.text
        if is_empty:
            return
        if self.documents:
            raise _StopError(place, "a second document begins", "keep one document; nothing after `---`")
        self.documents.append(node)

    def _read_scalar(self, event: yaml.ScalarEvent) -> _Node:
        text: str = event.value
        is_plain = event.style is None and event.tag is None
        value: str | Written = resolve_plain(text) if is_plain else text
        if event.tag not in {None, "!", _CORE + "str"}:
            value = self._read_tagged(event, resolve_plain(text))
        return _Node(value, 1, len(text), is_merge=is_plain and text == _MERGE)

    def _read_tagged(self, event: yaml.ScalarEvent, value: str | Written) -> str | Written:
        kinds: dict[str, tuple[type, ...]] = {
            "bool": (bool,),
            "int": (int,),
            "float": (int, float),
            "null": (type(None),),
        }
        tag = event.tag or ""
        kind = tag.removeprefix(_CORE)
        if kind not in kinds:
            self._report_tag(_place(event), tag)
            return ""
        if not isinstance(value, Written) or type(value.value) not in kinds[kind]:
            self._report(_place(event), f"`!!{kind}` stands before something else", "remove the tag")
        return value

    def _resolve_alias(self, event: yaml.AliasEvent) -> _Node:
        anchor: str = event.anchor or ""
        if anchor not in self._anchors:
            raise _StopError(_place(event), f"the alias {show('*' + anchor)} has no anchor before it")
        return self._anchors[anchor]

    def _count(self, place: _Place, nodes: int, size: int) -> None:
        self._nodes += nodes
        self._size += size
        if self._nodes > MAX_NODES or self._size > MAX_BYTES:
            cause = f"grows past {MAX_NODES} values or 1 MiB, aliases expanded"
            raise _StopError(place, cause, "a pod template is a few KiB at most")

    def _report_tag(self, place: _Place, tag: str) -> None:
        shown = tag.replace(_CORE, "!!", 1)
        self._report(place, f"the tag {show(shown)} is not allowed", "remove it; manifests need no tags")

    def _report(self, place: _Place, cause: str, remedy: str = "") -> None:
        self.faults.append(_fault(place, cause, remedy))
        if len(self.faults) >= MAX_FAULTS:
            raise _StopError(place, "has further faults from here on", "mend those above first")


def _place(event: yaml.Event) -> _Place:
    mark = event.start_mark
    return _Place(mark.line + 1, mark.column + 1) if mark else _Place(1, 1)


def _fault(place: _Place, cause: str, remedy: str = "") -> Fault:
    return Fault("", f"line {place.line}, column {place.column}: {cause}", remedy)


def _reader_fault(text: str, error: yaml.reader.ReaderError) -> Fault:
    before = text[: error.position]
    place = _Place(before.count("\n") + 1, len(before) - before.rfind("\n"))
    return _fault(place, "holds a character that YAML does not allow", "remove it")


def _syntax_fault(text: str, error: yaml.MarkedYAMLError) -> Fault:
    """Say where the syntax breaks; PyYAML's own text would quote the lines around it."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Fault("", "is not valid YAML")
    # What PyYAML says of a tab in an indent depends on the lines before it, and is seldom that.
    line = text[mark.index - mark.column :].split("\n", 1)[0]
    indent = line[: len(line) - len(line.lstrip())]
    if "\t" in indent:
        place = _Place(mark.line + 1, indent.index("\t") + 1)
        return _fault(place, "a tab stands where YAML allows spaces only", "indent with spaces")
    return _fault(_Place(mark.line + 1, mark.column + 1), f"is not valid YAML ({error.problem})")


def _without_json_tabs(text: str) -> str:
    """Give JSON that is indented with tabs a form that YAML can read; anything else stays as it is."""
    if "\t" not in text or not text.lstrip().startswith("{"):
        return text
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text
    # JSON allows no bare tab within a string.
    return text.replace("\t", " ")
