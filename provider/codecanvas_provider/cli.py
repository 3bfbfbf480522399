"""`codecanvas`: how the computing platforms of a Pulumi stack are, told by the cluster itself. Changes nothing.

Exit codes: 0 all is well; 1 a platform is not well, a check failed, or a state is damaged; 2 wrong usage, or
the stack cannot be read.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from codecanvas_provider.connection_test import ConnectionTest
from codecanvas_provider.permissions import ALL_RULES
from codecanvas_provider.platform_status import PlatformStatus
from codecanvas_provider.resource import Context
from codecanvas_provider.roles import make_roles
from codecanvas_provider.stack_state import PlatformState, StackError, locate_files, read_platforms
from codecanvas_provider.state_files import plan_recovery
from codecanvas_provider.waiting import settle
from codecanvas_provider.worker_pods import count_environments
from pulumi_codecanvas.checks import dns_label_faults
from pulumi_codecanvas.errors import CodeCanvasError, format_faults
from pulumi_codecanvas.strict_yaml import dump_yaml
from pulumi_codecanvas.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_WELL = 1
"""Exit code: a platform is not well, a check failed, or a state is damaged."""
UNUSABLE = 2
"""Exit code: wrong usage, or the stack cannot be read."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What a write fails by; nothing but the output is ever written."""

_AT_A_TIME = 8
_ASKED = ("kubeconfig", "context", "namespace", "platformName", "operatorNamespace", "releaseName", "freezeMode")
_WIDE = 240
"""Columns of what is not shown on a terminal."""

# The connection test is made last and deleted first.
_UNFINISHED = "its create or delete did not come to its end; run `pulumi up` or `pulumi destroy` again"

_COLOURS = {"Success": "green", "Failed": "red", "Skipped": "yellow"}

app = typer.Typer(
    help="Computing platforms for JetBrains CodeCanvas: how those of a Pulumi stack are. Changes nothing.\n\n"
    "Exit codes: 0 all is well; 1 a platform is not well, a check failed, or a state is damaged; 2 wrong usage, or"
    " the stack cannot be read.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Stack = Annotated[str | None, typer.Option("--stack", "-s", help="The stack; by default the one that is selected.")]
Directory = Annotated[str | None, typer.Option("--cwd", "-C", help="The Pulumi project's directory.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for pipelines.")]


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"codecanvas {VERSION}")
        raise typer.Exit


