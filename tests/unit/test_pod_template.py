from __future__ import annotations

import copy
import json
import os
import random
import time
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.pod_template import (
    IMAGE_PLACEHOLDER,
    PodTemplate,
    load_pod_template,
    pod_template_object,
    render_yaml,
    shared_claims,
    worker_pod,
)
from pulumi_codecanvas.propagation import ENV_KEYS_VARIABLE, PATHS_VARIABLE
from tests.support.faults import fault

HERE = Path(__file__).parent
PATIENCE_S = 5.0

# The example of the CodeCanvas documentation, booleans and all.
DOCUMENTED = """\
apiVersion: v1
kind: Pod
metadata:
  labels:
    codecanvas: true
  annotations:
    codecanvas: true
spec:
  containers:
    - name: worker-main
      env:
        - name: CODECANVAS
          value: true
  restartPolicy: Never
"""
DOCUMENTED_MANIFEST = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"labels": {"codecanvas": "true"}, "annotations": {"codecanvas": "true"}},
    "spec": {
        "containers": [{"name": "worker-main", "env": [{"name": "CODECANVAS", "value": "true"}]}],
        "restartPolicy": "Never",
    },
}
DOCUMENTED_CHANGES = (
    'metadata.labels.codecanvas: true -> "true"',
    'metadata.annotations.codecanvas: true -> "true"',
    'spec.containers[0].env[0].value: true -> "true"',
)


def load(source: object, **propagation: Any) -> PodTemplate:
    return load_pod_template(source, base_dir=HERE, **propagation)


def faults_of(source: object, **propagation: Any) -> list[str]:
    with pytest.raises(InvalidArgumentsError) as caught:
        load(source, **propagation)
    return [str(fault) for fault in caught.value.faults]


def pod(**spec: object) -> dict[str, Any]:
    """A pod with a bare worker, and whatever else its spec is to hold."""
    return {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "worker-main"}], **spec}}


def worker(**fields: object) -> dict[str, Any]:
    return pod(containers=[{"name": "worker-main", **fields}])


def env_of(template: PodTemplate) -> list[dict[str, Any]]:
    env: list[dict[str, Any]] = template.manifest["spec"]["containers"][0]["env"]
    return env


SHARED = {"persistentVolumeClaim": {"claimName": "team-cache"}}


@pytest.mark.parametrize(
    ("volumes", "claims"),
    [
        ([{"name": "cache", **SHARED}, {"name": "again", **SHARED}, {"name": "tmp", "emptyDir": {}}], ["team-cache"]),
        (None, []),
        ("team-cache", []),
        (["team-cache", {"name": "x", "persistentVolumeClaim": None}, {"persistentVolumeClaim": {}}], []),
    ],
)
def test_the_volumes_that_a_template_names_are_shared(volumes: object, claims: list[str]) -> None:
    assert shared_claims({"spec": {"volumes": volumes}}) == claims


def test_documented_example_is_accepted_from_text() -> None:
    assert load(DOCUMENTED) == PodTemplate(DOCUMENTED_MANIFEST, DOCUMENTED_CHANGES)


