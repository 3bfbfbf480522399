from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

import tools.toolchain
from tests.unit.toolchain_support import LINUX, FileServer, StubSource, make_toolchain
from tools.download import Downloader
from tools.errors import ToolsError
from tools.pins import TOOLS, Platform
from tools.releases import ReleaseSource, _find_checksum
from tools.sources import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

HELM = "/get.helm.sh/helm-v3.22.0-linux-amd64.tar.gz"
KWOK = "/github.com/kubernetes-sigs/kwok/releases/download/v0.7.0/kwok-linux-amd64"
KWOK_API = "/api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v0.7.0"
PULUMI = "/github.com/pulumi/pulumi/releases/download/v3.259.0/pulumi-v3.259.0-linux-x64.tar.gz"
PULUMI_SUMS = "/github.com/pulumi/pulumi/releases/download/v3.259.0/pulumi-3.259.0-checksums.txt"


@pytest.fixture(autouse=True)
def _nothing_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools.toolchain, "_announced", set())


@pytest.fixture
def server() -> Iterator[FileServer]:
    with FileServer() as running:
        yield running


def _source(server: FileServer, cache: Path, platform: Platform = LINUX) -> ReleaseSource:
    return ReleaseSource(cache, platform, {"CODECANVAS_RELEASE_MIRROR": server.url + "/"}, Downloader(pause=0))


