"""The order of a platform's children, in which they go backwards too, and the options that they are registered with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from pulumi.runtime.settings import SETTINGS
from pulumi.runtime.stack import run_pulumi_func

from pulumi_codecanvas import ComputingPlatform
from pulumi_codecanvas.args import check_args
from pulumi_codecanvas.children import features_of
from pulumi_codecanvas.hooks import Hooks
from tests.support.mocked_engine import IDENTITY, Seen, mocked_engine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "http://codecanvas.example.com:8098"
EVERYTHING: dict[str, Any] = {
    "server_url": URL,
    "operator_namespace": "ops",
    "service_accounts": {"dev": {}},
    "quota": {"pods": 1},
    "limits": {"max": {"cpu": 1}},
    "network_policy": True,
    "storage": "eks",
    "freeze": True,
}
CLASSES = {"eu-storage-class", "eu-volume-snapshot-class"}
INSIDE = {"eu-pod-template", "eu-service-account-dev", "eu-quota", "eu-limits", "eu-network-policy"}
"""What is in the platform's namespace, whatever it is frozen by."""

ALWAYS = ["pod template", "Helm release", "own namespace", "connection test", "key rotation", "delete"]
"""Features that every platform uses unless it is told otherwise."""


@pytest.fixture
def seen() -> Iterator[Seen]:
    with mocked_engine() as made:
        yield made


def declare(*names: str, opts: pulumi.ResourceOptions | None = None, **arguments: Any) -> None:
    """Run a program with a platform of each name."""

    async def program() -> None:
        for name in names or ("eu",):
            ComputingPlatform(name, opts=opts, **arguments)

    asyncio.get_event_loop().run_until_complete(run_pulumi_func(program))


def names_where(seen: Seen, option: str) -> set[str]:
    """Name the resources that have an option switched on."""
    return {name for name, request in seen.requests.items() if getattr(request, option)}


def test_a_release_waits_for_the_template_and_the_operator_namespace(seen: Seen) -> None:
    declare(server_url=URL, operator_namespace="ops")
    assert seen.waits_for("eu-release") >= {"eu-pod-template", "eu-operator-namespace"}


def test_what_is_in_the_namespace_comes_after_it_and_all_else_after_the_key(seen: Seen) -> None:
    declare(**EVERYTHING, kubeconfig="kubeconfig-text")
    for name in INSIDE:
        assert "eu-namespace" in seen.waits_for(name), name
    for name in ("eu-namespace", "eu-operator-namespace", "eu-freeze-policy", *CLASSES):
        assert "eu-key" in seen.waits_for(name), name
    # The kubernetes provider, which bears the platform's name.
    assert "eu-key" in seen.waits_for("eu")


@pytest.mark.parametrize("way", [{"kubeconfig": "kubeconfig-text"}, {"context": "prod"}, {}], ids=" ".join)
def test_whoever_names_a_cluster_gets_a_provider_for_it(seen: Seen, way: dict[str, Any]) -> None:
    declare(server_url=URL, **way)
    assert ("pulumi:providers:kubernetes" in seen.resources) is bool(way)
    assert seen.inputs("codecanvas:index:DevEnvironments").get("context") == way.get("context")


@pytest.mark.parametrize(
    ("mode", "block"), [("policy", {"eu-freeze-policy", "eu-freeze-binding"}), ("quota", {"eu-freeze-quota"})]
)
def test_environments_come_after_every_object_they_guard(seen: Seen, mode: str, block: set[str]) -> None:
    declare(**EVERYTHING, freeze_mode=mode)
    # The template comes before the release.
    guarded = {"eu-release", *INSIDE, *CLASSES, *block} - {"eu-pod-template"}
    assert seen.waits_for("eu-environments") >= guarded


def test_the_connection_is_tested_last(seen: Seen) -> None:
    declare(server_url=URL)
    assert "eu-environments" in seen.waits_for("eu-test")
    assert list(seen.requests)[-1] == "eu-test"


def test_a_freeze_by_quota_makes_a_quota_and_no_policy(seen: Seen) -> None:
    declare(server_url=URL, operator_namespace="ops", freeze=True, freeze_mode="quota", freeze_reason="upgrade")
    assert {name for name in seen.names if "freeze" in name} == {"eu-freeze-quota"}
    quota = seen.inputs("kubernetes:core/v1:ResourceQuota")
    assert (quota["metadata"]["namespace"], quota["spec"]["hard"]) == ("eu", {"pods": "0"})


