"""What works in the local cluster, and how pods live there: what the other tests stand on."""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client import ApiException, AppsV1Api, BatchV1Api, CustomObjectsApi, RbacAuthorizationV1Api

from tests.support.clusters import make_cluster
from tests.support.namespaces import make_namespace
from tests.support.operator import StandInOperator
from tests.support.waiting import wait_for
from tests.support.workers import await_running, connect, create_worker, ensure_volume, list_workers, worker_pod
from tools.cluster import LocalClusterError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from codecanvas_provider.cluster import Cluster
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def core(shared_cluster: LocalCluster) -> Any:
    return connect(shared_cluster.kubeconfig)


@pytest.fixture
def namespace(admin: Cluster, core: Any) -> Iterator[str]:
    name = make_namespace(admin, "local-cluster")
    yield name
    core.delete_namespace(name)


def test_deployment_becomes_ready(core: Any, namespace: str) -> None:
    apps: Any = AppsV1Api(core.api_client)
    labels = {"app": "sample"}
    container = {"name": "main", "image": "registry.example.com/sample:1"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    apps.create_namespaced_deployment(namespace, {"metadata": {"name": "sample"}, "spec": spec})
    wait_for(
        lambda: apps.read_namespaced_deployment("sample", namespace).status.ready_replicas == 3, "three ready replicas"
    )


def test_deleted_namespace_goes_with_everything_in_it(admin: Cluster, core: Any) -> None:
    namespace = make_namespace(admin, "deleted")
    create_worker(core, namespace, "one")
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "sample"}})
    core.delete_namespace(namespace)
    wait_for(lambda: namespace not in [item.metadata.name for item in core.list_namespace().items], "no namespace", 60)
    volumes = [item.metadata.name for item in core.list_persistent_volume().items]
    assert f"{namespace}-one-home" not in volumes


def test_dependents_are_collected_with_their_owner(core: Any, namespace: str) -> None:
    owner = core.create_namespaced_config_map(namespace, {"metadata": {"name": "owner"}})
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid}
    metadata = {"name": "dependent", "ownerReferences": [reference]}
    core.create_namespaced_config_map(namespace, {"metadata": metadata})

    def names() -> list[str]:
        return [item.metadata.name for item in core.list_namespaced_config_map(namespace).items]

    assert "dependent" in names()
    core.delete_namespaced_config_map("owner", namespace)
    wait_for(lambda: "dependent" not in names(), "no dependent")


def test_pods_find_the_certificate_authority(shared_cluster: LocalCluster, core: Any, namespace: str) -> None:
    def published() -> str | None:
        maps = {item.metadata.name: item.data for item in core.list_namespaced_config_map(namespace).items}
        return (maps.get("kube-root-ca.crt") or {}).get("ca.crt")

    assert wait_for(published, "kube-root-ca.crt") == (shared_cluster.directory / "credentials" / "ca.pem").read_text()


def test_pod_security_is_enforced(admin: Cluster, core: Any) -> None:
    namespace = make_namespace(admin, "baseline", {"pod-security.kubernetes.io/enforce": "baseline"})
    pod = worker_pod("privileged")
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True}
    with pytest.raises(ApiException, match='violates PodSecurity \\\\"baseline'):
        core.create_namespaced_pod(namespace, pod)
    core.delete_namespace(namespace)


