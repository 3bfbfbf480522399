from __future__ import annotations

from typing import Any

import pytest

from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.storage import storage_faults, storage_name, storage_objects
from tests.support.opaque import Output

COMMON: dict[str, Any] = {"labels": {"a": "b"}, "annotations": {}}


def made_of(storage: str | dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    storage_class, snapshot_class = storage_objects(storage, name="codecanvas-eu", **COMMON)
    return storage_class, snapshot_class


def test_eks_storage_is_what_the_installation_guide_creates() -> None:
    assert made_of("eks") == (
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "codecanvas-eu", "labels": {"a": "b"}},
            "provisioner": "ebs.csi.aws.com",
            "parameters": {"type": "gp3", "iops": "16000", "throughput": "750"},
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "WaitForFirstConsumer",
            "allowVolumeExpansion": True,
        },
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshotClass",
            "metadata": {"name": "codecanvas-eu", "labels": {"a": "b"}},
            "driver": "ebs.csi.aws.com",
            "deletionPolicy": "Delete",
        },
    )


def test_gke_storage_is_what_the_installation_guide_creates() -> None:
    storage_class, snapshot_class = made_of("gke")
    assert storage_class["provisioner"] == snapshot_class["driver"] == "pd.csi.storage.gke.io"
    assert storage_class["parameters"] == {"type": "pd-balanced"}


def test_mapping_sets_everything() -> None:
    storage_class, snapshot_class = made_of(
        {
            "driver": "csi.example.com",
            "parameters": {"iops": 3000, "throughput": 750.0, "encrypted": True, "ratio": 1.5, "type": "fast"},
            "snapshotParameters": {"incremental": False},
            "reclaimPolicy": "Retain",
            "deletionPolicy": "Retain",
            "volumeBindingMode": "Immediate",
            "allowVolumeExpansion": False,
            "default": True,
        }
    )
    texts = {"iops": "3000", "throughput": "750", "encrypted": "true", "ratio": "1.5", "type": "fast"}
    assert storage_class["parameters"] == texts
    assert storage_class["reclaimPolicy"] == snapshot_class["deletionPolicy"] == "Retain"
    assert storage_class["volumeBindingMode"] == "Immediate"
    assert storage_class["allowVolumeExpansion"] is False
    assert storage_class["metadata"]["annotations"] == {"storageclass.kubernetes.io/is-default-class": "true"}
    assert snapshot_class["parameters"] == {"incremental": "false"}
    assert snapshot_class["metadata"]["annotations"] == {"snapshot.storage.kubernetes.io/is-default-class": "true"}


def test_name_is_the_platforms_unless_given() -> None:
    assert storage_name("eks", "eu") == "codecanvas-eu"
    assert storage_name({"driver": "x"}, "eu") == "codecanvas-eu"
    assert storage_name({"driver": "x", "name": "fast"}, "eu") == "fast"


def test_opaque_parameter_is_handed_on() -> None:
    leaf = Output()
    storage_class, _ = made_of({"driver": "x", "parameters": {"kmsKeyId": leaf}})
    assert storage_class["parameters"]["kmsKeyId"] is leaf


@pytest.mark.parametrize(
    ("storage", "faults"),
    [
        ("EKS", ["storage: is not a known kind of storage; did you mean `eks`?"]),
        ("azure", ["storage: is not a known kind of storage; use `eks`, `gke` or a mapping with `driver`"]),
        (True, ["storage: is a boolean; use `eks`, `gke` or a mapping with `driver`"]),
        ({}, ["storage.driver: is missing; name the CSI driver, such as `ebs.csi.aws.com`"]),
        ({"driver": None}, ["storage.driver: is empty, not a text"]),
        ({"driver": "a", "paramters": {}}, ["storage.paramters: is not known; did you mean `parameters`?"]),
        ({"driver": "a", "parameters": ["x"]}, ["storage.parameters: is a list, not a map"]),
        ({"driver": "a", "parameters": {"x": {}}}, ["storage.parameters.x: is a mapping, not a text"]),
        ({"driver": "a", "parameters": {"x": b"s"}}, ["storage.parameters.x: is of type bytes; use texts"]),
        ({"driver": "a", "parameters": {"x": float("nan")}}, ["storage.parameters.x: is no number of 64 bits"]),
        ({"driver": "a", "parameters": {"x": 10**5000}}, ["storage.parameters.x: is no number of 64 bits"]),
        ({"driver": "a", "parameters": {1: "x"}}, ["storage.parameters: holds a key that is a number"]),
        ({"driver": "a", "reclaimPolicy": "Recycle"}, ["storage.reclaimPolicy: is not a known choice; use Delete or"]),
        ({"driver": "a", "volumeBindingMode": 1}, ["storage.volumeBindingMode: is a number; use WaitForFirstConsumer"]),
        ({"driver": "a", "default": "yes"}, ["storage.default: is a text; use true or false"]),
        ({"driver": "a/b", "name": "A"}, ['storage.driver: "a/b" is not', 'storage.name: "A" is not a valid name']),
    ],
)
def test_storage_is_refused_with_every_path(storage: Any, faults: list[str]) -> None:
    found = [str(fault) for fault in storage_faults("storage", storage)]
    assert len(found) == len(faults)
    for text, beginning in zip(found, faults, strict=True):
        assert text.startswith(beginning)
    with pytest.raises(InvalidArgumentsError):
        storage_objects(storage, name="x", **COMMON)
