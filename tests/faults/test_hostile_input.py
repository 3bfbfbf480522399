"""Hostile input on the real engine: refused before anything is changed, or taken as the text that it is."""

from __future__ import annotations

import io
import json
import re
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from kubernetes import client

from codecanvas_provider.cluster import NAMESPACE, Cluster
from tests.support.chart_repository import pack_chart, serve_chart
from tests.support.faults import fault
from tests.support.names import unique
from tests.support.site import Site
from tests.support.stack import CHART
from tests.support.workers import create_worker

if TYPE_CHECKING:
    from tests.support.stack import Stack
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{after}: &{after} [{', '.join([f'*{before}'] * 9)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = (
    "' || true || '\\ $(id) `id` ${x} {{ .Values }} %s"
    ' "\\" <!-- *a &b !!python/none \U0001f9d1\u200d\U0001f4bb \u202e \u0435\u0301 \u200b'
)


@fault(47)
@fault(49)
def test_bombs_tags_and_large_templates_are_refused_before_anything_is_changed(stack: Stack, tmp_path: Path) -> None:
    bomb, tag, large = (unique(stem) for stem in ("bomb", "tag", "large"))
    stack.set(bomb, podTemplate=BOMB)
    stack.set(tag, podTemplate="kind: !!python/object/apply:os.system [id]")
    (tmp_path / "large.yaml").write_text("# " + "x" * 2_000_000)
    stack.set(large, podTemplate=str(tmp_path / "large.yaml"))
    refused = stack.preview(ok=False).text
    assert re.search(rf"{bomb}.podTemplate: line \d, column \d+: grows past 20000 values", refused)
    assert 'the tag "!!python/object/apply:os.system" is not allowed' in refused
    assert re.search(rf'{large}.podTemplate: the file ".*" is larger than 1 MiB', refused)
    assert len(refused) < 10_000
    # Text in the config reaches the program by its environment, where the system has a limit of its own.
    stack.set(large, podTemplate="# " + "x" * 2_000_000)
    assert "argument list too long" in stack.preview(ok=False).text.lower()
    assert not stack.names()


@fault(47)
def test_bomb_in_the_config_file_is_refused_by_the_engine(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.write_config()
    text = stack.config_file.read_text() + "\n" + BOMB
    monkeypatch.setattr(stack, "write_config", lambda: stack.config_file.write_text(text))
    refused = stack.preview(ok=False)
    assert "excessive aliasing" in refused.text
    assert not stack.names()


@fault(48)
def test_hostile_text_is_carried_as_it_is(stack: Stack, admin: Cluster, shared_cluster: LocalCluster) -> None:
    name = unique("hostile")
    worker = {"name": "worker-main", "env": [{"name": "A", "value": HOSTILE}], "args": [HOSTILE]}
    stack.set(
        name,
        freeze=True,
        freezeReason=HOSTILE,
        annotations={"example.com/note": HOSTILE},
        serviceAccounts={"cloud": {"example.com/role": HOSTILE}},
        instanceId=HOSTILE,
        tokenVersion=HOSTILE,
        propagatePaths=["/home/'$(id)`id`\"\\ x"],
        values={"podAnnotations": {"example.com/note": HOSTILE}},
        podTemplate={"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [worker]}},
    )
    stack.up()
    found = admin.get(NAMESPACE, name)
    assert found is not None
    assert found["metadata"]["annotations"]["example.com/note"] == HOSTILE
    site = Site(admin, shared_cluster, name)
    with pytest.raises(client.ApiException) as refused:
        create_worker(site.core, name, "late", volume=False)
    told = json.loads(str(refused.value.body))["message"]
    assert "' || true || '\\ $(id) `id` ${x} {{ .Values }} %s" in told
    assert set(site.operator_pods().values()) == {"Running"}
    assert stack.outputs(name)["instance_id"] == HOSTILE
    assert stack.up("--expect-no-changes").changes == {}


@fault(
    50,
    "A chart archive with paths that lead out of it",
    happens="Helm refuses the archive; nothing is written outside, nothing is left in the cluster.",
    user="Use a chart that you trust.",
)
def test_chart_with_path_traversal_writes_nothing_outside(stack: Stack, admin: Cluster, tmp_path: Path) -> None:
    name, target = unique("traversal"), tmp_path / "outside"
    scratch = tmp_path / "a" / "b" / "scratch"
    scratch.mkdir(parents=True)
    stack.environment["TMPDIR"] = str(scratch)
    with serve_chart(Path(CHART), hostile_archive(target)) as repository:
        stack.set(name, chart="codecanvas-operator", chartRepository=repository, chartVersion=chart_version())
        refused = stack.up(ok=False)
        assert "illegally references parent directory" in refused.text or "path" in refused.text
    assert not list(tmp_path.rglob("owned*"))
    assert not list(stack.home.root.rglob("owned*"))
    stack.destroy()
    assert admin.get(NAMESPACE, name) is None


def chart_version() -> str:
    return str(yaml.safe_load((Path(CHART) / "Chart.yaml").read_text())["version"])


def hostile_archive(target: Path) -> bytes:
    """Give the stand-in's archive with entries that lead out of it: upwards, absolute, and through a link."""
    packed = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(pack_chart(Path(CHART)))) as good,
        tarfile.open(fileobj=packed, mode="w:gz") as archive,
    ):
        for member in good.getmembers():
            archive.addfile(member, good.extractfile(member) if member.isfile() else None)
        link = tarfile.TarInfo("codecanvas-operator/link")
        link.type, link.linkname = tarfile.SYMTYPE, str(target)
        archive.addfile(link)
        up = "../" * 12
        for path in ("codecanvas-operator/../../owned", f"codecanvas-operator/{up}{target}/owned", f"{target}/owned",
                     "codecanvas-operator/link/owned"):  # fmt: skip
            entry = tarfile.TarInfo(path)
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"owned"))
    return packed.getvalue()
