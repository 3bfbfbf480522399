"""Tells on which parts of Pulumi a run works: the real ones or this project's stand-ins. Hooks of pytest."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, Any

import pytest

from tools.errors import ToolsError
from tools.pins import TOOLS
from tools.toolchain import Toolchain, ensure, stands_in

if TYPE_CHECKING:
    from collections.abc import Iterable

SHOWN = ("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes")
"""The engine and the parts that may have a stand-in."""

_PROPERTY = "runs pulumi"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real(tool, ...): needs these tools themselves; no stand-in shows the same")


def pytest_report_header() -> list[str]:
    toolchain = Toolchain.default()
    return [f"{name} {TOOLS[name].version}: {toolchain.describe(TOOLS[name])}" for name in SHOWN]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if _runs_pulumi(item):
            item.user_properties.append((_PROPERTY, True))


def pytest_runtest_setup(item: pytest.Item) -> None:
    needed = [str(name) for marker in item.iter_markers("real") for name in marker.args]
    missing = [name for name in needed if not _is_real(name)]
    if missing:
        pytest.skip(f"needs the real {', '.join(missing)}")


def pytest_terminal_summary(terminalreporter: Any) -> None:
    ran = _reports(terminalreporter.stats, ("passed", "failed"))
    if not any((_PROPERTY, True) in report.user_properties for report in ran + _skipped(terminalreporter.stats)):
        return
    count = sum((_PROPERTY, True) in report.user_properties for report in ran)
    terminalreporter.section("parts of Pulumi")
    stand_ins = [name for name in SHOWN if _stands_in(name)]
    for name in SHOWN[1:]:
        part = "its STAND-IN" if name in stand_ins else "the real one"
        terminalreporter.line(f"{name}: {count} tests ran on {part}")
    reasons = collections.Counter(_reason(report) for report in _skipped(terminalreporter.stats))
    for reason, number in sorted(reasons.items()):
        terminalreporter.line(f"not at all: {number} tests, {reason}")


def _runs_pulumi(item: pytest.Item) -> bool:
    if "unit" in item.path.parts:
        return False
    # A few tests make a home of their own.
    own = item.get_closest_marker("engine") is not None and hasattr(getattr(item, "module", None), "PulumiHome")
    return own or "home" in getattr(item, "fixturenames", ())


def _is_real(name: str) -> bool:
    try:
        return name in ensure(name, quiet=True) and not stands_in(name)
    except ToolsError:
        return False


def _stands_in(name: str) -> bool:
    try:
        return stands_in(name)
    except ToolsError:
        return False


def _reports(stats: dict[str, list[Any]], outcomes: Iterable[str]) -> list[Any]:
    return [report for outcome in outcomes for report in stats.get(outcome, ()) if hasattr(report, "user_properties")]


def _skipped(stats: dict[str, list[Any]]) -> list[Any]:
    return _reports(stats, ("skipped",))


def _reason(report: Any) -> str:
    text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return str(text).removeprefix("Skipped: ")