def test_a_binding_comes_after_its_policy(seen: Seen) -> None:
    declare(server_url=URL, freeze=True)
    assert "eu-freeze-policy" in seen.waits_for("eu-freeze-binding")


def test_each_kind_of_hardening_is_made_where_it_is_asked_for_alone(seen: Seen) -> None:
    declare(server_url=URL, quota={"pods": 7}, limits={"max": {"cpu": 3}}, network_policy=True)
    assert seen.inputs("kubernetes:core/v1:ResourceQuota")["spec"]["hard"] == {"pods": "7"}
    assert seen.inputs("kubernetes:core/v1:LimitRange")["spec"]["limits"][0]["max"] == {"cpu": "3"}
    assert seen.inputs("kubernetes:networking.k8s.io/v1:NetworkPolicy")["metadata"]["namespace"] == "eu"
    seen.names.clear()
    declare(server_url=URL)
    assert not {"eu-quota", "eu-limits", "eu-network-policy"} & seen.names


def test_what_is_in_the_namespace_goes_with_it(seen: Seen) -> None:
    declare(**EVERYTHING, freeze_mode="quota")
    assert {name for name in seen.requests if seen.goes_with(name)} == {*INSIDE, "eu-freeze-quota"}
    for name in (*INSIDE, "eu-freeze-quota"):
        assert seen.goes_with(name) == {"eu-namespace"}
    assert names_where(seen, "retainOnDelete") == set()


def test_a_namespace_with_volumes_to_keep_stays_and_what_else_is_in_it_goes(seen: Seen) -> None:
    declare(**EVERYTHING, retain_volumes=True)
    assert names_where(seen, "retainOnDelete") == {"eu-namespace"}
    assert not any(seen.goes_with(name) for name in seen.requests)


def test_a_protected_platform_can_still_be_unfrozen_and_take_a_new_key(seen: Seen) -> None:
    declare(**EVERYTHING, opts=pulumi.ResourceOptions(protect=True))
    passing = {"eu-key", "eu-freeze-policy", "eu-freeze-binding"}
    assert seen.names - names_where(seen, "protect") == passing


def test_a_platform_frozen_by_quota_can_be_unfrozen_though_protected(seen: Seen) -> None:
    declare(**EVERYTHING, freeze_mode="quota", opts=pulumi.ResourceOptions(protect=True))
    assert seen.names - names_where(seen, "protect") == {"eu-key", "eu-freeze-quota"}


def test_objects_of_one_name_and_the_release_go_before_their_replacements_come(seen: Seen) -> None:
    declare(**EVERYTHING)
    objects = {*INSIDE, *CLASSES, "eu-freeze-policy", "eu-freeze-binding"}
    assert names_where(seen, "deleteBeforeReplace") == {*objects, "eu-release"}


@pytest.mark.parametrize(("stop_timeout", "seconds"), [(900, "900s"), (5, "300s")])
def test_the_end_of_a_namespace_is_waited_for_as_long_as_environments_may_take(
    seen: Seen, stop_timeout: int, seconds: str
) -> None:
    declare(server_url=URL, operator_namespace="ops", stop_timeout=stop_timeout)
    times = {name: request.customTimeouts.delete for name, request in seen.requests.items()}
    waiting = ("eu-key", "eu-namespace", "eu-operator-namespace")
    assert {name: text for name, text in times.items() if text} == dict.fromkeys(waiting, seconds)


def test_the_next_platform_begins_when_the_test_of_the_one_before_is_made(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SETTINGS, "parallel", 1)
    declare("eu", "us", server_url=URL)
    children = [name for name in seen.requests if "-" in name]
    # Whichever of them the engine knows first begins.
    first = children[0].partition("-")[0]
    assert [name.partition("-")[0] == first for name in children] == [True] * 6 + [False] * 6
    assert children[5] == f"{first}-test"


class KnownHook(pulumi.ResourceHook):
    """A hook that counts as registered."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._registered = asyncio.get_event_loop().create_future()
        self._registered.set_result(None)


class KnownErrorHook(pulumi.ErrorHook):
    """The same for errors."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._registered = asyncio.get_event_loop().create_future()
        self._registered.set_result(None)


