"""Which tools the project runs, in which versions, and where each can come from. Data only."""

from __future__ import annotations

import platform as host
from dataclasses import dataclass


@dataclass(frozen=True)
class Platform:
    """An operating system and a processor, as Go names them: `linux`, `amd64`."""

    system: str
    machine: str

    def __str__(self) -> str:
        return f"{self.system}-{self.machine}"

    @staticmethod
    def current() -> Platform:
        """Give the platform that this process runs on."""
        machines = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
        machine = host.machine().lower()
        return Platform(host.system().lower(), machines.get(machine, machine))


@dataclass(frozen=True)
class GoModule:
    """How a tool is built from a Go module of this project under `tools/go/<directory>`.

    Attributes:
        directory: the folder with go.mod and go.sum, which pin every source by checksum.
        package: the main package to build.
        seconds: how long a build from nothing takes on two cores, measured.
        stamps: what the project's own release writes into the program while linking, by variable. The API server,
            for one, tells the version that is written into it, and charts ask for it.
    """

    directory: str
    package: str
    seconds: int
    stamps: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Tool:
    """One executable that the project runs.

    Attributes:
        name: the executable's file name.
        version: the version that every source has to serve.
        mebibytes: the executable's size on disk, about.
        scripts: files that belong beside it.
        bundle: the official release that holds it, as `releases` names it; several tools may be in one.
        go: how to build it; absent where the source is not served as a Go module.
        on_path: whether the Pulumi engine looks for it on PATH.
        stand_in: the module that serves in its place where it cannot be had; empty where none does.
        optional: a run goes on without it; the tests that need it say so.
        on_demand: whether only who names it gets it, as no run of the project itself needs it.
    """

    name: str
    version: str
    mebibytes: int
    scripts: tuple[str, ...] = ()
    bundle: str = ""
    go: GoModule | None = None
    on_path: bool = False
    stand_in: str = ""
    optional: bool = False
    on_demand: bool = False

    @property
    def variable(self) -> str:
        """The environment variable that names an executable to take instead."""
        return "CODECANVAS_TOOL_" + self.name.upper().replace("-", "_")


PULUMI_VERSION = "3.259.0"
YAML_HOST_VERSION = "1.32.0"
KUBERNETES_PLUGIN_VERSION = "4.30.0"
KUBERNETES_VERSION = "1.36.3"
ETCD_VERSION = "3.6.14"
KWOK_VERSION = "0.7.0"
HELM_VERSION = "3.22.0"
# Of Go's module; the program itself is kubectl 1.37.0, which fits API servers from 1.36.
KUBECTL_VERSION = "0.37.0"

_KUBERNETES_STAMPS = (
    ("k8s.io/component-base/version.gitVersion", f"v{KUBERNETES_VERSION}"),
    ("k8s.io/component-base/version.gitMajor", KUBERNETES_VERSION.split(".")[0]),
    ("k8s.io/component-base/version.gitMinor", KUBERNETES_VERSION.split(".")[1]),
)
_PULUMI_STAMPS = (("github.com/pulumi/pulumi/sdk/v3/go/common/version.Version", f"v{PULUMI_VERSION}"),)
_HELM_STAMPS = (("helm.sh/helm/v3/internal/version.version", f"v{HELM_VERSION}"),)

TOOLS: dict[str, Tool] = {
    tool.name: tool
    for tool in (
        Tool(
            "pulumi",
            PULUMI_VERSION,
            mebibytes=110,
            bundle="pulumi",
            go=GoModule("pulumi", "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi", 300, _PULUMI_STAMPS),
            on_path=True,
        ),
        Tool(
            "pulumi-language-python",
            PULUMI_VERSION,
            mebibytes=34,
            scripts=("pulumi-language-python-exec", "pulumi-resource-pulumi-python"),
            bundle="pulumi",
            on_path=True,
            stand_in="tools.standin.python_host",
        ),
        Tool(
            "pulumi-language-nodejs",
            PULUMI_VERSION,
            mebibytes=34,
            scripts=("pulumi-resource-pulumi-nodejs",),
            bundle="pulumi",
            on_path=True,
            optional=True,
        ),
        Tool("pulumi-language-go", PULUMI_VERSION, mebibytes=37, bundle="pulumi", on_path=True, optional=True),
        Tool(
            "pulumi-language-yaml",
            YAML_HOST_VERSION,
            mebibytes=36,
            bundle="pulumi-yaml",
            go=GoModule("yaml", "github.com/pulumi/pulumi-yaml/cmd/pulumi-language-yaml", 60),
            on_path=True,
        ),
        # Not on PATH: the engine takes it from its own plugin folder and warns about one found on PATH.
        Tool(
            "pulumi-resource-kubernetes",
            KUBERNETES_PLUGIN_VERSION,
            mebibytes=307,
            bundle="kubernetes-plugin",
            stand_in="tools.standin.kubernetes",
        ),
        Tool(
            "controlplane",
            KUBERNETES_VERSION,
            mebibytes=120,
            bundle="kubernetes",
            go=GoModule("controlplane", "codecanvas.tools/controlplane", 240, _KUBERNETES_STAMPS),
        ),
        Tool(
            "kwok",
            KWOK_VERSION,
            mebibytes=84,
            bundle="kwok",
            go=GoModule("kwok", "sigs.k8s.io/kwok/cmd/kwok", 90),
        ),
        Tool(
            "helm",
            HELM_VERSION,
            mebibytes=76,
            bundle="helm",
            go=GoModule("helm", "helm.sh/helm/v3/cmd/helm", 90, _HELM_STAMPS),
        ),
        # The cache knows it by Helm's version alone: after a change of its source, delete it there.
        Tool(
            "helm-values",
            HELM_VERSION,
            mebibytes=50,
            go=GoModule("helm", "codecanvas.tools/helm/values", 60),
        ),
        # For the benchmark alone.
        Tool(
            "kubectl",
            KUBECTL_VERSION,
            mebibytes=55,
            go=GoModule("helm", "codecanvas.tools/helm/kubectl", 60),
            on_demand=True,
        ),
    )
}