@pytest.mark.parametrize("name", ["worker.yaml", "worker.yml", "Worker.YAML", "a b/ü.yaml"])
def test_documented_example_is_accepted_from_file(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(DOCUMENTED, encoding="utf-8")
    expected = PodTemplate(DOCUMENTED_MANIFEST, DOCUMENTED_CHANGES)
    assert load_pod_template(name, base_dir=tmp_path) == expected
    assert load_pod_template(f" {name}\n", base_dir=tmp_path) == expected
    assert load_pod_template(Path(name), base_dir=tmp_path) == expected
    assert load_pod_template(str(tmp_path / name), base_dir=HERE) == expected


def test_documented_example_is_accepted_as_mapping() -> None:
    metadata = {"labels": {"codecanvas": True}, "annotations": {"codecanvas": True}}
    env = [{"name": "CODECANVAS", "value": True}]
    source = {**worker(env=env), "metadata": metadata}
    source["spec"]["restartPolicy"] = "Never"
    before = copy.deepcopy(source)
    template = load(MappingProxyType(source), propagate_env=["CODECANVAS"])
    assert source == before
    assert sorted(template.changes) == sorted(DOCUMENTED_CHANGES)
    assert load(source) == PodTemplate(DOCUMENTED_MANIFEST, template.changes)


def test_no_source_is_a_bare_worker_that_is_not_restarted() -> None:
    assert load(None) == PodTemplate(pod(restartPolicy="Never"))


def test_json_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    (tmp_path / "t.yaml").write_bytes(b"\xef\xbb\xbf" + DOCUMENTED.replace("\n", "\r\n").encode())
    assert load_pod_template("t.yaml", base_dir=tmp_path).manifest == DOCUMENTED_MANIFEST
    assert load('{"apiVersion":"v1","kind":"Pod","spec":{"containers":[{"name":"worker-main"}]}}').manifest == pod()


def test_missing_file_is_named_with_where_it_was_looked_for() -> None:
    assert faults_of("deploy/worker.yaml") == [
        f'the file "deploy/worker.yaml" does not exist; relative paths start from {HERE}'
    ]


def test_unreadable_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "latin.yaml").write_bytes("ä: ö".encode("latin-1"))
    (tmp_path / "wide.yaml").write_bytes(DOCUMENTED.encode("utf-16"))
    (tmp_path / "large.yaml").write_text(DOCUMENTED + "#" * 2**21)
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    problems = {
        "folder.yaml": "is a directory",
        "latin.yaml": "is not UTF-8 text",
        "wide.yaml": "is not UTF-8 text",
        "large.yaml": "is larger than 1 MiB",
        "pipe.yaml": "is not a regular file",
        "loop.yaml": "cannot be read",
        f"{'x' * 300}.yaml": "cannot be read",
        "nul\0.yaml": "is not a valid path",
        "latin.yaml/x.yaml": "cannot be read",
    }
    for name, problem in problems.items():
        with pytest.raises(InvalidArgumentsError, match=problem):
            load_pod_template(name, base_dir=tmp_path)


@pytest.mark.parametrize("source", [3, True, b"kind: Pod", [], {1, 2}, object()])
def test_source_of_another_type_is_refused(source: object) -> None:
    (fault,) = faults_of(source)
    assert fault.endswith("give YAML text, a mapping, or the path of a .yaml or .yml file")


@fault(
    49,
    "A pod template of 2 MB",
    happens="It is refused in the preview, with the limit of 1 MiB. In the config itself the system lets no template of"
    " more than about 100 KB through (`argument list too long`); nothing is changed then either.",
    user="Make the template smaller; keep a large one in a file of its own, `podTemplate: worker-pod.yaml`.",
)
def test_text_of_two_megabytes_is_refused_quickly() -> None:
    start = time.process_time()
    assert "is larger than 1 MiB" in faults_of(DOCUMENTED + "# x\n" * 2**19)[0]
    assert time.process_time() - start < PATIENCE_S


@pytest.mark.parametrize(
    "written", ["1.10", "0x1F", "1e3", "0644", "yes", "on", "False", "1_000", "007", "12345678901234567890123", ".5"]
)
@pytest.mark.parametrize(
    ("template", "keys"),
    [
        (
            "metadata: {{labels: {{a: {0}}}}}\nspec: {{containers: [{{name: worker-main}}]}}",
            ("metadata", "labels", "a"),
        ),
        ("spec: {{containers: [{{name: worker-main}}], nodeSelector: {{a: {0}}}}}", ("spec", "nodeSelector", "a")),
        (
            "spec: {{containers: [{{name: worker-main, env: [{{name: A, value: {0}}}]}}]}}",
            ("spec", "containers", 0, "env", 0, "value"),
        ),
        ("spec: {{containers: [{{name: worker-main, args: [x, {0}]}}]}}", ("spec", "containers", 0, "args", 1)),
        (
            "spec: {{containers: [{{name: worker-main}}], tolerations: [{{value: {0}}}]}}",
            ("spec", "tolerations", 0, "value"),
        ),
    ],
)
def test_text_field_keeps_what_was_written(written: str, template: str, keys: tuple[str | int, ...]) -> None:
    loaded = load("apiVersion: v1\nkind: Pod\n" + template.format(written))
    value: Any = loaded.manifest
    for key in keys:
        value = value[key]
    assert value == written
    assert len(loaded.changes) == 1


