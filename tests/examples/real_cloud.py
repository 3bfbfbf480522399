"""The examples on a real cloud, on request and never by accident: it costs money.

`CODECANVAS_CLOUD=eks` (or `gke`) runs that example's tests on the cloud, with the credentials that the environment
has; `CODECANVAS_CLOUD_CONFIG` names a file like Pulumi.<stack>.yaml with the stack's config for it. The stack, with
its state and its passphrase, is kept in the cache directory under `real-cloud`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.examples.life import Life, live
from tests.support.example_stack import ExampleStack
from tools.cache import cache_dir
from tools.console import say
from tools.pulumi_home import PulumiHome

if TYPE_CHECKING:
    from tests.support.examples import Example

REAL_CLOUD = os.environ.get("CODECANVAS_CLOUD", "")
_CONFIG = "CODECANVAS_CLOUD_CONFIG"


def live_for_real(example: Example) -> Life:
    """Live an example's life on the real cloud. Whatever happens, what it made is destroyed in the end."""
    assert _CONFIG in os.environ, f"{_CONFIG} must name a file with the stack's config"
    settings = yaml.safe_load(Path(os.environ[_CONFIG]).read_text(encoding="utf-8"))["config"]
    root = cache_dir() / "real-cloud"
    say(f"real cloud: the stack is kept in {root}")
    # The engine downloads the clouds' real plugins.
    home = PulumiHome(root, acquire_plugins=True)
    stack = ExampleStack(example, home, "test", settings=settings, show=lambda line: say(line.rstrip()))
    try:
        return live(stack, None)
    finally:
        if stack.resources():
            stack.destroy()
