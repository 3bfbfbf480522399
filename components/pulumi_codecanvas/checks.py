"""Checks that several modules share: names, labels, quantities, unknown keys, and how faults show them.

Sources of the rules: Kubernetes "Object Names and IDs", "Labels and Selectors", "Annotations", "Quantity",
and Helm's limit on release names.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    _ValueCheck = Callable[[str, str], list[Fault]]

LABEL_LENGTH = 63
SUBDOMAIN_LENGTH = 253
# Helm's own limit: 63 less the longest suffix that charts commonly add.
RELEASE_NAME_LENGTH = 53
ANNOTATIONS_SIZE = 256 * 1024

_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(rf"{_DNS_LABEL.pattern}(\.{_DNS_LABEL.pattern})*")
_QUALIFIED_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_ENV_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_QUANTITY = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,3})?")
_PLAIN_KEY = re.compile(r"[A-Za-z_][-A-Za-z0-9_]*")
_SHOWN_LENGTH = 60
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_EDGES = "beginning and ending with a letter or digit"


def show(text: str) -> str:
    """Quote a name for a fault: escaped to plain ASCII, cut when long. Not for values that may be secret."""
    return json.dumps(text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "...")


def join_path(path: str, key: str) -> str:
    """Extend a fault's path by a key: `labels.team`, or `labels["a.b/c"]` where dots would mislead."""
    if not _PLAIN_KEY.fullmatch(key) or len(key) > _SHOWN_LENGTH:
        return f"{path}[{show(key)}]"
    return f"{path}.{key}" if path else key


