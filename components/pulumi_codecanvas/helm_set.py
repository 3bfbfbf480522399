"""Helm's grammar for `--set` and its relatives: `a.b[0].c=x,d={e,f}`.

It gives what Helm 3 gives, oddities included (`pkg/strvals` in Helm's sources; parity is tested against
it), with two bounds of its own, because the text may be hostile: nesting deeper than `MAX_DEPTH` and lists
longer in sum than `MAX_SLOTS` are errors.

The text holds secrets, and a broken pair may have one on its left side too: no error here repeats any of
it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

from pulumi_codecanvas.errors import CodeCanvasError

if TYPE_CHECKING:
    from collections.abc import Callable

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
"""A value in plain JSON types."""

MAX_INDEX = 65536
"""The largest list index; Helm's own bound."""
MAX_NAME_DEPTH = 30
"""The most dots that one name may have in a row; Helm's own bound."""
MAX_DEPTH = 100
"""The deepest nesting of maps and lists; Helm has no such bound."""
MAX_SLOTS = 200_000
"""The most list entries, gaps included, that all assignments together may make; Helm has no such bound."""

_INT64 = range(-(2**63), 2**63)
_INTEGER = re.compile(r"[+-]?[0-9]+")
_MAX_INT64_DIGITS = 19
_MAX_EXACT_INTEGER = 2**53
_GO_SPACES = frozenset("\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | frozenset(
    map(chr, range(0x2000, 0x200B))
)
_JSON_SPACES = re.compile(r"[ \t\r\n]*")
_JSON_BROKEN_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.(?![0-9])|(?:\.[0-9]+)?[eE](?![+-]?[0-9]))")
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


class HelmSetError(CodeCanvasError):
    """An assignment that Helm would refuse; its text says what is wrong and repeats nothing of it."""


class SetMerger:
    """Merges assignments into values, in place, as Helm does for each flag of the `--set` family.

    Attributes:
        values: the values so far; plain JSON types.
        integers: what `--set` gave as integers, which Helm keeps as such; all other numbers are floats to it.
    """

    def __init__(self, values: dict[str, Json]) -> None:
        self.values = values
        self.integers: list[int] = []
        self._slots = MAX_SLOTS

    def set(self, text: str) -> None:
        """Merge `--set`: true, false, null and integers get their type, all else is a string."""
        self._merge(_Assignments(text, self._slots, self._infer_type))

    def set_string(self, text: str) -> None:
        """Merge `--set-string`: every value is a string."""
        self._merge(_Assignments(text, self._slots, str))

    def set_file(self, text: str, read: Callable[[str], str]) -> None:
        """Merge `--set-file`: every value is a path, which `read` turns into the file's text."""
        self._merge(_Assignments(text, self._slots, read))

    def set_json(self, text: str) -> None:
        """Merge `--set-json`: every value is a JSON value; an empty one is null."""
        self._merge(_JsonAssignments(text, self._slots))

    def set_literal(self, text: str) -> None:
        """Merge `--set-literal`: one pair, whose value is the rest of the text as it stands."""
        self._merge(_LiteralAssignment(text, self._slots))

    def _infer_type(self, text: str) -> Json:
        value = infer_type(text)
        if isinstance(value, int) and not isinstance(value, bool):
            self.integers.append(value)
        return value

    def _merge(self, assignments: _Assignments) -> None:
        assignments.merge_into(self.values)
        self._slots = assignments.slots


def infer_type(text: str) -> str | int | bool | None:
    """Give a `--set` value the type that Helm gives it.

    Returns:
        A bool or None for true, false and null in any case; an int for a decimal integer of 64 bits that does
        not start with zero (`0` itself is one); else the text.
    """
    # Go's EqualFold maps one character to one; casefold() alone would also take ligatures apart.
    folded = text.casefold()
    if len(folded) == len(text) and folded in _WORDS:
        return _WORDS[folded]
    if text == "0":
        return 0
    if text.startswith("0") or not _INTEGER.fullmatch(text):
        return text
    if len(text.lstrip("+-").lstrip("0")) > _MAX_INT64_DIGITS:
        return text
    number = int(text)
    return number if number in _INT64 else text


def to_json_number(text: str) -> int | float:
    """Read a number as Helm reads one from JSON and YAML: as a 64-bit float.

    Returns:
        An int where the float is a whole number that floats hold exactly, else the float.

    Raises:
        OverflowError: it is larger than any float.
    """
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise OverflowError("a number is out of range")
    return int(number) if number.is_integer() and abs(number) <= _MAX_EXACT_INTEGER else number


