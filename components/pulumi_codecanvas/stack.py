"""The root program: one `ComputingPlatform` for each entry of the stack's config."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import pulumi

from pulumi_codecanvas.config import KEYS, read_platforms
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.platform import OUTPUTS, SECRET_OUTPUTS, ArgumentsError, ComputingPlatform

NAMESPACE = "codecanvas"
"""The namespace of our keys in a stack's config."""

SEALED = ("server_url", "instance_id", "chart_username", "values")
"""Arguments that become secret when the config holds a secret: Pulumi does not say which entry it is."""


def declare_platforms() -> dict[str, ComputingPlatform]:
    """Declare every platform of the stack's config and export its outputs as `platforms`.

    Raises:
        ArgumentsError: with every fault of the config, before anything is registered.

    """
    signal.signal(signal.SIGINT, _leave)
    # The memory of this process holds private keys, so a crash must leave none of it on a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        platforms = read_platforms(read_config(), base_dir=Path.cwd())
    except InvalidArgumentsError as error:
        raise ArgumentsError(fault.within(f"{NAMESPACE}:") for fault in error.faults) from None
    if pulumi.runtime.is_config_secret(f"{NAMESPACE}:platforms"):
        platforms = {name: _seal(args) for name, args in platforms.items()}
    declared = {name: ComputingPlatform(name, args) for name, args in platforms.items()}  # type: ignore[arg-type] # checked above
    pulumi.export("platforms", {name: _outputs(platform) for name, platform in declared.items()})
    return declared


def read_config() -> dict[str, Any]:
    """Read `codecanvas:*` from the stack's config: key to parsed value.

    Raises:
        InvalidArgumentsError: a key that should hold a structure does not.

    """
    config: dict[str, Any] = {}
    faults: list[Fault] = []
    for key in KEYS:
        text = pulumi.runtime.get_config(f"{NAMESPACE}:{key}")
        if text is None:
            continue
        try:
            config[key] = json.loads(text)
        except ValueError:
            remedy = f"set it by path: pulumi config set --path '{NAMESPACE}:{key}...'"
            faults.append(Fault(key, "is plain text", remedy))
    if faults:
        raise InvalidArgumentsError(faults)
    return config


def _leave(number: int, _frame: object) -> None:
    """End quietly: the engine interrupts the program when a resource has failed, and has said why."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(128 + number)


def _seal(args: dict[str, Any]) -> dict[str, Any]:
    return {
        key: pulumi.Output.secret(value) if key in SEALED and value is not None else value
        for key, value in args.items()
    }


def _outputs(platform: ComputingPlatform) -> dict[str, Any]:
    """Give the outputs of a platform that a stack shows."""
    # Exported outputs end up in the debug events of Pulumi's SDK, secret ones in plain text.
    shown = (name for name in OUTPUTS if name not in {"application_values", "pod_template_yaml", *SECRET_OUTPUTS})
    return {name: getattr(platform, name) for name in shown}
