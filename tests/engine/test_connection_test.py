"""`ConnectionTest`, the rollout onto a key, release watches and the status, against a real API server.

The release is a stand-in, see `tests.support.releases`: its objects are Helm's, Helm itself is not needed.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider import cluster
from codecanvas_provider.cluster import (
    DEPLOYMENT,
    NAMESPACE,
    POD,
    POLICY,
    POLICY_BINDING,
    QUOTA,
    SECRET,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    Cluster,
)
from codecanvas_provider.connection_checks import CHECK_NAMES
from codecanvas_provider.connection_test import ConnectionTest
from codecanvas_provider.freeze_block import freeze_block, remove_block
from codecanvas_provider.operator_rollout import FINGERPRINT
from codecanvas_provider.permissions import RULES
from codecanvas_provider.platform_status import PlatformStatus
from codecanvas_provider.release_watch import ReleaseWatches
from codecanvas_provider.resource import Context, PartialFailure
from codecanvas_provider.worker_pods import name_of
from codecanvas_provider.workloads import list_workloads
from pulumi_codecanvas.freeze import freeze_policy
from tests.support.calls import Log, run
from tests.support.namespaces import granted, make_namespace, uid_of
from tests.support.releases import NAME, ROLE_BINDING, encode, install_release, revision_name
from tests.support.waiting import wait_for
from tests.support.workers import worker_pod

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

DRIVER = "ebs.csi.aws.com"
TEMPLATE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"labels": {"codecanvas": "true"}},
    "spec": {
        "containers": [{"name": "worker-main", "securityContext": {"privileged": True}}],
        "restartPolicy": "Never",
    },
}
LABELS = {"app.kubernetes.io/part-of": "codecanvas", "pod-security.kubernetes.io/enforce": "privileged"}


class Connection:
    """A platform that is connected, and the resource as the plugin would call it."""

    def __init__(self, local: LocalCluster, admin: Cluster) -> None:
        self.admin = admin
        self.namespace = make_namespace(admin, "eu", LABELS)
        self.operator_namespace = make_namespace(admin, "ops")
        self.classes = f"classes-{self.namespace}"
        storage = {"apiVersion": STORAGE_CLASS.api_version, "kind": STORAGE_CLASS.name, "provisioner": DRIVER}
        snapshots = {"apiVersion": SNAPSHOT_CLASS.api_version, "kind": SNAPSHOT_CLASS.name, "driver": DRIVER}
        metadata = {"metadata": {"name": self.classes}}
        admin.apply(STORAGE_CLASS, {**storage, **metadata})
        admin.apply(SNAPSHOT_CLASS, {**snapshots, **metadata, "deletionPolicy": "Delete"})
        self.resource = ConnectionTest()
        self.log = Log()
        self.given = {
            "kubeconfig": str(local.kubeconfig),
            "namespace": self.namespace,
            "namespaceUid": uid_of(admin, self.namespace),
            "platformName": self.namespace,
            "operatorNamespace": self.operator_namespace,
            "releaseName": NAME,
            "keyFingerprint": "fp-1",
            "podTemplate": TEMPLATE,
            "labels": LABELS,
            "storageClass": self.classes,
            "volumeSnapshotClass": self.classes,
            "timeout": 30,
        }

    def inputs(self, **given: Any) -> dict[str, Any]:
        merged = {name: value for name, value in {**self.given, **given}.items() if value is not None}
        checked, faults = self.resource.check(merged)
        assert not faults
        return checked

    def install(self, **options: Any) -> None:
        install_release(self.admin, self.operator_namespace, self.namespace, **options)

    def create(self, **given: Any) -> dict[str, Any]:
        _, outputs = run(self.resource.create(self.log.context(), self.inputs(**given)), 90)
        return outputs

    def update(self, old: dict[str, Any], **given: Any) -> dict[str, Any]:
        call = self.resource.update(self.log.context(), self.namespace, old, self.inputs(**given))
        return run(call, 90)

    def read(self, **given: Any) -> list[dict[str, str]]:
        inputs = self.inputs(**given)
        found = run(self.resource.read(Context(), self.namespace, inputs, {**inputs, "checks": []}))
        assert found is not None
        checks: list[dict[str, str]] = found[2]["checks"]
        assert [check["name"] for check in checks] == list(CHECK_NAMES)
        return checks

    def operator_pods(self) -> set[str]:
        pods = self.admin.list_all(POD, self.operator_namespace)
        return {name_of(pod) for pod in pods if not pod["metadata"].get("deletionTimestamp")}

    def await_rolled_out(self) -> None:
        def is_rolled_out() -> bool:
            workloads = list_workloads(self.admin, self.operator_namespace, NAME)
            return all(workload.is_ready for workload in workloads) and len(self.operator_pods()) == 1

        wait_for(is_rolled_out, "the operator to be rolled out")


def failed(checks: list[dict[str, str]]) -> dict[str, str]:
    return {check["name"]: check["message"] for check in checks if check["status"] == "Failed"}


@pytest.fixture
def bare(shared_cluster: LocalCluster, admin: Cluster) -> Iterator[Connection]:
    """Give a platform whose release is not installed yet."""
    made = Connection(shared_cluster, admin)
    yield made
    remove_block(admin, freeze_block(made.namespace, "policy"))
    admin.delete(STORAGE_CLASS, made.classes)
    admin.delete(SNAPSHOT_CLASS, made.classes)


@pytest.fixture
def connection(bare: Connection) -> Connection:
    """Give a platform that has passed its test."""
    bare.install()
    assert failed(bare.create()["checks"]) == {}
    return bare


def test_a_new_connection_passes_and_its_operator_is_not_restarted(bare: Connection) -> None:
    bare.install()
    bare.await_rolled_out()
    pods = bare.operator_pods()
    outputs = bare.create()
    assert [(check["name"], check["status"]) for check in outputs["checks"]] == [
        (name, "Success") for name in CHECK_NAMES
    ]
    assert bare.log.messages == []
    assert bare.read() == outputs["checks"]
    deployment = bare.admin.get(DEPLOYMENT, NAME, bare.operator_namespace)
    assert deployment is not None
    assert deployment["metadata"]["annotations"][FINGERPRINT] == "fp-1"
    assert FINGERPRINT not in deployment["spec"]["template"]["metadata"].get("annotations", {})
    assert bare.operator_pods() == pods


def scale_down(connection: Connection) -> None:
    connection.admin.patch(DEPLOYMENT, NAME, {"spec": {"replicas": 0}}, connection.operator_namespace)


def remove_role(connection: Connection) -> None:
    connection.admin.delete(ROLE_BINDING, NAME, connection.namespace)


def remove_operator(connection: Connection) -> None:
    connection.admin.delete(DEPLOYMENT, NAME, connection.operator_namespace)


def remove_storage_class(connection: Connection) -> None:
    connection.admin.delete(STORAGE_CLASS, connection.classes)


def remove_snapshot_class(connection: Connection) -> None:
    connection.admin.delete(SNAPSHOT_CLASS, connection.classes)


def remove_secret(connection: Connection) -> None:
    connection.admin.delete(SECRET, NAME, connection.operator_namespace)


@contextmanager
def patched_manager(name: str) -> Iterator[None]:
    """Change things as somebody else would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cluster, "FIELD_MANAGER", name)
        yield