def check_depth(value: Json, limit: int = MAX_DEPTH) -> None:
    """Refuse a value of plain JSON types that nests deeper than `limit` (HelmSetError)."""
    level: list[Json] = [value]
    for _ in range(limit + 1):
        level = [container for container in level if isinstance(container, (dict, list))]
        if not level:
            return
        level = [child for container in level for child in _list_children(container)]
    raise HelmSetError(f"it nests deeper than {limit} levels")


def _list_children(value: Json) -> list[Json]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


class _Assignments:
    """One run over the text of a `--set`, `--set-string` or `--set-file`.

    The methods that read a part return True to go on, and False where the text ends at a place at which Helm
    takes that for the end of all assignments (`a.b.` is one: it sets nothing).

    Attributes:
        name_stops: what ends a part of a name.
        escapes: whether a backslash takes the next character as it is.
        ends_at_empty_value: whether the text ends in the middle of a name where nothing follows its `=`, so that
            `a.b=` gives an empty text but `a[0].b=` no entry.
    """

    name_stops = "=[,."
    escapes = True
    ends_at_empty_value = True

    def __init__(self, text: str, slots: int, convert: Callable[[str], Json] = str) -> None:
        self.text = text
        self.slots = slots
        self.convert = convert
        self.position = 0
        self.depth = 0

    def merge_into(self, values: dict[str, Json]) -> None:
        while self.read_name(values, 0):
            pass

    def read_name(self, target: dict[str, Json], dots: int) -> bool:
        """Read a name up to what follows it, and set it in the map."""
        name, stop = self.take_until(self.name_stops)
        if not stop:
            if name:
                raise HelmSetError("a name has no value")
            return False
        if stop == ",":
            raise HelmSetError("a name has no value (a comma ends it)")
        if stop == "=":
            more = self.position < len(self.text) or not self.ends_at_empty_value
            _put(target, name, self.read_value())
            return more
        self.deepen()
        more = self.read_entry(target, name, dots) if stop == "[" else self.read_child(target, name, dots + 1)
        self.depth -= 1
        return more

    def read_child(self, target: dict[str, Json], name: str, dots: int) -> bool:
        """Read what follows `name.`."""
        if dots > MAX_NAME_DEPTH:
            raise HelmSetError(f"a name has more than {MAX_NAME_DEPTH} levels")
        child = target.get(name, {})
        if not isinstance(child, dict):
            raise HelmSetError("a name goes on below a value that is no map")
        more = self.read_name(child, dots)
        if more and not child:
            raise HelmSetError("a name has no value below it")
        if child:
            _put(target, name, child)
        return more

    def read_entry(self, target: dict[str, Json], name: str, dots: int) -> bool:
        """Read what follows `name[`."""
        index = self.read_index()
        entries = target.get(name, [])
        if not isinstance(entries, list):
            raise HelmSetError("an index is on a value that is no list")
        more = self.set_entry(entries, index, dots)
        _put(target, name, entries)
        return more

    def read_index(self) -> int:
        digits, stop = self.take_until("]")
        if not stop:
            raise HelmSetError("an index has no closing bracket")
        if not _INTEGER.fullmatch(digits):
            raise HelmSetError("an index is not a whole number")
        if len(digits.lstrip("+-").lstrip("0")) > _MAX_INT64_DIGITS:
            raise HelmSetError(f"an index is larger than {MAX_INDEX}")
        return int(digits)

    def set_entry(self, entries: list[Json], index: int, dots: int) -> bool:
        """Read what follows `[index]`, and set it in the list."""
        if index < 0:
            raise HelmSetError("an index is negative")
        rest, stop = self.take_until("[.=")
        if rest:
            raise HelmSetError("an index is followed by something else than '.', '[' or '='")
        if not stop:
            return False
        if stop == "=":
            self.place(entries, index, self.read_value())
            return True
        self.deepen()
        more = self.set_in_list(entries, index, dots) if stop == "[" else self.set_in_map(entries, index, dots)
        self.depth -= 1
        return more

    def set_in_list(self, entries: list[Json], index: int, dots: int) -> bool:
        inner_index = self.read_index()
        inner = entries[index] if index < len(entries) else None
        if inner is None:
            inner = []
        if not isinstance(inner, list):
            raise HelmSetError("an index is on a value that is no list")
        if not self.set_entry(inner, inner_index, dots):
            return False
        self.place(entries, index, inner)
        return True

    def set_in_map(self, entries: list[Json], index: int, dots: int) -> bool:
        old = entries[index] if index < len(entries) else None
        inner = old if isinstance(old, dict) else {}
        if index < len(entries):
            entries[index] = inner
        if not self.read_name(inner, dots):
            return False
        self.place(entries, index, inner)
        return True

    def place(self, entries: list[Json], index: int, value: Json) -> None:
        """Set one entry; the gap before it becomes nulls."""
        if index > MAX_INDEX:
            raise HelmSetError(f"an index is larger than {MAX_INDEX}")
        missing = index + 1 - len(entries)
        if missing > 0:
            self.slots -= missing
            if self.slots < 0:
                raise HelmSetError(f"the lists have more than {MAX_SLOTS} entries in all")
            entries.extend([None] * missing)
        entries[index] = value

    def read_value(self) -> Json:
        """Read what follows `=`: one value, or several in braces."""
        if not self.text.startswith("{", self.position):
            at_end = self.position == len(self.text)
            # An empty value that ends the text is not converted: `--set-file a=` reads no file.
            return "" if at_end else self.convert(self.take_until(",")[0])
        self.position += 1
        values: list[Json] = []
        while True:
            value, stop = self.take_until(",}")
            if not stop:
                raise HelmSetError("a list in braces is not closed")
            values.append(self.convert(value))
            if stop == "}":
                break
        if self.text.startswith(",", self.position):
            self.position += 1
        return values

    def deepen(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise HelmSetError(f"a name nests deeper than {MAX_DEPTH} levels")

    def take_until(self, stops: str) -> tuple[str, str]:
        """Take the text up to one of `stops`, which is consumed too.

        Returns:
            The text without its backslash escapes, and the stop; the stop is empty at the end of the text.
        """
        taken: list[str] = []
        while self.position < len(self.text):
            character = self.text[self.position]
            self.position += 1
            if character in stops:
                return "".join(taken), character
            if character == "\\" and self.escapes:
                if self.position == len(self.text):
                    break
                character = self.text[self.position]
                self.position += 1
            taken.append(character)
        return "".join(taken), ""


class _LiteralAssignment(_Assignments):
    """One run over the text of a `--set-literal`: no escapes, no lists in braces, no second pair."""

    name_stops = "=[."
    escapes = False
    ends_at_empty_value = False

    def read_value(self) -> str:
        value = self.text[self.position :]
        self.position = len(self.text)
        return value


class _JsonAssignments(_Assignments):
    """One run over the text of a `--set-json`."""

    ends_at_empty_value = False

    def read_value(self) -> Json:
        if self.skip_blanks_and_comma():
            return None
        start = _skip_json_blanks(self.text, self.position)
        value, self.position = _read_json(self.text, start)
        self.skip_blanks_and_comma()
        return value

    def skip_blanks_and_comma(self) -> bool:
        """Skip blanks and one comma; tell whether a comma or the end of the text was met."""
        while self.position < len(self.text):
            character = self.text[self.position]
            if character != "," and character not in _GO_SPACES:
                return False
            self.position += 1
            if character == ",":
                return True
        return True


def _put(target: dict[str, Json], name: str, value: Json) -> None:
    """Set a name in a map; Helm ignores an empty one."""
    if name:
        target[name] = value


def _skip_json_blanks(text: str, start: int) -> int:
    match = _JSON_SPACES.match(text, start)
    return match.end() if match else start


def _refuse_constant(_name: str) -> Json:
    raise ValueError("not JSON")


_JSON = json.JSONDecoder(parse_int=to_json_number, parse_float=to_json_number, parse_constant=_refuse_constant)


def _read_json(text: str, start: int) -> tuple[Json, int]:
    """Read one JSON value and where it ends, as Go's decoder does."""
    # Python would stop before the dot or the exponent and leave the rest to be read as the next name.
    if _JSON_BROKEN_NUMBER.match(text, start):
        raise HelmSetError("a value is not JSON")
    try:
        value, end = _JSON.raw_decode(text, start)
        check_depth(value)
    except RecursionError:
        raise HelmSetError(f"a value nests deeper than {MAX_DEPTH} levels") from None
    except (ValueError, OverflowError):
        raise HelmSetError("a value is not JSON") from None
    return _replace_lone_surrogates(value), end


def _replace_lone_surrogates(value: Json) -> Json:
    """Go reads half of a surrogate pair as U+FFFD; as it is, no text encoding could carry it."""
    if isinstance(value, str):
        return _to_text(value)
    if isinstance(value, list):
        return [_replace_lone_surrogates(entry) for entry in value]
    if isinstance(value, dict):
        return {_to_text(key): _replace_lone_surrogates(child) for key, child in value.items()}
    return value


def _to_text(text: str) -> str:
    return _LONE_SURROGATE.sub("\ufffd", text)
