"""The stand-in operator chart under the real Helm: it behaves as the tests of the package need it."""

from __future__ import annotations

import base64
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from kubernetes.client import ApiException, AppsV1Api

from tests.support.namespaces import make_namespace
from tests.support.workers import connect
from tools.toolchain import ensure

if TYPE_CHECKING:
    from codecanvas_provider.cluster import Cluster
    from tools.cluster import LocalCluster

pytestmark = pytest.mark.engine

CHART = Path(__file__).parents[2] / "tools" / "charts" / "codecanvas-operator"
RELEASE = "codecanvas-operator"


def make_key(form: serialization.PrivateFormat = serialization.PrivateFormat.PKCS8) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def make_values(target: str = "dev", key: str | None = None, **more: Any) -> dict[str, Any]:
    secret = {"operatorServerUrl": "http://codecanvas.example.com:8098", "instanceId": "8a3c"}
    return {"operator": {"targetNamespace": target, "secret": {**secret, "jwtPrivateKey": key or make_key()}}, **more}


@dataclass
class Helm:
    """Helm, which reads values from its stdin, with a home of its own."""

    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str, values: dict[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
        environment = {"HOME": str(self.home), "PATH": ""}
        if self.kubeconfig is not None:
            environment["KUBECONFIG"] = str(self.kubeconfig)
        command = [str(ensure("helm", quiet=True)["helm"]), *arguments]
        if values is not None:
            command += ["--values", "-"]
        return subprocess.run(
            command,
            input=yaml.safe_dump(values),
            env=environment,
            text=True,
            capture_output=True,
            timeout=120,
            check=False,
        )

    def render(self, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        # Without a cluster, a Helm built without its version assumes a Kubernetes that is too old.
        return self.run("template", RELEASE, str(CHART), "--kube-version", "1.30.0", values=values)

    def upgrade(
        self, namespace: str, values: dict[str, Any], *options: str, timeout: str = "60s"
    ) -> subprocess.CompletedProcess[str]:
        place = ("--namespace", namespace, "--wait", "--timeout", timeout)
        return self.run("upgrade", "--install", RELEASE, str(CHART), *place, *options, values=values)


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    return Helm(tmp_path)


@pytest.fixture
def cluster_helm(tmp_path: Path, shared_cluster: LocalCluster) -> Helm:
    return Helm(tmp_path, shared_cluster.kubeconfig)


@pytest.fixture
def core(shared_cluster: LocalCluster) -> Any:
    return connect(shared_cluster.kubeconfig)


def test_chart_lints(helm: Helm) -> None:
    result = helm.run("lint", "--strict", str(CHART), values=make_values())
    assert result.returncode == 0, result.stdout + result.stderr


def test_chart_calls_itself_a_stand_in() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["name"], chart["version"]) == ("codecanvas-operator", "2025.1.0")
    assert "stand-in" in chart["description"]
    assert "stand-in" in (CHART / "README.md").read_text()


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_both_pem_forms_of_a_key_are_taken(helm: Helm, form: serialization.PrivateFormat) -> None:
    key = make_key(form)
    result = helm.render(make_values(key=key))
    assert result.returncode == 0, result.stderr
    [secret] = [item for item in yaml.safe_load_all(result.stdout) if item["kind"] == "Secret"]
    assert base64.b64decode(secret["data"]["jwtPrivateKey"]).decode() == key


def test_missing_values_are_named(helm: Helm) -> None:
    result = helm.render({})
    assert result.returncode != 0
    for name in ("targetNamespace", "operatorServerUrl", "jwtPrivateKey", "instanceId"):
        assert name in result.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("jwtPrivateKey", "hunter2"),
        ("jwtPrivateKey", "-----BEGIN PRIVATE KEY-----\nhunter2"),
        ("jwtPrivateKey", {"pem": "hunter2"}),
        ("jwtPrivateKey", ["hunter2"]),
        ("operatorServerUrl", "hunter2"),
        ("instanceId", ["hunter2"]),
        ("other", "hunter2"),
    ],
)
def test_refused_value_is_named_and_never_printed(helm: Helm, name: str, value: Any) -> None:
    values = make_values()
    values["operator"]["secret"][name] = value
    result = helm.render(values)
    assert result.returncode != 0
    assert name in result.stderr
    assert "hunter2" not in result.stderr + result.stdout
    assert "PRIVATE KEY" not in result.stderr + result.stdout


def test_pods_meet_the_restricted_standard_and_become_ready(cluster_helm: Helm, admin: Cluster, core: Any) -> None:
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    namespace = make_namespace(admin, "restricted", labels)
    result = cluster_helm.upgrade(namespace, make_values(namespace))
    assert result.returncode == 0, result.stderr
    assert "PodSecurity" not in result.stderr
    [pod] = core.list_namespaced_pod(namespace).items
    assert {item.type: item.status for item in pod.status.conditions}["Ready"] == "True"


def test_rights_are_given_in_the_target_namespace(
    cluster_helm: Helm, admin: Cluster, shared_cluster: LocalCluster
) -> None:
    home, target = make_namespace(admin, "operator"), make_namespace(admin, "target")
    result = cluster_helm.upgrade(home, make_values(target))
    assert result.returncode == 0, result.stderr
    operator = connect(shared_cluster.service_account_kubeconfig(home, RELEASE))
    assert operator.list_namespaced_pod(target).items == []
    with pytest.raises(ApiException, match="Forbidden"):
        operator.list_namespaced_pod(home)


def test_new_key_alone_restarts_nothing(cluster_helm: Helm, admin: Cluster, core: Any) -> None:
    namespace = make_namespace(admin, "rotation")
    cluster_helm.upgrade(namespace, make_values(namespace))
    [before] = core.list_namespaced_pod(namespace).items
    key = make_key()
    result = cluster_helm.upgrade(namespace, make_values(namespace, key))
    assert result.returncode == 0, result.stderr
    [after] = core.list_namespaced_pod(namespace).items
    assert after.metadata.uid == before.metadata.uid
    stored = core.read_namespaced_secret(RELEASE, namespace).data["jwtPrivateKey"]
    assert base64.b64decode(stored).decode() == key


def test_failing_hook_fails_the_install(cluster_helm: Helm, admin: Cluster) -> None:
    namespace = make_namespace(admin, "hook")
    result = cluster_helm.upgrade(namespace, make_values(namespace, standIn={"failingHook": True}))
    assert result.returncode != 0
    assert "failing-hook" in result.stderr
    assert "BackoffLimitExceeded" in result.stderr


@pytest.mark.parametrize(
    "fault",
    [{"nodeSelector": {"no": "such-node"}}, {"podAnnotations": {"local-cluster/never-ready": "true"}}],
    ids=["unschedulable", "image"],
)
def test_operator_that_is_never_ready_fails_the_install_in_time(
    cluster_helm: Helm, admin: Cluster, shared_cluster: LocalCluster, fault: dict[str, Any]
) -> None:
    namespace = make_namespace(admin, "never-ready")
    result = cluster_helm.upgrade(namespace, make_values(namespace, **fault), timeout="3s")
    assert result.returncode != 0
    apps: Any = AppsV1Api(connect(shared_cluster.kubeconfig).api_client)
    status = apps.read_namespaced_deployment(RELEASE, namespace).status
    assert not status.ready_replicas
    assert {item.type: item.status for item in status.conditions}["Available"] == "False"
