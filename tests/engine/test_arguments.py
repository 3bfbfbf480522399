"""What each argument of a platform makes of the cluster, on the real engine and API server."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from codecanvas_provider.cluster import (
    DEPLOYMENT,
    NAMESPACE,
    POD_TEMPLATE,
    QUOTA,
    SECRET,
    SNAPSHOT_CLASS,
    STORAGE_CLASS,
    Cluster,
    Kind,
)
from codecanvas_provider.connection_checks import CHECK_NAMES
from pulumi_codecanvas.keys import fingerprint, normalize_private_key, public_key_pem
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.releases import SERVICE_ACCOUNT
from tests.support.secret_search import find_secrets
from tests.support.stack import CHECKOUT, failed_checks

if TYPE_CHECKING:
    from tests.support.stack import Stack

pytestmark = pytest.mark.engine

LIMITS = Kind("LimitRange", "v1", "limitranges")
NETWORK_POLICY = Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies")
ROLE_ARN = "arn:aws:iam::111122223333:role/dev-environments"
URL = "http://elsewhere.example.com:8098"


def make_pem(
    curve: ec.EllipticCurve | None = None, form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8
) -> str:
    key = ec.generate_private_key(curve or ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def read(admin: Cluster, kind: Kind, name: str, namespace: str | None = None) -> dict[str, Any]:
    found = admin.get(kind, name, namespace)
    assert found is not None, f"{kind.name} {name}"
    return dict(found)


def test_every_argument_shows_in_the_cluster(stack: Stack, admin: Cluster) -> None:
    name, place, operators = unique("full"), unique("envs"), unique("operators")
    key = make_pem(form=serialization.PrivateFormat.TraditionalOpenSSL)
    stack.set(
        "entry",
        serverUrl=URL,
        platformName=name,
        instanceId="instance-7",
        namespace=place,
        operatorNamespace=operators,
        podTemplate=(CHECKOUT / "tools/charts/worker-pod.yaml").read_text(),
        propagateEnv=["HTTP_PROXY", "TEAM"],
        propagatePaths=["/etc/ca.pem"],
        serviceAccounts={"dev": {"eks.amazonaws.com/role-arn": ROLE_ARN}, "plain": {}},
        labels={"team": "blue"},
        annotations={"example.com/owner": "platform"},
        releaseName="our-release",
        values={"replicaCount": 2, "podLabels": {"tier": "gold"}},
        privateKey=stack.seal(key),
        podSecurity="baseline",
        quota={"pods": 20, "requests.cpu": "64"},
        limits={"defaultRequest": {"cpu": "100m"}, "default": {"cpu": 2}},
        networkPolicy=True,
        storage="eks",
    )
    stack.up()
    assert_namespaces(admin, place, operators)
    assert_worker(admin, name, place)
    assert_hardening(admin, name, place, operators)
    assert_release(admin, operators, key)
    assert_storage(admin, name)
    outputs = stack.outputs("entry")
    expected = (name, place, operators, "our-release", "deployed")
    keys = ("platform_name", "namespace", "operator_namespace", "release_name", "release_status")
    assert tuple(outputs[key] for key in keys) == expected
    assert outputs["public_key"] == public_key_pem(key)
    assert outputs["key_fingerprint"] == fingerprint(public_key_pem(key))
    assert failed_checks(outputs) == []
    assert stack.up("--expect-no-changes").changes == {}
    # The same key in its other spelling is no change.
    stack.set("entry", privateKey=stack.seal(normalize_private_key(key)))
    assert stack.up("--expect-no-changes").changes == {}


def assert_namespaces(admin: Cluster, place: str, operators: str) -> None:
    for namespace in (place, operators):
        metadata = read(admin, NAMESPACE, namespace)["metadata"]
        assert metadata["labels"]["team"] == "blue"
        assert metadata["labels"]["app.kubernetes.io/managed-by"] == "pulumi"
        assert metadata["annotations"]["example.com/owner"] == "platform"
    labels = read(admin, NAMESPACE, place)["metadata"]["labels"]
    assert [labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")] == ["baseline"] * 3


def assert_worker(admin: Cluster, name: str, place: str) -> None:
    template = read(admin, POD_TEMPLATE, name, place)["template"]
    [worker] = template["spec"]["containers"]
    variables = {variable["name"]: variable["value"] for variable in worker["env"]}
    assert variables == {
        "CODECANVAS": "true",
        "WORKER_STEP_CONTAINER_PROPAGATION_ENV_VAR_KEYS": "HTTP_PROXY;TEAM",
        "WORKER_STEP_CONTAINER_PROPAGATION_PATHS": "/etc/ca.pem",
    }
    assert template["metadata"]["labels"] == {"codecanvas": "true"}


def assert_hardening(admin: Cluster, name: str, place: str, operators: str) -> None:
    account = read(admin, SERVICE_ACCOUNT, "dev", place)["metadata"]
    assert account["annotations"]["eks.amazonaws.com/role-arn"] == ROLE_ARN
    assert account["labels"]["team"] == "blue"
    assert read(admin, SERVICE_ACCOUNT, "plain", place)
    assert read(admin, QUOTA, name, place)["spec"]["hard"] == {"pods": "20", "requests.cpu": "64"}
    [limit] = read(admin, LIMITS, name, place)["spec"]["limits"]
    assert (limit["type"], limit["defaultRequest"], limit["default"]) == ("Container", {"cpu": "100m"}, {"cpu": "2"})
    policy = read(admin, NETWORK_POLICY, name, place)["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert operators in yaml.safe_dump(policy["ingress"])
    assert "169.254.169.254/32" in yaml.safe_dump(policy["egress"])


def assert_release(admin: Cluster, operators: str, key: str) -> None:
    # The chart names its objects after the release.
    deployment = read(admin, DEPLOYMENT, "our-release-codecanvas-operator", operators)
    assert deployment["spec"]["replicas"] == 2
    assert deployment["spec"]["template"]["metadata"]["labels"]["tier"] == "gold"
    data = read(admin, SECRET, "our-release-codecanvas-operator", operators)["data"]
    secret = {name: base64.b64decode(value).decode() for name, value in data.items()}
    assert secret == {
        "operatorServerUrl": URL,
        "instanceId": "instance-7",
        "jwtPrivateKey": normalize_private_key(key),
    }


def assert_storage(admin: Cluster, name: str) -> None:
    storage = read(admin, STORAGE_CLASS, f"codecanvas-{name}")
    assert storage["provisioner"] == "ebs.csi.aws.com"
    assert storage["parameters"] == {"type": "gp3", "iops": "16000", "throughput": "750"}
    assert (storage["reclaimPolicy"], storage["allowVolumeExpansion"]) == ("Delete", True)
    snapshots = read(admin, SNAPSHOT_CLASS, f"codecanvas-{name}")
    assert (snapshots["driver"], snapshots["deletionPolicy"]) == ("ebs.csi.aws.com", "Delete")


def test_what_is_not_awaited_and_not_tested_passes_and_a_shared_operator_namespace_stays(
    stack: Stack, admin: Cluster
) -> None:
    name, operators = unique("loose"), make_namespace(admin, "shared-operators")
    stack.set(
        name,
        operatorNamespace=operators,
        createOperatorNamespace=False,
        skipAwait=True,
        testConnection=False,
        values={"nodeSelector": {"no": "such-node"}},
        storage={"driver": "pd.csi.storage.gke.io", "name": name, "parameters": {"type": "pd-ssd"}, "default": False},
    )
    stack.up()
    outputs = stack.outputs(name)
    assert set(outputs["connection"]) == set(CHECK_NAMES)
    assert read(admin, STORAGE_CLASS, name)["parameters"] == {"type": "pd-ssd"}
    assert read(admin, SNAPSHOT_CLASS, name)["driver"] == "pd.csi.storage.gke.io"
    stack.destroy()
    assert read(admin, NAMESPACE, operators)["status"]["phase"] == "Active"
    assert admin.get(DEPLOYMENT, "codecanvas-operator", operators) is None


def test_unusable_private_keys_are_refused_in_preview_with_their_paths(stack: Stack) -> None:
    rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    whole = make_pem()
    bad = {
        "curve": (make_pem(ec.SECP384R1()), "is on the curve secp384r1, not P-256"),
        "cut": (whole[:-40], "is PEM that breaks off"),
        "spoilt": (whole.replace(whole.splitlines()[1][:4], "AAAA"), "is PEM that holds no readable private key"),
        "text": ("not-a-key-at-all-but-secret", "is not PEM"),
        "public": (public_key_pem(whole), "is a public key"),
        "rsa": (
            rsa_key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ).decode(),
            "is of type RSA",
        ),
    }
    names = {kind: unique(kind) for kind in bad}
    for kind, (pem, _) in bad.items():
        stack.set(names[kind], privateKey=stack.seal(pem))
    run = stack.preview(ok=False)
    for kind, (_, says) in bad.items():
        [line] = [line for line in run.errors.splitlines() if f"platforms.{names[kind]}." in line]
        assert f"codecanvas:platforms.{names[kind]}.privateKey: {says}" in line
    secrets = {kind: pem for kind, (pem, _) in bad.items() if kind != "public"}
    assert find_secrets({"output": (run.text + run.event_log).encode()}, secrets) == []
