"""Tools from the official releases of their projects, over the internet.

Every download is checked against the checksum that the project publishes with the release. The first one seen
is kept in the cache, and a later download has to match it (trust on first use).
"""

from __future__ import annotations

import json
import re
import shutil
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tools.cache import locked
from tools.console import say
from tools.download import Downloader, DownloadError, NoNetworkError
from tools.pins import (
    ETCD_VERSION,
    HELM_VERSION,
    KUBERNETES_PLUGIN_VERSION,
    KUBERNETES_VERSION,
    KWOK_VERSION,
    PULUMI_VERSION,
    TOOLS,
    YAML_HOST_VERSION,
    Platform,
)
from tools.sources import Plan, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tools.pins import Tool

OFFLINE_VARIABLE = "CODECANVAS_OFFLINE"
MIRROR_VARIABLE = "CODECANVAS_RELEASE_MIRROR"

_GITHUB = "https://github.com"
_SYSTEMS = {"linux", "darwin"}
_MACHINES = {"amd64", "arm64"}
_MEBIBYTES_A_SECOND = 10

_CONTROL_PLANE = """\
#!/bin/sh
# Starts one part of the control plane: the official executables beside this script under one name.
part=$1
shift
case $part in
  etcd) name=etcd ;;
  apiserver | controller-manager | scheduler) name=kube-$part ;;
  *) echo "unknown part '$part'" >&2; exit 2 ;;
esac
exec "$(dirname "$0")/$name" "$@"
"""


# Hosts that this process has found out of reach, and why; asked once.
_UNREACHABLE: dict[str, str] = {}


@dataclass(frozen=True)
class Asset:
    """One file of a release.

    Attributes:
        url: where it is.
        checksums: the published checksum: a file with lines `SHA256  NAME`, one with the SHA-256 alone, or
            GitHub's description of the release, which has a digest for each file.
        files: what to take from it: an archive's members of these names, or the file itself under this name.
    """

    url: str
    checksums: str
    files: tuple[str, ...]

    @property
    def name(self) -> str:
        """The file's name."""
        return self.url.rpartition("/")[2]