def put_wrong_key(connection: Connection) -> None:
    with patched_manager("kubectl-edit"):
        patch = {"data": {"key": encode("somebody's")}}
        connection.admin.patch(SECRET, NAME, patch, connection.operator_namespace)


def upgrade_by_hand(connection: Connection) -> None:
    connection.install(key="somebody's", revision=2)


def tighten_pod_security(connection: Connection) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    connection.given["labels"] = {"app.kubernetes.io/part-of": "codecanvas"}
    connection.admin.patch(NAMESPACE, connection.namespace, {"metadata": {"labels": labels}})


def take_label_off(connection: Connection) -> None:
    labels = {"app.kubernetes.io/part-of": None}
    connection.admin.patch(NAMESPACE, connection.namespace, {"metadata": {"labels": labels}})


def forget_release(connection: Connection) -> None:
    for kind, name in ((SECRET, revision_name(1)), (DEPLOYMENT, NAME)):
        connection.admin.delete(kind, name, connection.operator_namespace)


def interrupt_upgrade(connection: Connection) -> None:
    patch = {"metadata": {"labels": {"status": "pending-upgrade"}}}
    connection.admin.patch(SECRET, revision_name(1), patch, connection.operator_namespace)


def fill_quota(connection: Connection) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "team"}, "spec": {"hard": {"pods": "1"}}}
    connection.admin.apply(QUOTA, quota, connection.namespace)
    pod = worker_pod("ws-1")
    wait_for(lambda: (connection.admin.get(QUOTA, "team", connection.namespace) or {}).get("status"), "the quota")
    connection.admin.create(POD, pod, connection.namespace)


