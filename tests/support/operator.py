"""A stand-in for the CodeCanvas operator's work: it keeps worker pods alive.

The real operator starts a worker pod for each dev environment that somebody wants to run, and starts it again
when the pod is lost. The stand-in does that for a fixed number of dev environments, whatever the cluster says.
"""

from __future__ import annotations

import contextlib
import copy
import json
import secrets
import threading
from typing import TYPE_CHECKING, Any

from kubernetes import client
from typing_extensions import Self
from urllib3.exceptions import HTTPError

from tests.support.workers import connect, create_worker

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

_ENVIRONMENT_LABEL = "tests/dev-environment"


class StandInOperator:
    """Keeps one worker pod running for each of `count` dev environments, until it is told to stop.

    A dev environment keeps its volume; each of its pods gets a new name. A refused pod is tried again, as the
    real operator would.

    Args:
        kubeconfig: the cluster, with rights on pods and volumes.
        namespace: where the worker pods run.
        count: the number of dev environments.
        template: `metadata` and `spec` of the pods, such as a PodTemplate's `template`.
        every: seconds between two looks at the namespace.
        options: further options of `workers.worker_pod`.

    Attributes:
        created: names of all pods made so far.
        refusals: the API server's message of each refused pod.
    """

    def __init__(
        self,
        kubeconfig: Path,
        namespace: str,
        count: int,
        *,
        template: Mapping[str, Any] | None = None,
        every: float = 0.2,
        **options: Any,
    ) -> None:
        self.created: list[str] = []
        self.refusals: list[str] = []
        self._core = connect(kubeconfig)
        self._namespace = namespace
        self._count = count
        self._template = dict(template or {})
        self._every = every
        self._options = options
        self._stopped = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="stand-in operator", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)
        self._core.api_client.close()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            while not self._stopped.wait(self._every):
                # The API server may be away for a while: fault tests do that.
                with contextlib.suppress(HTTPError):
                    self._restore()
        except Exception as error:  # noqa: BLE001 raised again where the test leaves the with block
            self._error = error

    def _restore(self) -> None:
        """Make the pod of each dev environment that has none, or one that is being deleted."""
        pods = self._core.list_namespaced_pod(self._namespace, label_selector=_ENVIRONMENT_LABEL)
        alive = {
            pod.metadata.labels[_ENVIRONMENT_LABEL]
            for pod in pods.items
            if pod.metadata.deletion_timestamp is None and pod.status.phase in ("Pending", "Running")
        }
        for number in range(self._count):
            if str(number) not in alive and not self._stopped.is_set():
                self._create(number)

    def _create(self, number: int) -> None:
        name = f"env-{number}-{secrets.token_hex(3)}"
        template = copy.deepcopy(self._template)
        template.setdefault("metadata", {}).setdefault("labels", {})[_ENVIRONMENT_LABEL] = str(number)
        options = {"template": template, "claim": f"env-{number}-home", **self._options}
        try:
            create_worker(self._core, self._namespace, name, **options)
        except client.ApiException as error:
            # Refused by a freeze, or the namespace is being deleted: both are the tests' doing.
            if error.status not in (403, 404):
                raise
            self.refusals.append(json.loads(str(error.body))["message"])
        else:
            self.created.append(name)
