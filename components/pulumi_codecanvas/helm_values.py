"""Values files (`-f`, `--values`) as Helm reads and merges them.

Helm reads YAML 1.1 through a JSON conversion, so `yes` is true, `0o17` and `017` are 15, dates and
`12:30:45` stay text, and every key becomes a string. PyYAML parses the file here; what its scalars mean
follows Helm. Where Helm guesses, this refuses: keys that are floats, keys such as `1` and `'1'` in one map, binary
data that is not UTF-8, an explicit `!!timestamp`. PyYAML is stricter than Helm about tabs before a value and about
an anchor that is set twice. The file may be hostile, so its size, its nesting and its growth through aliases are
bounded.

A values file may hold secrets: no error here repeats any of it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from pulumi_codecanvas.errors import CodeCanvasError
from pulumi_codecanvas.helm_set import MAX_DEPTH, Json, to_json_number

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_FILE_BYTES = 256 * 1024
"""The largest values file: far above real ones, and read in about two seconds."""
MAX_NODES = 100_000
"""The most values that a file may give, each alias counted as what it stands for."""

_PREFIX = "tag:yaml.org,2002:"
_PLAIN = ""
_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"))
_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_NOT_FINITE = re.compile(r"[+-]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_INTEGER = re.compile(r"([+-]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))|0b([+-][01]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_FLOAT_BELOW_ONE = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_INTEGERS = range(-(2**63), 2**64)
_KEY_INTEGERS = range(-(2**63), 2**63)
_MAX_DIGITS = 64


class HelmValuesError(CodeCanvasError):
    """A values file that Helm would refuse; the text repeats nothing of the file."""


def read_values(content: bytes) -> dict[str, Json]:
    """Read a values file.

    Args:
        content: the file: YAML, of which Helm reads the first document only.

    Returns:
        The values, in plain JSON types.

    Raises:
        HelmValuesError: it is too large, is no YAML, or is no map.
    """
    if len(content) > MAX_FILE_BYTES:
        raise HelmValuesError(f"it is larger than {MAX_FILE_BYTES // 1024} KiB")
    try:
        values = _Builder().build(_compose_first(content), 0)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" (line {mark.line + 1})" if mark else ""
        raise HelmValuesError(f"it is not valid YAML{where}") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise HelmValuesError("it is not valid YAML: a character that YAML does not allow") from None
    except RecursionError:
        raise HelmValuesError(f"it nests deeper than {MAX_DEPTH} levels") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise HelmValuesError("it is not a YAML map")
    return values


def merge_values(base: Mapping[str, Any], override: Mapping[str, Any]) -> dict[str, Any]:
    """Merge as Helm merges one values file over another: maps deeply, all else replaced, nulls kept."""
    merged = dict(base)
    for name, value in override.items():
        old = merged.get(name)
        merged[name] = merge_values(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


class _Loader(yaml.SafeLoader):
    """PyYAML's parser, which here only tells plain scalars from quoted ones and leaves their meaning open."""

    def resolve(self, kind: type[yaml.Node], _value: object, implicit: object) -> str:
        is_plain = kind is yaml.ScalarNode and isinstance(implicit, tuple) and implicit[0]
        return _PLAIN if is_plain else f"{_PREFIX}str"

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        event: object = self.peek_event()  # type: ignore[no-untyped-call]  # PyYAML's stubs leave it open
        node = super().compose_scalar_node(anchor)
        if getattr(event, "tag", None) == "!":
            # The lone tag `!` makes text of any scalar in Helm; PyYAML resolves it like an untagged one.
            node.tag = f"{_PREFIX}str"
        return node


def _compose_first(content: bytes) -> yaml.Node | None:
    loader = _Loader(content)
    try:
        node = loader.get_node() if loader.check_node() else None
        if getattr(loader, "yaml_version", None) not in (None, (1, 1)):
            raise HelmValuesError("its `%YAML` line names another version than 1.1, which Helm does not read")
        return node
    finally:
        loader.dispose()


class _Key(NamedTuple):
    """A key as text, and whether it was text before."""

    text: str
    is_text: bool


