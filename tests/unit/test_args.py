"""The arguments of a platform: every fault by its path, and values that arrive in another language's form."""

from __future__ import annotations

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pulumi_codecanvas.args import PlatformArgs, check_args, to_camel
from pulumi_codecanvas.chart_values import derive_instance_id
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.late_checks import checked_values, merged_values
from pulumi_codecanvas.snippet import parse_snippet
from tests.support.opaque import Output

HERE = Path(__file__).parent
URL = "http://codecanvas.example.com:8098"


def check(**arguments: Any) -> PlatformArgs:
    return check_args("eu", {"server_url": URL, **arguments}, base_dir=HERE)


def refused(**arguments: Any) -> list[str]:
    with pytest.raises(InvalidArgumentsError) as caught:
        check_args("eu", {"server_url": URL, **arguments}, base_dir=HERE, spell=to_camel)
    return [str(fault) for fault in caught.value.faults]


def test_an_empty_way_to_a_cluster_is_refused_as_the_ambient_one_may_be_another() -> None:
    assert refused(kubeconfig="", context="") == [
        "kubeconfig: is empty; leave it out where the ambient one is meant",
        "context: is empty; leave it out where the ambient one is meant",
    ]


def test_a_pod_security_level_that_an_adopted_namespace_would_not_get_is_refused() -> None:
    assert refused(create_namespace=False, pod_security="restricted") == [
        (
            "podSecurity: has no effect on a namespace that is adopted (`createNamespace: false`); remove it, and label"
            " the namespace yourself: pod-security.kubernetes.io/enforce=restricted"
        )
    ]
    # The default, which SDKs of other languages may send.
    assert check(create_namespace=False, pod_security="privileged").pod_security == "privileged"
    assert check(create_namespace=True, pod_security="restricted").pod_security == "restricted"


def test_an_instance_id_is_derived_from_the_platforms_name_unless_it_is_given() -> None:
    assert check().instance_id == derive_instance_id("eu")
    assert check(platform_name="west").instance_id == derive_instance_id("west")
    assert check(instance_id="own").instance_id == "own"


def test_a_snippet_brings_the_instance_id_itself() -> None:
    text = "helm upgrade cc oci://example.com/c --set operator.secret.instanceId=7"
    assert check_args("eu", {"connection_snippet": text}, base_dir=HERE).instance_id is None


def test_a_whole_number_of_another_language_is_the_text_that_was_written() -> None:
    found = check(token_version=2.0, chart_version=7, stop_timeout=30.0)
    assert (found.token_version, found.chart_version, found.stop_timeout) == ("2", "7", 30)
    assert refused(token_version=2.5) == ["tokenVersion: must be text, not a number"]


def test_whole_numbers_of_another_language_are_integers_in_values_too() -> None:
    values = {"ports": [8080.0], "ratio": 1.5}
    written = '{"ports": [8080], "ratio": 1.5}'
    assert json.dumps(check(values=values).values) == written
    snippet = parse_snippet("helm upgrade cc oci://example.com/c", base_dir=HERE)
    assert json.dumps(asyncio.run(merged_values("eu", snippet, values))) == written
    facts = dict.fromkeys(("server_url", "private_key", "instance_id", "target_namespace"))
    late = asyncio.run(checked_values("eu", {**facts, "values": values}))
    assert json.dumps({key: late[key] for key in values}) == written


def test_values_are_checked_to_their_leaves_beside_other_faults() -> None:
    loop: dict[str, Any] = {"password": "topsecret"}
    loop["self"] = [loop]
    assert refused(values={"a": {"b": b"topsecret", 1: 2}}, pod_security="none") == [
        "values.a.b: is of type bytes; use texts, numbers, booleans, lists and mappings only",
        "values.a: holds a key that is a number; write every key as text",
        "podSecurity: is not a pod security level; use one of privileged, baseline, restricted",
    ]
    assert refused(values=loop) == ["values: nests deeper than 100 levels, or contains itself"]


