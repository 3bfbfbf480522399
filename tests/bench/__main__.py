"""`python -m tests.bench`: run rounds, or write down what they gave."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tests.bench.fleet import OPERATIONS
from tests.bench.peers import TITLES
from tests.bench.report import describe_figures, write_report
from tests.bench.rounds import BenchError, Plan, read_results, run_plan
from tests.bench.stopping import run_stops
from tools.cache import cache_dir
from tools.errors import ToolsError

CHECKOUT = Path(__file__).parents[2]
DOCUMENT = CHECKOUT / "docs" / "performance.md"
RESULTS = DOCUMENT.with_suffix(".jsonl")

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Results = Annotated[Path, typer.Option(help="JSON lines; what is in it already is not run again.")]


@app.callback()
def describe() -> None:
    """Measure this package beside raw Pulumi, beside Helm with kubectl, and beside the bare API writes."""


@app.command("run")
def run(
    results: Results = RESULTS,
    sizes: Annotated[str, typer.Option(help="Numbers of platforms.")] = "1,10,50,100",
    rounds: Annotated[int, typer.Option(help="Rounds of each size that there should be in the end.")] = 5,
    peers: Annotated[str, typer.Option(help="Names of the peers.")] = ",".join(TITLES),
    operations: Annotated[str, typer.Option(help="Operations; the last has to be destroy.")] = ",".join(OPERATIONS),
) -> None:
    """Run what is missing."""
    numbers = tuple(int(size) for size in sizes.split(","))
    plan = Plan(numbers, rounds, tuple(peers.split(",")), tuple(operations.split(",")), results.resolve())
    run_plan(plan, cache_dir() / "bench")


@app.command("stop")
def stop(
    results: Results = RESULTS,
    size: Annotated[int, typer.Option(help="Number of platforms.")] = 50,
    pods: Annotated[int, typer.Option(help="Worker pods a platform.")] = 20,
    rounds: Annotated[int, typer.Option(help="Rounds that there should be in the end.")] = 5,
) -> None:
    """Freeze platforms on which dev environments run, beside kubectl that deletes their pods."""
    run_stops(results.resolve(), cache_dir() / "bench", size=size, pods=pods, rounds=rounds)


@app.command("show")
def show(results: Results = RESULTS) -> None:
    """Print the tables."""
    print("\n\n".join(describe_figures(read_results(results))))


@app.command("report")
def report(results: Results = RESULTS) -> None:
    """Write the tables into docs/performance.md, and the plot beside it."""
    write_report(read_results(results), DOCUMENT, DOCUMENT.with_suffix(".svg"))


def main() -> None:
    """Run a command; what went wrong is shown as text."""
    try:
        app()
    except (BenchError, ToolsError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
