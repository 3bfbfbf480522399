"""The platforms of a Pulumi stack, read from its state through the Pulumi CLI: works with every backend.

And where a file backend keeps that state.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import yaml

from codecanvas_provider.connection_test import ConnectionTest
from codecanvas_provider.dev_environments import DevEnvironments
from codecanvas_provider.inputs import last_wanted
from codecanvas_provider.state_files import StateFiles
from pulumi_codecanvas.errors import CodeCanvasError
from pulumi_codecanvas.tokens import COMPUTING_PLATFORM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from codecanvas_provider.inputs import Fields

ENVIRONMENTS = DevEnvironments.token
TEST = ConnectionTest.token

_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks a special value, such as a secret, in a state."""
_SECONDS = 120
_FILES = "file://"
_SIGNS_OF_DAMAGE = ("failed to load checkpoint", "unexpected end of JSON input")
_ADVICE = "on a backend that ran full, `codecanvas find-state` tells how it comes back"


class StackError(CodeCanvasError):
    """The stack cannot be read, or has no such platform."""


@dataclass(frozen=True)
class PlatformState:
    """One platform as the stack's last update left it.

    Attributes:
        name: the platform's name.
        inputs: of its `DevEnvironments` and `ConnectionTest`, merged. May hold a kubeconfig: never print them.
        test_inputs: of its `ConnectionTest` alone; None where it was never made. As secret as `inputs`.
        checks: outcome of the last connection test.
        outputs: of the component.
    """

    name: str
    inputs: dict[str, Any] = field(repr=False)
    test_inputs: dict[str, Any] | None = field(repr=False)
    checks: list[dict[str, str]]
    outputs: dict[str, Any] = field(repr=False)

    @property
    def application_values(self) -> dict[str, Any] | None:
        """The fragment of the application chart's values; None where the key is not known here."""
        found = _reveal(self.outputs.get("applicationValues"))
        return found if isinstance(found, dict) else None

    @property
    def pod_template(self) -> str | None:
        """The worker pod as normalised YAML; None where no update came to it yet."""
        found = _reveal(self.outputs.get("podTemplateYaml"))
        return found if isinstance(found, str) else None


def read_platforms(stack: str | None, directory: str | None) -> list[PlatformState]:
    """Read the platforms of a stack, by name.

    Args:
        stack: the stack's name; None: the one that is selected.
        directory: of the Pulumi project; None: the current one.

    Raises:
        StackError: Pulumi cannot read the stack.
    """
    resources = _export(stack, directory)
    platforms = find_platforms(resources)
    if any(_holds_secret(platform.inputs) or _holds_secret(platform.application_values) for platform in platforms):
        # A kubeconfig is kept as a secret, and an instance ID may be; only where there is one, secrets are asked for.
        platforms = find_platforms(_export(stack, directory, "--show-secrets"))
    return platforms


def locate_files(stack: str | None, directory: str | None) -> StateFiles:
    """Find out where a file backend keeps a stack, without reading its state.

    Args:
        stack: the stack's name; None: the one that is selected.
        directory: of the Pulumi project; None: the current one.

    Raises:
        StackError: there is no such backend, project or stack.
    """
    url = str(json.loads(_pulumi("whoami", "--json", directory=directory)).get("url"))
    if not url.startswith(_FILES):
        raise StackError(f"the backend {url} is no folder; only one that runs full leaves files that are cut off")
    here = Path(directory or ".").resolve()
    root = here / Path(unquote(url.removeprefix(_FILES).partition("?")[0])).expanduser()
    try:
        name = stack or _pulumi("stack", "--show-name", directory=directory).strip()
    except StackError:
        raise StackError("pulumi does not say which stack is selected; name it with --stack") from None
    *_, project, short = ("", *name.split("/"))
    return StateFiles(root, project or _find_project(here), short)