def type_name(value: object) -> str:
    """Name a value's type in a reader's words, without the value."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    names: dict[type, str] = {bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    return "empty" if value is None else names.get(type(value), f"of type {type(value).__name__}")


def suggest(word: str, known: Iterable[str]) -> str:
    """Give `did you mean X?` for a near miss of a known word, else an empty text."""
    candidates = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word[:_SHOWN_LENGTH].lower(), candidates, n=1, cutoff=0.7)
    return f"did you mean `{candidates[close[0]]}`?" if close else ""


def key_fault(path: str, key: object) -> Fault:
    """Report a key that is not text."""
    return Fault(path, f"holds a key that is {type_name(key)}", "write every key as text")


def unknown_key_faults(path: str, mapping: Mapping[object, object], known: Sequence[str]) -> list[Fault]:
    """Report each key that is not known, with the nearest known one or the list of them."""
    faults = []
    for key in mapping:
        if not isinstance(key, str):
            faults.append(key_fault(path, key))
        elif key not in known:
            remedy = suggest(key, known) or f"known keys are {', '.join(known)}"
            faults.append(Fault(join_path(path, key), "is not known", remedy))
    return faults


def dns_label_faults(path: str, value: object, *, max_length: int = LABEL_LENGTH) -> list[Fault]:
    """Check a DNS-1123 label: the form of namespaces and platform names."""
    allowed = f"use up to {max_length} lower-case letters, digits and `-`, {_EDGES}"
    return _name_faults(path, value, _DNS_LABEL, max_length, allowed)


def dns_subdomain_faults(path: str, value: object, *, max_length: int = SUBDOMAIN_LENGTH) -> list[Fault]:
    """Check a DNS-1123 subdomain: the form of most object names, such as service accounts."""
    allowed = f"use up to {max_length} lower-case letters, digits, `-` and `.`, every part {_EDGES}"
    return _name_faults(path, value, _DNS_SUBDOMAIN, max_length, allowed)


def release_name_faults(path: str, value: object) -> list[Fault]:
    """Check the name of a Helm release: at most 53 characters."""
    return dns_subdomain_faults(path, value, max_length=RELEASE_NAME_LENGTH)


def _name_faults(path: str, value: object, pattern: re.Pattern[str], max_length: int, allowed: str) -> list[Fault]:
    if not isinstance(value, str):
        return [Fault(path, f"is {type_name(value)}, not a text", allowed)]
    if not value:
        return [Fault(path, "is empty", allowed)]
    if len(value) > max_length:
        return [Fault(path, f"{show(value)} has {len(value)} characters", allowed)]
    return [] if pattern.fullmatch(value) else [Fault(path, f"{show(value)} is not a valid name", allowed)]


def label_faults(path: str, labels: object) -> list[Fault]:
    """Check a map of labels; opaque values, such as outputs, are left for the API server."""
    return _metadata_faults(path, labels, "label", _label_value_faults)


def annotation_faults(path: str, annotations: object) -> list[Fault]:
    """Check a map of annotations; opaque values are left for the API server."""
    faults = _metadata_faults(path, annotations, "annotation", _no_faults)
    if isinstance(annotations, Mapping):
        texts = [part for item in annotations.items() for part in item if isinstance(part, str)]
        if sum(len(text.encode(errors="replace")) for text in texts) > ANNOTATIONS_SIZE:
            faults.append(Fault(path, "is larger than 256 KiB", "keep large data in a ConfigMap"))
    return faults


def _metadata_faults(path: str, entries: object, noun: str, value_faults: _ValueCheck) -> list[Fault]:
    if not isinstance(entries, Mapping):
        return [Fault(path, f"is {type_name(entries)}, not a map of {noun}s", "write `key: value` pairs")]
    faults: list[Fault] = []
    for key, value in entries.items():
        if not isinstance(key, str):
            faults.append(key_fault(path, key))
            continue
        where = join_path(path, key)
        faults += metadata_key_faults(where, key)
        faults += value_faults(where, value) if isinstance(value, str) else _plain_value_faults(where, value)
    return faults


def metadata_key_faults(path: str, key: str) -> list[Fault]:
    """Check the key of a label or annotation: `name` or `prefix.example.com/name`."""
    prefix, slash, name = key.rpartition("/")
    named = len(name) <= LABEL_LENGTH and _QUALIFIED_NAME.fullmatch(name)
    prefixed = not slash or (len(prefix) <= SUBDOMAIN_LENGTH and _DNS_SUBDOMAIN.fullmatch(prefix))
    if named and prefixed:
        return []
    return [
        Fault(
            path,
            "is not a valid key",
            "use up to 63 letters, digits, `-`, `_` and `.`, after an optional DNS name and `/`",
        )
    ]


def _label_value_faults(path: str, value: str) -> list[Fault]:
    if not value or (len(value) <= LABEL_LENGTH and _QUALIFIED_NAME.fullmatch(value)):
        return []
    allowed = f"use up to 63 letters, digits, `-`, `_` and `.`, {_EDGES}"
    return [Fault(path, f"{show(value)} is not a valid label value", allowed)]


def _no_faults(_path: str, _value: str) -> list[Fault]:
    return []


def _plain_value_faults(path: str, value: object) -> list[Fault]:
    if isinstance(value, bool | int | float):
        return [Fault(path, f"is {type_name(value)}, not a text", f"quote it: {_quoted(value)}")]
    return [] if is_output(value) else [Fault(path, f"is {type_name(value)}, not a text", 'write a text, such as ""')]


def _quoted(value: float) -> str:
    # An integer of thousands of digits cannot be written out by Python at all.
    return '"..."' if isinstance(value, int) and value.bit_length() > 64 else json.dumps(json.dumps(as_whole(value)))


def is_output(value: object) -> bool:
    """Say whether a value is known later only: something to await, or an Output of Pulumi, told by its methods."""
    kind = type(value)
    if isinstance(value, Awaitable) or all(callable(getattr(kind, name, None)) for name in ("apply", "future")):
        return True
    # What Pulumi's SDK has in place of a value that a preview does not know.
    return kind.__name__ == "Unknown" and kind.__module__.startswith("pulumi.")


def is_storable(number: float) -> bool:
    """Say whether a number, or a truth, is one that JSON and Go can hold: an integer of 64 bits, or finite."""
    return _SMALLEST <= number <= _LARGEST if isinstance(number, int) else math.isfinite(number)


def as_whole(value: Any) -> Any:
    """Give a whole float as the integer that the program wrote: another language hands every number on as a float."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST else value


def as_text(value: object) -> object:
    """Write a number or a truth as Kubernetes wants it in a field of texts; anything else is passed on as it is."""
    return json.dumps(as_whole(value)) if isinstance(value, bool | int | float) else value


def is_env_name(name: str) -> bool:
    """Tell whether a text can name an environment variable of a container on every supported Kubernetes."""
    return _ENV_NAME.fullmatch(name) is not None


def is_quantity(text: str) -> bool:
    """Tell whether a text is a Kubernetes quantity, such as `4`, `500m`, `16Gi` or `1e3`."""
    return _QUANTITY.fullmatch(text) is not None


def quantity_faults(path: str, value: object) -> list[Fault]:
    """Check a Kubernetes quantity, written as text or as a number; one that is known later only is left for then."""
    remedy = "write a quantity, such as `64`, `500m` or `128Gi`"
    if is_output(value):
        return []
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return [Fault(path, f"is {type_name(value)}, not a quantity", remedy)]
    if isinstance(value, int) and value.bit_length() > 64:
        return [Fault(path, "is too large", remedy)]
    text = str(value)
    if not is_quantity(text):
        return [Fault(path, "is not a quantity", remedy)]
    return [Fault(path, "is negative", remedy)] if text.startswith("-") else []


def is_qualified_name(text: str) -> bool:
    """Tell whether a text has the form of a label key or resource name, such as `nvidia.com/gpu`."""
    return not metadata_key_faults("", text)
