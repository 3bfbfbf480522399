"""What the component registers, seen through Pulumi's mocks as in a user's own unit tests."""

from __future__ import annotations

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from pulumi.runtime import rpc
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

from pulumi_codecanvas import ComputingPlatform, children
from pulumi_codecanvas.args import to_camel
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.keys import public_key_pem
from pulumi_codecanvas.manifests import SKIP_AWAIT
from pulumi_codecanvas.platform import OUTPUTS
from pulumi_codecanvas.turns import Turn
from tests.support.mocked_engine import CONNECTION_KEY, IDENTITY, KEY, RELEASE, Seen, mocked_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET_MARK = "4dabf18193072939515e22adb298388d"
TOKEN = "tK9xQz7LmR2vBn5cWp8"
URL = "http://codecanvas.example.com:8098"
CHART = "oci://registry.example.com/charts/codecanvas-operator"
SNIPPET = (
    f"helm upgrade --install cc {CHART} --version 2025.1.2 -n eu --timeout 7m --username me --password pS9word"
    f" --set operator.targetNamespace=eu --set a.token={TOKEN}"
)


@pytest.fixture
def seen() -> Iterator[Seen]:
    with mocked_engine() as made:
        yield made


def declare(**arguments: Any) -> dict[str, Any]:
    """Run a program with one platform, and give the platform's outputs."""
    found: dict[str, Any] = {}

    async def program() -> None:
        platform = ComputingPlatform("eu", **arguments)
        for name in ("namespace", "public_key", "application_values", "frozen", "instance_id", "token"):
            getattr(platform, name).apply(lambda value, name=name: found.__setitem__(name, value))

    asyncio.get_event_loop().run_until_complete(run_pulumi_func(program))
    return found


def opened(value: Any) -> Any:
    """Open a value that has to be secret."""
    assert isinstance(value, dict)
    assert SECRET_MARK in value
    return value["value"]


def test_a_platform_leaves_the_sdk_few_outputs_to_wait_for(seen: Seen) -> None:
    added: list[int] = []

    async def program() -> None:
        before = len(SETTINGS.outputs)
        ComputingPlatform("eu", server_url=URL)
        added.append(len(SETTINGS.outputs) - before)

    asyncio.get_event_loop().run_until_complete(run_pulumi_func(program))
    assert seen.resources
    assert 0 < added[0] <= 30


def test_a_platform_has_few_children(seen: Seen) -> None:
    declare(server_url=URL)
    assert {token: args.name for token, args in seen.resources.items()} == {
        "codecanvas:index:ComputingPlatform": "eu",
        "kubernetes:core/v1:Namespace": "eu-namespace",
        CONNECTION_KEY: "eu-key",
        "kubernetes:core/v1:PodTemplate": "eu-pod-template",
        RELEASE: "eu-release",
        "codecanvas:index:DevEnvironments": "eu-environments",
        "codecanvas:index:ConnectionTest": "eu-test",
    }


def test_the_connection_test_is_given_what_worker_pods_depend_on_where_it_is_not_the_default(seen: Seen) -> None:
    given: dict[str, Any] = {
        "podSecurity": "restricted",
        "quota": {"pods": 4},
        "limits": {"max": {"cpu": 2}},
        "serviceAccounts": ["a", "b"],
    }
    declare(server_url=URL)
    assert not given.keys() & seen.inputs("codecanvas:index:ConnectionTest").keys()
    accounts: dict[str, Any] = {"b": {}, "a": None}
    limits = {"quota": given["quota"], "limits": given["limits"]}
    declare(server_url=URL, pod_security="restricted", service_accounts=accounts, **limits)
    assert given.items() <= seen.inputs("codecanvas:index:ConnectionTest").items()


def test_the_release_is_atomic_bounded_and_has_the_key_as_a_secret(seen: Seen) -> None:
    declare(server_url=URL, timeout=42, values={"replicaCount": 2})
    release = seen.inputs(RELEASE)
    assert (release["atomic"], release["cleanupOnFail"], release["maxHistory"]) == (True, True, 2)
    assert (release["name"], release["namespace"], release["timeout"]) == ("codecanvas-operator", "eu", 42)
    # One secret leaf makes the whole of an object secret to the mocks.
    values = opened(release["values"])
    assert values["operator"]["secret"]["jwtPrivateKey"] == KEY
    assert values["operator"]["targetNamespace"] == "eu"
    assert values["replicaCount"] == 2


