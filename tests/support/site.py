"""One platform's namespace as an onlooker in the cluster sees it, and its dev environments."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import CLAIM, NAMESPACE, POD, Cluster, Kind
from codecanvas_provider.worker_pods import list_worker_pods, name_of
from tests.support.waiting import wait_for
from tests.support.workers import connect, create_worker

if TYPE_CHECKING:
    from tools.cluster import LocalCluster

_VOLUME = Kind("PersistentVolume", "v1", "persistentvolumes", namespaced=False)
_METRICS = "metrics.k8s.io"
_PASSING = frozenset({"events", "leases", "endpoints", "endpointslices"})


class Site:
    """One platform's namespace as an onlooker in the cluster sees it, and its dev environments."""

    def __init__(self, admin: Cluster, cluster: LocalCluster, namespace: str) -> None:
        self.admin = admin
        self.namespace = namespace
        self.core = connect(cluster.kubeconfig)

    def start(self, count: int, **options: Any) -> None:
        """Start dev environments `env-0`, `env-1`, ... with a volume each and wait until they run."""
        wanted = {f"env-{number}" for number in range(count)}
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda name: create_worker(self.core, self.namespace, name, **options), wanted))
        wait_for(lambda: self.running() >= wanted, f"{count} dev environments to run in {self.namespace}")

    def wait_until_stopping(self) -> None:
        """Wait until a freeze has begun to stop dev environments."""

        def is_stopping() -> bool:
            pods = self.admin.list_all(POD, self.namespace)
            return any(pod["metadata"].get("deletionTimestamp") for pod in pods)

        wait_for(is_stopping, "the freeze to stop something", 120)

    def running(self) -> set[str]:
        """Name the worker pods that run."""
        pods = list_worker_pods(self.admin, self.namespace)
        return {name_of(pod) for pod in pods if pod["status"].get("phase") == "Running"}

    def workers(self) -> dict[str, str]:
        """Give the uids of all worker pods, by name."""
        return {name_of(pod): pod["metadata"]["uid"] for pod in list_worker_pods(self.admin, self.namespace)}

    def claims(self) -> dict[str, str]:
        """Give the uids of the volumes, by name."""
        return {name_of(claim): claim["metadata"]["uid"] for claim in self.admin.list_all(CLAIM, self.namespace)}

    def operator_pods(self, namespace: str | None = None) -> dict[str, str]:
        """Give the phases of the other pods, by name."""
        workers = self.workers()
        pods = self.admin.list_all(POD, namespace or self.namespace)
        return {name_of(pod): pod["status"].get("phase", "") for pod in pods if name_of(pod) not in workers}

    def restart_operator(self, namespace: str | None = None) -> None:
        """Delete the operator's pods and wait until new ones run."""
        old = self.operator_pods(namespace)
        assert old, "there is no operator"
        for name in old:
            self.admin.delete(POD, name, namespace or self.namespace)

        def runs_anew() -> bool:
            fresh = {name: phase for name, phase in self.operator_pods(namespace).items() if name not in old}
            return "Running" in fresh.values()

        wait_for(runs_anew, "a new operator pod")

    def labels(self) -> dict[str, str]:
        """Give the namespace's labels."""
        found = self.admin.get(NAMESPACE, self.namespace)
        assert found is not None
        return dict(found["metadata"].get("labels") or {})

    def volumes(self) -> set[str]:
        """Name the PersistentVolumes of the cluster."""
        return {name_of(volume) for volume in self.admin.list_all(_VOLUME)}

    def inventory(self) -> dict[tuple[str, str], str]:
        """Give the uid of everything in the namespace, by kind and name; what passes by itself is left out."""
        kinds = [kind for kind in self.admin.discover() if kind.plural not in _PASSING and kind.group != _METRICS]
        return {
            (kind.name, name_of(thing)): thing["metadata"]["uid"]
            for kind in kinds
            for thing in self.admin.list_all(kind, self.namespace, metadata_only=True)
        }
