"""Compares what a program asks for with what there is, field by field, as the engine shows it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pulumi.runtime.proto import provider_pb2 as proto

from codecanvas_provider.resource import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from decimal import Decimal

Path = tuple[str | int, ...]

_MISSING: Any = object()
_KINDS = proto.PropertyDiff

_Change = tuple[Any, Any]
"""The protocol's kind of a change, and its kind where it needs a new resource."""
_ADD: _Change = (_KINDS.ADD, _KINDS.ADD_REPLACE)
_UPDATE: _Change = (_KINDS.UPDATE, _KINDS.UPDATE_REPLACE)
_DELETE: _Change = (_KINDS.DELETE, _KINDS.DELETE_REPLACE)

_REPLACING: dict[str, tuple[str, ...]] = {
    "v1/PersistentVolumeClaim": ("spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName"),
    "v1/ResourceQuota": ("spec.scopes",),
    "v1/Secret": ("type",),
    "rbac.authorization.k8s.io/v1/ClusterRoleBinding": ("roleRef",),
    "rbac.authorization.k8s.io/v1/RoleBinding": ("roleRef",),
    "storage.k8s.io/v1/StorageClass": ("parameters", "provisioner"),
}
"""Fields that the API server does not let anyone change, beside name and namespace, by apiVersion and kind."""


def replacing_fields(api_version: str, kind: str) -> tuple[str, ...]:
    """Name the fields of a kind whose change needs a new object."""
    return ("metadata.name", "metadata.namespace", *_REPLACING.get(f"{api_version}/{kind}", ()))


def prune(live: Any, shape: Any) -> Any:
    """Leave of a live object what the program speaks of, so that the cluster's own fields make no difference."""
    if isinstance(live, dict) and isinstance(shape, dict):
        return {key: prune(live[key], shape[key]) for key in shape if key in live}
    if isinstance(live, list) and isinstance(shape, list):
        return [prune(item, shape[index]) if index < len(shape) else item for index, item in enumerate(live)]
    return live


def compare(
    old_inputs: Mapping[str, Any], old_state: Mapping[str, Any], new_inputs: Mapping[str, Any], replacing: Sequence[str]
) -> dict[str, proto.PropertyDiff]:
    """Give the differences by property path.

    Args:
        old_inputs: what the program asked for; what is in it and no longer in `new_inputs` is taken away.
        old_state: what there is.
        new_inputs: what the program asks for.
        replacing: paths whose change needs a new resource.
    """
    found = _compare_maps((), old_inputs, old_state, new_inputs)
    return {_written(path): _difference(kind, path, replacing) for path, kind in found}


def replaces(differences: Mapping[str, proto.PropertyDiff]) -> list[str]:
    """Name the differences that need a new resource."""
    kinds = {_KINDS.ADD_REPLACE, _KINDS.UPDATE_REPLACE, _KINDS.DELETE_REPLACE}
    return [path for path, difference in differences.items() if difference.kind in kinds]


def _compare_maps(
    path: Path, old_inputs: Mapping[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[tuple[Path, _Change]]:
    for key in sorted({*old_inputs, *new}):
        values = (old_inputs.get(key, _MISSING), old.get(key, _MISSING), new.get(key, _MISSING))
        yield from _compare((*path, key), *values)


def _compare(path: Path, old_input: Any, old: Any, new: Any) -> Iterator[tuple[Path, _Change]]:
    if new is _MISSING:
        if old is not _MISSING:
            yield path, _DELETE
    elif old is _MISSING:
        yield path, _ADD
    elif new is UNKNOWN:
        yield path, _UPDATE
    elif isinstance(old, dict) and isinstance(new, dict):
        yield from _compare_maps(path, old_input if isinstance(old_input, dict) else {}, old, new)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(path, old, new)
    elif old != new and not (_holds_quantity(path) and _is_same_quantity(old, new)):
        yield path, _UPDATE


def _holds_quantity(path: Path) -> bool:
    return len(path) > 1 and path[-2] in {"requests", "limits", "hard"}


def _is_same_quantity(one: Any, other: Any) -> bool:
    """Tell whether the API server writes both alike: `cpu: 4` becomes `"4"` there, and `4096Mi` becomes `4Gi`."""
    # Loaded only where there is a difference, as it takes the whole client along.
    from kubernetes.utils.quantity import parse_quantity

    parse: Callable[[str], Decimal] = parse_quantity
    try:
        # As text, for a float is not the decimal number that somebody wrote.
        return parse(str(one)) == parse(str(other))
    except ValueError:
        return False


def _compare_lists(path: Path, old: list[Any], new: list[Any]) -> Iterator[tuple[Path, _Change]]:
    for index in range(max(len(old), len(new))):
        before = old[index] if index < len(old) else _MISSING
        after = new[index] if index < len(new) else _MISSING
        # Within a list there is no telling what the program no longer asks for: all that differs counts.
        yield from _compare((*path, index), before, before, after)


def _difference(kind: _Change, path: Path, replacing: Sequence[str]) -> proto.PropertyDiff:
    plain, replacement = kind
    chosen = replacement if any(_touches(path, tuple(field.split("."))) for field in replacing) else plain
    return proto.PropertyDiff(kind=chosen, inputDiff=kind is _DELETE)


def _touches(path: Path, field: tuple[str, ...]) -> bool:
    """Tell whether a change at `path` changes `field`, which may be within what changes or around it."""
    return all(one == other for one, other in zip(path, field, strict=False))


def _written(path: Path) -> str:
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.search(r'[."\[\]]', part):
            quoted = part.replace('"', '\\"')
            text += f'["{quoted}"]'
        else:
            text += f".{part}" if text else part
    return text