def test_whole_numbers_of_another_language_s_program_are_integers() -> None:
    fields = {"env": [{"name": "PORT", "value": 8080.0}], "args": [8080.0, 1.5], "ports": [{"containerPort": 8080.0}]}
    loaded = load({**worker(**fields), "metadata": {"labels": {"tier": 1.0, "huge": 1e300}}})
    assert loaded.manifest["metadata"]["labels"] == {"tier": "1", "huge": "1e+300"}
    [container] = loaded.manifest["spec"]["containers"]
    assert (container["env"][0]["value"], container["args"]) == ("8080", ["8080", "1.5"])
    assert json.dumps(container["ports"]) == '[{"containerPort": 8080}]'
    assert 'metadata.labels.tier: 1 -> "1"' in loaded.changes


def test_dates_are_texts() -> None:
    loaded = load(
        "apiVersion: v1\nkind: Pod\nmetadata: {labels: {a: 2020-01-01}}\nspec: {containers: [{name: worker-main}]}"
    )
    assert loaded.manifest["metadata"]["labels"] == {"a": "2020-01-01"}


def test_numbers_and_booleans_elsewhere_keep_their_type() -> None:
    text = """\
apiVersion: v1
kind: Pod
spec:
  hostNetwork: yes
  terminationGracePeriodSeconds: 30
  containers:
    - name: worker-main
      ports: [{containerPort: 0x1F90}]
      resources: {limits: {cpu: 1.5, memory: 8Gi}}
  volumes:
    - {name: a, configMap: {name: b, defaultMode: 0644}}
"""
    loaded = load(text)
    spec = loaded.manifest["spec"]
    assert spec["hostNetwork"] is True
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["containers"][0]["ports"] == [{"containerPort": 8080}]
    assert spec["containers"][0]["resources"] == {"limits": {"cpu": 1.5, "memory": "8Gi"}}
    assert spec["volumes"][0]["configMap"]["defaultMode"] == 420
    assert loaded.changes == ()


def test_a_wrong_quantity_is_named_with_its_container_and_field() -> None:
    worker = {"limits": {"cpu": "two", "memory": 2**33}, "requests": {"memory": "1GB", "cpu": 1.5}}
    helper = {"limits": {"nvidia.com/gpu": True, "cpu": "500m"}, "requests": "none"}
    spec = {
        "containers": [{"name": "worker-main", "resources": worker}],
        "initContainers": [{"name": "helper", "resources": helper}],
    }
    with pytest.raises(InvalidArgumentsError) as caught:
        load_pod_template({"apiVersion": "v1", "kind": "Pod", "spec": spec}, base_dir=HERE)
    assert {fault.path: fault.cause for fault in caught.value.faults} == {
        "spec.containers[0].resources.limits.cpu": "is not a quantity",
        "spec.containers[0].resources.requests.memory": "is not a quantity",
        'spec.initContainers[0].resources.limits["nvidia.com/gpu"]': "is a boolean, not a quantity",
    }
    assert "write a quantity, such as `64`, `500m` or `128Gi`" in str(caught.value)