def bind_known_hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    def for_object(_hooks: Hooks, name: str = "object", _remedy: str = "") -> pulumi.ResourceHookBinding:
        return pulumi.ResourceHookBinding(on_error=[KnownErrorHook(f"{name} exists")])

    def for_first(_hooks: Hooks, _needs: object) -> pulumi.ResourceHookBinding:
        return pulumi.ResourceHookBinding(before_create=[KnownHook("rights")])

    def for_release(_hooks: Hooks, _release: object, _values: object) -> pulumi.ResourceHookBinding:
        return pulumi.ResourceHookBinding(on_error=[KnownErrorHook("explain")])

    for name, method in (("for_object", for_object), ("for_first", for_first), ("for_release", for_release)):
        monkeypatch.setattr(Hooks, name, method)


@pytest.mark.parametrize(
    ("more", "asking"),
    [
        ({}, {"eu-namespace", "eu-operator-namespace", *INSIDE - {"eu-pod-template"}}),
        ({"create_namespace": False, "namespace": "theirs", "create_operator_namespace": False}, INSIDE),
    ],
    ids=["owned", "adopted"],
)
def test_whatever_is_made_first_asks_for_the_rights_before_it_is_made(
    seen: Seen, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], asking: set[str]
) -> None:
    bind_known_hooks(monkeypatch)
    declare(**EVERYTHING, **more)
    asked = {name for name, request in seen.requests.items() if list(request.hooks.before_create) == ["rights"]}
    assert asked == {*asking, *CLASSES, "eu-freeze-policy"}


def test_every_object_that_a_killed_run_may_have_left_is_made_way_for(
    seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    bind_known_hooks(monkeypatch)
    declare(**EVERYTHING)
    known = {name: list(request.hooks.on_error) for name, request in seen.requests.items() if request.hooks.on_error}
    objects = {*INSIDE, *CLASSES, "eu-freeze-policy", "eu-freeze-binding"}
    assert known == {
        **{name: ["object exists"] for name in objects},
        "eu-namespace": ["namespace exists"],
        "eu-operator-namespace": ["operator-namespace exists"],
        "eu-release": ["explain"],
    }


@pytest.mark.parametrize(
    ("arguments", "features"),
    [
        ({}, []),
        ({"operator_namespace": "eu"}, []),
        ({"operator_namespace": "ops"}, ["own operator namespace"]),
        ({"operator_namespace": "ops", "create_operator_namespace": False}, []),
        ({"service_accounts": {"dev": {}}}, ["service accounts"]),
        ({"quota": {"pods": 1}}, ["quota"]),
        ({"limits": {"max": {"cpu": 1}}}, ["limits"]),
        ({"network_policy": True}, ["network policy"]),
        ({"storage": "eks"}, ["storage"]),
        ({"freeze": True}, ["freeze", "freeze by policy"]),
        (
            {"freeze": True, "freeze_mode": "quota", "operator_namespace": "ops"},
            ["own operator namespace", "freeze", "freeze by quota"],
        ),
        ({"freeze_mode": "quota", "operator_namespace": "ops"}, ["own operator namespace"]),
    ],
    ids=lambda value: None if isinstance(value, list) else " ".join(value) or "nothing",
)
def test_rights_are_asked_for_what_is_switched_on_and_nothing_else(
    arguments: dict[str, Any], features: list[str], tmp_path: Path
) -> None:
    found = features_of(check_args("eu", {"server_url": URL, **arguments}, base_dir=tmp_path))
    assert [feature for feature in found if feature not in features] == ALWAYS
    assert [feature for feature in found if feature not in ALWAYS] == features


def test_only_what_is_in_the_cluster_of_a_given_kubeconfig_is_made_anew_in_another(seen: Seen) -> None:
    declare(**EVERYTHING, kubeconfig="kubeconfig-text")
    told = {name: request.replacement_trigger.string_value for name, request in seen.requests.items()}
    in_cluster = {name for name, request in seen.requests.items() if request.type.startswith("kubernetes:")}
    assert {name for name, identity in told.items() if identity == IDENTITY} == in_cluster
    assert {told[name] for name in told.keys() - in_cluster} == {""}


def test_with_an_ambient_kubeconfig_nothing_asks_for_the_clusters_identity(seen: Seen) -> None:
    declare(**EVERYTHING)
    assert not any(request.replacement_trigger.string_value for request in seen.requests.values())
    assert "identifyCluster" not in seen.inputs("codecanvas:index:ConnectionKey")
