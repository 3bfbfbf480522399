"""The root program: one `ComputingPlatform` for each entry of the stack's config."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi

from pulumi_codecanvas.config import KEYS, list_secrets, read_platforms
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.late_checks import ArgumentsError
from pulumi_codecanvas.outputs import ResourceRegistrationFailed, gathered_outputs
from pulumi_codecanvas.platform import OUTPUTS, SECRET_OUTPUTS, ComputingPlatform

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

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
    _outlast_failures()
    config = read_config()
    try:
        platforms = read_platforms(config, base_dir=Path.cwd())
    except InvalidArgumentsError as error:
        raise ArgumentsError(fault.within(f"{NAMESPACE}:") for fault in error.faults) from None
    if pulumi.runtime.is_config_secret(f"{NAMESPACE}:platforms"):
        platforms = {name: _seal(args) for name, args in platforms.items()}
    else:
        _warn_of_plain_secrets(config)
    declared = {name: ComputingPlatform(name, args) for name, args in platforms.items()}  # type: ignore[arg-type] # checked above
    with gathered_outputs():
        pulumi.export("platforms", {name: _outputs(platform) for name, platform in declared.items()})
    return declared


def read_config() -> dict[str, Any]:
    """Read `codecanvas:*` from the stack's config: key to parsed value, or to its text where nothing can parse it."""
    texts = {key: pulumi.runtime.get_config(f"{NAMESPACE}:{key}") for key in _given_keys()}
    return {key: _parse(text) for key, text in texts.items() if text is not None}


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text  # refused together with all other faults


def _given_keys() -> list[str]:
    """Name our keys in the stack's config, the known ones and the others."""
    given = {**pulumi.runtime.config.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    prefix = f"{NAMESPACE}:"
    return sorted({*KEYS, *(key.removeprefix(prefix) for key in given if key.startswith(prefix))})


def _outlast_failures() -> None:
    """Let an update with `--continue-on-error` bring up every other platform when one has failed.

    Pulumi's SDK ends the program, with a traceback, as soon as it meets a resource that waits for a failed one. It
    still has to fail in the end: what it did not register would be deleted otherwise.
    """
    manager: Any = pulumi.runtime.settings._get_rpc_manager()  # noqa: SLF001 - no public way
    do_rpc = manager.do_rpc

    def do_tolerantly(name: str, function: Callable[..., Awaitable[Any]]) -> Any:
        async def run(*args: Any, **kwargs: Any) -> Any:
            try:
                return await function(*args, **kwargs)
            except ResourceRegistrationFailed as error:
                text = f"{error}: what waits for it was left as it is; mend the error, then run `pulumi up`"
                manager.unhandled_exception = manager.unhandled_exception or pulumi.RunError(text)
                return None

        return do_rpc(name, run)

    manager.do_rpc = do_tolerantly


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


def _warn_of_plain_secrets(config: Mapping[str, Any]) -> None:
    """Warn of secrets in a config in which nothing is encrypted: Pulumi does not say which entries of one are."""
    for path in list_secrets(config):
        key = f"{NAMESPACE}:{path}"
        command = f"pulumi config set --secret --path '{key}' < file"
        pulumi.log.warn(f"{key} is in the config as plain text; encrypt it, with its value read from a file: {command}")


def _outputs(platform: ComputingPlatform) -> dict[str, Any]:
    """Give the outputs of a platform that a stack shows."""
    # Exported outputs end up in the debug events of Pulumi's SDK, secret ones in plain text.
    shown = (name for name in OUTPUTS if name not in {"application_values", "pod_template_yaml", *SECRET_OUTPUTS})
    return {name: getattr(platform, name) for name in shown} | {"connection": platform.connection.apply(_sum_up)}


def _sum_up(checks: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Give the checks that did not succeed, by name: every `up` prints what a stack exports."""
    return {check["name"]: f"{check['status']}: {check['message']}" for check in checks if check["status"] != "Success"}