def test_null_is_left_out_as_the_api_server_does_and_empty_where_a_map_of_texts_has_it() -> None:
    text = """\
apiVersion: v1
kind: Pod
metadata:
  creationTimestamp: null
  labels: {a: , b: ~}
spec:
  containers: [{name: worker-main, env: [{name: A, value: }], args: [null], resources: ~}]
  volumes:
"""
    loaded = load(text)
    assert loaded.manifest == {
        **worker(env=[{"name": "A"}], args=[""]),
        "metadata": {"labels": {"a": "", "b": ""}},
    }
    assert loaded.changes == (
        'metadata.labels.a: empty -> ""',
        'metadata.labels.b: ~ -> ""',
        'spec.containers[0].args[0]: null -> ""',
    )
    assert loaded.omissions == (
        "metadata.creationTimestamp",
        "spec.containers[0].env[0].value",
        "spec.containers[0].resources",
        "spec.volumes",
    )


def test_change_does_not_show_a_number_that_may_be_secret() -> None:
    loaded = load(worker(env=[{"name": "PIN", "value": 48151623}], args=[48151623], command=[48151623]))
    assert loaded.changes == (
        "spec.containers[0].env[0].value: number -> text",
        "spec.containers[0].args[0]: number -> text",
        "spec.containers[0].command[0]: number -> text",
    )


def test_values_that_kubernetes_cannot_hold_are_refused() -> None:
    class Opaque:
        def __repr__(self) -> str:
            return "topsecret"

    values = {
        "set": {1},
        "bytes": b"topsecret",
        "object": Opaque(),
        "nan": float("nan"),
        "infinite": float("inf"),
        "large": 10**5000,
        "surrogate": "\ud800",
        "item": [None],
    }
    faults = faults_of(pod(**values))
    assert [fault.split(":")[0] for fault in faults] == [
        "spec.set",
        "spec.bytes",
        "spec.object",
        "spec.nan",
        "spec.infinite",
        "spec.large",
        "spec.surrogate",
        "spec.item[0]",
    ]
    assert "topsecret" not in str(faults)
    assert "spec: holds a key that is a number; write every key as text" in faults_of({**pod(), "spec": {1: 2}})


def test_infinity_in_yaml_is_refused_outside_text() -> None:
    assert faults_of(DOCUMENTED.replace("restartPolicy: Never", "priority: .inf")) == [
        "spec.priority: is not a number that Kubernetes can hold; quote it if it is a text"
    ]


def test_mapping_that_contains_itself_is_refused() -> None:
    tree = pod()
    tree["spec"]["self"] = tree
    assert faults_of(tree) == ["is nested more than 64 levels deep"]


def test_mapping_that_unfolds_enormously_is_refused_quickly() -> None:
    tree: list[object] = []
    for _ in range(40):
        tree = [tree] * 10
    start = time.process_time()
    assert "holds more than 20000 values or 1 MiB" in faults_of(pod(volumes=tree))[0]
    assert "holds more than 20000 values or 1 MiB" in faults_of(pod(volumes=["x" * 10**6] * 100))[0]
    assert time.process_time() - start < PATIENCE_S