def _archive(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _serve_helm(server: FileServer, content: bytes = b"helm") -> None:
    archive = _archive({"linux-amd64/README.md": b"no", "linux-amd64/helm": content})
    server.files[HELM] = archive
    server.files[f"{HELM}.sha256sum"] = f"{_sha256(archive)}  helm-v3.22.0-linux-amd64.tar.gz\n".encode()


def test_a_tool_is_taken_from_its_release_and_the_archive_is_not_kept(server: FileServer, tmp_path: Path) -> None:
    _serve_helm(server)
    path = make_toolchain(tmp_path, [_source(server, tmp_path)]).ensure(["helm"])["helm"]
    assert path.read_bytes() == b"helm"
    assert os.access(path, os.X_OK)
    assert [path.name for path in (tmp_path / "downloads").iterdir() if path.suffix == ".gz"] == []


def test_a_release_that_does_not_match_its_published_checksum_is_refused(server: FileServer, tmp_path: Path) -> None:
    _serve_helm(server)
    server.files[HELM] += b"\0"
    own = StubSource("own build", {"helm"})
    assert (
        make_toolchain(tmp_path, [_source(server, tmp_path)], [own]).ensure(["helm"])["helm"].read_text() == "own build"
    )
    with pytest.raises(ToolsError, match=r"release: .*/helm-v3.22.0-linux-amd64.tar.gz has SHA-256 .*, published is"):
        make_toolchain(tmp_path / "empty", [_source(server, tmp_path / "empty")]).ensure(["helm"])


def test_the_checksum_seen_first_is_kept_and_a_changed_release_refused(server: FileServer, tmp_path: Path) -> None:
    _serve_helm(server)
    path = make_toolchain(tmp_path, [_source(server, tmp_path)]).ensure(["helm"])["helm"]
    path.write_bytes(b"damaged")
    _serve_helm(server, b"another helm, with a checksum of its own")
    with pytest.raises(ToolsError, match="published is"):
        make_toolchain(tmp_path, [_source(server, tmp_path)]).ensure(["helm"])


def test_without_a_published_checksum_nothing_is_downloaded(server: FileServer, tmp_path: Path) -> None:
    _serve_helm(server)
    server.files[f"{HELM}.sha256sum"] = b"<html>log in</html>"
    with pytest.raises(ToolsError, match=r"release: .*sha256sum has no checksum of helm-v3.22.0-linux-amd64.tar.gz"):
        make_toolchain(tmp_path, [_source(server, tmp_path)]).ensure(["helm"])
    assert server.asked_for(HELM) == []


def test_a_file_without_a_checksum_file_is_checked_against_the_digest_that_github_states(
    server: FileServer, tmp_path: Path
) -> None:
    server.files[KWOK] = b"kwok"
    asset = {"name": "kwok-linux-amd64", "digest": None}
    server.files[KWOK_API] = json.dumps({"assets": [asset]}).encode()
    with pytest.raises(ToolsError, match="has no checksum of kwok-linux-amd64"):
        make_toolchain(tmp_path, [_source(server, tmp_path)]).ensure(["kwok"])
    server.files[KWOK_API] = json.dumps({"assets": [{**asset, "digest": f"sha256:{_sha256(b'kwok')}"}]}).encode()
    assert make_toolchain(tmp_path, [_source(server, tmp_path)]).ensure(["kwok"])["kwok"].read_bytes() == b"kwok"


def test_tools_of_one_archive_download_it_once(server: FileServer, tmp_path: Path) -> None:
    names = ["pulumi", "pulumi-language-python", "pulumi-language-nodejs", "pulumi-language-go"]
    members = {name: name.encode() for tool in names for name in (tool, *TOOLS[tool].scripts)}
    archive = _archive({f"pulumi/{name}": content for name, content in members.items()})
    server.files[PULUMI] = archive
    server.files[PULUMI_SUMS] = (
        f"{'1' * 64}  other.zip\n{_sha256(archive)}  pulumi-v3.259.0-linux-x64.tar.gz\n".encode()
    )
    toolchain = make_toolchain(tmp_path, [_source(server, tmp_path)])
    toolchain.ensure(names)
    assert {path.name: path.read_bytes() for path in toolchain.bin_dir().iterdir()} == members
    assert server.asked_for(PULUMI) == [""]
    assert server.asked_for(PULUMI_SUMS) == [""]


def test_an_archive_that_lacks_the_tool_is_refused(server: FileServer, tmp_path: Path) -> None:
    archive = _archive({"linux-amd64/tiller": b""})
    server.files[HELM] = archive
    server.files[f"{HELM}.sha256sum"] = f"{_sha256(archive)}  helm-v3.22.0-linux-amd64.tar.gz\n".encode()
    with pytest.raises(ToolsError, match=r"helm-v3.22.0-linux-amd64.tar.gz has no helm"):
        make_toolchain(tmp_path, [_source(server, tmp_path)]).ensure(["helm"])


def test_the_official_control_plane_answers_to_one_name(server: FileServer, tmp_path: Path) -> None:
    for part in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        content = f'#!/bin/sh\necho {part} "$@"\n'.encode()
        server.files[f"/dl.k8s.io/release/v1.36.3/bin/linux/amd64/{part}"] = content
        server.files[f"/dl.k8s.io/release/v1.36.3/bin/linux/amd64/{part}.sha256"] = _sha256(content).encode()
    etcd = _archive({"etcd-v3.6.14-linux-amd64/etcd": b'#!/bin/sh\necho etcd "$@"\n'})
    base = "/github.com/etcd-io/etcd/releases/download/v3.6.14"
    server.files[f"{base}/etcd-v3.6.14-linux-amd64.tar.gz"] = etcd
    server.files[f"{base}/SHA256SUMS"] = f"{_sha256(etcd)}  etcd-v3.6.14-linux-amd64.tar.gz\n".encode()
    path = make_toolchain(tmp_path, [_source(server, tmp_path)]).ensure(["controlplane"])["controlplane"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([path, *arguments], capture_output=True, text=True, check=False)

    assert run("etcd", "--data-dir", "a b").stdout == "etcd --data-dir a b\n"
    assert run("apiserver", "--v=2").stdout == "kube-apiserver --v=2\n"
    assert run("controller-manager").stdout == "kube-controller-manager\n"
    assert run("scheduler").stdout == "kube-scheduler\n"
    assert run("kubelet").returncode == 2


@pytest.mark.parametrize("system", ["linux", "darwin"])
@pytest.mark.parametrize("machine", ["amd64", "arm64"])
@pytest.mark.parametrize("name", [tool.name for tool in TOOLS.values() if tool.bundle])
def test_every_tool_names_a_release_for_every_platform_that_has_one(
    tmp_path: Path, name: str, machine: str, system: str
) -> None:
    source = ReleaseSource(tmp_path, Platform(system, machine), {})
    if (name, system) == ("controlplane", "darwin"):
        with pytest.raises(UnavailableError, match="there is none for darwin"):
            source._assets_of(TOOLS[name])
        return
    for asset in source._assets_of(TOOLS[name]):
        assert asset.url.startswith("https://")
        assert asset.checksums.startswith("https://")
        assert system in asset.url
        assert machine in asset.url or "x64" in asset.url


def test_a_platform_without_releases_says_so(tmp_path: Path) -> None:
    with pytest.raises(ToolsError, match="release: there is none for windows-amd64"):
        make_toolchain(tmp_path, [ReleaseSource(tmp_path, Platform("windows", "amd64"), {})]).ensure(["helm"])


def test_offline_by_wish_asks_nobody(server: FileServer, tmp_path: Path) -> None:
    environment = {"CODECANVAS_OFFLINE": "1", "CODECANVAS_RELEASE_MIRROR": server.url}
    with pytest.raises(ToolsError, match="release: CODECANVAS_OFFLINE is set"):
        make_toolchain(tmp_path, [ReleaseSource(tmp_path, LINUX, environment)]).ensure(["helm"])
    assert server.requests == []


def test_an_unreachable_network_is_said_in_one_line_and_the_tools_are_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Below 1024, nobody listens by chance.
    source = ReleaseSource(tmp_path, LINUX, {"CODECANVAS_RELEASE_MIRROR": "http://127.0.0.1:1"})
    build = StubSource("own build", {"helm", "kwok", "controlplane"})
    make_toolchain(tmp_path, [source], [build]).ensure(["helm", "kwok", "controlplane"])
    lines = capsys.readouterr().err.splitlines()
    assert len([line for line in lines if "cannot be reached" in line]) == 1
    assert len([line for line in lines if "taken from own build" in line]) == 3


@pytest.mark.parametrize(
    ("published", "found"),
    [
        ("a" * 64, "a" * 64),
        ("A" * 64 + "\n", "a" * 64),
        (f"{'a' * 64}  tool\n", "a" * 64),
        (f"{'b' * 64}  other\n{'a' * 64} *tool\n", "a" * 64),
        (f"{'a' * 64}  ./dist/tool\n", "a" * 64),
        (f"{'b' * 64}  tool.asc\n", None),
        ("a" * 63 + "  tool", None),
        ("", None),
        ("not found", None),
        ("{", None),
        ("{}", None),
        ('{"assets": [{"name": "tool", "digest": "sha512:aa"}]}', None),
        (f'{{"assets": [{{"name": "tool", "digest": "sha256:{"a" * 64}"}}]}}', "a" * 64),
    ],
)
def test_a_checksum_is_found_in_every_published_form_and_nowhere_else(published: str, found: str | None) -> None:
    assert _find_checksum(published, "tool") == found
