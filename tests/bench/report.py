"""Tables and a plot of the results; pure, but for reading and writing the files."""

from __future__ import annotations

import statistics
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.bench.fleet import OPERATIONS
from tests.bench.peers import TITLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

MEASURES: dict[str, tuple[str, float]] = {
    "wall": ("seconds", 1),
    "cpu": ("seconds of CPU", 1),
    "memory": ("peak memory, MiB", 2**20),
    "requests": ("API requests", 1),
    "written": ("state written, MiB", 2**20),
}
"""Each figure of a result: how it is called, and what it is divided by to be shown."""

BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
"""Between these two the document is written by the report."""

Results = list[dict[str, Any]]


@dataclass(frozen=True)
class Target:
    """What has to hold: one figure is at most so many times another, plus something.

    Attributes:
        text: what it says.
        one: size, peer and operation of the figure.
        other: of the figure that it is compared with.
        factor: the most that the first may be of the second.
        measure: which figure.
        extra: what the first may be above that.
    """

    text: str
    one: tuple[int, str, str]
    other: tuple[int, str, str]
    factor: float
    measure: str = "wall"
    extra: float = 0.0


TARGETS = (
    Target("first up <= 1.00 x raw", (50, "ours", "up"), (50, "raw", "up"), 1.0),
    Target("first up <= 1.20 x Helm + kubectl", (50, "ours", "up"), (50, "shell", "up"), 1.2),
    Target("no-op up <= 0.90 x raw", (50, "ours", "no-op"), (50, "raw", "no-op"), 0.9),
    Target("preview <= 0.90 x raw", (50, "ours", "preview"), (50, "raw", "preview"), 0.9),
    Target("one field <= 1.0 x raw", (50, "ours", "field"), (50, "raw", "field"), 1.0),
    Target("destroy <= 1.0 x raw", (50, "ours", "destroy"), (50, "raw", "destroy"), 1.0),
    Target("destroy <= 1.1 x Helm + kubectl", (50, "ours", "destroy"), (50, "shell", "destroy"), 1.1),
    Target("first up of 100 <= 2.2 x of 50", (100, "ours", "up"), (50, "ours", "up"), 2.2),
    Target(
        "peak memory of first up <= raw + 120 MiB",
        (50, "ours", "up"),
        (50, "raw", "up"),
        1.0,
        measure="memory",
        extra=120 * 2**20,
    ),
    Target("freeze of 20 pods each <= 1.5 x kubectl delete", (50, "ours", "stop"), (50, "shell", "stop"), 1.5),
)


def write_report(results: Results, document: Path, plot: Path) -> None:
    """Put tables between the marks of the document, and the plot beside it."""
    text = document.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    figures = "\n\n".join([*describe_targets(results), *describe_figures(results)])
    document.write_text(f"{before}{BEGIN}\n\n{figures}\n\n{END}{after}")
    plot.write_text(draw_plot(results))


def describe_targets(results: Results) -> list[str]:
    """Give the table of what has to hold, with what was measured."""
    rows = []
    for target in TARGETS:
        one, other = (_values(results, *place, target.measure) for place in (target.one, target.other))
        if not one or not other:
            rows.append((target.text, "", "", "not measured"))
            continue
        first, second = statistics.median(one), statistics.median(other)
        unit = MEASURES[target.measure][1]
        holds = first <= target.factor * second + target.extra
        figures = f"{first / unit:.1f} / {second / unit:.1f}"
        rows.append((target.text, figures, f"{first / second:.2f}", "holds" if holds else "**does not hold**"))
    return [_table(("target", "medians", "ratio", ""), rows)]


def describe_figures(results: Results) -> list[str]:
    """Give one table for each size and measure: operations by peers, median and spread."""
    sizes = sorted({line["size"] for line in results})
    parts = []
    for size in sizes:
        peers = [peer for peer in TITLES if any(line["peer"] == peer and line["size"] == size for line in results)]
        counts = {peer: _rounds(results, size, peer) for peer in peers}
        heads = ("", *(f"{TITLES[peer]} ({counts[peer]})" for peer in peers))
        parts.append("### 1 platform" if size == 1 else f"### {size} platforms")
        for measure, (title, unit) in MEASURES.items():
            rows = []
            for operation in _operations(results, size):
                cells = (_cell([v / unit for v in _values(results, size, peer, operation, measure)]) for peer in peers)
                rows.append((operation, *cells))
            parts.append(f"{title[0].upper()}{title[1:]}:\n\n{_table(heads, rows)}")
    return parts