def test_text_subclasses_become_texts() -> None:
    class Name(str):
        __slots__ = ()

    loaded = load(pod(serviceAccountName=Name("builder")))
    assert type(loaded.manifest["spec"]["serviceAccountName"]) is str


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("", ["is empty; leave it out for a bare worker-main pod"]),
        ("just a text", ["is a text, not a mapping"]),
        ("- a\n- b\n", ["is a list, not a mapping"]),
        ({}, ["apiVersion: is missing", "kind: is missing", "spec: is missing"]),
        ({**pod(), "apiVersion": "apps/v1"}, ['apiVersion: is "apps/v1", not v1']),
        (
            {**pod(), "kind": "Deployment"},
            ['kind: is "Deployment", not Pod; keep the metadata and spec under `spec.template`, and put'],
        ),
        (
            {**pod(), "kind": "CronJob"},
            ['kind: is "CronJob", not Pod; keep the metadata and spec under `spec.jobTemplate.spec.template`'],
        ),
        (
            {**pod(), "kind": "PodTemplate"},
            ['kind: is "PodTemplate", not Pod; keep the metadata and spec under `template`'],
        ),
        ({**pod(), "kind": "pod"}, ['kind: is "pod", not Pod; did you mean `Pod`?']),
        ({**pod(), "kind": "ConfigMap"}, ['kind: is "ConfigMap", not Pod; write `kind: Pod`']),
        ({**pod(), "kind": ["Pod"]}, ["kind: is a list; write `kind: Pod`"]),
        ({**pod(), "metdata": {}}, ["metdata: is not known; did you mean `metadata`?"]),
        ({**pod(), "data": {}}, ["data: is not known; known keys are apiVersion, kind, metadata, spec"]),
        ({"apiVersion": "v1", "kind": "Pod", "spce": {}}, ["spce: is not a field of a Pod; did you mean `spec`?"]),
        ({**pod(), "status": {"phase": "Running"}}, ["status: is the cluster's to write; remove it"]),
        ({**pod(), "metadata": []}, ["metadata: is a list, not a mapping"]),
        ({**pod(), "metadata": {"labels": ["a"]}}, ["metadata.labels: is a list, not a mapping"]),
        (
            {**pod(), "metadata": {"namespace": "default"}},
            ["metadata.namespace: does not belong into a pod template; remove it"],
        ),
        ({**pod(), "spec": "worker-main"}, ["spec: is a text, not a mapping"]),
        (
            {**pod(), "spec": {}},
            ["spec.containers: is missing; a Pod needs `spec.containers` with `- name: worker-main`"],
        ),
        ({**pod(), "spec": {"contaners": []}}, ["spec.contaners: is not a field of a Pod; did you mean `containers`?"]),
        (pod(containers={}), ["spec.containers: is a mapping, not a list"]),
        (
            pod(containers=["worker-main"]),
            ["spec.containers[0]: is a text, not a mapping", "spec.containers: no container"],
        ),
        (pod(containers=[]), ["spec.containers: no container is named worker-main"]),
        (
            pod(containers=[{"name": "worker_main"}, {"name": "sidecar"}]),
            ["spec.containers: no container is named worker-main; give this name to the container that is to run"],
        ),
        (
            pod(containers=[], initContainers=[{"name": "worker-main"}]),
            ["spec.containers: no container is named worker-main; move it from `initContainers` to `containers`"],
        ),
        (pod(containers=[{"name": "worker-main"}] * 2), ["spec.containers[1].name: is worker-main a second time"]),
        (pod(restartPolicy="never"), ["spec.restartPolicy: is not a restart policy; did you mean `Never`?"]),
        (
            pod(restartPolicy="Sometimes"),
            ["spec.restartPolicy: is not a restart policy; use one of Always, OnFailure, Never"],
        ),
        (pod(restartPolicy=[]), ["spec.restartPolicy: is not a restart policy"]),
        (worker(env={"A": "b"}), ["spec.containers[0].env: is a mapping, not a list"]),
        (worker(env=["A=b"]), ["spec.containers[0].env[0]: is a text, not a mapping"]),
        (worker(env=[{"value": "x"}]), ["spec.containers[0].env[0].name: is empty; name the environment variable"]),
        (
            worker(env=[{"name": "1A"}]),
            ['spec.containers[0].env[0].name: "1A" is not a name for an environment variable'],
        ),
        (worker(env=[{"name": "A"}, {"name": "A"}]), ['spec.containers[0].env[1].name: "A" is set a second time']),
        (
            worker(env=[{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]),
            ["spec.containers[0].env[0]: has both `value` and `valueFrom`; keep one of them"],
        ),
        (
            pod(initContainers=[{"name": "setup", "env": [{"name": "A"}, {"name": "A"}]}]),
            ['spec.initContainers[0].env[1].name: "A" is set a second time'],
        ),
    ],
)
def test_fault_is_reported_with_its_path_and_way_out(source: object, faults: list[str]) -> None:
    found = faults_of(source)
    assert len(found) == len(faults)
    for text, beginning in zip(found, faults, strict=True):
        assert text.startswith(beginning)


