"""Worker pods and their volumes as a CodeCanvas operator would make them: stand-ins, made by the tests.

A pod is made from the template of a platform's `PodTemplate`. A volume is bound to a PersistentVolume made for
it alone, because the local cluster has no storage driver; the PersistentVolume goes when the claim is deleted.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from kubernetes import client, config

from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WORKER_CONTAINER = "worker-main"
# By these the tests know their own pods; the package must not need them.
STAND_IN_LABEL = "tests/stand-in"
IGNORES_SIGTERM = "local-cluster/ignores-sigterm"
IMAGE = "registry.example.com/codecanvas/worker:stand-in"


def connect(kubeconfig: Path) -> Any:
    """Open the core API of a cluster by its kubeconfig, with no look at the user's own.

    It is not given its type: there, every field of every object may be None, and no object a plain mapping.
    """
    load: Any = config.new_client_from_config
    return client.CoreV1Api(load(str(kubeconfig)))


def worker_pod(
    name: str,
    *,
    template: Mapping[str, Any] | None = None,
    claim: str | None = None,
    finalizers: Sequence[str] = (),
    grace_seconds: int | None = None,
    ignores_sigterm: bool = False,
) -> dict[str, Any]:
    """Write the manifest of a worker pod.

    Args:
        name: the pod's name.
        template: `metadata` and `spec` to start from, such as a PodTemplate's `template`.
        claim: the PersistentVolumeClaim to mount as the home directory.
        finalizers: what holds the pod when it is deleted.
        grace_seconds: its termination grace period.
        ignores_sigterm: whether it stays for the whole grace period when it is deleted.
    """
    pod = copy.deepcopy(dict(template or {}))
    metadata, spec = pod.setdefault("metadata", {}), pod.setdefault("spec", {})
    metadata["name"] = name
    metadata.pop("namespace", None)
    metadata.setdefault("labels", {})[STAND_IN_LABEL] = "worker"
    if finalizers:
        metadata["finalizers"] = list(finalizers)
    if ignores_sigterm:
        metadata.setdefault("annotations", {})[IGNORES_SIGTERM] = "true"
    if grace_seconds is not None:
        spec["terminationGracePeriodSeconds"] = grace_seconds
    containers = spec.setdefault("containers", [])
    worker = next((item for item in containers if item["name"] == WORKER_CONTAINER), None)
    if worker is None:
        worker = {"name": WORKER_CONTAINER}
        containers.append(worker)
    worker["image"] = IMAGE
    if claim is not None:
        spec.setdefault("volumes", []).append({"name": "home", "persistentVolumeClaim": {"claimName": claim}})
        worker.setdefault("volumeMounts", []).append({"name": "home", "mountPath": "/home/user"})
    return {"apiVersion": "v1", "kind": "Pod", **pod}


def create_worker(
    core: Any,
    namespace: str,
    name: str,
    *,
    volume: bool = True,
    claim: str = "",
    **options: Any,
) -> Any:
    """Make a worker pod, and its volume unless that exists.

    Args:
        core: the core API, see `connect`.
        namespace: where to make it.
        name: the pod's name.
        volume: whether it has a volume.
        claim: the volume's claim; `<name>-home` by default.
        options: as for `worker_pod`.

    Returns:
        The pod as it was made; it may not run yet.

    Raises:
        kubernetes.client.ApiException: the API server refused the pod, for one because of a freeze.
    """
    claim = claim or f"{name}-home"
    if volume:
        ensure_volume(core, namespace, claim)
    pod = worker_pod(name, claim=claim if volume else None, **options)
    return core.create_namespaced_pod(namespace, pod)


def ensure_volume(core: Any, namespace: str, name: str, *, storage_class: str = "", size: str = "8Gi") -> Any:
    """Make a PersistentVolumeClaim and the PersistentVolume that it binds to, unless the claim exists."""
    try:
        return core.read_namespaced_persistent_volume_claim(name, namespace)
    except client.ApiException as error:
        if error.status != 404:
            raise
    volume = f"{namespace}-{name}"
    labels = {STAND_IN_LABEL: "volume"}
    common = {"accessModes": ["ReadWriteOnce"], "storageClassName": storage_class}
    core.create_persistent_volume(
        {
            "metadata": {"name": volume, "labels": labels},
            "spec": {
                **common,
                "capacity": {"storage": size},
                # Never made, as no container runs; under /tmp, or the controller would not "delete" it.
                "hostPath": {"path": f"/tmp/codecanvas-stand-in/{volume}"},  # noqa: S108 a name, no file
                "persistentVolumeReclaimPolicy": "Delete",
                "claimRef": {"namespace": namespace, "name": name},
            },
        }
    )
    return core.create_namespaced_persistent_volume_claim(
        namespace,
        {
            "metadata": {"name": name, "labels": labels},
            "spec": {**common, "volumeName": volume, "resources": {"requests": {"storage": size}}},
        },
    )


def list_workers(core: Any, namespace: str) -> list[Any]:
    """List the worker pods that tests made in a namespace, also those that are being deleted."""
    pods = core.list_namespaced_pod(namespace, label_selector=f"{STAND_IN_LABEL}=worker")
    return list(pods.items)


def await_running(core: Any, namespace: str, count: int = 0) -> None:
    """Wait until `count` worker pods run, or all that are there."""

    def all_run() -> bool:
        pods = [pod for pod in list_workers(core, namespace) if pod.metadata.deletion_timestamp is None]
        return len(pods) >= count and all(pod.status.phase == "Running" for pod in pods)

    wait_for(all_run, f"running worker pods in {namespace}")
