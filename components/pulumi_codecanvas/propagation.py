"""What the worker passes on into dev-environment containers: two environment variables of `worker-main`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.checks import is_env_name, show, type_name
from pulumi_codecanvas.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ENV_KEYS_VARIABLE = "WORKER_STEP_CONTAINER_PROPAGATION_ENV_VAR_KEYS"
PATHS_VARIABLE = "WORKER_STEP_CONTAINER_PROPAGATION_PATHS"

# Public for names of variables; taken to be the same for paths.
_SEPARATOR = ";"


def propagation_faults(propagate_env: object, propagate_paths: object) -> list[Fault]:
    """Check the `propagateEnv` and `propagatePaths` arguments."""
    return [
        *_list_faults("propagateEnv", propagate_env, _name_problem),
        *_list_faults("propagatePaths", propagate_paths, _path_problem),
    ]


def merge_propagation(
    worker: dict[str, Any], path: str, propagate_env: Sequence[str], propagate_paths: Sequence[str]
) -> list[Fault]:
    """Add names and paths to what the worker's container propagates, in place; what is there already stays first.

    Returns:
        A fault where the template takes a list from elsewhere (`valueFrom`), for nothing can be added to it.

    """
    return [
        *_merge(worker, path, ENV_KEYS_VARIABLE, "propagateEnv", propagate_env),
        *_merge(worker, path, PATHS_VARIABLE, "propagatePaths", propagate_paths),
    ]


def _merge(worker: dict[str, Any], path: str, variable: str, argument: str, added: Sequence[str]) -> list[Fault]:
    if not added:
        return []
    env = worker.setdefault("env", [])
    index = next((index for index, entry in enumerate(env) if entry["name"] == variable), None)
    if index is None:
        env.append({"name": variable, "value": _join("", added)})
        return []
    entry = env[index]
    if "valueFrom" in entry:
        cause = f"takes {variable} from elsewhere, so `{argument}` cannot be added to it"
        return [Fault(f"{path}.env[{index}].valueFrom", cause, f"list everything in `{argument}`, or nothing")]
    entry["value"] = _join(entry.get("value", ""), added)
    return []


def _join(present: str, added: Sequence[str]) -> str:
    parts = [part for part in present.split(_SEPARATOR) if part]
    return _SEPARATOR.join(dict.fromkeys([*parts, *added]))


def _list_faults(argument: str, items: object, problem: Callable[[str], str]) -> list[Fault]:
    if not isinstance(items, list | tuple):
        return [Fault(argument, f"is {type_name(items)}, not a list", "write a list of texts")]
    faults = []
    for index, item in enumerate(items):
        if not isinstance(item, str):
            faults.append(Fault(f"{argument}[{index}]", f"is {type_name(item)}, not a text", "quote it"))
        elif found := problem(item):
            faults.append(Fault(f"{argument}[{index}]", *found.split("; ", 1)))
    return faults


def _name_problem(name: str) -> str:
    if is_env_name(name):
        return ""
    if "=" in name:
        # What follows the sign may be secret.
        return "is not a name of an environment variable; give the name alone, and the value in the pod template"
    return f"{show(name)} is not a name of an environment variable; list one name an entry"


def _path_problem(path: str) -> str:
    if not path.strip():
        return "is empty; give the path of a file in the worker"
    if _SEPARATOR in path:
        return f"{show(path)} holds a `{_SEPARATOR}`, which separates paths; list one path an entry"
    if not path.isprintable():
        return f"{show(path)} holds a control character; remove it"
    return ""
