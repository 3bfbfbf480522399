from __future__ import annotations

import asyncio
import copy
import itertools
from typing import TYPE_CHECKING, Any

import pytest

from codecanvas_provider import connection_test
from codecanvas_provider.cluster import (
    DEPLOYMENT,
    LIMITS,
    NAMESPACE,
    POD,
    QUOTA,
    SECRET,
    SERVICE_ACCOUNT,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
)
from codecanvas_provider.connection_checks import CHECK_NAMES
from codecanvas_provider.connection_test import ConnectionTest
from codecanvas_provider.delete_guard import DELETE_UNREACHABLE
from codecanvas_provider.operator_rollout import FINGERPRINT
from codecanvas_provider.resource import UNKNOWN, Context, Diff, PartialFailure
from codecanvas_provider.waiting import Cancelled, Pace
from pulumi_codecanvas.errors import ClusterError
from pulumi_codecanvas.manifests import PLATFORM_LABEL, STACK_ANNOTATION
from tests.support.blocks import put_policy_block
from tests.support.calls import Log, run
from tests.support.fake_cluster import FakeCluster, refusal
from tests.support.releases import NAME, describe_release, revision_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from codecanvas_provider.cluster import Kind

PACE = Pace(first=0.001, longest=0.01)
READY = {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
FROZEN = "ValidatingAdmissionPolicy 'codecanvas-freeze-eu' with binding 'codecanvas-freeze-eu' denied request: frozen"
TOO_MUCH = 'pods "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2'
FULL = "pods is forbidden: exceeded quota: team, requested: pods=1, used: pods=20, limited: pods=20"
GP3_CLAIMS, GOLD_CLAIMS = (f"{name}.storageclass.storage.k8s.io/persistentvolumeclaims" for name in ("gp3", "gold"))
TEMPLATE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {"containers": [{"name": "worker-main", "env": [{"name": "PASSWORD", "value": "hunter22"}]}]},
}


def make_inputs(**given: Any) -> dict[str, Any]:
    defaults = {
        "namespace": "eu",
        "platformName": "eu",
        "operatorNamespace": "ops",
        "releaseName": NAME,
        "keyFingerprint": "fp-1",
        "podTemplate": TEMPLATE,
        "labels": {"team": "a"},
        "storageClass": "gp3",
        "volumeSnapshotClass": "snapshots",
        "timeout": 1,
    }
    given = {name: value for name, value in {**defaults, **given}.items() if value is not None}
    inputs, faults = ConnectionTest().check(given)
    assert not faults
    return inputs


def written_by(manager: str) -> list[dict[str, Any]]:
    return [{"manager": manager, "fieldsV1": {"f:data": {"f:key": {}}}}]


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster("ops")
    fake.put(NAMESPACE, {"metadata": {"name": "eu", "labels": {"team": "a", "x": "y"}}, "status": {"phase": "Active"}})
    for kind, manifest, namespace in describe_release("ops", "eu", "key-1", 1):
        manifest["metadata"] = {**manifest["metadata"], "managedFields": written_by("helm")}
        fake.put(kind, {**manifest, "status": READY} if kind is DEPLOYMENT else manifest, namespace)
    fake.put(STORAGE_CLASS, {"metadata": {"name": "gp3"}, "provisioner": "ebs.csi.aws.com"})
    fake.put(SNAPSHOT_CLASS, {"metadata": {"name": "snapshots"}, "driver": "ebs.csi.aws.com"})
    fake.put(QUOTA, {"metadata": {"name": "team"}, "status": {"hard": {"pods": "20"}, "used": {"pods": "3"}}}, "eu")
    return fake


@pytest.fixture
def resource(cluster: FakeCluster) -> ConnectionTest:
    return ConnectionTest(cluster.connect_to, PACE, short_patience=0.1)


def failed(checks: list[dict[str, str]]) -> dict[str, str]:
    return {check["name"]: check["message"] for check in checks if check["status"] == "Failed"}


def read(resource: ConnectionTest, **given: Any) -> list[dict[str, str]]:
    inputs = make_inputs(**given)
    found = run(resource.read(Context(), "eu", inputs, {**inputs, "checks": []}))
    assert found is not None
    checks = found[2]["checks"]
    assert [check["name"] for check in checks] == list(CHECK_NAMES)
    return list(checks)


def deployment(cluster: FakeCluster) -> dict[str, Any]:
    found = cluster.find(DEPLOYMENT, NAME, "ops")
    assert found is not None
    return found


