"""With the network cut, everything that a run needs comes from the cache."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from tools.toolchain import CHECKOUT, ensure

pytestmark = pytest.mark.engine

WITHOUT_NETWORK = ("unshare", "--map-root-user", "--net")


def _can_cut() -> bool:
    if shutil.which(WITHOUT_NETWORK[0]) is None:
        return False
    return subprocess.run([*WITHOUT_NETWORK, "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_cut(), reason="the network cannot be cut for one process on this machine")
def test_with_the_network_cut_every_tool_comes_from_the_cache() -> None:
    names = ("pulumi", "pulumi-language-python", "pulumi-resource-kubernetes", "controlplane", "kwok", "helm")
    here = ensure(*names, quiet=True)
    command = [*WITHOUT_NETWORK, sys.executable, "-m", "tools", "tools", *names]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(here[name]) for name in names]
