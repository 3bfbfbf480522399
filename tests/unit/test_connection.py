"""A connection from a snippet beside a platform's other arguments: who decides what, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pulumi_codecanvas.args import PlatformArgs, check_args, to_camel
from pulumi_codecanvas.chart_values import DEFAULT_CHART_VERSION
from pulumi_codecanvas.config import read_platforms
from pulumi_codecanvas.connection import Place, place_of_args, place_of_snippet, snippet_fingerprint
from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.snippet import parse_snippet

HERE = Path(__file__).parent
TOKEN = "tK9xQz7LmR2vBn5cWp8"
CHART = "oci://registry.example.com/charts/codecanvas-operator"
VALUES = f"--set operator.targetNamespace=eu --set a.token={TOKEN}"
SNIPPET = f"helm upgrade --install cc {CHART} --version 2025.1.2 -n eu {VALUES}"


def check(snippet: str | None = SNIPPET, **arguments: Any) -> PlatformArgs:
    return check_args("eu", {"connection_snippet": snippet, **arguments}, base_dir=HERE)


def place(snippet: str = SNIPPET, **arguments: Any) -> Place:
    return place_of_snippet(vars(check(snippet, **arguments)), parse_snippet(snippet, base_dir=HERE))


def refused(snippet: str | None = SNIPPET, **arguments: Any) -> list[str]:
    with pytest.raises(InvalidArgumentsError) as caught:
        check(snippet, **arguments)
    faults = [str(fault) for fault in caught.value.faults]
    assert TOKEN not in "".join(faults)
    return faults


def test_a_snippet_alone_decides_chart_version_release_and_namespaces() -> None:
    found = place()
    assert (found.chart, found.chart_version, found.release_name) == (CHART, "2025.1.2", "cc")
    assert (found.namespace, found.operator_namespace) == ("eu", "eu")


@pytest.mark.parametrize("value", ["20251", "true", "{eu}"])
def test_a_target_namespace_that_helm_reads_as_no_text_is_refused(value: str) -> None:
    [fault] = refused(f"helm upgrade cc {CHART} -n eu --set operator.targetNamespace={value} --set a.token={TOKEN}")
    assert fault.startswith("connection_snippet: `operator.targetNamespace` is no text")
    assert "--set-string" in fault


@pytest.mark.parametrize("value", ["EU", "eu_1", "eu.west", "-eu", "eu-", "e u", "e" * 64, TOKEN])
def test_a_target_namespace_that_can_be_none_is_refused_and_not_shown(value: str) -> None:
    snippet = f"helm upgrade cc {CHART} -n eu --set-string 'operator.targetNamespace={value}'"
    [fault] = refused(snippet, namespace="eu")
    assert fault.startswith("connection_snippet: `operator.targetNamespace` is no namespace name: at most 63")
    assert value not in fault.partition(": ")[2].replace("`operator.targetNamespace`", "")


@pytest.mark.parametrize("unset", ["--set operator.targetNamespace=", "--set-json operator.targetNamespace=null"])
def test_a_target_namespace_left_empty_is_the_release_s(unset: str) -> None:
    assert place(f"helm upgrade cc {CHART} -n eu {unset}").namespace == "eu"


def test_a_target_namespace_of_digits_is_taken_as_text() -> None:
    assert place(f"helm upgrade cc {CHART} -n 20251 --set-string operator.targetNamespace=20251").namespace == "20251"


def test_a_target_namespace_that_a_snippet_takes_back_is_none() -> None:
    assert place(f"helm upgrade cc {CHART} -n eu --set operator.targetNamespace=null").namespace == "eu"


def test_arguments_that_say_the_same_are_taken() -> None:
    assert check(chart=CHART, chart_version="2025.1.2", release_name="cc", namespace="eu", operator_namespace="eu")


def test_arguments_fill_in_what_a_snippet_leaves_open() -> None:
    found = place(f"helm upgrade cc {CHART} --set a={TOKEN}", namespace="envs", chart_version="7")
    assert (found.namespace, found.operator_namespace, found.chart_version) == ("envs", "envs", "7")
    assert place(f"helm upgrade cc {CHART}").namespace == "eu"


@pytest.mark.parametrize(
    ("argument", "ours", "theirs"),
    [
        ("chart", "oci://elsewhere.example.com/c", CHART),
        ("chart_version", "2024.3.0", "2025.1.2"),
        ("chart_repository", "https://charts.example.com", CHART),
        ("release_name", "other", "cc"),
        ("namespace", "us", "eu"),
        ("operator_namespace", "operators", "eu"),
    ],
)
def test_an_argument_that_contradicts_is_one_fault_that_shows_both(argument: str, ours: str, theirs: str) -> None:
    [fault] = refused(**{argument: ours})
    assert fault.startswith(f"{argument}: ")
    assert f"`{ours}`" in fault
    assert f"`{theirs}`" in fault


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("server_url", "http://x:8098"),
        ("instance_id", "7"),
        ("token_version", "2"),
        ("private_key", "-----BEGIN"),
    ],
)
def test_what_a_snippet_brings_may_not_be_given_too(argument: str, value: str) -> None:
    faults = refused(**{argument: value})
    assert any(fault.startswith(f"{argument}: does not go with a connection snippet") for fault in faults)


def test_the_default_that_other_languages_send_is_taken() -> None:
    assert check(token_version="1").token_version == "1"


def test_a_login_given_twice_is_refused_and_not_shown() -> None:
    snippet = SNIPPET + " --username me --password pS9word"
    faults = refused(snippet, chart_username="someone", chart_password="pS9word")
    assert [fault.partition(":")[0] for fault in faults] == ["chart_username", "chart_password"]
    assert not any(secret in "".join(faults) for secret in ("pS9word", "someone"))


@pytest.mark.parametrize("snippet", [SNIPPET, "helm upgrade cc c --repo https://charts.example.com", None])
@pytest.mark.parametrize(
    ("argument", "address"),
    [
        ("chart", "oci://someone:pS9word@registry.example.com/charts/codecanvas-operator"),
        ("chart", "https://pS9word@example.com/c-1.0.0.tgz"),
        ("chart_repository", "https://someone:pS9word@charts.example.com"),
        ("chart_repository", "HTTPS://someone:pS9word@charts.example.com"),
        ("chart_repository", "https://someone:pS9@word@charts.example.com"),
    ],
)
def test_a_login_in_an_address_is_refused_and_not_shown(argument: str, address: str, snippet: str | None) -> None:
    faults = refused(snippet, **{argument: address})
    assert f"{argument}: holds a login; give it by `chart_username` and `chart_password`" in faults
    assert not any(secret in "".join(faults) for secret in ("pS9", "someone"))


def test_half_a_login_may_come_from_the_arguments() -> None:
    found = place(SNIPPET + " --username me", chart_password="pS9word")
    assert (found.chart_username, found.chart_password) == ("me", "pS9word")


def test_namespaces_that_a_snippet_splits_have_to_be_confirmed() -> None:
    snippet = SNIPPET.replace("-n eu", "-n operators")
    [fault] = refused(snippet)
    assert "`operators`" in fault
    assert "`eu`" in fault
    found = place(snippet, operator_namespace="operators")
    assert (found.namespace, found.operator_namespace) == ("eu", "operators")
    # A freeze by quota needs this very thing, and looks at the snippet's namespaces.
    assert check(snippet, operator_namespace="operators", freeze_mode="quota").freeze_mode == "quota"
    assert "freeze_mode" in refused(freeze_mode="quota")[0]


def test_a_namespace_of_the_operators_own_is_refused_where_a_snippet_has_one_for_all() -> None:
    snippet = SNIPPET.replace("-n eu", "-n codecanvas").replace("targetNamespace=eu", "targetNamespace=codecanvas")
    [fault] = refused(snippet, operator_namespace="codecanvas")
    assert fault.startswith(
        "operator_namespace: is `codecanvas`, where the connection snippet has dev environments run"
    )
    assert check(snippet, operator_namespace="codecanvas", namespace="codecanvas")


@pytest.mark.parametrize(
    ("chart", "version"),
    [
        ({}, DEFAULT_CHART_VERSION),
        ({"chart": CHART}, DEFAULT_CHART_VERSION),
        ({"chart": "codecanvas-operator", "chart_repository": "https://charts.example.com"}, DEFAULT_CHART_VERSION),
        ({"chart": CHART, "chart_version": "2025.1.2"}, "2025.1.2"),
        ({"chart": str(HERE)}, None),
        ({"chart": "tools/chart"}, None),
        ({"chart": f"{CHART}:2025.1.2"}, None),
        ({"chart": f"{CHART}@sha256:{'0' * 64}"}, None),
    ],
)
def test_the_version_is_pinned_for_every_chart_that_comes_in_versions(
    chart: dict[str, str], version: str | None
) -> None:
    assert place_of_args(check(None, server_url="http://x:8098", **chart)).chart_version == version


def test_a_snippet_without_a_version_stays_without_one() -> None:
    assert place(f"helm upgrade cc {CHART}").chart_version is None


def test_timeout_is_the_argument_s_else_the_snippet_s() -> None:
    assert place(SNIPPET + " --timeout 5m").timeout == 300
    assert place(SNIPPET + " --timeout 5m", timeout=900).timeout == 900
    assert place().timeout == 600
    assert place_of_args(check(None, server_url="http://x:8098", timeout=42)).timeout == 42


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"operator": {"secret": {"jwtPrivateKey": "x"}}}, "values.operator.secret.jwtPrivateKey"),
        ({"operator": None}, "values.operator"),
        ({"operator": {"targetNamespace": "us"}}, "values.operator.targetNamespace"),
    ],
)
def test_values_may_not_change_what_connects(values: dict[str, Any], path: str) -> None:
    [fault] = refused(values=values)
    assert fault == f"{path}: comes from the connection snippet; change it in the snippet's text"
    assert check(values={"replicaCount": 2, "operator": {"more": 1}}).values


def test_a_fingerprint_tells_tokens_apart_and_not_spellings() -> None:
    digests = [
        snippet_fingerprint(parse_snippet(text, base_dir=HERE))
        for text in (SNIPPET, SNIPPET.replace("--set a", "\\\n  --set 'a").replace(TOKEN, f"{TOKEN}'"), f"{SNIPPET}x")
    ]
    assert digests[0] == digests[1] != digests[2]
    assert TOKEN not in "".join(digests)


def test_two_snippets_for_one_namespace_are_refused() -> None:
    platforms = {"eu": {"connectionSnippet": SNIPPET}, "us": {"connectionSnippet": SNIPPET}}
    with pytest.raises(InvalidArgumentsError) as caught:
        read_platforms({"platforms": platforms}, base_dir=HERE)
    assert {fault.path for fault in caught.value.faults} == {"platforms.us.namespace", "platforms.us.releaseName"}


def test_a_snippet_and_arguments_for_one_namespace_are_refused() -> None:
    platforms = {"eu": {"serverUrl": "http://x:8098"}, "us": {"connectionSnippet": SNIPPET}}
    with pytest.raises(InvalidArgumentsError) as caught:
        read_platforms({"platforms": platforms}, base_dir=HERE)
    assert [fault.path for fault in caught.value.faults] == ["platforms.us.namespace"]


def test_a_fault_is_spelt_as_the_config_does() -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        check_args("eu", {"connection_snippet": SNIPPET, "chart_version": "1"}, base_dir=HERE, spell=to_camel)
    assert str(caught.value).startswith("chartVersion: is `1`")