def test_quota_is_enforced(core: Any, namespace: str) -> None:
    core.create_namespaced_resource_quota(namespace, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    wait_for(lambda: core.read_namespaced_resource_quota("none", namespace).status.hard, "the quota's status")
    with pytest.raises(ApiException, match="exceeded quota: none"):
        core.create_namespaced_pod(namespace, worker_pod("refused"))


def test_snapshot_classes_can_be_made_and_are_checked(core: Any) -> None:
    custom: Any = CustomObjectsApi(core.api_client)
    place = ("snapshot.storage.k8s.io", "v1", "volumesnapshotclasses")
    body = {"apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshotClass", "metadata": {"name": "sample"}}
    driver = {"driver": "ebs.csi.aws.com", "deletionPolicy": "Delete"}
    custom.create_cluster_custom_object(*place, {**body, **driver})
    custom.delete_cluster_custom_object(*place, "sample")
    with pytest.raises(ApiException, match="Unsupported value"):
        custom.create_cluster_custom_object(*place, {**body, **driver, "deletionPolicy": "Perhaps"})


def test_service_account_has_its_own_rights_and_no_more(
    shared_cluster: LocalCluster, core: Any, namespace: str
) -> None:
    core.create_namespaced_service_account(namespace, {"metadata": {"name": "reader"}})
    rbac: Any = RbacAuthorizationV1Api(core.api_client)
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]}]
    rbac.create_namespaced_role(namespace, {"metadata": {"name": "reader"}, "rules": rules})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "reader", "namespace": namespace}]
    binding = {"metadata": {"name": "reader"}, "roleRef": role, "subjects": subjects}
    rbac.create_namespaced_role_binding(namespace, binding)
    path = shared_cluster.service_account_kubeconfig(namespace, "reader")
    assert path.stat().st_mode & 0o777 == 0o600
    reader = connect(path)
    wait_for(lambda: can(reader.list_namespaced_pod, namespace), "the role to take effect")
    assert not can(reader.list_namespaced_secret, namespace)
    assert not can(reader.list_namespaced_pod, "default")
    reader.api_client.close()


def can(request: Any, *arguments: str) -> bool:
    """Tell whether the API server allows a request."""
    try:
        request(*arguments)
    except ApiException as error:
        if error.status != 403:
            raise
        return False
    return True


def test_token_of_a_missing_service_account_is_refused_with_a_remedy(shared_cluster: LocalCluster) -> None:
    with pytest.raises(LocalClusterError, match='"nobody" not found; start the cluster and make'):
        shared_cluster.service_account_kubeconfig("default", "nobody")


def test_audit_log_names_every_request_and_no_body(tmp_path: Path) -> None:
    value = secrets.token_hex(8)
    with make_cluster(tmp_path / "cluster", audit=True) as cluster:
        audited = {"metadata": {"name": "audited"}, "data": {"value": value}}
        connect(cluster.kubeconfig).create_namespaced_config_map("default", audited)
    text = cluster.audit_log.read_text()
    events = [json.loads(line) for line in text.splitlines()]
    mine = [item for item in events if item.get("objectRef", {}).get("name") == "audited"]
    assert [(item["verb"], item["user"]["username"]) for item in mine] == [("create", "local-admin")]
    assert value not in text


def test_finalizer_holds_a_deleted_pod(core: Any, namespace: str) -> None:
    create_worker(core, namespace, "held", finalizers=["tests/hold"])
    await_running(core, namespace)
    core.delete_namespaced_pod("held", namespace)
    time.sleep(3)
    assert core.read_namespaced_pod("held", namespace).metadata.finalizers == ["tests/hold"]
    core.patch_namespaced_pod("held", namespace, {"metadata": {"finalizers": None}})
    wait_for(lambda: not list_workers(core, namespace), "no pods")


def test_pod_that_ignores_sigterm_stays_for_its_grace_period(core: Any, namespace: str) -> None:
    create_worker(core, namespace, "stubborn", volume=False, ignores_sigterm=True, grace_seconds=4)
    create_worker(core, namespace, "obedient", volume=False, grace_seconds=60)
    await_running(core, namespace)
    started = time.monotonic()
    for pod in list_workers(core, namespace):
        core.delete_namespaced_pod(pod.metadata.name, namespace)
    wait_for(lambda: len(list_workers(core, namespace)) == 1, "the obedient pod's end", 2)
    wait_for(lambda: not list_workers(core, namespace), "the stubborn pod's end")
    # The deadline is in whole seconds.
    assert 3 <= time.monotonic() - started < 8


