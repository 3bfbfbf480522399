"""`python -m tools`: the project's own commands; each one's module is imported when it runs."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from tools.errors import ToolsError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def describe() -> None:
    """Run the project's own tools."""


@app.command("tools")
def ensure_tools(
    names: Annotated[list[str] | None, typer.Argument(help="Only these; all where none is named.")] = None,
) -> None:
    """Find or make the tools that a run needs and print where they are."""
    from tools.console import say
    from tools.toolchain import ensure

    started = time.monotonic()
    for path in ensure(*(names or ())).values():
        typer.echo(path)
    say(f"tools: ready after {time.monotonic() - started:.0f} s")


@app.command("doctor")
def diagnose() -> None:
    """Say what is here, what would be downloaded or built, and what is missing."""
    from tools.doctor import doctor

    if not doctor():
        raise typer.Exit(1)


@app.command("up")
def bring_up() -> None:
    """Start the local cluster and bring up two computing platforms on it."""
    from tools.up import up

    up()


@app.command("down")
def take_down() -> None:
    """Take the platforms down and stop the local cluster."""
    from tools.up import down

    down()


@app.command("dist")
def make_dist(
    platforms: Annotated[list[str] | None, typer.Argument(help="Such as linux-arm64; this one by default.")] = None,
) -> None:
    """Make the wheel, the sdist and the plugin's archives."""
    from tools.dist import dist

    dist(platforms or ())


@app.command("pulumi", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def run_pulumi(context: typer.Context) -> None:
    """Run a pulumi command on the stack that `up` made."""
    from tools.up import pulumi

    raise typer.Exit(pulumi(context.args))


def main() -> None:
    """Run a command; what it could not do is shown as text."""
    try:
        app()
    except (ToolsError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
