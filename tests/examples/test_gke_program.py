"""What examples/gke is meant to do, read off the resources that its program declares."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.examples import GKE, Declared, is_secret, reveal

CLUSTER = "gcp:container/cluster:Cluster"
POOL = "gcp:container/nodePool:NodePool"


@pytest.fixture(scope="module")
def declared() -> Declared:
    answer = GKE.declare()
    assert answer.error is None
    return answer


def worker_pod(declared: Declared) -> dict[str, Any]:
    pod: dict[str, Any] = declared.inputs("kubernetes:core/v1:PodTemplate")["template"]["spec"]
    return pod


def test_workers_are_tainted_and_only_worker_pods_tolerate_it(declared: Declared) -> None:
    (toleration,) = worker_pod(declared)["tolerations"]
    taints = declared.inputs(POOL, "codecanvas-dev-worker")["nodeConfig"]["taints"]
    assert taints == [{"key": toleration["key"], "value": toleration["value"], "effect": "NO_SCHEDULE"}]
    assert toleration["effect"] == "NoSchedule"
    assert "taints" not in declared.inputs(POOL, "codecanvas-dev-system")["nodeConfig"]


def test_worker_pods_select_the_workers_label(declared: Declared) -> None:
    labels = declared.inputs(POOL, "codecanvas-dev-worker")["nodeConfig"]["labels"]
    assert labels.items() <= worker_pod(declared)["nodeSelector"].items()


def test_workers_run_an_image_for_privileged_pods(declared: Declared) -> None:
    assert declared.inputs(POOL, "codecanvas-dev-worker")["nodeConfig"]["imageType"] == "UBUNTU_CONTAINERD"


def test_pools_grow_and_shrink_by_themselves(declared: Declared) -> None:
    (pool,) = declared.all(POOL, "codecanvas-dev-worker")
    assert pool["inputs"]["autoscaling"] == {"minNodeCount": 1, "maxNodeCount": 10, "locationPolicy": "BALANCED"}
    assert pool["ignores"] == ["initialNodeCount"]


def test_disks_are_pd_balanced(declared: Declared) -> None:
    for pool in declared.all(POOL):
        assert pool["inputs"]["nodeConfig"]["diskType"] == "pd-balanced"
    storage = declared.inputs("kubernetes:storage.k8s.io/v1:StorageClass")
    assert storage["provisioner"] == "pd.csi.storage.gke.io"
    assert storage["parameters"] == {"type": "pd-balanced"}
    snapshots = declared.inputs("kubernetes:snapshot.storage.k8s.io/v1:VolumeSnapshotClass")
    assert snapshots["driver"] == "pd.csi.storage.gke.io"
    addons = declared.inputs(CLUSTER)["addonsConfig"]
    assert addons["gcePersistentDiskCsiDriverConfig"] == {"enabled": True}


def test_pods_see_their_own_identity_and_not_the_nodes(declared: Declared) -> None:
    for pool in declared.all(POOL):
        assert pool["inputs"]["nodeConfig"]["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}
    assert declared.inputs(CLUSTER)["workloadIdentityConfig"] == {"workloadPool": "platform-team.svc.id.goog"}


def test_nodes_do_not_run_as_the_projects_default_account(declared: Declared) -> None:
    emails = {pool["inputs"]["nodeConfig"]["serviceAccount"] for pool in declared.all(POOL)}
    emails.add(declared.inputs(CLUSTER)["nodeConfig"]["serviceAccount"])
    (email,) = emails
    assert email.startswith("nodes-")
    roles = {item["inputs"]["role"] for item in declared.all("gcp:projects/iAMMember:IAMMember", "nodes-")}
    assert roles == {"roles/container.defaultNodeServiceAccount", "roles/artifactregistry.reader"}


def test_dev_environments_identity_is_bound_to_exactly_their_service_account(declared: Declared) -> None:
    binding = declared.inputs("gcp:serviceaccount/iAMMember:IAMMember")
    account = declared.inputs("kubernetes:core/v1:ServiceAccount")["metadata"]
    assert binding["role"] == "roles/iam.workloadIdentityUser"
    assert binding["member"] == f"serviceAccount:platform-team.svc.id.goog[{account['namespace']}/{account['name']}]"
    email = account["annotations"]["iam.gke.io/gcp-service-account"]
    assert binding["serviceAccountId"].endswith(f"/{email}")
    assert email == declared.outputs["devEnvironmentIdentity"]


def test_roles_of_dev_environments_go_to_their_identity() -> None:
    declared = GKE.declare({"devEnvironmentRoles": '["roles/storage.objectViewer"]'})
    member = declared.inputs("gcp:projects/iAMMember:IAMMember", "dev-environment-")
    assert member["role"] == "roles/storage.objectViewer"
    assert member["member"] == f"serviceAccount:{declared.outputs['devEnvironmentIdentity']}"


def test_no_public_endpoint_unless_asked(declared: Declared) -> None:
    cluster = declared.inputs(CLUSTER)
    assert cluster["privateClusterConfig"] == {"enablePrivateNodes": True, "enablePrivateEndpoint": True}
    assert cluster["masterAuthorizedNetworksConfig"] == {"cidrBlocks": []}


def test_a_public_endpoint_is_open_to_the_named_networks_only() -> None:
    cluster = GKE.declare({"publicAccessCidrs": '["203.0.113.0/24"]'}).inputs(CLUSTER)
    assert cluster["privateClusterConfig"] == {"enablePrivateNodes": True, "enablePrivateEndpoint": False}
    assert cluster["masterAuthorizedNetworksConfig"] == {"cidrBlocks": [{"cidrBlock": "203.0.113.0/24"}]}


def test_the_cluster_is_vpc_native_on_a_release_channel(declared: Declared) -> None:
    cluster = declared.inputs(CLUSTER)
    ranges = {item["rangeName"] for item in declared.inputs("gcp:compute/subnetwork:Subnetwork")["secondaryIpRanges"]}
    assert set(cluster["ipAllocationPolicy"].values()) == ranges
    assert cluster["releaseChannel"] == {"channel": "REGULAR"}
    assert cluster["minMasterVersion"] == "1.34"


def test_upgrades_stop_no_dev_environment_on_a_working_day(declared: Declared) -> None:
    window = declared.inputs(CLUSTER)["maintenancePolicy"]["recurringWindow"]
    assert window["recurrence"] == "FREQ=WEEKLY;BYDAY=SA,SU"


def test_a_destroy_may_delete_the_cluster(declared: Declared) -> None:
    assert declared.inputs(CLUSTER)["deletionProtection"] is False


def test_the_kubeconfig_is_secret_and_holds_no_credential(declared: Declared) -> None:
    kubeconfig = declared.inputs("pulumi:providers:kubernetes")["kubeconfig"]
    assert is_secret(kubeconfig)
    assert is_secret(declared.outputs["kubeconfig"])
    (user,) = json.loads(reveal(kubeconfig))["users"]
    assert list(user["user"]) == ["exec"]
    assert user["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"


def test_the_platform_depends_on_nodes_and_rights() -> None:
    declared = GKE.declare({"devEnvironmentRoles": '["roles/storage.objectViewer"]'})
    (platform,) = declared.all("codecanvas:index:ComputingPlatform")
    needed = {item["name"] for item in declared.all(POOL)}
    assert needed | {"dev-environment", "dev-environment-storage.objectViewer"} <= set(platform["after"])


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"gcp:project": None}, "gcp:project"),
        ({"gcp:project": "somebody-elses"}, "gcp:project"),
        ({"gcp:region": None}, "gcp:region"),
        ({"gcp:region": "europe-wset3"}, "gcp:region"),
        ({"kubernetesVersion": "1.22"}, "codecanvas-gke:kubernetesVersion"),
        ({"kubernetesVersion": "1.29"}, "codecanvas-gke:kubernetesVersion"),
        ({"kubernetesVersion": "1.99"}, "codecanvas-gke:kubernetesVersion"),
        ({"kubernetesVersion": "latest"}, "codecanvas-gke:kubernetesVersion"),
        ({"zones": "7"}, "codecanvas-gke:zones"),
        ({"workerMachineType": "n9-standard-1"}, "codecanvas-gke:workerMachineType"),
        ({"workerMachineType": "e2-standard-2"}, "codecanvas-gke:workerMachineType"),
        ({"workerMachineType": "t2a-standard-8"}, "codecanvas-gke:workerMachineType"),
    ],
)
def test_a_setting_that_google_cloud_does_not_offer_is_refused_by_its_key(
    changes: dict[str, str | None], key: str
) -> None:
    answer = GKE.declare(changes)
    assert answer.error is not None
    assert f"{key}: " in answer.error
    assert answer.resources == []


def test_a_version_that_the_channel_has_outgrown_is_refused_by_google_cloud_alone_and_for_a_new_cluster() -> None:
    with pytest.raises(AssertionError, match=r"minMasterVersion: no valid versions with the prefix 1\.32"):
        GKE.declare({"kubernetesVersion": "1.32"})