def draw_plot(results: Results) -> str:
    """Draw seconds by number of platforms, a panel an operation, as SVG."""
    panels = [operation for operation in OPERATIONS if any(line["operation"] == operation for line in results)]
    width, height, columns = 300, 210, 4
    rows = -(-len(panels) // columns)
    body = []
    for place, operation in enumerate(panels):
        x, y = (place % columns) * width, (place // columns) * height
        body.append(f'<g transform="translate({x},{y})">{_panel(results, operation, width, height)}</g>')
    legend = "".join(
        f'<circle cx="{20 + 150 * place}" cy="{rows * height + 14}" r="4" fill="{_COLOURS[peer]}"/>'
        f'<text x="{30 + 150 * place}" y="{rows * height + 18}">{title}</text>'
        for place, (peer, title) in enumerate(TITLES.items())
    )
    size = f'width="{columns * width}" height="{rows * height + 30}"'
    style = "<style>text{font:12px sans-serif;fill:#333}.axis{stroke:#bbb;fill:none}.small{font-size:10px}</style>"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}><rect width="100%" height="100%" fill="#fff"/>'
    return f"{head}{style}{''.join(body)}{legend}</svg>\n"


_COLOURS = dict(zip(TITLES, ("#999999", "#e69f00", "#56b4e9", "#d55e00", "#cc79a7"), strict=True))


def _panel(results: Results, operation: str, width: int, height: int) -> str:
    left, right, top, bottom = 42, width - 14, 28, height - 28
    mine = [line for line in results if line["operation"] == operation and "wall" in line]
    largest = max((line["size"] for line in mine), default=1)
    slowest = max((line["wall"] for line in mine), default=1.0)

    def place(size: float, seconds: float) -> tuple[float, float]:
        return left + (right - left) * size / largest, bottom - (bottom - top) * seconds / slowest

    parts = [
        f'<text x="{left}" y="18">{operation}</text>',
        f'<path class="axis" d="M{left},{top}V{bottom}H{right}"/>',
        f'<text class="small" x="2" y="{top + 4}">{slowest:.0f} s</text>',
        f'<text class="small" x="{right - 14}" y="{bottom + 14}">{largest}</text>',
    ]
    for peer, colour in _COLOURS.items():
        by_size: Mapping[int, list[float]] = _group(mine, peer)
        points = [(place(size, statistics.median(values)), values, size) for size, values in sorted(by_size.items())]
        line = " ".join(f"{x:.1f},{y:.1f}" for (x, y), _, _ in points)
        parts.append(f'<polyline fill="none" stroke="{colour}" points="{line}"/>')
        for (x, y), values, size in points:
            low, high = place(size, min(values))[1], place(size, max(values))[1]
            parts.append(f'<path stroke="{colour}" d="M{x:.1f},{low:.1f}V{high:.1f}"/>')
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
    return "".join(parts)


def _group(lines: Iterable[Mapping[str, Any]], peer: str) -> dict[int, list[float]]:
    found: dict[int, list[float]] = defaultdict(list)
    for line in lines:
        if line["peer"] == peer:
            found[line["size"]].append(line["wall"])
    return found


def _values(results: Results, size: int, peer: str, operation: str, measure: str) -> list[float]:
    wanted = (size, peer, operation)
    return [
        float(line[measure])
        for line in results
        if (line["size"], line["peer"], line["operation"]) == wanted and measure in line
    ]


def _rounds(results: Results, size: int, peer: str) -> int:
    return len({line["round"] for line in results if line["size"] == size and line["peer"] == peer})


def _operations(results: Results, size: int) -> list[str]:
    found = dict.fromkeys(line["operation"] for line in results if line["size"] == size)
    order: Callable[[str], int] = lambda name: OPERATIONS.index(name) if name in OPERATIONS else len(OPERATIONS)  # noqa: E731 - a key
    return sorted(found, key=order)


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    middle = statistics.median(values)
    form = ".1f" if max(values) < 100 else ".0f"
    return f"{middle:{form}}" if len(values) == 1 else f"{middle:{form}} ({min(values):{form}}-{max(values):{form}})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])