def test_application_values_hold_the_public_half(seen: Seen) -> None:
    outputs = declare(server_url=URL)
    assert seen.resources
    text = json.dumps(outputs["application_values"])
    assert json.dumps(public_key_pem(KEY)) in text
    assert outputs["token"] == KEY
    assert "PRIVATE" not in text


def test_a_snippet_decides_and_its_values_are_secret(seen: Seen) -> None:
    outputs = declare(connection_snippet=SNIPPET, values={"replicaCount": 2, "a": {"more": 1}})
    assert CONNECTION_KEY not in seen.resources
    release = seen.inputs(RELEASE)
    assert {key: release[key] for key in ("chart", "version", "name", "namespace", "timeout")} == {
        "chart": CHART,
        "version": "2025.1.2",
        "name": "cc",
        "namespace": "eu",
        "timeout": 420,
    }
    assert opened(release["values"]) == {
        "operator": {"targetNamespace": "eu"},
        "a": {"token": TOKEN, "more": 1},
        "replicaCount": 2,
    }
    assert {key: value for key, value in opened(release["repositoryOpts"]).items() if value} == {
        "username": "me",
        "password": "pS9word",
    }
    others = [args.inputs for token, args in seen.resources.items() if token != RELEASE]
    assert TOKEN not in json.dumps(others, default=str)
    assert (outputs["instance_id"], outputs["application_values"], outputs["public_key"]) == (None, None, None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            {"connection_snippet": SNIPPET[:-30] + "'"},
            "connection_snippet: line 1: a quotation mark is never closed",
        ),
        ({"connection_snippet": SNIPPET, "chart_version": "1"}, "chart_version: is `1`"),
        (
            {"connection_snippet": SNIPPET, "values": {"operator": {"targetNamespace": "us"}}},
            "values.operator.targetNamespace: comes from the connection snippet",
        ),
        (
            {"server_url": URL, "values": {"operator": {"targetNamespace": "us"}}},
            "values.operator.targetNamespace: is set by this package",
        ),
        ({"server_url": URL, "values": {"a": {"b": 2**70}}}, "values.a.b: is no number of 64 bits"),
        ({"connection_snippet": SNIPPET, "values": {"a": 2**70}}, "values.a: is no number of 64 bits"),
        ({"server_url": URL, "kubeconfig": ""}, "kubeconfig: is empty"),
        ({"connection_snippet": SNIPPET, "kubeconfig": ""}, "kubeconfig: is empty"),
    ],
)
@pytest.mark.parametrize("late", [False, True], ids=["plain", "output"])
def test_a_fault_is_the_same_whether_a_value_is_plain_or_an_output(
    seen: Seen, arguments: dict[str, Any], says: str, *, late: bool
) -> None:
    given = dict(arguments)
    for name in ("connection_snippet", "values", "kubeconfig"):
        if late and name in given:
            given[name] = pulumi.Output.secret(given[name])
    with pytest.raises(InvalidArgumentsError) as caught:
        declare(**given)
    # A value that is known only later is found where no language is known any more.
    spelled = re.sub(r"^\w+", lambda name: to_camel(name.group()) if late else name.group(), says)
    assert str(caught.value).startswith(f"eu.{spelled}")
    assert TOKEN not in str(caught.value)
    assert late or not seen.resources


@pytest.mark.parametrize("arguments", [{"server_url": URL}, {"connection_snippet": SNIPPET}])
def test_the_cluster_of_a_kubeconfig_is_known_by_its_identity(seen: Seen, arguments: dict[str, Any]) -> None:
    declare(**arguments, kubeconfig="kubeconfig-text")
    told = [seen.inputs("pulumi:providers:kubernetes").get("clusterIdentifier")]
    told.append(seen.inputs("codecanvas:index:DevEnvironments").get("cluster"))
    assert told == [IDENTITY, IDENTITY]


def test_an_explicit_kubeconfig_is_a_secret_of_a_provider_of_its_own(seen: Seen) -> None:
    declare(server_url=URL, kubeconfig="kubeconfig-text", context="prod")
    provider = seen.inputs("pulumi:providers:kubernetes")
    assert (opened(provider["kubeconfig"]), provider["context"]) == ("kubeconfig-text", "prod")
    for token in (RELEASE, "kubernetes:core/v1:Namespace", "kubernetes:core/v1:PodTemplate"):
        assert "pulumi:providers:kubernetes::eu" in (seen.resources[token].provider or "")
    assert opened(seen.inputs("codecanvas:index:DevEnvironments")["kubeconfig"]) == "kubeconfig-text"