def find_platforms(resources: Iterable[dict[str, Any]]) -> list[PlatformState]:
    """Find the platforms among the resources of an exported stack."""
    # What waits for its deletion after a replacement is not the platform any more.
    present = [resource for resource in resources if not resource.get("delete")]
    components = [resource for resource in present if resource["type"] == COMPUTING_PLATFORM]
    found = [
        _platform(component, [child for child in present if child.get("parent") == component["urn"]])
        for component in components
    ]
    return sorted(found, key=lambda platform: platform.name)


def _platform(component: dict[str, Any], children: list[dict[str, Any]]) -> PlatformState:
    environments = next((child for child in children if child["type"] == ENVIRONMENTS), {})
    test = next((child for child in children if child["type"] == TEST), {})
    given = _last_wanted(test, ConnectionTest.inputs)
    inputs = {**(_last_wanted(environments, DevEnvironments.inputs) or {}), **(given or {})}
    return PlatformState(
        name=str(inputs.get("platformName") or component["urn"].rsplit("::", 1)[1]),
        inputs=inputs,
        test_inputs=given,
        checks=list(_reveal((test.get("outputs") or {}).get("checks")) or []),
        outputs=dict(component.get("outputs") or {}),
    )


def _last_wanted(resource: dict[str, Any], fields: Fields) -> dict[str, Any] | None:
    found = [_reveal(resource.get(name)) for name in ("inputs", "outputs")]
    inputs, outputs = (part if isinstance(part, dict) else {} for part in found)
    return last_wanted(inputs, outputs, fields) or None


def _export(stack: str | None, directory: str | None, *options: str) -> list[dict[str, Any]]:
    exported = _pulumi("stack", "export", *options, *(["--stack", stack] if stack else []), directory=directory)
    try:
        resources: list[dict[str, Any]] = (json.loads(exported).get("deployment") or {}).get("resources") or []
    except ValueError:
        raise StackError("pulumi gave a stack that is no JSON; update the Pulumi CLI") from None
    return resources


def _pulumi(*arguments: str, directory: str | None) -> str:
    """Run a command of Pulumi's that only reads; give what it printed."""
    command = ["pulumi", *arguments, "--non-interactive", *(["--cwd", directory] if directory else [])]
    try:
        done = subprocess.run(  # noqa: S603 - no shell; the stack's name is one argument
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except FileNotFoundError:
        raise StackError("the command pulumi is not there; install the Pulumi CLI, or put it on PATH") from None
    except subprocess.TimeoutExpired:
        raise StackError(
            f"pulumi did not give the stack within {_SECONDS} s; see whether its backend answers"
        ) from None
    if done.returncode:
        error = done.stderr.strip().removeprefix("error: ")
        advice = f"; {_ADVICE}" if any(sign in error for sign in _SIGNS_OF_DAMAGE) else ""
        raise StackError(f"pulumi cannot read the stack: {error}{advice}")
    return done.stdout


def _find_project(directory: Path) -> str:
    """Give the name of the Pulumi project that a directory is in."""
    for folder in (directory, *directory.parents):
        for path in (folder / "Pulumi.yaml", folder / "Pulumi.yml", folder / "Pulumi.json"):
            if path.is_file():
                try:
                    return str(yaml.safe_load(path.read_text())["name"])
                except (OSError, yaml.YAMLError, TypeError, LookupError):
                    raise StackError(f"{path} cannot be read; mend it") from None
    raise StackError(f"there is no Pulumi.yaml in {directory} or above; name the project's directory with --cwd")


def _is_secret(value: object) -> bool:
    return isinstance(value, dict) and _SIGNATURE in value


def _holds_secret(value: object) -> bool:
    if _is_secret(value):
        return True
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds_secret(item) for item in inner)


def _reveal(value: Any) -> Any:
    """Open secrets that were exported in plain text; leave sealed ones as they are."""
    if _is_secret(value):
        return _reveal(json.loads(value["plaintext"])) if "plaintext" in value else value
    if isinstance(value, dict):
        return {key: _reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_reveal(item) for item in value]
    return value