def test_containers_that_were_found_are_named() -> None:
    (fault,) = faults_of(pod(containers=[{"name": "worker_main"}, {"name": "sidecar"}]))
    assert fault.endswith('found "worker_main", "sidecar"')


def test_every_fault_is_reported_at_once() -> None:
    source = {
        "apiVersion": "v2",
        "kind": "Pod",
        "metdata": {},
        "spec": {"contaners": [], "restartPolicy": "never", "volumes": [{1, 2}]},
    }
    faults = faults_of(source, propagate_env=[""], propagate_paths=["a;b"])
    assert [fault.split(": ")[0] for fault in faults] == [
        "spec.volumes[0]",
        "metdata",
        "apiVersion",
        "spec.contaners",
        "spec.restartPolicy",
        "propagateEnv[0]",
        "propagatePaths[0]",
    ]
    assert "propagateEnv[0]" in faults_of("a: [", propagate_env=[""])[1]


def test_fields_that_only_the_api_server_knows_are_left_to_it() -> None:
    source = pod(enableFutureThing=True, containers=[{"name": "worker-main", "imagee": "x", "resizePolicy": []}])
    assert load(source).manifest == source


def test_fields_of_a_copied_pod_are_left_out_with_a_note() -> None:
    metadata = {"name": "x", "uid": "u", "labels": {"a": "b"}, "creationTimestamp": "2020-01-01T00:00:00Z"}
    loaded = load({**pod(), "metadata": metadata, "status": {}})
    assert loaded.manifest == {**pod(), "metadata": {"labels": {"a": "b"}}}
    assert loaded.changes == ()
    assert loaded.omissions == ("metadata.name", "metadata.creationTimestamp", "metadata.uid", "status")


def test_faults_never_show_values_of_environment_variables() -> None:
    env: list[object] = [
        {"name": "A", "value": "topsecret", "valueFrom": {}},
        {"name": "A", "value": "topsecret"},
        {"name": "1A", "value": "topsecret"},
        {"value": "topsecret"},
        {"name": "B", "value": b"topsecret"},
        "C=topsecret",
    ]
    assert "topsecret" not in str(faults_of(worker(env=env), propagate_env=["A=topsecret", "B=top;secret"]))
    assert "topsecret" not in str(faults_of(worker(env="topsecret")))
    for text in (
        DOCUMENTED.replace("value: true", "value: 'topsecret"),
        DOCUMENTED.replace("value: true", "value: topsecret: x"),
        DOCUMENTED.replace("value: true", "value: !x topsecret"),
        DOCUMENTED.replace("value: true", "\tvalue: topsecret"),
    ):
        assert "topsecret" not in str(faults_of(text))


def test_propagation_is_set_on_the_worker_only() -> None:
    source = pod(containers=[{"name": "sidecar"}, {"name": "worker-main"}])
    loaded = load(source, propagate_env=["B", "A", "B"], propagate_paths=("/etc/a", "/etc/b c"))
    assert loaded.manifest["spec"]["containers"] == [
        {"name": "sidecar"},
        {
            "name": "worker-main",
            "env": [
                {"name": ENV_KEYS_VARIABLE, "value": "B;A"},
                {"name": PATHS_VARIABLE, "value": "/etc/a;/etc/b c"},
            ],
        },
    ]


def test_propagation_adds_to_what_the_template_has() -> None:
    env = [{"name": ENV_KEYS_VARIABLE, "value": "A;B;"}, {"name": "A", "value": "1"}, {"name": PATHS_VARIABLE}]
    assert env_of(load(worker(env=env), propagate_env=["C", "A", "D"], propagate_paths=["/x"])) == [
        {"name": ENV_KEYS_VARIABLE, "value": "A;B;C;D"},
        {"name": "A", "value": "1"},
        {"name": PATHS_VARIABLE, "value": "/x"},
    ]