@pytest.mark.parametrize(("disabled", "has_own"), [(None, False), ('["*"]', True), ('["codecanvas"]', True)])
def test_a_disabled_default_provider_is_replaced_by_one_of_the_platform_s(
    seen: Seen, disabled: str | None, *, has_own: bool
) -> None:
    pulumi.runtime.set_all_config({"pulumi:disable-default-providers": disabled} if disabled else {})
    declare(server_url=URL, kubeconfig="kubeconfig-text")
    assert ("pulumi:providers:codecanvas" in seen.resources) is has_own
    provider = seen.resources["codecanvas:index:DevEnvironments"].provider
    assert ("pulumi:providers:codecanvas::eu" in (provider or "")) is has_own


def declare_with_provider(**arguments: Any) -> None:
    """Run a program whose platform is given a kubernetes provider that is made elsewhere."""

    async def program() -> None:
        way = {"kubeconfig": pulumi.Output.secret("their-kubeconfig"), "context": "theirs"}
        provider = pulumi.ProviderResource("kubernetes", "theirs", way)
        ComputingPlatform("eu", server_url=URL, **arguments, opts=pulumi.ResourceOptions(providers=[provider]))

    asyncio.get_event_loop().run_until_complete(run_pulumi_func(program))


def test_the_plugin_reaches_the_cluster_of_an_explicit_provider(seen: Seen) -> None:
    declare_with_provider()
    for token in (CONNECTION_KEY, "codecanvas:index:DevEnvironments", "codecanvas:index:ConnectionTest"):
        inputs = seen.inputs(token)
        assert (opened(inputs["kubeconfig"]), inputs["context"]) == ("their-kubeconfig", "theirs")


def test_the_platform_s_own_kubeconfig_counts_before_that_of_an_explicit_provider(seen: Seen) -> None:
    declare_with_provider(kubeconfig="own-kubeconfig")
    environments = seen.inputs("codecanvas:index:DevEnvironments")
    assert (opened(environments["kubeconfig"]), environments.get("context")) == ("own-kubeconfig", None)
    assert "pulumi:providers:kubernetes::eu" in (seen.resources[RELEASE].provider or "")


def test_the_outputs_of_a_platform_are_recorded_but_for_the_secret_and_the_long_ones(seen: Seen) -> None:
    declare(server_url=URL)
    recorded = rpc.deserialize_properties(seen.registered_outputs["eu"])
    assert set(recorded) == {to_camel(name) for name in OUTPUTS} - {"token", "connection"}
    facts = ("platformName", "namespace", "releaseName", "releaseStatus", "chartVersion", "keyFingerprint", "frozen")
    assert {name: recorded[name] for name in facts} == {
        "platformName": "eu",
        "namespace": "eu",
        "releaseName": "codecanvas-operator",
        "releaseStatus": "deployed",
        "chartVersion": "2025.1.0",
        "keyFingerprint": "SHA256:1",
        "frozen": False,
    }
    assert "PRIVATE KEY" not in json.dumps(recorded)


NAMESPACE = "kubernetes:core/v1:Namespace"


def test_the_key_goes_last_and_waits_for_the_platform_s_own_namespaces(seen: Seen) -> None:
    declare(server_url=URL, kubeconfig="kubeconfig-text", operator_namespace="apart")
    key = seen.inputs(CONNECTION_KEY)
    assert (key["namespaces"], opened(key["kubeconfig"])) == (["eu", "apart"], "kubeconfig-text")
    assert seen.inputs(NAMESPACE)["metadata"]["annotations"][SKIP_AWAIT] == "true"


@pytest.mark.parametrize(
    "arguments",
    [{"server_url": URL, "create_namespace": False, "namespace": "theirs"}, {"connection_snippet": SNIPPET}],
    ids=["adopted", "no key"],
)
def test_what_no_key_waits_for_the_kubernetes_plugin_waits_for(seen: Seen, arguments: dict[str, Any]) -> None:
    declare(**arguments)
    for token, args in seen.resources.items():
        assert SKIP_AWAIT not in json.dumps(args.inputs, default=str)
        assert token != CONNECTION_KEY or "namespaces" not in args.inputs


