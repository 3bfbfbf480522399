"""Freeze blocks in a fake cluster, as the kubernetes provider has made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from codecanvas_provider.cluster import POLICY, POLICY_BINDING, QUOTA
from pulumi_codecanvas.freeze import QUOTA_NAME

if TYPE_CHECKING:
    from tests.support.fake_cluster import FakeCluster


def put_policy_block(cluster: FakeCluster, name: str = "codecanvas-freeze-eu") -> None:
    """Have a policy and its binding."""
    cluster.put(POLICY, {"metadata": {"name": name}})
    cluster.put(POLICY_BINDING, {"metadata": {"name": name}, "spec": {"validationActions": ["Deny"]}})


def put_quota_block(cluster: FakeCluster, namespace: str = "eu") -> None:
    """Have a quota of no pods."""
    cluster.put(QUOTA, {"metadata": {"name": QUOTA_NAME}, "spec": {"hard": {"pods": "0"}}}, namespace)
