"""The API server's clock, which is not this machine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codecanvas_provider.cluster import SECRET
from codecanvas_provider.times import now, parse_time

if TYPE_CHECKING:
    import datetime

    from codecanvas_provider.cluster import Cluster

_PROBE = "codecanvas-clock"


def read_server_time(cluster: Cluster, namespace: str) -> datetime.datetime:
    """Give the time at which the API server would make an object in a namespace; nothing is made.

    Raises:
        ClusterError: it does not let us.

    """
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": _PROBE}}
    tried = cluster.create(SECRET, body, namespace, dry_run=True)
    return parse_time(tried["metadata"].get("creationTimestamp")) or now()
