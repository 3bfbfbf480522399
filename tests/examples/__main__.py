"""`python -m tests.examples NAME...`: live the lives of examples, for a person to watch.

The Pulumi engine, the kubernetes plugin, the API server and Helm are real; stand-ins are the clouds' plugins, the
operator's chart and what CodeCanvas starts. All of it is in a folder that goes in the end.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.examples.fleet_life import live_fleet
from tests.examples.life import live
from tests.examples.site import open_site
from tests.support.examples import EKS, EXISTING, FLEET, GKE
from tools.console import say
from tools.errors import ToolsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.examples.site import Site
    from tests.support.examples import Example

EXAMPLES = {example.path: example for example in (EXISTING, EKS, GKE, FLEET)}


def show(example: Example, site: Site) -> None:
    """Live the life of one example."""
    started = time.monotonic()

    def tell(text: str) -> None:
        say(f"--- example-{example.path} ({time.monotonic() - started:.0f} s): {text}")

    if example is FLEET:
        left = live_fleet(site, tell).left
    else:
        stack = site.stack(example, "dev")
        if example is EXISTING:
            stack.set_secret("kubeconfig", site.cluster.kubeconfig.read_text(encoding="utf-8"))
        left = live(stack, site, tell).left
    assert not left, f"left in the state: {left}"
    assert not site.leftovers(), f"left in the cluster or the cloud: {', '.join(site.leftovers())}"
    tell("done; nothing is left in the state, in the cluster and in the cloud")


def main(names: Sequence[str]) -> int:
    """Live the named ones, or all; gives the exit code."""
    chosen = [EXAMPLES[name] for name in names] or list(EXAMPLES.values())
    try:
        with tempfile.TemporaryDirectory(prefix="codecanvas-examples-") as folder:
            say("--- starting a local cluster, with stand-ins for the clouds' plugins")
            with open_site(Path(folder), lambda line: say(line.rstrip())) as site:
                for example in chosen:
                    show(example, site)
    except (AssertionError, ToolsError) as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the local cluster and all that was in it are gone")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