@pytest.mark.parametrize("operator_namespace", ["operators", "eu"])
def test_a_snippet_that_splits_the_namespaces_has_both_made(seen: Seen, operator_namespace: str) -> None:
    text = SNIPPET.replace("-n eu", f"-n {operator_namespace}").replace("targetNamespace=eu", "targetNamespace=envs")
    declare(connection_snippet=text, operator_namespace=operator_namespace)
    assert {"eu-namespace", "eu-operator-namespace"} <= seen.names


_PLACES = ("namespaces", "retained", "adopted", "operatorNamespace")


@pytest.mark.parametrize(
    ("arguments", "places"),
    [
        ({}, {"namespaces": ["eu"]}),
        ({"retain_volumes": True}, {"retained": ["eu"]}),
        ({"create_namespace": False, "namespace": "theirs"}, {"adopted": ["theirs"]}),
        ({"operator_namespace": "eu"}, {"namespaces": ["eu"]}),
        (
            {"operator_namespace": "ops", "create_operator_namespace": False},
            {"namespaces": ["eu"], "operatorNamespace": "ops"},
        ),
        ({"operator_namespace": "ops", "retain_volumes": True}, {"retained": ["eu"], "namespaces": ["ops"]}),
    ],
)
def test_the_key_knows_which_namespaces_a_delete_takes_along(
    seen: Seen, arguments: dict[str, Any], places: dict[str, list[str]]
) -> None:
    declare(server_url=URL, **arguments)
    key = seen.inputs(CONNECTION_KEY)
    assert {name: key[name] for name in _PLACES if key.get(name)} == places


def test_a_freeze_brings_its_block(seen: Seen) -> None:
    assert declare(server_url=URL, freeze=True, freeze_reason="upgrade")["frozen"] is True
    policy = seen.inputs("kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy")
    assert "upgrade" in json.dumps(policy)
    assert "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding" in seen.resources
    environments = seen.inputs("codecanvas:index:DevEnvironments")
    assert (environments["frozen"], environments["freezeReason"]) == (True, "upgrade")


def test_the_volumes_that_the_pod_template_names_are_told_to_the_guard(seen: Seen) -> None:
    shared = {"name": "cache", "persistentVolumeClaim": {"claimName": "team-cache"}}
    spec = {"containers": [{"name": "worker-main"}], "volumes": [shared]}
    declare(server_url=URL, pod_template={"apiVersion": "v1", "kind": "Pod", "spec": spec})
    assert seen.inputs("codecanvas:index:DevEnvironments")["templateClaims"] == ["team-cache"]


def test_a_turn_waits_for_the_outputs_of_service_accounts(seen: Seen, monkeypatch: pytest.MonkeyPatch) -> None:
    needs: list[Any] = []

    def note(given: list[Any]) -> Turn:
        needs.extend(given)
        return Turn(given)

    monkeypatch.setattr(children, "Turn", note)

    async def program() -> None:
        role = pulumi.Output.from_input("arn:aws:iam::1:role/dev")
        ComputingPlatform("eu", server_url=URL, service_accounts={"dev": {"eks.amazonaws.com/role-arn": role}})
        assert any(need is role for need in needs)

    asyncio.get_event_loop().run_until_complete(run_pulumi_func(program))
    assert "kubernetes:core/v1:ServiceAccount" in seen.resources


def test_a_service_account_may_be_named_alone(seen: Seen) -> None:
    declare(server_url=URL, annotations={"team": "blue"}, service_accounts={"dev-environments": None})
    metadata = seen.inputs("kubernetes:core/v1:ServiceAccount")["metadata"]
    assert (metadata["name"], metadata["annotations"]["team"]) == ("dev-environments", "blue")


def test_what_was_quoted_and_what_was_left_out_of_the_pod_template_are_two_warnings(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: told.append(text))
    metadata = {"name": "copied", "labels": {"codecanvas": True}}
    spec = {"containers": [{"name": "worker-main"}], "volumes": None}
    declare(server_url=URL, pod_template={"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    assert seen.resources
    assert told == [
        'pod template: Kubernetes wants text here, so these were quoted: metadata.labels.codecanvas: true -> "true"',
        "pod template: empty, or set for every pod, so these were left out: spec.volumes, metadata.name",
    ]


def test_an_adopted_namespace_is_not_registered(seen: Seen) -> None:
    declare(server_url=URL, create_namespace=False, namespace="theirs")
    assert "kubernetes:core/v1:Namespace" not in seen.resources
    assert seen.inputs("codecanvas:index:DevEnvironments")["ownsNamespace"] is False
