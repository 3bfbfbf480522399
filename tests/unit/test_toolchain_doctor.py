from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.toolchain_support import StubSource, make_toolchain
from tools.doctor import examine, format_report
from tools.pins import TOOLS

if TYPE_CHECKING:
    from pathlib import Path


def _line(report: str, name: str) -> str:
    return next(line for line in report.splitlines() if line.startswith(f"{name} "))


def test_the_report_says_of_each_tool_where_it_is_or_would_come_from(tmp_path: Path) -> None:
    own = tmp_path / "own-helm"
    own.write_text("")
    own.chmod(0o755)
    ready = StubSource("prebuilt", {"kwok", "pulumi"})
    build = StubSource("own build", {"controlplane"})
    environment = {"CODECANVAS_TOOL_HELM": str(own)}
    toolchain = make_toolchain(tmp_path / "cache", [ready], [build], environment)
    toolchain.ensure(["pulumi"])
    ready.asked.clear()
    report = format_report(toolchain, examine(toolchain))
    assert "here: in the cache, taken from prebuilt" in _line(report, "pulumi")
    assert f"here: {own}, named by CODECANVAS_TOOL_HELM" in _line(report, "helm")
    assert "would take from prebuilt, about 7 s" in _line(report, "kwok")
    assert "would take from own build, about 7 s" in _line(report, "controlplane")
    assert "not from prebuilt: has no controlplane" in report
    assert "left out, with the tests that need it" in _line(report, "pulumi-language-go")
    assert "STAND-IN tools.standin.kubernetes" in _line(report, "pulumi-resource-kubernetes")
    assert "MISSING" in _line(report, "pulumi-language-yaml")
    assert "set CODECANVAS_TOOL_PULUMI_LANGUAGE_GO to the path" in report
    assert report.splitlines()[-1].startswith("missing: pulumi-language-yaml, ")
    assert ready.asked == build.asked == []


def test_a_wrong_override_is_reported_with_its_variable(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, environment={"CODECANVAS_TOOL_HELM": "/does/not/exist"})
    findings = {finding.tool.name: finding for finding in examine(toolchain)}
    assert findings["helm"].seconds is None
    assert "CODECANVAS_TOOL_HELM names /does/not/exist" in findings["helm"].text


def test_damage_is_found_and_what_mends_it_said(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("prebuilt", set(TOOLS))])
    toolchain.ensure(TOOLS)["kwok"].write_text("x")
    report = format_report(toolchain, examine(toolchain))
    assert "damaged in the cache; would take from prebuilt" in _line(report, "kwok")
    assert "to go: about 7 s" in report


def test_with_everything_here_it_says_that_no_network_is_needed(tmp_path: Path) -> None:
    toolchain = make_toolchain(tmp_path, [StubSource("prebuilt", set(TOOLS))])
    toolchain.ensure(TOOLS)
    report = format_report(toolchain, examine(toolchain))
    assert report.endswith("everything is here; no network is needed")


def test_what_is_not_the_real_tool_is_named_at_the_end(tmp_path: Path) -> None:
    real = {name for name, tool in TOOLS.items() if not (tool.stand_in or tool.optional)}
    toolchain = make_toolchain(tmp_path, [StubSource("prebuilt", real)])
    toolchain.ensure(TOOLS)
    last = format_report(toolchain, examine(toolchain)).splitlines()[-1]
    assert last.startswith("a run can start, and needs no network; not the real ones, or not here: pulumi-language-pyt")
    assert "pulumi-resource-kubernetes" in last