@pytest.mark.parametrize(
    ("argument", "value", "fault"),
    [
        ("instance_id", date(2020, 1, 1), "instanceId: must be text, not of type date"),
        ("context", b"eu", "context: must be text, not of type bytes"),
        ("kubeconfig", b"topsecret", "kubeconfig: must be text, not of type bytes"),
        ("private_key", {"topsecret"}, "privateKey: must be text, not of type set"),
        ("values", object(), "values: must be a mapping, not of type object"),
        ("pod_template", b"kind: Pod", "podTemplate: is of type bytes"),
        ("storage", {1}, "storage: is of type set"),
        ("labels", {"a": b"b"}, "labels.a: is of type bytes"),
        ("freeze", Output(), "freeze: must be known before the update starts"),
    ],
)
def test_what_is_no_output_is_told_by_its_type(argument: str, value: object, fault: str) -> None:
    [found] = refused(**{argument: value})
    assert found.startswith(fault)


@pytest.mark.parametrize("argument", ["server_url", "kubeconfig", "values", "private_key"])
def test_an_output_is_handed_on(argument: str) -> None:
    output = Output()
    assert getattr(check(**{argument: output}), argument) is output


def test_paths_of_python_are_taken_where_a_path_belongs(tmp_path: Path) -> None:
    (tmp_path / "worker.yaml").write_text("kind: Pod\napiVersion: v1\nspec: {containers: [{name: worker-main}]}")
    (tmp_path / "chart").mkdir()
    found = check(pod_template=tmp_path / "worker.yaml", kubeconfig=Path("a/kubeconfig"), chart=tmp_path / "chart")
    assert found.pod_template.manifest["kind"] == "Pod"
    assert (found.kubeconfig, found.chart) == ("a/kubeconfig", str(tmp_path / "chart"))
    assert check_args("eu", {"server_url": URL, "chart": Path("chart")}, base_dir=tmp_path).chart == "./chart"


