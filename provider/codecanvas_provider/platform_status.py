"""`getPlatformStatus`: how a platform is, as the cluster shows it. Nothing secret is read or given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codecanvas_provider.cluster import Cluster
from codecanvas_provider.freeze_block import find_delete_blocks, freeze_block, is_lifted, is_whole, see_objects
from codecanvas_provider.inputs import CLUSTER_FIELDS, Field, require_fields
from codecanvas_provider.namespaces import find_namespace
from codecanvas_provider.operator_rollout import FINGERPRINT
from codecanvas_provider.waiting import in_thread
from codecanvas_provider.worker_pods import list_worker_pods
from codecanvas_provider.workloads import explain_workloads, list_workloads, read_newest_revision
from pulumi_codecanvas.freeze import FREEZE_MODES
from pulumi_codecanvas.tokens import GET_PLATFORM_STATUS

if TYPE_CHECKING:
    from codecanvas_provider.dev_environments import Connect
    from codecanvas_provider.resource import Context
    from codecanvas_provider.server import Function


FIELDS: dict[str, Field] = {
    **CLUSTER_FIELDS,
    "platformName": Field(str, "The platform's name. Defaults to the namespace."),
    "operatorNamespace": Field(str, "Namespace of the operator's Helm release. Defaults to `namespace`."),
    "releaseName": Field(str, "Name of the operator's Helm release.", default="codecanvas-operator"),
    "freezeMode": Field(str, "How a freeze of the platform blocks.", default="policy", choices=FREEZE_MODES),
}
"""The function's arguments."""

RESULTS: dict[str, Field] = {
    "platformName": Field(str, "The platform's name.", required=True),
    "namespace": Field(str, "The namespace.", required=True),
    "namespacePhase": Field(str, "`Active` or `Terminating`; none where the namespace does not exist."),
    "frozen": Field(bool, "Whether the block of a freeze is whole.", required=True),
    "blockPresent": Field(
        bool, "Whether that block, or the one of an interrupted delete, is at least partly there.", required=True
    ),
    "runningDevEnvironments": Field(int, "Dev environments that run.", required=True),
    "operatorReady": Field(bool, "Whether the operator's workloads are ready.", required=True),
    "operatorMessages": Field(list, "Why the operator is not ready.", required=True, items="str"),
    "chartVersion": Field(str, "Version of the chart, as the operator bears it."),
    "keyFingerprint": Field(str, "Fingerprint of the key that the operator runs on, as it bears it."),
    "releaseStatus": Field(str, "Helm's status of the newest revision; none where nothing is installed."),
    "releaseRevision": Field(int, "Number of the newest revision."),
}
"""What the function gives."""


class PlatformStatus:
    """The function, with what tests replace: how to reach a cluster."""

    def __init__(self, connect: Connect = Cluster.connect) -> None:
        self._connect = connect

    def functions(self) -> dict[str, Function]:
        """Give the function by its token."""
        return {GET_PLATFORM_STATUS: self.get_platform_status}

    async def get_platform_status(self, context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
        """Give a platform's status.

        Args:
            context: of the call.
            arguments: see `FIELDS`.

        Returns:
            See `RESULTS`.

        Raises:
            ClusterError: the cluster cannot be reached, or a right is missing.

        """
        given = require_fields(arguments, FIELDS)
        cluster = self._connect(given.get("kubeconfig"), given.get("context"))
        return await in_thread(context, _read_status, cluster, given)


def _read_status(cluster: Cluster, given: dict[str, Any]) -> dict[str, Any]:
    namespace = given["namespace"]
    home = given.get("operatorNamespace") or namespace
    release = given["releaseName"]
    found = find_namespace(cluster, namespace, None)
    block = freeze_block(namespace, given["freezeMode"])
    parts = see_objects(cluster, block)
    workloads = list_workloads(cluster, home, release)
    unready = [workload for workload in workloads if not workload.is_ready]
    revision = read_newest_revision(cluster, home, release)
    first = workloads[0] if workloads else None
    return {
        "platformName": given.get("platformName") or namespace,
        "namespace": namespace,
        "namespacePhase": None if found is None else (found.get("status") or {}).get("phase"),
        "frozen": is_whole(block, parts),
        "blockPresent": (bool(parts) and not is_lifted(parts)) or bool(find_delete_blocks(cluster, namespace)),
        "runningDevEnvironments": len(list_worker_pods(cluster, namespace)),
        "operatorReady": bool(workloads) and not unready,
        "operatorMessages": explain_workloads(cluster, home, unready),
        "chartVersion": _chart_version(first.chart) if first else None,
        "keyFingerprint": first.annotations.get(FINGERPRINT) if first else None,
        "releaseStatus": revision.status if revision else None,
        "releaseRevision": revision.number if revision else None,
    }


def _chart_version(chart: str | None) -> str | None:
    """Take the version off a chart label, such as `codecanvas-operator-2025.1.0`."""
    if not chart:
        return None
    parts = chart.split("-")
    start = next((index for index, part in enumerate(parts) if index and part[:1].isdigit()), None)
    # Labels have no plus sign, so Helm writes an underscore for it.
    return None if start is None else "-".join(parts[start:]).replace("_", "+")
