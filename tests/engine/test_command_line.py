"""`codecanvas status` and `codecanvas test` on a real stack, and the connection test as the gate of an update."""

from __future__ import annotations

import base64
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from codecanvas_provider.cluster import DEPLOYMENT, SECRET, STORAGE_CLASS, Cluster
from codecanvas_provider.connection_checks import CHECK_NAMES
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.releases import ROLE
from tests.support.site import Site
from tests.support.stack import make_stack
from tests.support.waiting import wait_for
from tools.toolchain import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.stack import Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

OPERATOR = "codecanvas-operator"
WELL, NOT_WELL, UNUSABLE = 0, 1, 2


class Life:
    """A stack with two platforms: `near` in the ambient cluster, `sealed` with a kubeconfig of its own."""

    def __init__(self, stack: Stack, cluster: LocalCluster, admin: Cluster) -> None:
        self.stack = stack
        self.admin = admin
        self.near, self.sealed = unique("near"), unique("sealed")
        self.site = Site(admin, cluster, self.near)
        stack.set(self.near, storage={"driver": "ebs.csi.aws.com"})
        stack.set(self.sealed, kubeconfig=stack.seal(cluster.kubeconfig.read_text()))
        stack.up()

    def call(
        self, *arguments: str, cwd: Path | None = None, **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run `codecanvas`; an environment variable of None is taken away."""
        known = {**self.stack.environment, "COLUMNS": "200", **environment}
        done = subprocess.run(
            [Path(sys.prefix, "bin", "codecanvas"), *arguments],
            cwd=cwd or self.stack.project,
            env={name: value for name, value in known.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        return done

    def status(self) -> dict[str, dict[str, Any]]:
        rows = json.loads(self.call("status", "--json").stdout)
        return {row["platformName"]: row for row in rows}

    def failed_checks(self) -> dict[str, str]:
        """Run the checks of `near` by the command line; give the messages of those that fail."""
        done = self.call("test", self.near, "--json")
        checks = json.loads(done.stdout)
        assert [check["name"] for check in checks] == list(CHECK_NAMES)
        failed = {check["name"]: check["message"] for check in checks if check["status"] == "Failed"}
        assert done.returncode == (NOT_WELL if failed else WELL)
        return failed


@pytest.fixture(scope="module")
def life(home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster) -> Iterator[Life]:
    with make_stack(home, shared_cluster.kubeconfig, [admin]) as stack:
        yield Life(stack, shared_cluster, admin)


def test_status_shows_the_platforms_and_no_secret(life: Life) -> None:
    life.site.start(2)
    done = life.call("status")
    assert done.returncode == WELL, done.stderr
    for platform in (life.near, life.sealed):
        assert re.search(rf"{platform} .* no .* ready .* SHA256:\S+ .* 2025\.1\.0 .* Success", done.stdout), done.stdout
    row = life.status()[life.near]
    outputs = life.stack.outputs(life.near)
    assert row["problems"] == []
    assert (row["frozen"], row["runningDevEnvironments"], row["lastTest"]) == (False, 2, "Success")
    assert (row["keyFingerprint"], row["chartVersion"]) == (outputs["key_fingerprint"], outputs["chart_version"])
    kubeconfig = yaml.safe_load(Path(life.stack.environment["KUBECONFIG"]).read_text())
    printed = done.stdout + done.stderr + json.dumps(row)
    key = life.admin.get(SECRET, OPERATOR, life.near)
    assert key is not None
    lines = base64.b64decode(key["data"]["jwtPrivateKey"]).decode().splitlines()
    for secret in (kubeconfig["users"][0]["user"]["token"], *lines[1:3]):
        assert len(secret) > 20
        assert secret not in printed


def test_test_prints_the_checks(life: Life) -> None:
    done = life.call("test", life.sealed)
    assert done.returncode == WELL, done.stdout + done.stderr
    for name in CHECK_NAMES:
        assert re.search(rf"{name} .*(Success|Skipped)", done.stdout), done.stdout
    assert life.failed_checks() == {}


def test_wrong_usage_is_told_in_one_line_with_the_way_out(life: Life, tmp_path: Path) -> None:
    unknown = life.call("test", "asia")
    assert unknown.returncode == UNUSABLE
    assert unknown.stderr == f"the stack has no platform asia; it has {life.near}, {life.sealed}\n"
    assert life.call("test").returncode == UNUSABLE
    (tmp_path / "Pulumi.yaml").write_text("name: codecanvas\nruntime: yaml\n")
    unselected = life.call("status", cwd=tmp_path, PULUMI_STACK=None)
    assert unselected.returncode == UNUSABLE
    assert "no stack selected" in unselected.stderr
    assert "pulumi stack select" in unselected.stderr
    missing = life.call("status", "--stack", "nowhere")
    assert missing.returncode == UNUSABLE
    assert "nowhere" in missing.stderr
    (tmp_path / "empty").mkdir()
    outside = life.call("status", "--cwd", str(tmp_path / "no-such-folder"))
    assert outside.returncode == UNUSABLE
    assert "no-such-folder" in outside.stderr
    for done in (unselected, missing, outside):
        assert done.stdout == ""
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_stack_is_found_from_another_directory(life: Life, tmp_path: Path) -> None:
    done = life.call("status", "--json", "-C", str(life.stack.project), "-s", life.stack.name, cwd=tmp_path)
    assert {row["platformName"] for row in json.loads(done.stdout)} == {life.near, life.sealed}


def test_missing_passphrase_is_told(life: Life) -> None:
    done = life.call("status", PULUMI_CONFIG_PASSPHRASE_FILE=None)
    assert done.returncode == UNUSABLE
    assert "PULUMI_CONFIG_PASSPHRASE" in done.stderr
    assert done.stdout == ""


def test_cluster_that_does_not_answer_is_told_beside_those_that_do(life: Life, tmp_path: Path) -> None:
    config = yaml.safe_load(Path(life.stack.environment["KUBECONFIG"]).read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (tmp_path / "away").write_text(yaml.safe_dump(config))
    away = str(tmp_path / "away")
    shown = life.call("status", "--json", KUBECONFIG=away)
    assert shown.returncode == NOT_WELL
    rows = {row["platformName"]: row for row in json.loads(shown.stdout)}
    assert rows[life.sealed]["problems"] == []
    assert "no answer from https://127.0.0.1:1" in rows[life.near]["problems"][0]
    tested = life.call("test", life.near, "--json", KUBECONFIG=away)
    assert tested.returncode == NOT_WELL
    first, *others = json.loads(tested.stdout)
    assert (first["name"], first["status"]) == ("Cluster reachable", "Failed")
    assert "kubectl version" in first["message"]
    assert {check["status"] for check in others} == {"Skipped"}


def test_failed_check_shows_in_a_refresh_and_fails_the_next_update_by_name(life: Life) -> None:
    life.admin.patch(DEPLOYMENT, OPERATOR, {"spec": {"replicas": 0}}, life.near)
    wait_for(lambda: not life.status()[life.near]["operatorReady"], "the operator to be gone")
    assert life.call("status").returncode == NOT_WELL
    assert "kubectl scale" in life.failed_checks()["Operator"]
    assert f"{life.near}-test" in life.stack.refresh().changes
    assert life.status()[life.near]["lastTest"] == "Failed: Operator"
    failed = life.stack.up(ok=False)
    assert f"the connection test of platform {life.near} failed: Operator" in failed.text
    for row in (r"Cluster reachable +Success +Kubernetes v", "Helm release +Success", "Operator +Failed +Deployment"):
        assert re.search(row, failed.text), failed.text
    assert failed.changes == {f"{life.near}-test": "update"}
    life.admin.patch(DEPLOYMENT, OPERATOR, {"spec": {"replicas": 1}}, life.near)
    assert life.stack.up().changes == {f"{life.near}-test": "update"}
    assert life.stack.up("--expect-no-changes").changes == {}
    assert life.failed_checks() == {}


def test_the_way_out_that_a_check_names_leads_out(life: Life) -> None:
    life.admin.delete(ROLE, OPERATOR, life.near)
    found = wait_for(life.failed_checks, "the missing Role to be seen")
    assert list(found) == ["Operator permissions"]
    advice = re.search(r"`(helm rollback [^`]+)`", found["Operator permissions"])
    assert advice is not None
    helm(life.stack.environment, *shlex.split(advice[1])[1:])
    life.stack.up("--refresh")
    assert life.failed_checks() == {}


def test_uninstalled_release_and_deleted_class_come_back_by_up_with_refresh(life: Life) -> None:
    helm(life.stack.environment, "uninstall", OPERATOR, "--namespace", life.near)
    life.admin.delete(STORAGE_CLASS, f"codecanvas-{life.near}")
    found = life.failed_checks()
    assert list(found) == ["Helm release", "Storage class"]
    assert all("`pulumi up --refresh`" in message for message in found.values())
    back = life.stack.up("--refresh")
    assert {f"{life.near}-release", f"{life.near}-storage-class", f"{life.near}-test"} <= back.changes.keys()
    assert life.failed_checks() == {}
    assert life.status()[life.near]["problems"] == []
    assert life.stack.up("--expect-no-changes").changes == {}


def test_update_runs_the_test_again_for_what_it_depends_on_and_for_nothing_else(life: Life) -> None:
    test = f"{life.near}-test"
    life.stack.set(life.near, podTemplate={"kind": "Pod", "apiVersion": "v1", "spec": {"containers": [
        {"name": "worker-main", "resources": {"requests": {"cpu": "2"}}}
    ]}})  # fmt: skip
    assert test in life.stack.up().changes
    life.stack.set(life.near, stopTimeout=60)
    assert test not in life.stack.up().changes


def test_tightened_namespace_fails_the_pod_template_alone(stack: Stack, admin: Cluster) -> None:
    namespace = make_namespace(admin, "tight", {"pod-security.kubernetes.io/enforce": "restricted"})
    name = unique("tight")
    stack.set(name, namespace=namespace, createNamespace=False, operatorNamespace=f"{namespace}-operator")
    failed = stack.up(ok=False)
    assert f"the connection test of platform {name} failed: Pod template\n" in failed.text
    assert 'violates PodSecurity "restricted:latest"' in failed.text


def helm(environment: dict[str, str], *arguments: str) -> None:
    program = ensure("helm", quiet=True)["helm"]
    environment = {**environment, "PATH": os.environ["PATH"]}
    done = subprocess.run([program, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
