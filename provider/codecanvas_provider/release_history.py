"""Helm's memory of a release: each revision keeps the values of its time, and so the key of its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codecanvas_provider.cluster import SECRET

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster

SUPERSEDED = "superseded"


def forget_superseded(cluster: Cluster, namespace: str, release: str) -> list[str]:
    """Delete the superseded revisions of a release, by their labels alone; name them.

    For after a change of the key: the deployed revision stays, and so does one whose upgrade failed, which
    Helm needs to go on from.
    """
    labels = f"owner=helm,name={release},status={SUPERSEDED}"
    old = [
        secret["metadata"]["name"] for secret in cluster.list_all(SECRET, namespace, labels=labels, metadata_only=True)
    ]
    return [name for name in old if cluster.delete(SECRET, name, namespace)]