def cordon_image(connection: Connection) -> None:
    annotations = {"local-cluster/never-ready": "true"}
    patch = {
        "spec": {
            "strategy": {"type": "Recreate", "rollingUpdate": None},
            "template": {"metadata": {"annotations": annotations}},
        }
    }
    connection.admin.patch(DEPLOYMENT, NAME, patch, connection.operator_namespace)
    wait_for(lambda: "Operator" in failed(connection.read()), "the operator to be gone")


FAULTS: dict[Callable[[Connection], None], tuple[str, str]] = {
    scale_down: ("Operator", "is scaled down to 0 replicas; scale it up: `kubectl scale"),
    cordon_image: ("Operator", "0 of 1 pods ready"),
    remove_secret: ("Operator", f"needs Secret {NAME}, which does not exist"),
    put_wrong_key: ("Operator", f"was changed past this stack (Secret/{NAME}/key by kubectl-edit); `helm rollback"),
    upgrade_by_hand: ("Operator", "was upgraded past this stack (to revision 2, tested was 1)"),
    remove_operator: ("Operator", "has no Deployment, StatefulSet or DaemonSet in namespace"),
    remove_role: ("Operator permissions", f"its Role or RoleBinding is gone; `helm rollback {NAME} 1 --namespace"),
    remove_storage_class: ("Storage class", "does not exist; run `pulumi up --refresh`"),
    remove_snapshot_class: ("Volume snapshot class", "does not exist; run `pulumi up --refresh`"),
    tighten_pod_security: ("Pod template", 'violates PodSecurity "restricted:latest"'),
    take_label_off: ("Namespace", "has lost its label app.kubernetes.io/part-of"),
    forget_release: ("Helm release", "`pulumi up --refresh` installs it again"),
    interrupt_upgrade: ("Helm release", "is pending-upgrade"),
    fill_quota: ("Quota", "exceeded quota: team"),
}


def test_every_check_has_a_fault_of_its_own() -> None:
    elsewhere = {"Cluster reachable", "Permissions"}
    assert {name for name, _ in FAULTS.values()} | elsewhere == set(CHECK_NAMES)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_each_real_fault_fails_one_check_alone_and_names_the_way_out(
    fault: Callable[[Connection], None], connection: Connection
) -> None:
    name, text = FAULTS[fault]
    fault(connection)
    # The API server learns of a changed quota or role a moment later.
    found = wait_for(lambda: failed(connection.read()), f"{name} to fail")
    assert list(found) == [name]
    assert text in found[name]


def test_missing_right_fails_the_permissions_alone_and_is_named(
    shared_cluster: LocalCluster, connection: Connection
) -> None:
    # No check uses it: only a delete would.
    rules = [rule for rule in RULES["delete"] if rule.resource != "persistentvolumeclaims"]
    everything = [*rules, *RULES["connection test"], *RULES["key rotation"]]
    places = {"platform": connection.namespace, "operator": connection.operator_namespace}
    with granted(shared_cluster, connection.admin, everything, **places) as kubeconfig:
        found = failed(connection.read(kubeconfig=str(kubeconfig)))
    assert list(found) == ["Permissions"]
    assert f"list persistentvolumeclaims in namespace {connection.namespace} (delete)" in found["Permissions"]
    assert "`codecanvas permissions` prints them as roles" in found["Permissions"]


