"""Which cluster a provider works on, and whether it is there."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from pulumi_codecanvas.errors import ClusterError, CodeCanvasError
from pulumi_codecanvas.kubeconfig import read_kubeconfig
from tools.standin.kubernetes.api import Api, RefusedError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Mapping

_DELETE_UNREACHABLE = "PULUMI_K8S_DELETE_UNREACHABLE"
_NO_CLUSTER = "configured Kubernetes cluster is unreachable"


@dataclass
class Target:
    """The cluster of a provider.

    Attributes:
        api: its API server.
        namespace: where objects go that name none.
        unreachable: why it cannot be reached; empty where it can.
        delete_unreachable: take objects of a cluster that is not there for deleted.
    """

    api: Api = field(default_factory=lambda: Api(None, None))
    namespace: str = "default"
    unreachable: str = ""
    delete_unreachable: bool = False

    @staticmethod
    def find(settings: Mapping[str, Any]) -> Target:
        """Find the cluster that a provider's settings name, and whether it answers."""
        kubeconfig, context = _text(settings.get("kubeconfig")), _text(settings.get("context"))
        target = Target(Api(kubeconfig, context))
        asked = settings.get("deleteUnreachable") or os.environ.get(_DELETE_UNREACHABLE)
        target.delete_unreachable = str(asked).lower() in {"true", "1"}
        try:
            content = read_kubeconfig(kubeconfig, context)
            if content is not None:
                target.namespace = content["contexts"][0]["context"].get("namespace") or "default"
            target.api.read_version()
        except ClusterError as error:
            target.unreachable = f"unable to load Kubernetes client configuration from kubeconfig file: {error}"
        except (UnreachableError, RefusedError) as error:
            target.unreachable = f"unable to load schema information from the API server: {error}"
        target.namespace = _text(settings.get("namespace")) or target.namespace
        return target

    def require_cluster(self, *, reading: bool = False, deleting: bool = False) -> bool:
        """Tell whether there is a cluster to work on; False only where an absent one counts as deleted.

        Raises:
            CodeCanvasError: it cannot be reached.
        """
        if not self.unreachable:
            return True
        if self.delete_unreachable and (reading or deleting):
            return False
        remedy = (
            "If the cluster was deleted, you can remove this resource from Pulumi state by rerunning the operation "
            f'with the {_DELETE_UNREACHABLE} environment variable set to "true"'
        )
        if reading:
            raise CodeCanvasError(f"failed to read resource state due to unreachable cluster. {remedy}")
        if deleting:
            raise CodeCanvasError(f"{_NO_CLUSTER}. {remedy}")
        raise CodeCanvasError(f"{_NO_CLUSTER}: {self.unreachable}")


def active_cluster(settings: Mapping[str, Any]) -> str | None:
    """Give a digest of the cluster that a provider's settings choose from a kubeconfig of theirs, if they do."""
    kubeconfig = _text(settings.get("kubeconfig"))
    if not kubeconfig:
        return None
    try:
        content = read_kubeconfig(kubeconfig, _text(settings.get("context")))
    except ClusterError:
        return None
    cluster = yaml.safe_dump(content["clusters"][0]) if content else ""
    return hashlib.sha256(cluster.encode()).hexdigest()


def _text(value: Any) -> str | None:
    if isinstance(value, dict):
        return json.dumps(value)
    return value if isinstance(value, str) and value else None