def test_volumes_outlive_their_pods_and_are_mounted_again(core: Any, namespace: str) -> None:
    create_worker(core, namespace, "first", claim="home")
    await_running(core, namespace)
    core.delete_namespaced_pod("first", namespace)
    wait_for(lambda: not list_workers(core, namespace), "no pods")
    [claim] = core.list_namespaced_persistent_volume_claim(namespace).items
    assert claim.status.phase == "Bound"
    create_worker(core, namespace, "second", claim="home")
    await_running(core, namespace)
    assert ensure_volume(core, namespace, "home").metadata.uid == claim.metadata.uid


def test_claim_that_nobody_provisions_keeps_its_pod_pending(core: Any, namespace: str) -> None:
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    core.create_namespaced_persistent_volume_claim(
        namespace, {"metadata": {"name": "unserved"}, "spec": {**claim, "storageClassName": "none"}}
    )
    core.create_namespaced_pod(namespace, worker_pod("waiting", claim="unserved"))

    def complaints() -> list[str]:
        messages = [event.message for event in core.list_namespaced_event(namespace).items]
        return [message for message in messages if "unbound immediate PersistentVolumeClaims" in message]

    wait_for(complaints, "the scheduler's event")
    assert list_workers(core, namespace)[0].status.phase == "Pending"


def test_image_that_cannot_be_pulled_is_played_on_demand(core: Any, namespace: str) -> None:
    template = {"metadata": {"annotations": {"local-cluster/never-ready": "true"}}}
    create_worker(core, namespace, "broken", template=template)

    def reason() -> str | None:
        statuses = list_workers(core, namespace)[0].status.container_statuses
        return statuses[0].state.waiting.reason if statuses else None

    assert wait_for(reason, "a container status") == "ImagePullBackOff"


@pytest.mark.parametrize(("annotations", "outcome"), [({}, "Complete"), ({"local-cluster/fails": "true"}, "Failed")])
def test_job_ends_as_told(core: Any, namespace: str, annotations: dict[str, str], outcome: str) -> None:
    batch: Any = BatchV1Api(core.api_client)
    pod = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "registry.example.com/sample:1"}]}
    template = {"metadata": {"annotations": annotations}, "spec": pod}
    spec = {"backoffLimit": 0, "template": template}
    batch.create_namespaced_job(namespace, {"metadata": {"name": "sample"}, "spec": spec})

    def conditions() -> list[str]:
        found = batch.read_namespaced_job("sample", namespace).status.conditions or []
        return [item.type for item in found if item.type in ("Complete", "Failed") and item.status == "True"]

    assert wait_for(conditions, "the job's end") == [outcome]


def test_stand_in_operator_makes_lost_pods_again(shared_cluster: LocalCluster, core: Any, namespace: str) -> None:
    with StandInOperator(shared_cluster.kubeconfig, namespace, 3) as operator:
        await_running(core, namespace, 3)
        core.delete_collection_namespaced_pod(namespace)
        wait_for(lambda: len(operator.created) == 6, "three more pods")
        await_running(core, namespace, 3)
        claims = core.list_namespaced_persistent_volume_claim(namespace).items
        assert len(claims) == 3
        assert operator.refusals == []
    core.delete_collection_namespaced_pod(namespace)
    wait_for(lambda: not list_workers(core, namespace), "no pods, as nobody makes them any more")


def test_stand_in_operator_reports_refusals(shared_cluster: LocalCluster, core: Any, namespace: str) -> None:
    core.create_namespaced_resource_quota(namespace, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    wait_for(lambda: core.read_namespaced_resource_quota("none", namespace).status.hard, "the quota's status")
    with StandInOperator(shared_cluster.kubeconfig, namespace, 1) as operator:
        assert "exceeded quota: none" in wait_for(lambda: operator.refusals, "a refusal")[0]
        assert operator.created == []