@pytest.mark.parametrize(
    ("argument", "value", "fault"),
    [
        ("propagate_env", ["TEAM", True], "propagateEnv[1]: is a boolean, not a text; quote it"),
        ("propagate_paths", "a", "propagatePaths: must be a list, not a text"),
        ("labels", {1: "a"}, "labels: holds a key that is a number; write every key as text"),
        ("quota", {None: "1"}, "quota: holds a key that is empty; write every key as text"),
        ("values", {1: "a"}, "values: holds a key that is a number; write every key as text"),
        ("values", ["a"], "values: must be a mapping, not a list"),
        ("stop_timeout", 0, "stopTimeout: must be a whole number above 0"),
        ("stop_timeout", 1.5, "stopTimeout: must be a whole number above 0"),
        ("stop_timeout", True, "stopTimeout: must be a whole number above 0, not a boolean"),
        ("timeout", 10**400, "timeout: must be at most 2147483647"),
        ("chart_version", 10**5000, "chartVersion: must be text, not a number"),
        ("server_url", ["x"], "serverUrl: must be text, not a list"),
        ("operator_namespace", 1.5, "operatorNamespace: must be text, not a number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_wrong_type_is_one_fault_that_says_where_and_what(argument: str, value: object, fault: str) -> None:
    assert refused(**{argument: value}) == [fault]


def test_what_is_of_a_wrong_type_is_not_missing_too() -> None:
    assert refused(chart_username="me", chart_password=b"x") == ["chartPassword: must be text, not of type bytes"]
    assert refused(server_url=None, connection_snippet=b"helm") == [
        "connectionSnippet: must be text, not of type bytes"
    ]
    assert refused(freeze_mode="quota", operator_namespace=["x"]) == ["operatorNamespace: must be text, not a list"]


@pytest.mark.parametrize(
    ("argument", "value", "fault"),
    [
        ("instance_id", "", "instanceId: is empty; leave it out to have one derived"),
        ("instance_id", " ", "instanceId: is empty; leave it out to have one derived"),
        ("chart_version", "latest", "chartVersion: is neither a version nor a version constraint; write it as in 2025"),
        ("chart_version", "", "chartVersion: is neither a version nor a version constraint"),
        ("chart", "./no-such-chart", "chart: is a path, and nothing is there; paths start from the directory"),
        ("chart", "../no-such-chart", "chart: is a path, and nothing is there"),
        ("chart", "/no/such/chart", "chart: is a path, and nothing is there"),
    ],
)
def test_what_could_only_fail_later_is_refused(argument: str, value: str, fault: str) -> None:
    [found] = refused(**{argument: value})
    assert found.startswith(fault)


@pytest.mark.parametrize(
    "address", ["charts.example.com", "file:///charts", "https://", "https://h/?token=topsecret", "https://h/a b", ""]
)
def test_a_repository_without_a_plain_address_is_refused_and_not_shown(address: str) -> None:
    [fault] = refused(chart="codecanvas-operator", chart_repository=address)
    assert fault.startswith("chartRepository: is not a plain https://, http:// or oci:// address")
    assert "topsecret" not in fault


@pytest.mark.parametrize(
    ("arguments", "snake", "camel"),
    [
        ({"server_url": None}, "or a `connection_snippet`", "or a `connectionSnippet`"),
        (
            {"freeze_mode": "quota"},
            "set `operator_namespace` to another namespace",
            "set `operatorNamespace` to another namespace",
        ),
        (
            {"chart": "https://me:secret@example.com/c"},
            "give it by `chart_username` and `chart_password`",
            "give it by `chartUsername` and `chartPassword`",
        ),
        (
            {
                "server_url": None,
                "connection_snippet": "helm upgrade cc oci://example.com/c -n a --set operator.targetNamespace=b",
            },
            "confirm it with `operator_namespace: a`",
            "confirm it with `operatorNamespace: a`",
        ),
        ({"values": {"operator": {"targetNamespace": "b"}}}, "use `namespace` instead", "use `namespace` instead"),
        ({"values": {"operator": {"secret": "b"}}}, "`server_url`, `private_key` and", "`serverUrl`, `privateKey` and"),
    ],
)
def test_faults_name_arguments_as_the_user_spells_them(arguments: dict[str, Any], snake: str, camel: str) -> None:
    for spell, remedy in ((str, snake), (to_camel, camel)):
        with pytest.raises(InvalidArgumentsError) as caught:
            check_args("eu", {"server_url": URL, **arguments}, base_dir=HERE, spell=spell)
        assert remedy in str(caught.value)


@pytest.mark.parametrize("version", ["2025.1.0", ">1", "^2025.1, <2026", "1", "7"])
@pytest.mark.parametrize("repository", ["https://charts.example.com/a", "http://127.0.0.1:8080", "oci://h/charts"])
def test_versions_and_repositories_are_accepted(version: str, repository: str) -> None:
    assert check(chart="codecanvas-operator", chart_repository=repository, chart_version=version)


def test_a_chart_that_is_there_or_may_be_a_name_is_accepted() -> None:
    assert check(chart="./test_args.py").chart == "./test_args.py"
    assert check(chart="no-such-chart").chart == "no-such-chart"


@pytest.mark.parametrize(
    ("chart", "fault"),
    [
        (None, "does not go with the default chart, which is an oci:// one; name the chart in that repository by"),
        ("oci://example.com/c", "does not go with an oci:// chart; put the registry into `chart`"),
    ],
)
def test_a_repository_beside_a_chart_in_a_registry_is_refused(chart: str | None, fault: str) -> None:
    [found] = refused(chart=chart, chart_repository="https://charts.example.com")
    assert found.startswith(f"chartRepository: {fault}")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://codecanvas:8098",
            "https://a_b.example.com/x?y=z",
            "wss://10.0.0.1",
            "ws://[::1]:8098/",
            "HTTP://EU.",
        ),
        *("http://m\u00fcnchen.example.com", "http://codecanvas.example.com:8098"),
    ],
)
def test_addresses_that_an_operator_can_dial_are_accepted(url: str) -> None:
    assert check(server_url=url).server_url == url


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        *((url, "is no address of") for url in ("ftp://codecanvas", "file://codecanvas/x", "tcp://codecanvas:8098")),
        *(
            (url, "is not a URL")
            for url in ("http://<app>:8098", "http://a..b", "http://${host}", "http://a,b", "http://")
        ),
        *(
            (url, "is not a URL")
            for url in ("codecanvas:8098", "http://me:topsecret@a", "http://a:99999", "http://a\x1b")
        ),
        *((url, "is not a URL") for url in ("http://[::g]", "http://a b", "http://a:0", "http://[::1", "")),
    ],
)
def test_addresses_that_no_operator_can_dial_are_refused_and_not_shown(url: str, cause: str) -> None:
    [fault] = refused(server_url=url)
    assert fault.startswith(f"serverUrl: {cause}")
    assert "topsecret" not in fault