def test_nothing_to_propagate_leaves_the_template_alone() -> None:
    env = [{"name": ENV_KEYS_VARIABLE, "value": "A;;A"}, {"name": PATHS_VARIABLE, "valueFrom": {"x": "y"}}]
    assert env_of(load(worker(env=env))) == env
    assert "env" not in load(pod()).manifest["spec"]["containers"][0]


def test_list_from_elsewhere_cannot_be_added_to() -> None:
    env = [{"name": PATHS_VARIABLE, "valueFrom": {"configMapKeyRef": {"name": "a", "key": "b"}}}]
    (fault,) = faults_of(worker(env=env), propagate_paths=["/x"])
    assert fault.startswith("spec.containers[0].env[0].valueFrom: takes WORKER_STEP_CONTAINER_PROPAGATION_PATHS")


@pytest.mark.parametrize("name", ["", "A;B", "A B", "1A", "A=b", "é", "A\n", "$(A)"])
def test_name_that_cannot_be_propagated_is_refused(name: str) -> None:
    (fault,) = faults_of(None, propagate_env=["GOOD", name])
    assert fault.startswith("propagateEnv[1]: ")


@pytest.mark.parametrize("path", ["", " ", "/a;/b", "/a\n/b", "/a\0"])
def test_path_that_cannot_be_propagated_is_refused(path: str) -> None:
    (fault,) = faults_of(None, propagate_paths=["/good", path])
    assert fault.startswith("propagatePaths[1]: ")


def test_propagation_of_another_type_is_refused() -> None:
    assert faults_of(None, propagate_env="HOME", propagate_paths=[3, None]) == [
        "propagateEnv: is a text, not a list; write a list of texts",
        "propagatePaths[0]: is a number, not a text; quote it",
        "propagatePaths[1]: is empty, not a text; quote it",
    ]


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(key, shuffled(item, chance)) for key, item in value.items()]
        chance.shuffle(items)
        return dict(items)
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


def test_rendered_text_is_the_same_for_any_order_of_keys() -> None:
    manifest = load(DOCUMENTED, propagate_env=["CODECANVAS"]).manifest
    texts = {render_yaml(shuffled(manifest, random.Random(seed))) for seed in range(20)}  # noqa: S311 - no secret
    assert len(texts) == 1


def test_rendered_text_reads_as_people_write_manifests() -> None:
    assert render_yaml(load(DOCUMENTED).manifest) == (
        "apiVersion: v1\n"
        "kind: Pod\n"
        "metadata:\n"
        "  annotations:\n"
        "    codecanvas: 'true'\n"
        "  labels:\n"
        "    codecanvas: 'true'\n"
        "spec:\n"
        "  containers:\n"
        "    - name: worker-main\n"
        "      env:\n"
        "        - name: CODECANVAS\n"
        "          value: 'true'\n"
        "  restartPolicy: Never\n"
    )


def test_pod_template_object_has_an_image_in_every_container() -> None:
    source = pod(
        containers=[{"name": "worker-main"}, {"name": "sidecar", "image": "example.com/a:1"}],
        initContainers=[{"name": "setup", "image": ""}],
    )
    manifest = load({**source, "metadata": {"labels": {"a": "b"}}}).manifest
    before = copy.deepcopy(manifest)
    made = pod_template_object(manifest, name="eu", namespace="dev-eu", labels={"x": "y"}, annotations={})
    assert manifest == before
    assert made == {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": "eu", "namespace": "dev-eu", "labels": {"x": "y"}},
        "template": {
            "metadata": {"labels": {"a": "b"}},
            "spec": {
                "containers": [
                    {"name": "worker-main", "image": IMAGE_PLACEHOLDER},
                    {"name": "sidecar", "image": "example.com/a:1"},
                ],
                "initContainers": [{"name": "setup", "image": IMAGE_PLACEHOLDER}],
            },
        },
    }


