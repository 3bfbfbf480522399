"""What examples/eks is meant to do, read off the resources that its program declares."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from tests.support.examples import EKS, Declared, is_secret, reveal

CLUSTER = "eks:index:Cluster"
NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
ROLE = "aws:iam/role:Role"
ADDON = "aws:eks/addon:Addon"


@pytest.fixture(scope="module")
def declared() -> Declared:
    answer = EKS.declare()
    assert answer.error is None
    return answer


def worker_pod(declared: Declared) -> dict[str, Any]:
    pod: dict[str, Any] = declared.inputs("kubernetes:core/v1:PodTemplate")["template"]["spec"]
    return pod


def test_workers_are_tainted_and_only_worker_pods_tolerate_it(declared: Declared) -> None:
    (toleration,) = worker_pod(declared)["tolerations"]
    groups = declared.all(NODE_GROUP, "codecanvas-dev-worker")
    assert groups
    for group in groups:
        assert group["inputs"]["taints"] == [
            {"key": toleration["key"], "value": toleration["value"], "effect": "NO_SCHEDULE"}
        ]
    assert toleration["effect"] == "NoSchedule"
    assert "taints" not in declared.inputs(NODE_GROUP, "codecanvas-dev-system")


def test_worker_pods_select_the_workers_label(declared: Declared) -> None:
    selector = worker_pod(declared)["nodeSelector"]
    for group in declared.all(NODE_GROUP, "codecanvas-dev-worker"):
        assert group["inputs"]["labels"].items() <= selector.items()
    assert selector["kubernetes.io/arch"] == "amd64"


def test_workers_join_with_their_taint_and_label_from_the_first_moment(declared: Declared) -> None:
    script = base64.b64decode(declared.inputs(TEMPLATE, "codecanvas-dev-worker")["userData"]).decode()
    assert "--register-with-taints=dedicated=dev-environments:NoSchedule" in script
    assert "--node-labels=dedicated=dev-environments" in script
    assert "/etc/eks/bootstrap.sh codecanvas-dev " in script


def test_each_zone_has_workers_of_its_own(declared: Declared) -> None:
    groups = declared.all(NODE_GROUP, "codecanvas-dev-worker")
    assert [group["name"] for group in groups] == [f"codecanvas-dev-worker-eu-central-1{zone}" for zone in "ab"]
    subnets = [group["inputs"]["subnetIds"] for group in groups]
    assert all(len(ids) == 1 for ids in subnets)
    assert subnets[0] != subnets[1]


def test_pods_cannot_reach_the_nodes_credentials(declared: Declared) -> None:
    templates = declared.all(TEMPLATE)
    assert len(templates) == 2
    for template in templates:
        assert template["inputs"]["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 1,
        }


def test_disks_are_encrypted_gp3(declared: Declared) -> None:
    for template in declared.all(TEMPLATE):
        (device,) = template["inputs"]["blockDeviceMappings"]
        assert device["ebs"]["encrypted"] == "true"
        assert device["ebs"]["volumeType"] == "gp3"


def test_workers_run_ubuntu_and_keep_their_image(declared: Declared) -> None:
    (template,) = declared.all(TEMPLATE, "codecanvas-dev-worker")
    assert template["inputs"]["imageId"] == "ami-0c0decafe00000001"
    assert template["ignores"] == ["imageId"]


def test_a_pinned_image_is_followed() -> None:
    (template,) = EKS.declare({"workerImageRelease": "20260801"}).all(TEMPLATE, "codecanvas-dev-worker")
    assert template["ignores"] == []


def test_an_autoscaler_is_not_fought(declared: Declared) -> None:
    for group in declared.all(NODE_GROUP):
        assert group["ignores"] == ["scalingConfig.desiredSize"]


def test_volumes_are_what_codecanvas_recommends(declared: Declared) -> None:
    storage = declared.inputs("kubernetes:storage.k8s.io/v1:StorageClass")
    assert storage["provisioner"] == "ebs.csi.aws.com"
    assert storage["parameters"] == {"type": "gp3", "iops": "16000", "throughput": "750"}
    assert (storage["reclaimPolicy"], storage["allowVolumeExpansion"]) == ("Delete", True)
    snapshots = declared.inputs("kubernetes:snapshot.storage.k8s.io/v1:VolumeSnapshotClass")
    assert (snapshots["driver"], snapshots["deletionPolicy"]) == ("ebs.csi.aws.com", "Delete")


def test_the_volume_driver_has_an_identity_of_its_own(declared: Declared) -> None:
    driver = declared.inputs(ADDON, "codecanvas-dev-aws-ebs-csi-driver")
    (association,) = driver["podIdentityAssociations"]
    assert association["serviceAccount"] == "ebs-csi-controller-sa"
    assert "codecanvas-dev-ebs-csi" in association["roleArn"]
    trust = json.loads(declared.inputs(ROLE, "codecanvas-dev-ebs-csi")["assumeRolePolicy"])
    assert trust["Statement"][0]["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert trust["Statement"][0]["Action"] == ["sts:AssumeRole", "sts:TagSession"]


def test_the_addons_of_the_recommendations_are_there(declared: Declared) -> None:
    names = {addon["inputs"]["addonName"] for addon in declared.all(ADDON)}
    assert names == {"coredns", "eks-pod-identity-agent", "aws-ebs-csi-driver", "snapshot-controller"}


def test_dev_environments_role_trusts_exactly_their_service_account(declared: Declared) -> None:
    trust = json.loads(declared.inputs(ROLE, "codecanvas-dev-dev-environment")["assumeRolePolicy"])
    (statement,) = trust["Statement"]
    assert statement["Action"] == ["sts:AssumeRoleWithWebIdentity"]
    ((operator, condition),) = statement["Condition"].items()
    assert operator == "StringEquals"
    facts = {key.rpartition(":")[2]: value for key, value in condition.items()}
    account = declared.inputs("kubernetes:core/v1:ServiceAccount")
    name, namespace = account["metadata"]["name"], account["metadata"]["namespace"]
    assert facts == {"sub": f"system:serviceaccount:{namespace}:{name}", "aud": "sts.amazonaws.com"}
    arn = account["metadata"]["annotations"]["eks.amazonaws.com/role-arn"]
    assert arn == declared.outputs["devEnvironmentRoleArn"]
    assert name == declared.outputs["serviceAccount"]


def test_what_eks_injects_reaches_the_dev_environment(declared: Declared) -> None:
    (worker,) = worker_pod(declared)["containers"]
    propagated = {item["name"]: item["value"] for item in worker["env"]}
    keys = propagated["WORKER_STEP_CONTAINER_PROPAGATION_ENV_VAR_KEYS"].split(";")
    assert {"AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"} <= set(keys)
    paths = propagated["WORKER_STEP_CONTAINER_PROPAGATION_PATHS"]
    assert paths == "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"


def test_no_public_endpoint_unless_asked(declared: Declared) -> None:
    cluster = declared.inputs(CLUSTER)
    assert (cluster["endpointPublicAccess"], cluster["endpointPrivateAccess"]) == (False, True)
    assert "publicAccessCidrs" not in cluster


def test_a_public_endpoint_is_open_to_the_named_networks_only() -> None:
    cluster = EKS.declare({"publicAccessCidrs": '["203.0.113.0/24"]'}).inputs(CLUSTER)
    assert cluster["endpointPublicAccess"] is True
    assert cluster["publicAccessCidrs"] == ["203.0.113.0/24"]


def test_administrators_come_by_access_entries() -> None:
    arn = "arn:aws:iam::123456789012:role/ops"
    cluster = EKS.declare({"adminRoleArns": json.dumps([arn])}).inputs(CLUSTER)
    assert cluster["authenticationMode"] == "API"
    assert cluster["accessEntries"]["ops"]["principalArn"] == arn


def test_the_kubeconfig_is_secret(declared: Declared) -> None:
    assert is_secret(declared.outputs["kubeconfig"])
    assert is_secret(declared.inputs("pulumi:providers:kubernetes")["kubeconfig"])


def test_the_platform_depends_on_nodes_addons_and_rights() -> None:
    declared = EKS.declare({"devEnvironmentPolicyArns": '["arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"]'})
    (platform,) = declared.all("codecanvas:index:ComputingPlatform")
    needed = {item["name"] for item in declared.all(ADDON)} | {
        item["name"] for item in declared.all(NODE_GROUP, "codecanvas-dev-worker")
    }
    assert needed | {"codecanvas-dev-dev-environment-AmazonS3ReadOnlyAccess"} <= set(platform["after"])


def test_a_freeze_is_one_setting() -> None:
    frozen = EKS.declare({"freeze": "true", "freezeReason": "node upgrade"})
    assert frozen.outputs["frozen"] is True
    policy = frozen.inputs("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy")
    assert "node upgrade" in policy["spec"]["validations"][0]["message"]


def test_the_pod_template_output_is_yaml_to_paste(declared: Declared) -> None:
    pod = yaml.safe_load(reveal(declared.outputs["podTemplate"]))
    assert pod["spec"]["containers"][0]["name"] == "worker-main"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"aws:region": None}, "aws:region"),
        ({"aws:region": "eu-centrall-1"}, "aws:region"),
        ({"kubernetesVersion": "1.22"}, "codecanvas-eks:kubernetesVersion"),
        ({"zones": "9"}, "codecanvas-eks:zones"),
        ({"zones": "1"}, "codecanvas-eks:zones"),
        ({"workerInstanceType": "m6i.huge"}, "codecanvas-eks:workerInstanceType"),
        ({"workerInstanceType": "m6i.large"}, "codecanvas-eks:workerInstanceType"),
        ({"workerInstanceType": "m7g.2xlarge"}, "codecanvas-eks:workerInstanceType"),
        ({"workerImageRelease": "20200101"}, "codecanvas-eks:workerImageRelease"),
    ],
)
def test_a_setting_that_aws_does_not_offer_is_refused_by_its_key(changes: dict[str, str | None], key: str) -> None:
    answer = EKS.declare(changes)
    assert answer.error is not None
    assert f"{key}: " in answer.error
    assert answer.resources == []


def test_all_wrong_settings_are_named_at_once() -> None:
    error = EKS.declare({"kubernetesVersion": "1.22", "zones": "9", "workerInstanceType": "m6i.huge"}).error
    assert error is not None
    for key in ("kubernetesVersion", "zones", "workerInstanceType"):
        assert f"codecanvas-eks:{key}: " in error
