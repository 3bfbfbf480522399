"""A stack as an earlier version of the package left it: what it is made of, and how it is recorded.

`python -m tests.languages.recording` brings the platforms up on a local cluster of its own and writes
`tests/recorded/<version>.json`. A recording stays as it is; each release that changes the schema adds one.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.version import VERSION
from tests.support.clusters import make_cluster
from tests.support.stack import CHECKOUT, SERVER_URL, Stack
from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORDED = CHECKOUT / "tests" / "recorded"
PASSPHRASE = "for tests only: seals keys that were made for the recording"
STACK = "recorded"
CHART = "./tools/charts/codecanvas-operator"
"""Relative, so that it is the same in every checkout."""

PLATFORMS: Mapping[str, Mapping[str, Any]] = {
    "bare": {},
    "frozen": {"freeze": True, "freezeReason": "maintenance"},
    "hardened": {
        "namespace": "hardened-environments",
        "operatorNamespace": "hardened-operator",
        "freeze": True,
        "freezeMode": "quota",
        "podTemplate": "tools/charts/worker-pod.yaml",
        "serviceAccounts": {"cloud": {"example.com/role": "developer"}},
        "labels": {"team": "platform"},
        "annotations": {"example.com/owner": "platform"},
        "values": {"podLabels": {"team": "platform"}},
        "podSecurity": "baseline",
        "quota": {"requests.cpu": "64"},
        "limits": {"default": {"memory": "8Gi"}},
        "networkPolicy": True,
        "storage": "eks",
        "tokenVersion": "3",
        "testConnection": False,
    },
}


def make_home(root: Path) -> PulumiHome:
    """Give a Pulumi home whose stacks are sealed with the recording's passphrase."""
    home = PulumiHome(root)
    root.mkdir(parents=True, exist_ok=True)
    home.passphrase_file.write_text(PASSPHRASE)
    return home


def declare(stack: Stack) -> None:
    """Put the recording's platforms into a stack's config."""
    stack.platforms = {
        name: {"serverUrl": SERVER_URL, "chart": CHART, **arguments} for name, arguments in PLATFORMS.items()
    }


def record() -> None:
    """Write the recording of this version."""
    with (
        tempfile.TemporaryDirectory() as scratch,
        make_cluster(Path(scratch) / "cluster", name="recording", owner_pid=os.getpid()) as cluster,
    ):
        stack = Stack(make_home(Path(scratch) / "home"), cluster.kubeconfig, name=STACK)
        declare(stack)
        stack.up()
        exported = json.loads(stack.export())
    for resource in exported["deployment"]["resources"]:
        # Where the program stood on the machine that recorded it.
        resource.pop("sourcePosition", None)
        resource.pop("stackTrace", None)
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{VERSION}.json").write_text(json.dumps(exported, indent=1) + "\n")


if __name__ == "__main__":
    record()
