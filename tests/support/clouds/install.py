"""Puts the stand-ins where the Pulumi engine looks for plugins, and the clouds' commands on PATH."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING

from tests.support.example_virtualenv import ROOT, example_virtualenv

if TYPE_CHECKING:
    from pathlib import Path

    from tools.pulumi_home import PulumiHome

PACKAGES = ("aws", "eks", "gcp")
LOGINS = ("aws", "gke-gcloud-auth-plugin")
"""The commands that kubeconfigs of EKS and GKE call for a token; here a token of the local cluster."""


def install(home: PulumiHome, cloud: Path, kubeconfig: Path) -> Path:
    """Install the stand-ins in a Pulumi home, in the versions that the installed SDKs ask for.

    Args:
        home: where.
        cloud: the folder that holds what is in the cloud.
        kubeconfig: the local cluster, which plays every cluster of the cloud.

    Returns:
        The folder with the commands, for PATH.
    """
    python = example_virtualenv() / "bin" / "python"
    for package in PACKAGES:
        (facts,) = example_virtualenv().glob(f"lib/python*/site-packages/pulumi_{package}/pulumi-plugin.json")
        version = json.loads(facts.read_text(encoding="utf-8"))["version"]
        folder = home.home / "plugins" / f"resource-{package}-v{version}"
        command = [str(python), "-m", "tests.support.clouds", package, str(cloud), str(kubeconfig)]
        _write(folder / f"pulumi-resource-{package}", f'export PYTHONPATH={ROOT}\nexec {shlex.join(command)} "$@"\n')
    commands = home.root / "commands"
    login = shlex.join([str(python), "-m", "tests.support.clouds.login", str(kubeconfig)])
    for name in LOGINS:
        _write(commands / name, f"export PYTHONPATH={ROOT}\nexec {login}\n")
    return commands


def _write(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}", encoding="utf-8")
    path.chmod(0o755)