class ReleaseSource:
    """Downloads tools.

    Args:
        cache: the cache directory.
        platform: what to download for.
        environment: may forbid it (`CODECANVAS_OFFLINE`) or name a mirror
            (`CODECANVAS_RELEASE_MIRROR`), in which `https://HOST/PATH` is `<mirror>/HOST/PATH`.
        downloader: does it.
    """

    label = "release"

    def __init__(
        self, cache: Path, platform: Platform, environment: Mapping[str, str], downloader: Downloader | None = None
    ) -> None:
        self._downloads = cache / "downloads"
        self._platform = platform
        self._offline = bool(environment.get(OFFLINE_VARIABLE))
        self._mirror = environment.get(MIRROR_VARIABLE, "").rstrip("/")
        self._downloader = downloader or Downloader()
        self._unreachable: dict[str, str] = _UNREACHABLE if downloader is None else {}

    def plan(self, tool: Tool) -> Plan:
        """Say what `fill` would do, after asking for the published checksums, which tells whether it can."""
        assets = self._assets_of(tool)
        for asset in assets:
            self._published_checksum(asset)
        places = ", ".join(self._address(asset.url) for asset in assets)
        return Plan(f"download {places}", seconds=max(1, tool.mebibytes // _MEBIBYTES_A_SECOND))

    def fill(self, tool: Tool, directory: Path) -> str:
        """Download, check and unpack the tool's files."""
        assets = self._assets_of(tool)
        for asset in assets:
            archive = self._fetch(asset, label=tool.name)
            _unpack(archive, asset, directory)
            if not _is_shared(tool.bundle):
                archive.unlink()
        if tool.name == "controlplane":
            (directory / tool.name).write_text(_CONTROL_PLANE)
        return f"downloaded from {', '.join(self._address(asset.url) for asset in assets)}"

    def stop(self) -> None:
        """Make downloads end soon."""
        self._downloader.stop()

    def _assets_of(self, tool: Tool) -> list[Asset]:
        if self._offline:
            raise UnavailableError(f"{OFFLINE_VARIABLE} is set")
        if not tool.bundle:
            raise UnavailableError("it is this project's own")
        assets = _BUNDLES[tool.bundle](tool, self._platform) if _is_common(self._platform) else []
        if not assets:
            raise UnavailableError(f"there is none for {self._platform}")
        return assets

    def _address(self, url: str) -> str:
        return f"{self._mirror}/{url.partition('://')[2]}" if self._mirror else url

    def _fetch(self, asset: Asset, *, label: str) -> Path:
        """Give the asset's file in the cache; several tools may be in one."""
        target = self._downloads / asset.name
        sha256 = self._published_checksum(asset)
        with locked(target):
            if not target.exists():
                try:
                    self._downloader.fetch(self._address(asset.url), target, sha256, label=label)
                except DownloadError as error:
                    raise UnavailableError(str(error)) from error
        return target

    def _published_checksum(self, asset: Asset) -> str:
        """Give the checksum seen first for this asset, asking for the published one if none was seen yet."""
        known = self._downloads / f"{asset.name}.sha256"
        with locked(known):
            if known.exists():
                return known.read_text().strip()
            address = self._address(asset.checksums)
            host = address.split("/")[2]
            if host in self._unreachable:
                raise UnavailableError(self._unreachable[host])
            try:
                published = self._downloader.read(address)
            except NoNetworkError as error:
                self._note_unreachable(host, str(error))
                raise UnavailableError(str(error)) from error
            except DownloadError as error:
                raise UnavailableError(str(error)) from error
            sha256 = _find_checksum(published, asset.name)
            if sha256 is None:
                raise UnavailableError(f"{address} has no checksum of {asset.name}")
            known.write_text(sha256)
            return sha256

    def _note_unreachable(self, host: str, reason: str) -> None:
        if not self._unreachable:
            say(f"official releases: {reason}; set {OFFLINE_VARIABLE}=1 to leave them out")
        self._unreachable[host] = reason


def _is_shared(bundle: str) -> bool:
    return sum(tool.bundle == bundle for tool in TOOLS.values()) > 1


def _is_common(platform: Platform) -> bool:
    return platform.system in _SYSTEMS and platform.machine in _MACHINES


def _describe_pulumi(tool: Tool, platform: Platform) -> list[Asset]:
    machine = "x64" if platform.machine == "amd64" else platform.machine
    base = f"{_GITHUB}/pulumi/pulumi/releases/download/v{PULUMI_VERSION}"
    return [
        Asset(
            f"{base}/pulumi-v{PULUMI_VERSION}-{platform.system}-{machine}.tar.gz",
            f"{base}/pulumi-{PULUMI_VERSION}-checksums.txt",
            (tool.name, *tool.scripts),
        )
    ]


def _describe_yaml_host(tool: Tool, platform: Platform) -> list[Asset]:
    # The one that comes with the engine's release is of another version.
    base = f"{_GITHUB}/pulumi/pulumi-yaml/releases/download/v{YAML_HOST_VERSION}"
    return [
        Asset(
            f"{base}/{tool.name}-v{YAML_HOST_VERSION}-{platform}.tar.gz",
            f"{base}/pulumi-yaml-{YAML_HOST_VERSION}-checksums.txt",
            (tool.name,),
        )
    ]


def _describe_kubernetes_plugin(tool: Tool, platform: Platform) -> list[Asset]:
    base = f"{_GITHUB}/pulumi/pulumi-kubernetes/releases/download/v{KUBERNETES_PLUGIN_VERSION}"
    return [
        Asset(
            f"{base}/{tool.name}-v{KUBERNETES_PLUGIN_VERSION}-{platform}.tar.gz",
            f"{base}/pulumi-kubernetes_{KUBERNETES_PLUGIN_VERSION}_checksums.txt",
            (tool.name,),
        )
    ]


def _describe_kubernetes(_: Tool, platform: Platform) -> list[Asset]:
    if platform.system != "linux":
        return []
    base = f"https://dl.k8s.io/release/v{KUBERNETES_VERSION}/bin/{platform.system}/{platform.machine}"
    parts = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    etcd = f"{_GITHUB}/etcd-io/etcd/releases/download/v{ETCD_VERSION}"
    return [
        *(Asset(f"{base}/{part}", f"{base}/{part}.sha256", (part,)) for part in parts),
        Asset(f"{etcd}/etcd-v{ETCD_VERSION}-{platform}.tar.gz", f"{etcd}/SHA256SUMS", ("etcd",)),
    ]


def _describe_kwok(tool: Tool, platform: Platform) -> list[Asset]:
    return [
        Asset(
            f"{_GITHUB}/kubernetes-sigs/kwok/releases/download/v{KWOK_VERSION}/kwok-{platform}",
            # The project publishes no checksum file; GitHub itself states a digest for each file of a release.
            f"https://api.github.com/repos/kubernetes-sigs/kwok/releases/tags/v{KWOK_VERSION}",
            (tool.name,),
        )
    ]


def _describe_helm(tool: Tool, platform: Platform) -> list[Asset]:
    url = f"https://get.helm.sh/helm-v{HELM_VERSION}-{platform}.tar.gz"
    return [Asset(url, f"{url}.sha256sum", (tool.name,))]


_BUNDLES: dict[str, Callable[[Tool, Platform], list[Asset]]] = {
    "pulumi": _describe_pulumi,
    "pulumi-yaml": _describe_yaml_host,
    "kubernetes-plugin": _describe_kubernetes_plugin,
    "kubernetes": _describe_kubernetes,
    "kwok": _describe_kwok,
    "helm": _describe_helm,
}


def _find_checksum(published: str, name: str) -> str | None:
    """Find a file's SHA-256 in what a project publishes; see `Asset.checksums` for the forms."""
    if published.lstrip().startswith("{"):
        return _find_digest(published, name)
    lines = [line.split() for line in published.splitlines() if line.strip()]
    if len(lines) == 1 and len(lines[0]) == 1:
        return _checked(lines[0][0])
    for fields in lines:
        if fields[-1].lstrip("*").rpartition("/")[2] == name:
            return _checked(fields[0])
    return None


def _find_digest(published: str, name: str) -> str | None:
    try:
        digests = {asset["name"]: asset.get("digest") or "" for asset in json.loads(published)["assets"]}
    except (ValueError, KeyError, TypeError):
        return None
    algorithm, _, digest = digests.get(name, "").partition(":")
    return _checked(digest) if algorithm == "sha256" else None


def _checked(sha256: str) -> str | None:
    return sha256.lower() if re.fullmatch(r"[0-9a-fA-F]{64}", sha256) else None


def _unpack(archive: Path, asset: Asset, directory: Path) -> None:
    """Take an asset's files out of it."""
    if not asset.name.endswith(".tar.gz"):
        shutil.copyfile(archive, directory / asset.files[0])
        return
    wanted = set(asset.files)
    with tarfile.open(archive, mode="r|gz") as members:
        for member in members:
            name = member.name.rpartition("/")[2]
            content = members.extractfile(member) if name in wanted and member.isfile() else None
            if content is not None:
                with (directory / name).open("wb") as sink:
                    shutil.copyfileobj(content, sink)
                wanted.remove(name)
    if wanted:
        raise UnavailableError(f"{asset.url} has no {', '.join(sorted(wanted))}")
