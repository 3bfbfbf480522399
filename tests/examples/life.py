"""The life of a stack, lived once for the tests that look at it: up, no change, freeze, unfreeze, destroy."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from kubernetes import client

from tests.support.waiting import wait_for
from tests.support.workers import connect, create_worker, list_workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.examples.site import Site
    from tests.support.example_stack import ExampleStack, Run


@dataclass(kw_only=True)
class Life:
    """What was seen.

    Attributes:
        up: the first update.
        again: the second one.
        drift: a preview after a look at everything there is.
        freeze: the update that freezes.
        unfreeze: the update that lifts it.
        destroy: the destroy.
        exported: the state as it is stored, after the first update and while frozen.
        outputs: the stack's outputs at the same times.
        left: resources in the state after the destroy.
        taints: those of the node that a worker pod went to.
        running: how many worker pods ran before, and while frozen.
        volumes: claims in the namespace while frozen.
        refusal: what a new worker pod was told while frozen.
    """

    up: Run
    again: Run
    drift: Run
    freeze: Run
    unfreeze: Run
    destroy: Run
    exported: list[str]
    outputs: list[dict[str, Any]]
    left: list[dict[str, Any]]
    taints: list[dict[str, str]] = field(default_factory=list)
    running: list[int] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    refusal: str = ""


def live(stack: ExampleStack, site: Site | None, say: Callable[[str], None] = lambda _: None) -> Life:
    """Live it.

    Args:
        stack: a new stack.
        site: where it is; with it there are dev environments, played on the local cluster.
        say: is told what comes next.
    """
    seen: dict[str, Any] = {"exported": [], "outputs": []}

    def look() -> None:
        seen["exported"].append(stack.export())
        seen["outputs"].append(stack.outputs())

    say("pulumi up")
    seen["up"] = stack.up()
    say("pulumi up, with nothing changed")
    seen["again"] = stack.up("--expect-no-changes")
    say("pulumi preview --refresh: does the cluster look as the state says?")
    seen["drift"] = stack.preview("--refresh", "--expect-no-changes")
    look()
    environments = Environments(site, str(seen["outputs"][0]["namespace"])) if site else None
    if environments:
        say("two dev environments start (stand-ins for what CodeCanvas starts)")
        seen["taints"] = environments.start()
    say("freeze: true, pulumi up")
    stack.set({"freeze": True, "freezeReason": "upgrade of the nodes"})
    seen["freeze"] = stack.up()
    look()
    if environments:
        seen["running"] = [2, environments.count()]
        seen["volumes"] = environments.volumes()
        seen["refusal"] = environments.try_another()
        say(f"running dev environments: {environments.count()}; volumes: {', '.join(seen['volumes'])}")
        say(f"a new one is told: {json.loads(seen['refusal'])['message']}")
    say("freeze: false, pulumi up")
    stack.set({"freeze": False})
    seen["unfreeze"] = stack.up()
    say("pulumi destroy")
    seen["destroy"] = stack.destroy()
    return Life(**seen, left=stack.resources())


class Environments:
    """Two dev environments on a platform of the local cluster, made from its own pod template."""

    def __init__(self, site: Site, namespace: str) -> None:
        self._core = connect(site.cluster.kubeconfig)
        self._namespace = namespace
        (found,) = self._core.list_namespaced_pod_template(namespace).items
        self._template = self._core.api_client.sanitize_for_serialization(found.template)

    def start(self) -> list[dict[str, str]]:
        """Start both and wait until they run; gives the taints of a node that took one."""
        for name in ("env-a", "env-b"):
            create_worker(self._core, self._namespace, name, template=self._template)
        pods = wait_for(self._both, "two running worker pods")
        return [taint.to_dict() for taint in self._core.read_node(pods[0].spec.node_name).spec.taints or []]

    def count(self) -> int:
        """Count the worker pods that there are."""
        return len(list_workers(self._core, self._namespace))

    def volumes(self) -> list[str]:
        """Name the claims that there are."""
        claims = self._core.list_namespaced_persistent_volume_claim(self._namespace)
        return [claim.metadata.name for claim in claims.items]

    def try_another(self) -> str:
        """Start another one; gives the API server's answer when it is refused."""
        try:
            create_worker(self._core, self._namespace, "env-c", volume=False, template=self._template)
        except client.ApiException as error:
            return str(error.body)
        raise AssertionError("a frozen platform took a new dev environment")

    def _both(self) -> list[Any]:
        pods = list_workers(self._core, self._namespace)
        running = [pod for pod in pods if pod.status.phase == "Running"]
        return running if len(running) == 2 else []