def test_unreachable_cluster_fails_one_check_alone(
    shared_cluster: LocalCluster, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "FIRST_PATIENCE", 1.0)
    away = shared_cluster.kubeconfig.read_text().replace(shared_cluster.server, "https://127.0.0.1:1")
    checks = connection.read(kubeconfig=away)
    found = failed(checks)
    assert list(found) == ["Cluster reachable"]
    assert "see that `kubectl version` works" in found["Cluster reachable"]
    assert {check["status"] for check in checks[1:]} == {"Skipped"}


def test_the_test_and_a_rotation_need_the_listed_rights_and_no_others(
    shared_cluster: LocalCluster, connection: Connection
) -> None:
    rules = [rule for feature in ("connection test", "key rotation", "delete") for rule in RULES[feature]]
    places = {"platform": connection.namespace, "operator": connection.operator_namespace}
    old = {**connection.inputs(), "checks": []}
    with granted(shared_cluster, connection.admin, rules, **places) as kubeconfig:
        given = {"kubeconfig": str(kubeconfig), "keyFingerprint": "fp-2"}
        connection.install(key="key-2", revision=2)
        outputs = connection.update(old, **given)
    assert {check["status"] for check in outputs["checks"]} == {"Success"}
    assert connection.log.messages == [f"restarted Deployment {NAME} onto the current key"]


def test_a_rotation_replaces_the_operators_pods_without_a_gap(connection: Connection) -> None:
    before = connection.operator_pods()
    old = {**connection.inputs(), "checks": []}
    connection.install(key="key-2", revision=2)
    assert connection.operator_pods() == before

    outputs = connection.update(old, keyFingerprint="fp-2")

    assert failed(outputs["checks"]) == {}
    after = connection.operator_pods()
    assert len(after) == 1
    assert not after & before
    # Again: nothing more to do.
    connection.update(old, keyFingerprint="fp-2")
    assert connection.operator_pods() == after
    assert failed(connection.read(keyFingerprint="fp-2")) == {}


def test_a_chart_that_restarts_its_pods_itself_is_left_alone(connection: Connection) -> None:
    old = {**connection.inputs(), "checks": []}
    connection.install(key="key-2", revision=2)
    # Kubernetes notes times to the second.
    time.sleep(1.1)
    patch = {"spec": {"template": {"metadata": {"annotations": {"checksum/secret": "2"}}}}}
    connection.admin.patch(DEPLOYMENT, NAME, patch, connection.operator_namespace)
    connection.await_rolled_out()
    restarted = connection.operator_pods()
    connection.update(old, keyFingerprint="fp-2")
    assert connection.operator_pods() == restarted
    assert connection.log.messages == []


def test_an_operator_that_does_not_come_back_fails_with_the_reason(connection: Connection) -> None:
    old = {**connection.inputs(), "checks": []}
    connection.install(key="key-2", revision=2, never_ready=True)
    with pytest.raises(PartialFailure) as caught:
        connection.update(old, keyFingerprint="fp-2", timeout=4)
    text = str(caught.value)
    assert f"Deployment {NAME}: 0 of 1 pods ready" in text
    assert "ImagePullBackOff" in text
    assert "key-2" not in text


def test_a_failed_check_fails_the_create_with_the_table_and_the_next_run_passes(bare: Connection) -> None:
    bare.install()
    remove_storage_class(bare)
    started = time.monotonic()
    with pytest.raises(PartialFailure) as caught:
        bare.create()
    assert time.monotonic() - started < 15
    assert f"the connection test of platform {bare.namespace} failed: Storage class\n" in str(caught.value)
    storage = {"apiVersion": STORAGE_CLASS.api_version, "kind": STORAGE_CLASS.name, "provisioner": DRIVER}
    bare.admin.apply(STORAGE_CLASS, {**storage, "metadata": {"name": bare.classes}})
    assert failed(bare.update(caught.value.outputs)["checks"]) == {}


