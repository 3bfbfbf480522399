"""Where the way to a cluster comes from: kubeconfig text, a file, the environment, or the pod we run in.

The precedence is that of pulumi-kubernetes (client-go): what is given explicitly, else every file in
`KUBECONFIG`, else `~/.kube/config`, else the service account of the pod. Several files are merged as kubectl
does it: the first file to name something wins.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from pulumi_codecanvas.errors import ClusterError

if TYPE_CHECKING:
    from collections.abc import Mapping

_LISTS = ("clusters", "users", "contexts")
_PATHS = ("certificate-authority", "client-certificate", "client-key", "tokenFile")


def describe_source(kubeconfig: str | None, context: str | None) -> str:
    """Say in words which cluster is meant, without any content."""
    source = "the given kubeconfig" if kubeconfig else "the ambient kubeconfig"
    return f"{source}, context `{context}`" if context else source


def read_kubeconfig(kubeconfig: str | None, context: str | None) -> dict[str, Any] | None:
    """Give a kubeconfig that holds the one context to use, its cluster and its user.

    Args:
        kubeconfig: YAML or JSON text, a path to such a file, or None for the ambient one.
        context: the context to use; None: the current one.

    Returns:
        The kubeconfig, relative paths in files made absolute; None: use the service account of the pod.

    Raises:
        ClusterError: nothing usable was found.

    """
    config = _read(kubeconfig)
    if any(config[name] for name in _LISTS):
        return _select_context(config, context)
    if not kubeconfig and not context and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return None
    source = describe_source(kubeconfig, context)
    missing = [] if kubeconfig else [path for path in _named_files() if not path.is_file()]
    if missing:
        files = ", ".join(map(str, missing))
        cause = f"{source} names no cluster: KUBECONFIG names what does not exist: {files}"
        raise ClusterError(cause, "mend KUBECONFIG, or unset it to use ~/.kube/config")
    raise ClusterError(
        f"{source} names no cluster",
        "pass `kubeconfig`, set KUBECONFIG, or log in so that ~/.kube/config is written",
    )


def find_context_fault(kubeconfig: str | None, context: str | None) -> str:
    """Say that a context is not in a kubeconfig that can be read and has others; empty where it is, or nobody knows."""
    if not context:
        return ""
    try:
        config = _read(kubeconfig)
    except ClusterError:
        return ""
    known = config["contexts"]
    return "" if not known or context in known else str(_missing(config, "contexts", "context", context))


def is_path(kubeconfig: str) -> bool:
    """Tell the path of a file from a kubeconfig's content."""
    return "\n" not in kubeconfig and "{" not in kubeconfig


