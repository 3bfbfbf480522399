"""What tells the cluster of a kubeconfig from others, whichever its address: the UID of its namespace `kube-system`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import NAMESPACE, Cluster, Refused
from codecanvas_provider.inputs import CLUSTER_FIELDS, Field, require_fields
from codecanvas_provider.waiting import in_thread
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.kubeconfig import is_path
from pulumi_codecanvas.tokens import IDENTIFY_CLUSTER

if TYPE_CHECKING:
    from codecanvas_provider.dev_environments import Connect
    from codecanvas_provider.resource import Context
    from codecanvas_provider.server import Function


_FIELDS: dict[str, Field] = {
    "kubeconfig": CLUSTER_FIELDS["kubeconfig"],
    "context": CLUSTER_FIELDS["context"],
}


async def identify_cluster(context: Context, connect: Connect, kubeconfig: str, name: str | None) -> str | None:
    """Give the UID of a cluster's namespace `kube-system`.

    Args:
        context: of the call.
        connect: how to reach a cluster.
        kubeconfig: the file's content, or its path.
        name: the context in it, or None.

    Returns:
        Empty for a path, behind which each machine may have another cluster, and where the namespace may not be seen;
        None where the cluster does not answer now.

    """
    if is_path(kubeconfig):
        return ""
    try:
        cluster = connect(kubeconfig, name)
        system = await in_thread(context, cluster.get, NAMESPACE, "kube-system", metadata_only=True)
    except Refused as error:
        return "" if error.status == 403 else None
    except ClusterError:
        return None
    return str(system["metadata"]["uid"]) if system else ""


class ClusterIdentity:
    """The function that the component calls for a platform without a key, which would keep the identity."""

    def __init__(self, connect: Connect = Cluster.connect) -> None:
        """Take what tests replace: how to reach a cluster."""
        self._connect = connect

    def functions(self) -> dict[str, Function]:
        """Give the function by its token."""
        return {IDENTIFY_CLUSTER: self.identify_cluster}

    async def identify_cluster(self, context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give `cluster`, the UID; empty where it cannot be told."""
        given = require_fields(arguments, _FIELDS)
        told = await identify_cluster(context, self._connect, given.get("kubeconfig", ""), given.get("context"))
        return {"cluster": told or ""}