def test_an_operator_that_starts_slowly_is_waited_for(bare: Connection) -> None:
    bare.install(never_ready=True)

    async def scenario() -> dict[str, Any]:
        def heal() -> None:
            patch = {"spec": {"template": {"metadata": {"annotations": {"local-cluster/never-ready": None}}}}}
            bare.admin.patch(DEPLOYMENT, NAME, patch, bare.operator_namespace)

        asyncio.get_running_loop().call_later(3, heal)
        _, outputs = await bare.resource.create(bare.log.context(), bare.inputs())
        return outputs

    assert failed(run(scenario(), 60)["checks"]) == {}
    assert any(text.startswith("testing the connection: waiting for Operator (Depl") for text in bare.log.progress)


def test_freezing_and_lifting_a_freeze_pass_the_test(connection: Connection) -> None:
    facts: dict[str, Any] = {"platform_name": "eu", "reason": None, "labels": {}, "annotations": {}}
    policy, binding = freeze_policy(namespace=connection.namespace, **facts)
    old = {**connection.inputs(), "checks": []}
    connection.admin.apply(POLICY, policy)
    connection.admin.apply(POLICY_BINDING, binding)
    # The policy needs a moment to come into force.
    frozen = connection.update(old, frozen=True)
    messages = {check["name"]: check["message"] for check in frozen["checks"]}
    assert messages["Pod template"] == "the platform is frozen: a worker pod is refused"
    assert failed(connection.read(frozen=True)) == {}
    # Pulumi deletes the block only after the update of this resource.
    lifted = connection.update(frozen)
    assert failed(lifted["checks"]) == {}
    remove_block(connection.admin, freeze_block(connection.namespace, "policy"))
    wait_for(lambda: connection.read() == lifted["checks"], "a refresh without drift")


def test_a_removed_block_shows_while_frozen(connection: Connection) -> None:
    found = failed(connection.read(frozen=True))
    assert list(found) == ["Pod template"]
    assert "the platform is frozen but a worker pod is accepted" in found["Pod template"]


def test_status_is_what_the_cluster_shows(connection: Connection) -> None:
    connection.admin.create(POD, worker_pod("ws-1"), connection.namespace)
    names = ("kubeconfig", "namespace", "platformName", "operatorNamespace", "releaseName")
    arguments = {name: connection.given[name] for name in names}
    status = run(PlatformStatus().get_platform_status(Context(), arguments))
    assert status == {
        "platformName": connection.namespace,
        "namespace": connection.namespace,
        "namespacePhase": "Active",
        "frozen": False,
        "blockPresent": False,
        "runningDevEnvironments": 1,
        "operatorReady": True,
        "operatorMessages": [],
        "chartVersion": "2025.1.0",
        "keyFingerprint": "fp-1",
        "releaseStatus": "deployed",
        "releaseRevision": 1,
    }


def test_a_release_that_is_rolled_back_is_still_explained(bare: Connection) -> None:
    arguments = {
        "kubeconfig": bare.given["kubeconfig"],
        "namespace": bare.operator_namespace,
        "releaseName": NAME,
        "timeout": 60,
    }
    watches = ReleaseWatches(interval=0.3)

    async def scenario() -> list[str]:
        await watches.watch(Context(), dict(arguments))
        await asyncio.to_thread(bare.install, never_ready=True)
        await asyncio.sleep(3)
        await asyncio.to_thread(forget_release, bare)
        await asyncio.sleep(1)
        found = await watches.explain(Context(), dict(arguments))
        return list(found["reasons"])

    (reason,) = run(scenario(), 30)
    assert reason.startswith(f"Deployment {NAME}: 0 of 1 pods ready; ")
    assert "container operator: ImagePullBackOff" in reason
    assert "last warning: Pod" in reason
