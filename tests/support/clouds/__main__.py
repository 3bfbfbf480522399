"""`python -m tests.support.clouds PACKAGE CLOUD-FOLDER KUBECONFIG [OPTIONS] ENGINE`: a stand-in's process."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from pathlib import Path

from tests.support.clouds.aws import AWS
from tests.support.clouds.gcp import GCP
from tests.support.clouds.package import Package
from tests.support.clouds.server import serve
from tests.support.clouds.store import Store

PACKAGES = {package.name: package for package in (AWS, GCP, Package("eks", {}, {}))}

if __name__ == "__main__":
    name, cloud, kubeconfig, *rest = sys.argv[1:]
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(PACKAGES[name], Store(Path(cloud)), Path(kubeconfig), rest[-1]))
