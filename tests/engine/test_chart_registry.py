"""Charts from an OCI registry, as the operator's own one is: what is installed, who may pull, and how often."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.chart_registry import serve_registry
from tests.support.names import unique
from tests.support.stack import CHART
from tools.localcluster.credentials import Credentials, ensure_credentials
from tools.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.chart_registry import ChartRegistry
    from tests.support.site import Site
    from tests.support.stack import Stack

pytestmark = pytest.mark.engine

PULLS_TO_CREATE = 2
PULLS_WITHOUT_CHANGES = 1
"""The kubernetes plugin asks for the chart at each check of a release, and again to install it."""
PASSWORD = "correct-horse-battery-staple"


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    """Give a certificate for a registry on this machine, and the authority that vouches for it."""
    made = Credentials(tmp_path / "credentials")
    ensure_credentials(made)
    return made


def test_a_pinned_chart_is_installed_and_pulled_no_oftener_than_before(stack: Stack, credentials: Credentials) -> None:
    with serve_registry(Path(CHART), credentials) as registry:
        stack.environment |= registry.environment
        by_default, by_tag, by_digest = unique("default"), unique("tag"), unique("digest")
        stack.set(by_default, chart=registry.chart)
        stack.set(by_tag, chart=f"{registry.chart}:{registry.version}")
        stack.set(by_digest, chart=f"{registry.chart}@{registry.digest}")
        stack.up()
        assert registry.take_pulls() <= 3 * PULLS_TO_CREATE
        for platform in (by_default, by_tag, by_digest):
            assert _chart_version(stack, platform) == registry.version
        stack.up("--expect-no-changes")
        assert registry.take_pulls() <= 3 * PULLS_WITHOUT_CHANGES
        stack.set(by_default, chartVersion="2999.1.0")
        refused = stack.preview(ok=False)
        assert "2999.1.0" in refused.errors
        assert "not found" in refused.errors


def test_a_private_registry_takes_the_login_and_nothing_shows_it(stack: Stack, credentials: Credentials) -> None:
    platform, wrong = unique("eu"), "wrong-horse"
    with serve_registry(Path(CHART), credentials, username="puller", password=PASSWORD) as registry:
        stack.environment |= registry.environment
        stack.set(platform, chart=registry.chart, chartUsername="puller", chartPassword=stack.seal(wrong))
        assert "401" in stack.up(ok=False).errors
        stack.set(platform, chartPassword=stack.seal(PASSWORD))
        stack.up()
        stack.up("--expect-no-changes")
    stack.destroy()
    texts = [run.text + run.event_log for run in stack.runs]
    texts += [path.read_text(errors="replace") for path in stack.stack_files()]
    assert not [text for text in texts if PASSWORD in text or wrong in text]


def test_platforms_on_a_chart_kept_in_the_repository_pull_it_once(
    stack: Stack, site: Callable[[str], Site], credentials: Credentials, tmp_path: Path
) -> None:
    platforms = [unique("eu"), unique("us")]
    with serve_registry(Path(CHART), credentials) as registry:
        stack.environment |= registry.environment
        for platform in platforms:
            stack.set(platform, chart=registry.chart)
        stack.up()
        before = [site(platform).operator_pods() for platform in platforms]
        registry.take_pulls()
        archive = _pull(registry, credentials, tmp_path)
        for platform in platforms:
            stack.set(platform, chart=archive)
        # The documented way off the registry: the same chart, so no operator is restarted.
        stack.up()
        assert [site(platform).operator_pods() for platform in platforms] == before
        stack.set(unique("ap"), chart=archive)
        stack.up()
        stack.up("--expect-no-changes")
        assert registry.take_pulls() == 1


def _pull(registry: ChartRegistry, credentials: Credentials, directory: Path) -> str:
    """Fetch a chart as a person does, and give the archive's path."""
    program = ensure("helm", quiet=True)["helm"]
    wanted = [registry.chart, "--version", registry.version, "--destination", str(directory)]
    subprocess.run([program, "pull", *wanted, "--ca-file", str(credentials.ca)], check=True, timeout=60)
    (archive,) = directory.glob("*.tgz")
    return str(archive)


def _chart_version(stack: Stack, platform: str) -> str:
    """Give the version that Helm has installed."""
    (release,) = [made for made in stack.state() if made["urn"].endswith(f"::{platform}-release")]
    version: str = release["outputs"]["status"]["version"]
    return version
