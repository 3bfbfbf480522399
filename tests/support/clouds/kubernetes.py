"""The stand-ins' side of the local cluster: it is every cluster that they make."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any

import yaml
from kubernetes import client, config

if TYPE_CHECKING:
    from pathlib import Path

_OURS = "app.kubernetes.io/part-of=codecanvas"


def read_place(kubeconfig: Path) -> tuple[str, str]:
    """Give `host:port` of the API server and its certificate authority (PEM in base64)."""
    cluster = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["clusters"][0]["cluster"]
    return cluster["server"].removeprefix("https://"), cluster["certificate-authority-data"]


class Kubernetes:
    """The local cluster, with its administrator's rights."""

    def __init__(self, kubeconfig: Path) -> None:
        load: Any = config.new_client_from_config
        self._kubeconfig = kubeconfig
        self._client = load(str(kubeconfig))
        self._core: Any = client.CoreV1Api(self._client)

    def add_node(self, manifest: dict[str, Any]) -> None:
        """Make a node unless it exists; kwok plays it."""
        name = manifest["metadata"]["name"]
        with _ignoring(409):
            self._core.create_node(manifest)
        # The API server taints a new node, and the controller that takes the taint away does not run here.
        self._core.patch_node(name, {"spec": {"taints": manifest["spec"]["taints"] or None}})

    def remove_node(self, name: str) -> None:
        """Delete a node and wait until it is gone."""
        with _ignoring(404):
            self._core.delete_node(name)
            for _ in range(100):
                self._core.read_node(name)
                time.sleep(0.1)

    @property
    def token(self) -> str:
        """The administrator's token."""
        content = yaml.safe_load(self._kubeconfig.read_text(encoding="utf-8"))
        return str(content["users"][0]["user"]["token"])

    def nodes(self) -> list[str]:
        """Name the nodes."""
        return [node.metadata.name for node in self._core.list_node().items]

    def platform_objects(self) -> list[str]:
        """Name what a computing platform has left in the cluster."""
        storage, admission = client.StorageV1Api(self._client), client.AdmissionregistrationV1Api(self._client)
        core, custom = self._core, client.CustomObjectsApi(self._client)
        found: dict[str, Any] = {
            "Namespace": core.list_namespace(label_selector=_OURS).items,
            "Secret": core.list_secret_for_all_namespaces(label_selector="owner=helm").items,
            # Whose disks nobody deletes once the cluster is gone.
            "PersistentVolume": core.list_persistent_volume().items,
            "StorageClass": storage.list_storage_class(label_selector=_OURS).items,
            "ValidatingAdmissionPolicy": admission.list_validating_admission_policy(label_selector=_OURS).items,
        }
        names = [f"{kind} {item.metadata.name}" for kind, items in found.items() for item in items]
        group = ("snapshot.storage.k8s.io", "v1", "volumesnapshotclasses")
        classes: Any = custom.list_cluster_custom_object(*group, label_selector=_OURS)
        return names + [f"VolumeSnapshotClass {item['metadata']['name']}" for item in classes["items"]]


class _ignoring(contextlib.AbstractContextManager[None]):  # noqa: N801 - read as a word of the language
    """Ends the block quietly at an answer with this status."""

    def __init__(self, status: int) -> None:
        self._status = status

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> bool:
        return isinstance(error, client.ApiException) and error.status == self._status
