"""The platforms of a Pulumi stack, read from its state through the Pulumi CLI: works with every backend."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.errors import CodeCanvasError

if TYPE_CHECKING:
    from collections.abc import Iterable

COMPONENT = "codecanvas:index:ComputingPlatform"
ENVIRONMENTS = "codecanvas:index:DevEnvironments"
TEST = "codecanvas:index:ConnectionTest"

_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi marks a special value, such as a secret, in a state."""
_SECONDS = 120


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


def find_platforms(resources: Iterable[dict[str, Any]]) -> list[PlatformState]:
    """Find the platforms among the resources of an exported stack."""
    # What waits for its deletion after a replacement is not the platform any more.
    present = [resource for resource in resources if not resource.get("delete")]
    components = [resource for resource in present if resource["type"] == COMPONENT]
    found = [
        _platform(component, [child for child in present if child.get("parent") == component["urn"]])
        for component in components
    ]
    return sorted(found, key=lambda platform: platform.name)


def _platform(component: dict[str, Any], children: list[dict[str, Any]]) -> PlatformState:
    environments = next((child for child in children if child["type"] == ENVIRONMENTS), {})
    test = next((child for child in children if child["type"] == TEST), {})
    given = _reveal(test.get("inputs"))
    inputs = {**(_reveal(environments.get("inputs")) or {}), **(given or {})}
    return PlatformState(
        name=str(inputs.get("platformName") or component["urn"].rsplit("::", 1)[1]),
        inputs=inputs,
        test_inputs=given,
        checks=list(_reveal((test.get("outputs") or {}).get("checks")) or []),
        outputs=dict(component.get("outputs") or {}),
    )


def _export(stack: str | None, directory: str | None, *options: str) -> list[dict[str, Any]]:
    command = ["pulumi", "stack", "export", *options, "--non-interactive"]
    command += ["--stack", stack] if stack else []
    command += ["--cwd", directory] if directory else []
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
        raise StackError(f"pulumi cannot read the stack: {done.stderr.strip().removeprefix('error: ')}")
    try:
        resources: list[dict[str, Any]] = (json.loads(done.stdout).get("deployment") or {}).get("resources") or []
    except ValueError:
        raise StackError("pulumi gave a stack that is no JSON; update the Pulumi CLI") from None
    return resources


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