def test_who_watches_the_release_hears_that_it_is_through(cluster: FakeCluster) -> None:
    heard: list[tuple[str | None, ...]] = []

    class Releases:
        def is_untested(self, *release: str | None) -> bool:
            return release == (None, None, "ops", NAME) and not heard

        def end(self, *release: str | None) -> None:
            heard.append(release)

    resource = ConnectionTest(cluster.connect_to, PACE, releases=Releases())
    inputs = make_inputs()
    run(resource.create(Context(preview=True), inputs))
    assert heard == []
    assert resource.diff(inputs, inputs, inputs) == Diff(updates=("checks",))
    other = make_inputs(releaseName="other")
    assert resource.diff(other, other, other) == Diff()
    run(resource.update(Context(), "eu", {**inputs, "checks": [{"name": "Operator", "status": "Success"}]}, inputs))
    assert heard == [(None, None, "ops", NAME)]
    assert deployment(cluster)["metadata"]["annotations"][FINGERPRINT] == "fp-1"
    assert resource.diff(inputs, inputs, inputs) == Diff()


def test_administrators_are_asked_one_question_about_rights(
    cluster: FakeCluster, resource: ConnectionTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    answer = cluster.may

    def may(*right: Any) -> bool:
        asked.append(right)
        return answer(*right)

    monkeypatch.setattr(cluster, "may", may)
    assert "Permissions" not in failed(read(resource))
    assert asked == [("*", "*", "*")]


def test_all_checks_pass_in_a_fixed_order_with_steady_messages(cluster: FakeCluster, resource: ConnectionTest) -> None:
    id_, outputs = run(resource.create(Context(), make_inputs()))
    assert id_ == "eu"
    assert [(check["name"], check["status"], check["message"]) for check in outputs["checks"]] == [
        ("Cluster reachable", "Success", "Kubernetes v1.33.1 answers"),
        ("Permissions", "Success", "we may do everything that the features in use need"),
        ("Namespace", "Success", "namespace eu is active and labelled"),
        ("Helm release", "Success", f"release {NAME} is deployed"),
        ("Operator", "Success", f"Deployment {NAME}: ready and on the current key"),
        ("Operator permissions", "Success", "the operator may run dev environments in namespace eu"),
        ("Pod template", "Success", "a worker pod made from the template is accepted"),
        ("Storage class", "Success", "storage class gp3 exists"),
        ("Volume snapshot class", "Success", "volume snapshot class snapshots exists"),
        ("Quota", "Success", "there is room for another dev environment"),
    ]
    # The first test notes the operator's key; nothing else was written.
    assert cluster.calls == [f"patch Deployment {NAME}"]
    assert read(resource) == outputs["checks"]


def delete(kind: str, namespace: str, name: str) -> Callable[[FakeCluster], object]:
    return lambda cluster: cluster.objects.pop((kind, namespace, name))


def forget_snapshots(cluster: FakeCluster) -> None:
    cluster.denied.add("serve volumesnapshotclasses")
    del cluster.objects[("VolumeSnapshotClass", "", "snapshots")]


def set_status(cluster: FakeCluster, status: str) -> None:
    secret = cluster.find(SECRET, revision_name(1), "ops")
    assert secret is not None
    secret["metadata"]["labels"]["status"] = status


def upgrade_by_hand(cluster: FakeCluster) -> None:
    for kind, manifest, namespace in describe_release("ops", "eu", "key-2", 2):
        if kind is SECRET:
            manifest["metadata"] = {**manifest["metadata"], "managedFields": written_by("helm")}
            cluster.put(kind, manifest, namespace)


FAULTS: dict[str, tuple[Callable[[FakeCluster], object], str, str]] = {
    "old cluster": (
        lambda cluster: setattr(cluster, "version", "v1.28.9-eks"),
        "Cluster reachable",
        "Kubernetes v1.28.9-eks is too old for CodeCanvas; upgrade",
    ),
    "cluster without policies": (
        lambda cluster: setattr(cluster, "version", "v1.29.0"),
        "Cluster reachable",
        "set `freezeMode: quota` and an `operatorNamespace` other than `namespace`, or upgrade",
    ),
    "missing right": (
        lambda cluster: cluster.denied.add("delete persistentvolumeclaims"),
        "Permissions",
        "missing rights: delete persistentvolumeclaims in namespace eu (delete). Grant them",
    ),
    "lost label": (
        lambda cluster: cluster.find(NAMESPACE, "eu")["metadata"].update(labels={"x": "y"}),  # type: ignore[index]
        "Namespace",
        "has lost its label team or bears another value; run `pulumi up --refresh`",
    ),
    "terminating namespace": (
        lambda cluster: cluster.find(NAMESPACE, "eu").update(status={"phase": "Terminating"}),  # type: ignore[union-attr]
        "Namespace",
        "namespace eu is Terminating; see what holds it",
    ),
    "pending release": (
        lambda cluster: set_status(cluster, "pending-upgrade"),
        "Helm release",
        f"is pending-upgrade: another Helm operation runs, or was interrupted; where none runs, `helm uninstall {NAME}",
    ),
    "failed release": (
        lambda cluster: set_status(cluster, "failed"),
        "Helm release",
        f"is failed; look at `helm history {NAME} --namespace ops`",
    ),
    "scaled-down operator": (
        lambda cluster: deployment(cluster)["spec"].update(replicas=0),
        "Operator",
        f"is scaled down to 0 replicas; scale it up: `kubectl scale --namespace ops --replicas=1 deployments/{NAME}`",
    ),
    "operator not ready": (
        lambda cluster: deployment(cluster).update(status={"observedGeneration": 1}),
        "Operator",
        "0 of 1 pods ready; look at `kubectl describe --namespace ops deployments/",
    ),
    "another key": (
        lambda cluster: deployment(cluster)["metadata"]["annotations"].update({FINGERPRINT: "fp-0"}),
        "Operator",
        "runs on the key fp-0, not on fp-1; `pulumi up --refresh` restarts it",
    ),
    "key changed in the secret": (
        lambda cluster: cluster.find(SECRET, NAME, "ops")["metadata"].update(managedFields=written_by("kubectl-edit")),  # type: ignore[index]
        "Operator",
        f"what it reads was changed past this stack (Secret/{NAME}/key by kubectl-edit); `helm rollback {NAME} 1 ",
    ),
    "upgrade by hand": (
        upgrade_by_hand,
        "Operator",
        f"release {NAME} was upgraded past this stack (to revision 2, tested was 1); run `pulumi up --refresh`",
    ),
    "removed secret": (
        delete("Secret", "ops", NAME),
        "Operator",
        f"needs Secret {NAME}, which does not exist, so it runs until its next restart only; `helm rollback {NAME} 1 ",
    ),
    "removed operator": (
        delete("Deployment", "ops", NAME),
        "Operator",
        f"has no Deployment, StatefulSet or DaemonSet in namespace ops; `helm rollback {NAME} 1 --namespace ops` puts",
    ),
    "removed role": (
        lambda cluster: cluster.denied.update({f"system:serviceaccount:ops:{NAME} create pods"}),
        "Operator permissions",
        f"the operator's service account {NAME} may not create pods in namespace eu: its Role or RoleBinding is gone",
    ),
    "pod security": (
        lambda cluster: setattr(cluster, "refuse_pod", lambda _pod: 'violates PodSecurity "restricted:latest"'),
        "Pod template",
        'the cluster refuses a worker pod made from the template: violates PodSecurity "restricted:latest"; change',
    ),
    "block left behind": (
        lambda cluster: setattr(cluster, "refuse_pod", lambda _pod: FROZEN),
        "Pod template",
        (
            f"the platform is not frozen but what a freeze left behind refuses worker pods: {FROZEN}; delete it:"
            " `kubectl delete validatingadmissionpolicybindings/codecanvas-freeze-eu"
            " validatingadmissionpolicies/codecanvas-freeze-eu`"
        ),
    ),
    "no snapshots": (
        forget_snapshots,
        "Volume snapshot class",
        "the cluster knows no volume snapshots; install",
    ),
    "removed storage class": (
        delete("StorageClass", "", "gp3"),
        "Storage class",
        "storage class gp3 does not exist; run `pulumi up --refresh`",
    ),
    "removed snapshot class": (
        delete("VolumeSnapshotClass", "", "snapshots"),
        "Volume snapshot class",
        "volume snapshot class snapshots does not exist",
    ),
    "snapshots of another driver": (
        lambda cluster: cluster.find(SNAPSHOT_CLASS, "snapshots").update(driver="other"),  # type: ignore[union-attr]
        "Volume snapshot class",
        "is for driver other, but storage class gp3 for ebs.csi.aws.com",
    ),
    "full quota": (
        lambda cluster: setattr(cluster, "refuse_pod", lambda _pod: FULL),
        "Quota",
        "no room for another dev environment: pods is forbidden: exceeded quota: team",
    ),
    "no room for volumes of its class": (
        lambda cluster: cluster.find(QUOTA, "team", "eu").update(  # type: ignore[union-attr]
            status={"hard": {GP3_CLAIMS: "5", GOLD_CLAIMS: "0"}, "used": {GP3_CLAIMS: "5", GOLD_CLAIMS: "0"}}
        ),
        "Quota",
        f"ResourceQuota team is used up for {GP3_CLAIMS};",
    ),
    "no room for volumes": (
        lambda cluster: cluster.find(QUOTA, "team", "eu").update(  # type: ignore[union-attr]
            status={"hard": {"requests.storage": "1Ti"}, "used": {"requests.storage": "1024Gi"}}
        ),
        "Quota",
        "no room for another volume: ResourceQuota team is used up for requests.storage",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_fails_one_check_alone_and_names_the_way_out(
    fault: str, cluster: FakeCluster, resource: ConnectionTest
) -> None:
    run(resource.create(Context(), make_inputs()))
    cause, name, text = FAULTS[fault]
    cause(cluster)
    found = failed(read(resource))
    assert list(found) == [name]
    assert text in found[name]


def test_an_uninstalled_release_fails_and_its_operator_is_not_looked_for(
    cluster: FakeCluster, resource: ConnectionTest
) -> None:
    for key in [key for key in cluster.objects if key[1] == "ops"]:
        del cluster.objects[key]
    checks = read(resource)
    assert list(failed(checks)) == ["Helm release"]
    assert (
        "is not installed in namespace ops; `pulumi up --refresh` installs it again" in failed(checks)["Helm release"]
    )
    skipped = {check["name"]: check["message"] for check in checks if check["status"] == "Skipped"}
    assert skipped == {
        "Operator": "the release is not installed",
        "Operator permissions": "the release is not installed",
    }


def test_a_cluster_that_does_not_answer_skips_the_rest(cluster: FakeCluster, resource: ConnectionTest) -> None:
    cluster.away = True
    checks = read(resource)
    assert list(failed(checks)) == ["Cluster reachable"]
    assert {check["status"] for check in checks[1:]} == {"Skipped"}


def test_another_namespace_of_the_same_name_fails(resource: ConnectionTest) -> None:
    assert "the cluster is another one than before" in failed(read(resource, namespaceUid="foreign"))["Namespace"]


def test_nothing_is_restarted_in_another_cluster(cluster: FakeCluster, resource: ConnectionTest) -> None:
    with pytest.raises(PartialFailure, match="the cluster is another one than before"):
        run(resource.create(Context(), make_inputs(namespaceUid="foreign")))
    assert cluster.calls == []


def test_a_missing_namespace_fails_alone(cluster: FakeCluster, resource: ConnectionTest) -> None:
    run(resource.create(Context(), make_inputs()))
    del cluster.objects[("Namespace", "", "eu")]
    checks = read(resource)
    assert list(failed(checks)) == ["Namespace"]
    assert {check["name"]: check["status"] for check in checks}["Pod template"] == "Skipped"


def test_what_is_not_named_is_skipped(resource: ConnectionTest) -> None:
    run(resource.create(Context(), make_inputs()))
    checks = read(resource, storageClass=None, volumeSnapshotClass=None, podTemplate=None)
    skipped = [check["name"] for check in checks if check["status"] == "Skipped"]
    assert skipped == ["Pod template", "Storage class", "Volume snapshot class"]
    assert failed(checks) == {}


def test_what_we_may_not_look_at_is_skipped(cluster: FakeCluster, resource: ConnectionTest) -> None:
    run(resource.create(Context(), make_inputs()))
    cluster.denied = {"get storageclasses", "get volumesnapshotclasses"}
    checks = read(resource)
    assert [check["name"] for check in checks if check["status"] == "Skipped"] == [
        "Storage class",
        "Volume snapshot class",
    ]


def test_a_value_of_the_template_is_not_repeated(cluster: FakeCluster, resource: ConnectionTest) -> None:
    def refuse(_pod: dict[str, Any]) -> str:
        return 'spec.containers[0].env[0].value: Invalid value: "hunter22": no passwords'

    cluster.refuse_pod = refuse
    message = failed(read(resource))["Pod template"]
    assert "no passwords" in message
    assert "hunter22" not in message


def test_while_frozen_a_worker_pod_must_be_refused_by_the_freeze(
    cluster: FakeCluster, resource: ConnectionTest
) -> None:
    run(resource.create(Context(), make_inputs()))
    assert "the platform is frozen but a worker pod is accepted" in failed(read(resource, frozen=True))["Pod template"]
    cluster.refuse_pod = lambda _pod: 'violates PodSecurity "restricted:latest"'
    assert "refused for another reason" in failed(read(resource, frozen=True))["Pod template"]
    cluster.refuse_pod = lambda _pod: FROZEN
    checks = {check["name"]: check for check in read(resource, frozen=True)}
    assert checks["Pod template"]["status"] == "Success"
    assert checks["Quota"]["status"] == "Skipped"


def test_while_frozen_by_quota_the_quota_must_refuse(cluster: FakeCluster, resource: ConnectionTest) -> None:
    run(resource.create(Context(), make_inputs()))
    denial = "exceeded quota: codecanvas-freeze, requested: pods=1, used: pods=3, limited: pods=0"
    cluster.refuse_pod = lambda _pod: denial
    assert failed(read(resource, frozen=True, freezeMode="quota")) == {}
    assert list(failed(read(resource, freezeMode="quota"))) == ["Pod template"]


def test_a_freeze_that_this_update_lifts_is_no_fault(cluster: FakeCluster, resource: ConnectionTest) -> None:
    run(resource.create(Context(), make_inputs()))
    cluster.refuse_pod = lambda _pod: FROZEN
    old = {**make_inputs(frozen=True), "checks": []}
    outputs = run(resource.update(Context(), "eu", old, make_inputs()))
    cluster.refuse_pod = lambda _pod: None
    assert read(resource) == outputs["checks"]


def test_an_unfreeze_whose_test_failed_once_still_lifts_the_block(
    cluster: FakeCluster, resource: ConnectionTest
) -> None:
    cluster.refuse_pod = lambda _pod: FROZEN
    cluster.denied.add("list deployments")
    old = {**make_inputs(frozen=True), "checks": []}
    with pytest.raises(PartialFailure) as caught:
        run(resource.update(Context(), "eu", old, make_inputs()))
    cluster.denied.clear()
    outputs = run(resource.update(Context(), "eu", caught.value.outputs, make_inputs()))
    assert failed(outputs["checks"]) == {}


def test_a_refresh_tests_what_a_failed_update_wanted(resource: ConnectionTest) -> None:
    run(resource.create(Context(), make_inputs()))
    before = make_inputs(releaseName="other", operatorNamespace="elsewhere")
    found = run(resource.read(Context(), "eu", before, {**make_inputs(), "checks": []}))
    assert found
    assert failed(found[2]["checks"]) == {}


@pytest.mark.parametrize("refused", ['violates PodSecurity "restricted:latest"', FROZEN])
def test_room_in_a_quota_is_no_success_where_the_pod_never_gets_to_it(
    refused: str, cluster: FakeCluster, resource: ConnectionTest
) -> None:
    run(resource.create(Context(), make_inputs()))
    cluster.refuse_pod = lambda _pod: refused
    checks = {check["name"]: check for check in read(resource)}
    assert checks["Pod template"]["status"] == "Failed"
    assert checks["Quota"]["status"] == "Skipped"
    assert checks["Quota"]["message"] == "not seen: the worker pod is refused before a quota counts"


def put_own(cluster: FakeCluster, kind: Kind, name: str = "eu", **rest: Any) -> None:
    """Have an object that the platform made."""
    metadata = {"labels": {PLATFORM_LABEL: "eu"}, "annotations": {STACK_ANNOTATION: "organization/codecanvas/prod"}}
    cluster.put(kind, {"metadata": {"name": name, **metadata}, **rest}, "eu")


LEAVING: dict[str, tuple[Kind, str, str, dict[str, Any]]] = {
    "limits": (LIMITS, TOO_MUCH, "Pod template", {"limits": {"max": {"cpu": 1}}}),
    "quota": (QUOTA, FULL.replace("team", "eu"), "Quota", {"quota": {"pods": 20}}),
}


@pytest.mark.parametrize("argument", LEAVING)
def test_what_refuses_and_goes_at_the_end_of_the_update_is_no_fault(
    argument: str, cluster: FakeCluster, resource: ConnectionTest
) -> None:
    kind, refused, name, given = LEAVING[argument]
    run(resource.create(Context(), make_inputs()))
    put_own(cluster, kind)
    cluster.refuse_pod = lambda _pod: refused
    declared = make_inputs(**given)
    with pytest.raises(PartialFailure, match=f"failed: {name}\n") as caught:
        run(resource.update(Context(), "eu", {**declared, "checks": []}, declared))
    outputs = run(resource.update(Context(), "eu", caught.value.outputs, make_inputs()))
    checks = {check["name"]: check for check in outputs["checks"]}
    assert checks[name]["status"] == "Skipped"
    assert (
        f"{kind.name} eu goes at the end of this update; until then it refuses a worker pod" in checks[name]["message"]
    )
    # A refresh deletes nothing, so that there it is a fault.
    assert list(failed(read(resource))) == [name]


@pytest.mark.parametrize("argument", LEAVING)
def test_what_somebody_else_put_there_is_a_fault_in_every_update(
    argument: str, cluster: FakeCluster, resource: ConnectionTest
) -> None:
    kind, refused, name, _ = LEAVING[argument]
    cluster.put(kind, {"metadata": {"name": "eu", "labels": {PLATFORM_LABEL: "eu"}}}, "eu")
    cluster.refuse_pod = lambda _pod: refused
    with pytest.raises(PartialFailure, match=f"failed: {name}\n"):
        run(resource.create(Context(), make_inputs()))


def test_a_quota_of_the_platform_that_goes_hides_no_other_one(cluster: FakeCluster, resource: ConnectionTest) -> None:
    put_own(cluster, QUOTA)
    cluster.refuse_pod = lambda _pod: FULL
    with pytest.raises(PartialFailure, match="failed: Quota\n"):
        run(resource.create(Context(), make_inputs()))


def test_limits_that_go_excuse_no_other_refusal(cluster: FakeCluster, resource: ConnectionTest) -> None:
    put_own(cluster, LIMITS)
    cluster.refuse_pod = lambda _pod: 'violates PodSecurity "restricted:latest"'
    with pytest.raises(PartialFailure, match="failed: Pod template\n"):
        run(resource.create(Context(), make_inputs()))


def test_room_for_volumes_in_a_quota_that_goes_does_not_matter(cluster: FakeCluster, resource: ConnectionTest) -> None:
    put_own(cluster, QUOTA, status={"hard": {"requests.storage": "1Ti"}, "used": {"requests.storage": "1Ti"}})
    with pytest.raises(PartialFailure, match="failed: Quota\n"):
        run(resource.create(Context(), make_inputs(quota={"requests.storage": "1Ti"})))
    run(resource.create(Context(), make_inputs()))


def test_a_service_account_that_goes_fails_the_template_that_names_it(
    cluster: FakeCluster, resource: ConnectionTest
) -> None:
    put_own(cluster, SERVICE_ACCOUNT, "builder")
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "serviceAccountName": "builder"}}
    run(resource.create(Context(), make_inputs(podTemplate=template, serviceAccounts=["builder"])))
    with pytest.raises(PartialFailure, match="failed: Pod template\n") as caught:
        run(resource.create(Context(), make_inputs(podTemplate=template, serviceAccounts=["other"])))
    said = failed(caught.value.outputs["checks"])["Pod template"]
    assert "ServiceAccount builder goes at the end of this update; put it back into `serviceAccounts`" in said
    run(resource.create(Context(), make_inputs(serviceAccounts=["other"])))
    cluster.put(SERVICE_ACCOUNT, {"metadata": {"name": "builder"}}, "eu")
    run(resource.create(Context(), make_inputs(podTemplate=template)))


def test_what_we_may_not_look_for_we_did_not_make(cluster: FakeCluster, resource: ConnectionTest) -> None:
    cluster.denied.add("list serviceaccounts")
    template = {**TEMPLATE, "spec": {**TEMPLATE["spec"], "serviceAccountName": "builder"}}
    run(resource.create(Context(), make_inputs(podTemplate=template)))


def test_a_quota_that_wants_requests_is_met_in_the_template(cluster: FakeCluster, resource: ConnectionTest) -> None:
    said = "pods is forbidden: failed quota: team: must specify requests.cpu for: worker-main"
    cluster.refuse_pod = lambda _pod: said
    message = failed(read(resource))["Quota"]
    assert "give `worker-main` these requests and limits in the pod template" in message
    assert "raise the quota" not in message


def test_a_preview_takes_no_policy_of_another_namespace_for_the_platforms(
    cluster: FakeCluster, resource: ConnectionTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str | None] = []
    said = {"eu": (404, 'namespaces "eu" not found'), "default": (400, 'admission webhook "w" denied the request: no')}

    def refuse(_kind: object, _body: Any, namespace: str | None = None, **_: Any) -> dict[str, Any]:
        asked.append(namespace)
        raise refusal(*said[str(namespace)])

    monkeypatch.setattr(cluster, "create", refuse)
    run(resource.create(Context(preview=True), make_inputs()))
    assert asked == ["eu", "default"]
    said["default"] = (422, 'PodTemplate "x" is invalid: spec: Invalid value: "hunter22"')
    with pytest.raises(ClusterError, match=r"pod template: .*is invalid") as caught:
        run(resource.create(Context(preview=True), make_inputs()))
    assert "hunter22" not in str(caught.value)


def test_a_failed_check_fails_the_update_by_name_with_the_table(cluster: FakeCluster, resource: ConnectionTest) -> None:
    del cluster.objects[("StorageClass", "", "gp3")]
    with pytest.raises(PartialFailure) as caught:
        run(resource.create(Context(), make_inputs()))
    lines = str(caught.value).splitlines()
    assert lines[:3] == [
        "the connection test of platform eu failed: Storage class",
        "",
        "  Check                  Status   Message",
    ]
    assert [line[:34] for line in lines[3:]] == [
        f"  {name:<21}  {'Failed' if name == 'Storage class' else 'Success':<9}" for name in CHECK_NAMES
    ]
    assert caught.value.id == "eu"
    assert list(failed(caught.value.outputs["checks"])) == ["Storage class"]


def test_what_fails_for_good_is_not_waited_for(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_test, "_MOMENT", 0.2)
    resource = ConnectionTest(cluster.connect_to, PACE, short_patience=60)
    del cluster.objects[("StorageClass", "", "gp3")]
    deployment(cluster)["status"] = {"observedGeneration": 1}
    with pytest.raises(PartialFailure, match="failed: Operator, Storage class"):
        run(resource.create(Context(), make_inputs(timeout=600)), seconds=5)


def test_what_is_about_to_be_ready_is_not_blamed_with_what_failed_for_good(cluster: FakeCluster) -> None:
    resource = ConnectionTest(cluster.connect_to, PACE, short_patience=60)
    del cluster.objects[("StorageClass", "", "gp3")]
    start_up_after(cluster, 20)
    with pytest.raises(PartialFailure, match="failed: Storage class\n"):
        run(resource.create(Context(), make_inputs(timeout=600)), seconds=5)


def start_up_after(cluster: FakeCluster, looks: int) -> None:
    """Have the operator become ready after so many looks at the cluster."""
    deployment(cluster)["status"] = {"observedGeneration": 1}
    left = iter(range(looks))

    def start_up(kind: object) -> None:
        if kind is DEPLOYMENT and next(left, None) is None:
            deployment(cluster)["status"] = READY

    cluster.on_list = start_up


def test_what_needs_time_to_become_true_is_waited_for(cluster: FakeCluster) -> None:
    resource = ConnectionTest(cluster.connect_to, PACE, short_patience=60)
    start_up_after(cluster, 20)
    log = Log()
    _, outputs = run(resource.create(log.context(), make_inputs(timeout=60)))
    assert failed(outputs["checks"]) == {}
    assert len(log.progress) == 2
    expected = f"testing the connection: waiting for Operator (Deployment {NAME}: 0 of 1 pods ready; look at `kubectl"
    assert log.progress[1].startswith(expected)


def test_a_cluster_that_is_away_at_first_is_tested_once_it_is_back(cluster: FakeCluster) -> None:
    resource = ConnectionTest(cluster.connect_to, PACE, short_patience=60)
    cluster.refuse_pod = lambda _pod: "never"
    away = iter([True] * 3)
    cluster.on_version = lambda: next(away, False)
    with pytest.raises(PartialFailure, match="failed: Pod template"):
        run(resource.create(Context(), make_inputs(keyFingerprint=None)), seconds=5)


@pytest.mark.parametrize("until", [READY, None])
def test_a_cluster_that_is_away_for_a_moment_passes_no_check(cluster: FakeCluster, until: object) -> None:
    resource = ConnectionTest(cluster.connect_to, PACE, short_patience=0.1)
    deployment(cluster)["status"] = {"observedGeneration": 1}
    looks = itertools.count()

    def is_away() -> bool:
        look = next(looks)
        if look == 40 and until:
            deployment(cluster)["status"] = until
        return look % 2 == 1

    cluster.on_version = is_away
    if until:
        _, outputs = run(resource.create(Context(), make_inputs(timeout=60)), seconds=20)
        assert {check["status"] for check in outputs["checks"]} == {"Success"}
        return
    with pytest.raises(PartialFailure, match="failed: Operator"):
        run(resource.create(Context(), make_inputs(timeout=1)), seconds=20)


def test_of_several_workloads_one_needs_the_rights_of_the_operator(
    cluster: FakeCluster, resource: ConnectionTest
) -> None:
    other = copy.deepcopy(deployment(cluster))
    other["metadata"]["name"] = "a-webhook"
    other["spec"]["template"]["spec"]["serviceAccountName"] = "webhook"
    cluster.put(DEPLOYMENT, other, "ops")
    run(resource.create(Context(), make_inputs()))
    cluster.denied.add("system:serviceaccount:ops:webhook create pods")
    assert failed(read(resource)) == {}


def test_a_refusal_of_moments_is_waited_for(cluster: FakeCluster) -> None:
    resource = ConnectionTest(cluster.connect_to, PACE, short_patience=60)
    answers = iter(['error looking up service account eu/default: serviceaccount "default" not found'] * 3)
    cluster.refuse_pod = lambda _pod: next(answers, None)
    _, outputs = run(resource.create(Context(), make_inputs(timeout=60)))
    assert failed(outputs["checks"]) == {}


def test_a_request_to_stop_ends_the_wait(cluster: FakeCluster) -> None:
    resource = ConnectionTest(cluster.connect_to, PACE, short_patience=60)
    deployment(cluster)["status"] = {"observedGeneration": 1}

    async def scenario() -> None:
        context = Context()
        asyncio.get_running_loop().call_later(0.1, context.cancelled.set)
        await resource.create(context, make_inputs(timeout=600))

    with pytest.raises(PartialFailure, match="stopped on request") as caught:
        run(scenario())
    assert isinstance(caught.value.__cause__, Cancelled)
    assert {check["status"] for check in caught.value.outputs["checks"]} == {"Skipped"}


def test_a_new_key_restarts_the_operator_before_the_checks(cluster: FakeCluster, resource: ConnectionTest) -> None:
    run(resource.create(Context(), make_inputs()))
    old = {**make_inputs(), "checks": []}
    cluster.put(POD, {"metadata": {"name": "op", "labels": {"app": NAME}}, "spec": {"containers": []}}, "ops")
    log = Log()
    outputs = run(resource.update(log.context(), "eu", old, make_inputs(keyFingerprint="fp-2")))
    assert failed(outputs["checks"]) == {}
    assert log.messages == [f"restarted Deployment {NAME} onto the current key"]
    assert deployment(cluster)["spec"]["template"]["metadata"]["annotations"][FINGERPRINT] == "fp-2"


def test_switched_off_it_skips_every_check_but_still_rotates(cluster: FakeCluster, resource: ConnectionTest) -> None:
    cluster.version = "v1.20.0"
    _, outputs = run(resource.create(Context(), make_inputs(enabled=False)))
    assert {check["status"] for check in outputs["checks"]} == {"Skipped"}
    assert deployment(cluster)["metadata"]["annotations"][FINGERPRINT] == "fp-1"
    cluster.away = True
    inputs = make_inputs(enabled=False)
    assert run(resource.read(Context(), "eu", inputs, outputs)) == ("eu", inputs, outputs)


def test_switched_off_and_without_a_key_it_needs_no_cluster(cluster: FakeCluster, resource: ConnectionTest) -> None:
    cluster.away = True
    run(resource.create(Context(), make_inputs(enabled=False, keyFingerprint=None)))


def test_preview_needs_no_cluster(cluster: FakeCluster, resource: ConnectionTest) -> None:
    cluster.away = True
    _, outputs = run(resource.create(Context(preview=True), make_inputs(keyFingerprint=UNKNOWN)))
    assert "checks" not in outputs


def test_delete_is_refused_while_dev_environments_run_and_else_touches_nothing(
    cluster: FakeCluster, resource: ConnectionTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.put(POD, {"metadata": {"name": "ws-1"}, "spec": {"containers": [{"name": "worker-main"}]}}, "eu")
    with pytest.raises(ClusterError, match=r"1 dev environment is running on platform eu .*: ws-1\. Nothing of"):
        run(resource.delete(Context(), "eu", make_inputs()))
    with pytest.raises(ClusterError, match="1 dev environment is running"):
        run(resource.delete(Context(), "eu", make_inputs(frozen=True)))
    put_policy_block(cluster)
    for given in ({"forceDelete": True}, {"frozen": True}, {"namespace": "gone"}):
        run(resource.delete(Context(), "eu", make_inputs(**given)))
    assert cluster.calls == []
    cluster.away = True
    monkeypatch.delenv(DELETE_UNREACHABLE, raising=False)
    with pytest.raises(ClusterError, match=f"`{DELETE_UNREACHABLE}=true pulumi up --refresh`"):
        run(resource.delete(Context(), "eu", make_inputs()))
    monkeypatch.setenv(DELETE_UNREACHABLE, "true")
    run(resource.delete(Context(), "eu", make_inputs()))


def test_force_for_a_later_delete_alone_does_not_run_it_again(cluster: FakeCluster, resource: ConnectionTest) -> None:
    _, tested = run(resource.create(Context(), make_inputs()))
    cluster.away = True
    forced = make_inputs(forceDelete=True)
    assert run(resource.update(Context(), "eu", tested, forced)) == {**tested, "forceDelete": True}
    failing = {**tested, "checks": [{**tested["checks"][0], "status": "Failed"}, *tested["checks"][1:]]}
    for old, inputs in ((failing, forced), (tested, make_inputs(forceDelete=True, storageClass="other"))):
        with pytest.raises(PartialFailure, match="no answer from"):
            run(resource.update(Context(), "eu", old, inputs))


def test_any_change_runs_it_again_and_so_does_a_failed_check(resource: ConnectionTest) -> None:
    inputs = make_inputs(triggers={"revision": 1})
    outputs = {**inputs, "checks": [{"name": "Quota", "status": "Success", "message": ""}]}
    assert resource.diff(inputs, outputs, inputs) == Diff()
    assert resource.diff(inputs, outputs, make_inputs(triggers={"revision": 2})) == Diff((), ("triggers",))
    assert resource.diff(inputs, outputs, make_inputs(namespace="us")).replaces == ()
    outputs["checks"][0]["status"] = "Failed"
    assert resource.diff(inputs, outputs, inputs) == Diff((), ("checks",))
    off = make_inputs(triggers={"revision": 1}, enabled=False)
    assert resource.diff(off, {**off, "checks": outputs["checks"]}, off) == Diff()


def test_what_a_failed_update_left_is_a_difference_after_a_refresh_too(resource: ConnectionTest) -> None:
    frozen, thawed = make_inputs(frozen=True), make_inputs()
    assert resource.diff(frozen, {**thawed, "checks": []}, frozen) == Diff((), ("frozen",))


def test_an_unexpected_refusal_is_a_failed_check(cluster: FakeCluster, resource: ConnectionTest) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise refusal(500, "etcd is on fire")

    cluster.serves = refuse  # type: ignore[assignment, method-assign] # as a server that fails would
    cluster.objects.pop(("VolumeSnapshotClass", "", "snapshots"))
    assert failed(read(resource))["Volume snapshot class"].startswith("cannot do this: 500")


def test_a_lost_cluster_is_told_by_create(cluster: FakeCluster, resource: ConnectionTest) -> None:
    cluster.away = True
    with pytest.raises(PartialFailure, match="no answer from") as caught:
        run(resource.create(Context(), make_inputs()))
    assert isinstance(caught.value.__cause__, ClusterError)


def test_freezing_needs_rights_of_its_own(cluster: FakeCluster, resource: ConnectionTest) -> None:
    run(resource.create(Context(), make_inputs()))
    cluster.denied = {"get validatingadmissionpolicies"}
    assert failed(read(resource)) == {}
    cluster.denied = {"get validatingadmissionpolicies"}
    put_policy_block(cluster)
    cluster.refuse_pod = lambda _pod: FROZEN
    found = failed(read(resource, frozen=True))
    assert list(found) == ["Permissions"]
    assert "get validatingadmissionpolicies.admissionregistration.k8s.io in the cluster (freeze by policy)" in str(
        found
    )