class _Builder:
    """Turns one document's nodes into plain JSON types."""

    def __init__(self) -> None:
        self._nodes = 0

    def build(self, node: yaml.Node | None, depth: int) -> Json:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise HelmValuesError(f"it has more than {MAX_NODES} values, counting what its aliases stand for")
        if depth > MAX_DEPTH:
            raise HelmValuesError(f"it nests deeper than {MAX_DEPTH} levels, or an anchor contains itself")
        if isinstance(node, yaml.MappingNode):
            return self._build_map(node, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(entry, depth + 1) for entry in node.value]
        return None if node is None else _read_scalar(node)

    def _build_map(self, node: yaml.MappingNode, depth: int) -> dict[str, Json]:
        entries: dict[_Key, Json] = {}
        self._add_entries(node, entries, depth)
        values = {key.text: value for key, value in entries.items()}
        if len(values) < len(entries):
            raise HelmValuesError(f"two keys of a map are the same once they are text (line {_line_of(node)})")
        return values

    def _add_entries(self, node: yaml.MappingNode, entries: dict[_Key, Json], depth: int) -> None:
        for key, value in node.value:
            if _is_merge(key):
                # In the order of the file: a merge overrides the keys above it, as in Helm.
                self._merge(value, entries, depth)
            else:
                entries[_read_key(key)] = self.build(value, depth + 1)

    def _merge(self, node: yaml.Node, entries: dict[_Key, Json], depth: int) -> None:
        sources = list(reversed(node.value)) if isinstance(node, yaml.SequenceNode) else [node]
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                raise HelmValuesError(f"a merge (`<<`) of something else than maps (line {_line_of(source)})")
            self._nodes += 1
            if self._nodes > MAX_NODES or depth > MAX_DEPTH:
                raise HelmValuesError("its merges (`<<`) give too many values")
            self._add_entries(source, entries, depth + 1)


def _line_of(node: yaml.Node) -> int:
    line: int = node.start_mark.line
    return line + 1


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.tag in (_PLAIN, f"{_PREFIX}merge")


def _read_key(key: yaml.Node) -> _Key:
    value = _read_scalar(key) if isinstance(key, yaml.ScalarNode) else None
    if isinstance(value, str):
        return _Key(value, is_text=True)
    if isinstance(value, bool):
        return _Key("true" if value else "false", is_text=False)
    integer = None if value is None else _read_integer(key.value)
    if integer is None or integer not in _KEY_INTEGERS:
        raise HelmValuesError(f"a key is no text (line {_line_of(key)}): write it in quotes")
    return _Key(str(integer), is_text=False)


def _read_scalar(node: yaml.Node) -> Json:
    text: str = node.value
    tag = node.tag.removeprefix(_PREFIX)
    if tag == _PLAIN:
        return _infer(text)
    if tag == "binary":
        return _read_binary(node)
    if tag == "timestamp":
        raise HelmValuesError(f"`!!timestamp` is not supported (line {_line_of(node)}): write the time in quotes")
    fits = _FITS.get(tag) if node.tag.startswith(_PREFIX) else None
    if fits is None:
        return text
    value = _infer(text)
    if not fits(text, value):
        raise HelmValuesError(f"a value does not fit its tag (line {_line_of(node)})")
    return value


def _read_binary(node: yaml.Node) -> str:
    try:
        return base64.b64decode("".join(node.value.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        raise HelmValuesError(f"`!!binary` data is not UTF-8 in base64 (line {_line_of(node)})") from None


def _infer(text: str) -> Json:
    """Give a plain scalar the type that Helm gives it."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if text in _NULL:
        return None
    if _NOT_FINITE.fullmatch(text):
        raise HelmValuesError("a number is infinite or not a number, which no chart value can be")
    return _infer_number(text)


def _infer_number(text: str) -> Json:
    if not text.startswith(tuple("+-.0123456789")):
        return text
    plain = text.replace("_", "")
    if text.startswith("."):
        is_float = _FLOAT_BELOW_ONE.fullmatch(text)
    else:
        integer = _read_integer(text)
        if integer is not None:
            return to_json_number(str(integer))
        is_float = _FLOAT.fullmatch(plain)
    try:
        return to_json_number(plain) if is_float else text
    except OverflowError:
        return text


def _read_integer(text: str) -> int | None:
    """Read an integer in any of Go's bases; None where the text is none, or more than 64 bits long."""
    match = _INTEGER.fullmatch(text.replace("_", ""))
    if not match:
        return None
    sign, hexadecimal, binary, octal, decimal, signed_binary = match.groups()
    by_base = ((hexadecimal, 16), (binary, 2), (octal, 8), (decimal, 10), (signed_binary, 2))
    digits, base = next((digits, base) for digits, base in by_base if digits is not None)
    if len(digits.lstrip("+-").lstrip("0")) > _MAX_DIGITS:
        return None
    number = int(digits, base) * (-1 if sign == "-" else 1)
    return number if number in _INTEGERS and not (number >= 2**63 and sign) else None


_FITS: dict[str, Callable[[str, Json], bool]] = {
    "bool": lambda _, value: isinstance(value, bool),
    "int": lambda text, value: not isinstance(value, (bool, str)) and _read_integer(text) is not None,
    "float": lambda _, value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "null": lambda _, value: value is None,
}