def test_worker_pod_joins_labels_and_takes_its_name_and_namespace() -> None:
    manifest = load(DOCUMENTED).manifest
    made = worker_pod(manifest, name="probe", namespace="dev", labels={"a": "b"}, annotations={"c": "d"}, image="x:1")
    assert made["metadata"] == {
        "name": "probe",
        "namespace": "dev",
        "labels": {"codecanvas": "true", "a": "b"},
        "annotations": {"codecanvas": "true", "c": "d"},
    }
    assert made["kind"] == "Pod"
    assert made["spec"]["containers"][0]["image"] == "x:1"
    assert manifest == DOCUMENTED_MANIFEST


KEYS = st.sampled_from(
    [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "status",
        "containers",
        "initContainers",
        "name",
        "env",
        "value",
        "labels",
        "annotations",
        "valueFrom",
        "restartPolicy",
        "args",
        "image",
        "namespace",
        "contaners",
    ]
)
SCALARS = st.one_of(
    st.sampled_from(["v1", "Pod", "worker-main", "Never", "A", ENV_KEYS_VARIABLE, "true", "1.10"]),
    st.text(max_size=8),
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.binary(max_size=3),
    st.just(object()),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | st.integers() | st.text(), inner, max_size=6),
)
CONTAINERS = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(["worker-main", "other"])}, optional={"env": TREES, "args": TREES}),
    max_size=3,
)
PODS = st.fixed_dictionaries(
    {"apiVersion": st.just("v1"), "kind": st.just("Pod")},
    optional={
        "metadata": TREES,
        "spec": st.fixed_dictionaries({"containers": CONTAINERS | TREES}, optional={"volumes": TREES}),
        "status": TREES,
    },
)


NAMES = st.lists(st.sampled_from(["A", "B"]) | st.text(max_size=3), max_size=2)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["true", "1.10", "~", "|", "a\n"]
)
LEAVES = TEXTS | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS | TEXTS, inner | st.none(), max_size=4),
)
WORKER = st.fixed_dictionaries(
    {"name": st.just("worker-main")},
    optional={
        "env": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["A", "B", "C"])}, optional={"value": LEAVES | st.none()}),
            max_size=3,
            unique_by=lambda entry: str(entry["name"]),
        ),
        "args": st.lists(LEAVES, max_size=3),
        "resources": PLAIN,
    },
)
GOOD_PODS = st.fixed_dictionaries(
    {
        "apiVersion": st.just("v1"),
        "kind": st.just("Pod"),
        "spec": st.fixed_dictionaries({"containers": st.tuples(WORKER)}, optional={"volumes": PLAIN}),
    },
    optional={
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": st.dictionaries(TEXTS, LEAVES), "annotations": st.dictionaries(TEXTS, LEAVES)}
        )
    },
)


@given(TREES | PODS, NAMES, NAMES)
def test_any_source_gives_a_template_or_faults(source: object, names: list[str], paths: list[str]) -> None:
    try:
        load(source, propagate_env=names, propagate_paths=paths)
    except InvalidArgumentsError as error:
        assert error.faults


@given(st.text() | st.text().map(lambda tail: DOCUMENTED + tail))
def test_any_text_gives_a_template_or_faults(text: str) -> None:
    try:
        load(text)
    except InvalidArgumentsError as error:
        assert error.faults


@given(GOOD_PODS)
def test_template_with_a_worker_and_plain_values_is_accepted_and_keeps_its_form(source: dict[str, Any]) -> None:
    template = load(source, propagate_env=["A", "Z"])
    assert load(template.manifest) == PodTemplate(template.manifest)
    assert load(render_yaml(template.manifest)) == PodTemplate(template.manifest)
    pod_template_object(template.manifest, name="a", namespace="b", labels={}, annotations={})
    worker_pod(template.manifest, name="a", namespace="b", labels={}, annotations={})