def is_elsewhere(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Say whether inputs have come to name another API server; where one cannot be told, they have not.

    Args:
        old: `kubeconfig` and `context` as they were.
        new: as they are.

    """
    ways = [(inputs.get("kubeconfig"), inputs.get("context")) for inputs in (old, new)]
    servers = [] if ways[0] == ways[1] else [_find_server(*way) for way in ways]
    return len(set(servers)) == 2 and None not in servers


def _find_server(kubeconfig: object, context: object) -> str | None:
    if not all(value is None or isinstance(value, str) for value in (kubeconfig, context)):
        return None  # not known yet
    try:
        config = read_kubeconfig(kubeconfig or None, context or None)  # type: ignore[arg-type] # looked at above
    except ClusterError:
        return None
    return None if config is None else str(config["clusters"][0]["cluster"].get("server"))


def _read(kubeconfig: str | None) -> dict[str, Any]:
    return _read_given(kubeconfig) if kubeconfig else _read_ambient()


def _read_given(kubeconfig: str) -> dict[str, Any]:
    """Read text or, where it is the path of a file that exists, that file."""
    if is_path(kubeconfig):
        path = _find_file(kubeconfig)
        if path is None:
            raise ClusterError(
                "`kubeconfig` is neither a kubeconfig's content nor the path of a file that exists",
                "pass the content (decoded, where it is kept as base64), or a path that is right on the machine that"
                " runs Pulumi",
            )
        return _merge([_read_file(path)])
    return _merge([_parse(kubeconfig, "`kubeconfig`")])


def _find_file(path: str) -> Path | None:
    """Give the file of this path; None where there is none, or the text cannot be a path, as one that is too long."""
    try:
        found = Path(path).expanduser()
        return found if found.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


def _read_ambient() -> dict[str, Any]:
    """Read the files that kubectl would read; those that do not exist are passed over."""
    paths = _named_files() or [Path("~/.kube/config").expanduser()]
    return _merge([_read_file(path) for path in paths if path.is_file()])


def _named_files() -> list[Path]:
    """List the files that the variable KUBECONFIG names, whether they exist or not."""
    return [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]


def _read_file(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterError(f"kubeconfig {path} cannot be read: {type(error).__name__}") from None
    config = _parse(text, f"kubeconfig {path}")
    for entry in _entries(config, "clusters", "cluster") + _entries(config, "users", "user"):
        _make_absolute(entry, path.absolute().parent)
    return config


def _parse(text: str, what: str) -> dict[str, Any]:
    """Parse YAML. Errors name a place, never the text there: it may be a secret."""
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
        raise ClusterError(f"{what} is not valid YAML{place}") from None
    if config is None:
        return {}
    if not isinstance(config, dict) or not all(isinstance(config.get(name) or [], list) for name in _LISTS):
        raise ClusterError(f"{what} is no kubeconfig", "pass what `kubectl config view --raw` prints")
    return config


def _merge(configs: list[dict[str, Any]]) -> dict[str, Any]:
    merged: dict[str, Any] = {name: {} for name in _LISTS}
    merged["current-context"] = ""
    for config in configs:
        current = config.get("current-context")
        merged["current-context"] = merged["current-context"] or (current if isinstance(current, str) else "")
        for name in _LISTS:
            for entry in config.get(name) or []:
                if isinstance(entry, dict) and isinstance(entry.get("name"), str):
                    merged[name].setdefault(entry["name"], entry)
    return merged


def _select_context(config: dict[str, Any], context: str | None) -> dict[str, Any]:
    name = context or config["current-context"]
    if not name:
        raise ClusterError("the kubeconfig has no current context", "pass `context`")
    chosen = _named(config, "contexts", "context", name)
    cluster = _named(config, "clusters", "cluster", chosen["context"].get("cluster"))
    picked = {"current-context": name, "contexts": [chosen], "clusters": [cluster], "users": []}
    user = chosen["context"].get("user")
    if user:
        picked["users"] = [_named(config, "users", "user", user)]
    return picked


def _named(config: dict[str, Any], section: str, key: str, name: Any) -> dict[str, Any]:
    entry = config[section].get(name) if isinstance(name, str) else None
    if entry is not None and not isinstance(entry.get(key), dict):
        raise ClusterError(f"the kubeconfig's {key} `{name}` is empty", "pass what `kubectl config view --raw` prints")
    if entry is None:
        raise _missing(config, section, key, name)
    return dict(entry)


def _missing(config: dict[str, Any], section: str, key: str, name: Any) -> ClusterError:
    known = ", ".join(f"`{other}`" for other in config[section]) or "none"
    return ClusterError(f"the kubeconfig has no {key} `{name}`", f"it has {known}")


def _entries(config: dict[str, Any], section: str, key: str) -> list[dict[str, Any]]:
    entries = [entry.get(key) for entry in config.get(section) or [] if isinstance(entry, dict)]
    return [entry for entry in entries if isinstance(entry, dict)]


def _make_absolute(entry: dict[str, Any], folder: Path) -> None:
    for name in _PATHS:
        if entry.get(name):
            entry[name] = str(folder / entry[name])
    plugin = entry.get("exec")
    if isinstance(plugin, dict) and os.sep in str(plugin.get("command", "")):
        plugin["command"] = str(folder / plugin["command"])