@app.callback()
def _describe(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Take what stands before a command."""


@app.command()
def status(stack: Stack = None, cwd: Directory = None, as_json: AsJson = False) -> None:
    """Show each platform: frozen, running dev environments, operator, key, chart version, last connection test."""
    platforms = _read(stack, cwd)
    rows = asyncio.run(_find_statuses(platforms))
    if as_json:
        _print_json(rows)
    elif rows:
        _print_table(_status_table(rows))
        for row in rows:
            _complain([f"{row['platformName']}: {problem}" for problem in row["problems"]])
    else:
        Console(stderr=True).print("the stack has no computing platform")
    if any(row["problems"] for row in rows):
        raise typer.Exit(NOT_WELL)


@app.command()
def test(
    name: Annotated[str, typer.Argument(help="The platform's name.")],
    stack: Stack = None,
    cwd: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Run the connection checks of a platform now, against the cluster, without an update."""
    platform = _choose(_read(stack, cwd), name)
    if platform.test_inputs is None:
        _give_up(f"platform {name} has no connection test yet; run `pulumi up` first")
    try:
        checks = asyncio.run(_run_checks(platform.test_inputs))
    except CodeCanvasError as error:
        _complain([f"{name}: {error}"])
        raise typer.Exit(NOT_WELL) from None
    if as_json:
        _print_json(checks)
    else:
        _print_table(_check_table(checks))
    if any(check["status"] == "Failed" for check in checks):
        raise typer.Exit(NOT_WELL)


@app.command("application-values")
def application_values(
    platform: Annotated[
        str | None, typer.Option("--platform", "-p", help="The platform's name, where the stack has several.")
    ] = None,
    stack: Stack = None,
    cwd: Directory = None,
    every: Annotated[
        bool, typer.Option("--all", help="Print those of every platform, each under the platform's name.")
    ] = False,
) -> None:
    """Print values for the CodeCanvas application's chart that connect a platform with no click.

    One application preloads one platform, so with several in the stack one has to be named, or --all gives a map from
    each platform's name to its values, from which to take one for each application. Holds no private key.
    """
    platforms = _read(stack, cwd)
    if every:
        if platform is not None:
            _give_up("--all and --platform exclude each other")
        if not platforms:
            _give_up_on(platforms, None)
        known = {found.name: found.application_values for found in platforms if found.application_values}
        _complain([_no_values(found.name) for found in platforms if found.name not in known])
        if not known:
            raise typer.Exit(UNUSABLE)
        typer.echo(dump_yaml(known), nl=False)
        return
    if platform is None and len(platforms) > 1:
        names = ", ".join(found.name for found in platforms)
        _give_up(f"the application's chart takes one platform; name it with --platform, or print --all: {names}")
    chosen = _choose(platforms, platform)
    if chosen.application_values is None:
        _give_up(_no_values(chosen.name))
    typer.echo(dump_yaml(chosen.application_values), nl=False)


def _no_values(name: str) -> str:
    return (
        f"platform {name} has no such values: either `pulumi up` did not come to it yet, or it is connected by a"
        " snippet, and so known to the application already"
    )


@app.command("pod-template")
def pod_template(
    name: Annotated[str, typer.Argument(help="The platform's name.")], stack: Stack = None, cwd: Directory = None
) -> None:
    """Print a platform's pod template as normalised YAML, to be pasted into CodeCanvas."""
    found = _choose(_read(stack, cwd), name)
    if found.pod_template is None:
        _give_up(f"platform {name} has no pod template in the stack yet; run `pulumi up` first")
    typer.echo(found.pod_template, nl=False)


@app.command("find-state")
def find_state(stack: Stack = None, cwd: Directory = None) -> None:
    """Find the newest whole state where a file backend ran full, and print the commands that put it back.

    What is printed is a shell script: read it, then run it. Shows nothing of what the state holds.
    """
    try:
        found = plan_recovery(locate_files(stack, cwd))
    except CodeCanvasError as error:
        _give_up(str(error))
    typer.echo("\n".join(found.script))
    if found.commands:
        raise typer.Exit(NOT_WELL)


@app.command()
def permissions(
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="The platform's namespace, where it exists already (is adopted)."),
    ] = None,
    operator_namespace: Annotated[
        str | None, typer.Option("--operator-namespace", help="The operator's namespace; by default the platform's.")
    ] = None,
    feature: Annotated[
        list[str] | None, typer.Option("--feature", help="Only what this feature needs; may be given several times.")
    ] = None,
) -> None:
    """Print the Kubernetes rights that whoever runs Pulumi needs, as roles for `kubectl apply`.

    Without --namespace it is one ClusterRole: to make a namespace and what is in it, rights are needed beforehand.
    Bind the roles to the user of the kubeconfig.
    """
    if operator_namespace and not namespace:
        _give_up("--operator-namespace goes with --namespace; without both, the rights are for every namespace")
    given = {"--namespace": namespace, "--operator-namespace": operator_namespace}
    faults = [fault for option, name in given.items() if name is not None for fault in dns_label_faults(option, name)]
    if faults:
        _give_up(format_faults(tuple(faults)))
    known = [name for name in ALL_RULES if namespace is None or not name.startswith("own ")]
    unknown = sorted(set(feature or ()) - set(known))
    if unknown:
        _give_up(f"there is no feature {', '.join(unknown)}; there is {', '.join(known)}")
    rules = [rule for name in known if not feature or name in feature for rule in ALL_RULES[name]]
    typer.echo(yaml.safe_dump_all(make_roles(rules, namespace, operator_namespace), sort_keys=False), nl=False)


def main() -> None:
    """Run the command line.

    What goes wrong unexpectedly is named by its type alone: its text may quote what it met, and that may be secret.
    """
    try:
        app()
    except Exception as error:  # noqa: BLE001 - the boundary to the user: nobody gets a traceback
        if isinstance(error, OSError) and error.errno in _FULL:
            _complain([f"the output cannot be written: {os.strerror(error.errno)}"])
            # Else the interpreter tries once more when it ends, and complains in words of its own.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        else:
            _complain([f"codecanvas failed unexpectedly ({type(error).__name__}); please report it"])
        raise SystemExit(UNUSABLE) from None


def _read(stack: str | None, directory: str | None) -> list[PlatformState]:
    try:
        return read_platforms(stack, directory)
    except StackError as error:
        _give_up(str(error))


def _choose(platforms: Sequence[PlatformState], name: str | None) -> PlatformState:
    found = next((platform for platform in platforms if name in {None, platform.name}), None)
    if found is None:
        _give_up_on(platforms, name)
    return found


def _give_up_on(platforms: Sequence[PlatformState], name: str | None) -> NoReturn:
    """Say that there is no such platform, or none at all."""
    known = ", ".join(platform.name for platform in platforms)
    what = "no platform" if name is None else f"no platform {name}"
    _give_up(f"the stack has {what}" + (f"; it has {known}" if known else "; run `pulumi up` first"))


def _give_up(message: str) -> NoReturn:
    _complain([message])
    raise typer.Exit(UNUSABLE)


def _complain(messages: Sequence[str]) -> None:
    console = Console(stderr=True, soft_wrap=True)
    for message in messages:
        # As text: what clusters and people write may look like markup.
        console.print(Text(message))


