"""What the stand-in for the kubernetes plugin decides without a cluster."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from google.protobuf import struct_pb2  # type: ignore[import-untyped] # protobuf ships no types
from pulumi.runtime.proto import provider_pb2 as proto

from codecanvas_provider import wire
from codecanvas_provider.resource import UNKNOWN
from tools.standin.kubernetes.diffs import compare, prune, replaces, replacing_fields
from tools.standin.kubernetes.helm import Chart, _explain, _find
from tools.standin.kubernetes.objects import _take_over
from tools.standin.kubernetes.release import _install, _resource_names, _upgrade, _with_defaults
from tools.standin.kubernetes.target import active_cluster
from tools.standin.kubernetes.values import encode, secret_paths, without_nulls

if TYPE_CHECKING:
    from pathlib import Path

_KINDS = proto.PropertyDiff
PASSWORD = "a-password-of-the-registry"


def _compare(old: dict[str, Any], new: dict[str, Any], *replacing: str) -> dict[str, int]:
    return {path: found.kind for path, found in compare(old, old, new, replacing).items()}


def test_every_difference_has_its_path_and_kind() -> None:
    old = {"spec": {"a": 1, "gone": True, "list": [{"x": 1}, {"y": 2}]}, "metadata": {"labels": {"a/b.c": "d"}}}
    new = {"spec": {"a": 2, "new": 1, "list": [{"x": 3}]}, "metadata": {"labels": {"a/b.c": UNKNOWN}}}
    assert _compare(old, new) == {
        "spec.a": _KINDS.UPDATE,
        "spec.gone": _KINDS.DELETE,
        "spec.new": _KINDS.ADD,
        "spec.list[0].x": _KINDS.UPDATE,
        "spec.list[1]": _KINDS.DELETE,
        'metadata.labels["a/b.c"]': _KINDS.UPDATE,
    }


def test_what_is_the_same_is_no_difference() -> None:
    assert _compare({"a": [1, {"b": 1.0}]}, {"a": [1, {"b": 1}]}) == {}


def test_a_quantity_that_the_api_server_writes_otherwise_is_no_difference() -> None:
    live = {"resources": {"requests": {"cpu": "4", "memory": "4Gi"}, "limits": {"cpu": "100m"}}}
    assert _compare(live, {"resources": {"requests": {"cpu": 4, "memory": "4096Mi"}, "limits": {"cpu": 0.1}}}) == {}
    assert _compare({"hard": {"pods": "4"}}, {"hard": {"pods": 5}}) == {"hard.pods": _KINDS.UPDATE}
    assert _compare({"limits": {"cpu": "4"}}, {"limits": {"cpu": "four"}}) == {"limits.cpu": _KINDS.UPDATE}
    assert _compare({"labels": {"cpu": "4"}}, {"labels": {"cpu": 4}}) == {"labels.cpu": _KINDS.UPDATE}


def test_what_the_program_never_asked_for_is_no_difference() -> None:
    live = {"metadata": {"name": "eu", "uid": "1"}, "spec": {"hard": {"pods": "5"}}, "status": {}}
    asked = {"metadata": {"name": "eu"}, "spec": {"hard": {"pods": "5"}}}
    assert compare(pruned := prune(live, asked), pruned, asked, ()) == {}


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("v1", "Namespace", "metadata.name"),
        ("v1", "PodTemplate", "metadata.namespace"),
        ("storage.k8s.io/v1", "StorageClass", "parameters.iops"),
        ("storage.k8s.io/v1", "StorageClass", "provisioner"),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "roleRef.name"),
    ],
)
def test_a_change_of_what_cannot_be_changed_replaces(api_version: str, kind: str, path: str) -> None:
    def nest(value: str) -> dict[str, Any]:
        nested: Any = value
        for key in reversed(path.split(".")):
            nested = {key: nested}
        return dict(nested)

    found = compare(nest("old"), nest("old"), nest("new"), replacing_fields(api_version, kind))
    assert replaces(found) == [path]


def test_a_change_of_labels_does_not_replace() -> None:
    old, new = ({"metadata": {"labels": {"a": value}}} for value in "bc")
    assert replaces(compare(old, old, new, replacing_fields("v1", "Namespace"))) == []


def test_a_secret_stays_secret_where_it_was_and_in_lists_as_a_whole() -> None:
    values = {"values": {"key": "hidden", "shown": 1}, "list": [1, 2]}
    encoded = encode(values, {("values", "key"), ("list", 1, "x"), ("missing",)})
    assert wire.decode(encoded).secrets == {("values", "key"), ("list",)}


def test_the_data_of_a_secret_is_always_secret() -> None:
    assert secret_paths({"kind": "Secret"}, ()) == {("data",), ("stringData",)}


def test_keys_without_a_value_are_left_out() -> None:
    assert without_nulls({"a": None, "b": [{"c": None}], "d": False}) == {"b": [{}], "d": False}


def test_an_update_takes_over_the_fields_of_the_create() -> None:
    created = {"manager": "pulumi-kubernetes", "operation": "Update", "fieldsV1": {"f:a": {"f:b": {}}}}
    own: dict[str, Any] = {
        "manager": "pulumi-kubernetes-12345678",
        "operation": "Apply",
        "fieldsV1": {"f:a": {"f:c": {}}},
    }
    other = {"manager": "somebody", "operation": "Update", "fieldsV1": {"f:d": {}}}
    fields: dict[str, Any] = {"f:a": {"f:b": {}, "f:c": {}}}
    assert _take_over([created, own, other], own["manager"]) == [{**own, "fieldsV1": fields}, other]


def _chart(name: str, **repository: str) -> Chart:
    return Chart(name, "1.0.0", repository, devel=False, verify=False, keyring="")


@pytest.mark.parametrize(
    ("chart", "address"),
    [("oci://registry.example.com/charts/operator", ""), ("operator", "https://charts.example.com")],
)
def test_a_password_is_in_a_file_of_the_owner_and_in_no_argument(tmp_path: Path, chart: str, address: str) -> None:
    environment: dict[str, str] = {}
    wanted = _chart(chart, repo=address, username="me", password=PASSWORD)
    name, options = _find(wanted, tmp_path, environment)
    assert not any(PASSWORD in word for word in [name, *options, *environment.values()])
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    if address:
        assert environment["HELM_REPOSITORY_CONFIG"] == str(file)
        assert yaml.safe_load(file.read_text())["repositories"][0]["password"] == PASSWORD
    else:
        login = json.loads(file.read_text())["auths"]["registry.example.com"]["auth"]
        assert base64.b64decode(login).decode() == f"me:{PASSWORD}"


def test_a_public_repository_is_named_as_it_is(tmp_path: Path) -> None:
    found = _find(_chart("operator", repo="https://charts.example.com"), tmp_path, {})
    assert found == ("operator", ["--version", "1.0.0", "--repo", "https://charts.example.com"])


def test_helms_own_sentence_is_left_of_what_it_says() -> None:
    said = "WARNING: something\nError: INSTALLATION FAILED: cannot reuse a name that is still in use\n"
    assert _explain(said) == "cannot reuse a name that is still in use"


def test_inputs_are_completed_and_become_helms_flags() -> None:
    given = {"name": "operator", "chart": "c", "atomic": True, "cleanupOnFail": True, "maxHistory": 2, "timeout": 60}
    inputs = _with_defaults(given, "", "", "home")
    assert inputs["namespace"] == "home"
    assert _install(inputs) == ["--timeout", "60s", "--wait", "--atomic"]
    assert _upgrade(inputs) == ["--timeout", "60s", "--wait", "--atomic", "--history-max", "2", "--cleanup-on-fail"]
    assert "--wait" not in _install({**inputs, "skipAwait": True})


def test_what_a_release_made_is_grouped_by_kind() -> None:
    things = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b", "namespace": "n"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": "n"}},
        None,
    ]
    assert _resource_names(yaml.safe_dump_all(things)) == {
        "Deployment.apps/apps/v1": ["n/d"],
        "Secret/v1": ["a", "n/b"],
    }


def test_a_provider_is_another_only_with_another_cluster() -> None:
    def kubeconfig(server: str, token: str) -> str:
        return yaml.safe_dump(
            {
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server}}],
                "users": [{"name": "u", "user": {"token": token}}],
            }
        )

    one, renewed, other = (
        active_cluster({"kubeconfig": kubeconfig(*facts)}) for facts in (("a", "1"), ("a", "2"), ("b", "1"))
    )
    assert one == renewed != other
    assert active_cluster({}) is None


def test_numbers_reach_helm_as_they_are() -> None:
    struct = struct_pb2.Struct()
    struct.update({"replicas": 2, "ratio": 0.5})
    assert json.dumps(wire.decode(struct).values, sort_keys=True) == '{"ratio": 0.5, "replicas": 2}'