def _print_json(value: object) -> None:
    typer.echo(json.dumps(value, indent=2))


async def _find_statuses(platforms: Sequence[PlatformState]) -> list[dict[str, Any]]:
    found = await settle((_find_status(platform) for platform in platforms), at_a_time=_AT_A_TIME)
    rows = []
    for platform, outcome in zip(platforms, found, strict=True):
        if isinstance(outcome, CodeCanvasError):
            rows.append({"platformName": platform.name, "lastTest": _last_test(platform), "problems": [str(outcome)]})
        elif isinstance(outcome, Exception):
            raise outcome
        else:
            rows.append(outcome)
    return rows


async def _find_status(platform: PlatformState) -> dict[str, Any]:
    if not platform.inputs.get("namespace"):
        return {"platformName": platform.name, "lastTest": "none", "problems": [_UNFINISHED]}
    asked = {name: platform.inputs[name] for name in _ASKED if platform.inputs.get(name) is not None}
    seen = await PlatformStatus().get_platform_status(Context(), asked)
    return {**seen, "lastTest": _last_test(platform), "problems": _problems(platform, seen)}


def _last_test(platform: PlatformState) -> str:
    """Sum up the last connection test: `Success`, `Failed: NAMES`, or `none`."""
    failed = [check["name"] for check in platform.checks if check["status"] == "Failed"]
    if failed:
        return f"Failed: {', '.join(failed)}"
    passed = any(check["status"] == "Success" for check in platform.checks)
    return "Success" if passed else "none"


def _problems(platform: PlatformState, seen: dict[str, Any]) -> list[str]:
    """Say what is not as the stack's last update wanted it."""
    wanted = bool(platform.inputs.get("frozen"))
    problems = [] if platform.test_inputs is not None else [_UNFINISHED]
    if seen["namespacePhase"] != "Active":
        problems.append(f"namespace {seen['namespace']} is {seen['namespacePhase'] or 'not there'}")
    if wanted and not seen["frozen"]:
        problems.append("it should be frozen, but new dev environments are not blocked; run `pulumi up --refresh`")
    if wanted and seen["runningDevEnvironments"]:
        problems.append(f"it is frozen, but still runs {count_environments(seen['runningDevEnvironments'])}")
    if not wanted and seen["blockPresent"]:
        problems.append(
            "new dev environments are blocked although its last whole update did not freeze it: a freeze or unfreeze"
            " did not come to its end (run `pulumi up`), or the block is somebody else's"
        )
    if not seen["operatorReady"]:
        problems += seen["operatorMessages"] or ["its operator does not run"]
    if _last_test(platform).startswith("Failed"):
        problems.append(f"its last connection test failed; run `codecanvas test {platform.name}`")
    return problems


async def _run_checks(given: dict[str, Any]) -> list[dict[str, str]]:
    resource = ConnectionTest()
    # Asked for by name, it runs even where an update leaves it out.
    inputs, _ = resource.check({**given, "enabled": True})
    found = await resource.read(Context(), str(inputs["namespace"]), inputs, {})
    checks: list[dict[str, str]] = found[2]["checks"] if found else []
    return checks


def _print_table(table: Table) -> None:
    console = Console()
    if not console.is_terminal:
        # A log or a pipe has no right edge; names cut in two could not be searched for.
        console.width = max(console.width, _WIDE)
    console.print(table)


def _status_table(rows: Sequence[dict[str, Any]]) -> Table:
    # As kubectl's, without lines: they would take the room that the words need on 80 columns.
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("Platform", "Namespace", "Frozen", "Running", "Operator", "Key", "Chart", "Last test"):
        table.add_column(title, overflow="fold", min_width=len(title))
    for row in rows:
        table.add_row(
            Text(str(row["platformName"])),
            _cell(row.get("namespace")),
            _cell(_yes_no(row.get("frozen"))),
            _cell(row.get("runningDevEnvironments")),
            _cell(_ready(row.get("operatorReady"))),
            _cell(_shorten(row.get("keyFingerprint"))),
            _cell(row.get("chartVersion")),
            _cell(row["lastTest"]),
        )
    return table


def _check_table(checks: Sequence[dict[str, str]]) -> Table:
    table = Table("Check", "Status", "Message")
    for check in checks:
        coloured = Text(check["status"], style=_COLOURS.get(check["status"], ""))
        table.add_row(Text(check["name"]), coloured, Text(check["message"]))
    return table


def _cell(value: object) -> Text:
    return Text("?" if value is None else str(value))


def _yes_no(value: object) -> str | None:
    return None if value is None else "yes" if value else "no"


def _ready(value: object) -> str | None:
    return None if value is None else "ready" if value else "not ready"


def _shorten(fingerprint: str | None) -> str | None:
    """Write a fingerprint short enough for a table; `--json` has the whole one."""
    return fingerprint if fingerprint is None else fingerprint[:19]
