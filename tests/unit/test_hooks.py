from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest

from pulumi_codecanvas.connection import values_fingerprint
from pulumi_codecanvas.hooks import (
    Hooks,
    MissingRightsError,
    WrongContextError,
)
from pulumi_codecanvas.tokens import (
    CLEAR_LEFTOVER,
    EXPLAIN_RELEASE,
    FIND_MISSING_RIGHTS,
    RECOVER_RELEASE,
    WATCH_RELEASE,
)

OWNER = "organization/codecanvas/prod"
VALUES, FORMER = ({"operator": {"secret": {"jwtPrivateKey": key}}} for key in ("new", "old"))
EXISTS = 'namespaces "eu" already exists'
IN_PROGRESS = "another operation (install/upgrade/rollback) is in progress"


@dataclass
class Plugin:
    """Answers in the plugin's place.

    Attributes:
        answers: by function.
        asked: each call: function and arguments.
        said: what a user would read, each as severity and text.
    """

    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    said: list[tuple[str, str]] = field(default_factory=list)

    async def ask(self, function: str, arguments: dict[str, Any], _options: object) -> dict[str, Any]:
        known = {name: await pulumi.Output.from_input(value).future() for name, value in arguments.items()}
        self.asked.append((function, known))
        return self.answers.get(function, {})


class Hook:
    """A hook that no engine knows."""

    def __init__(self, name: str, callback: Any, options: object = None) -> None:
        self.name, self.callback, self.options = name, callback, options
        self._registered = asyncio.get_running_loop().create_future()


class Monitor:
    """Stands for the connection to the engine."""


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> Plugin:
    made = Plugin()
    monitor = Monitor()
    monkeypatch.setattr("pulumi.runtime.settings.get_monitor", lambda: monitor)
    monkeypatch.setattr(pulumi, "ErrorHook", Hook)
    monkeypatch.setattr(pulumi, "ResourceHook", Hook)
    monkeypatch.setattr(pulumi.runtime, "invoke_async", made.ask)
    monkeypatch.setattr(pulumi.log, "warn", lambda text: made.said.append(("warning", text)))
    monkeypatch.setattr(pulumi.log, "error", lambda text: made.said.append(("error", text)))
    return made


def make_hooks() -> Hooks:
    return Hooks("eu", {"kubeconfig": None, "context": "eu"}, OWNER, pulumi.InvokeOptions())


def fail_namespace(*errors: str) -> bool:
    """Have the creation of a namespace fail; errors as the engine gives them, the newest first."""

    async def main() -> bool:
        [hook] = make_hooks().for_object("namespace", "set create_namespace to false").on_error or []
        inputs = {"metadata": {"name": "eu"}}
        args = pulumi.ErrorHookArgs(
            "urn", "", "eu-namespace", "kubernetes:core/v1:Namespace", inputs, None, None, "create", list(errors)
        )
        retries: bool = await hook.callback(args)  # type: ignore[misc] # ours are coroutines
        return retries

    return asyncio.run(main())


def make_first() -> None:
    """Have the first object of a platform be made, a preview included."""

    async def main() -> None:
        needs = {"namespace": "eu", "operatorNamespace": "eu", "features": ["pod template"]}
        [hook] = make_hooks().for_first(needs).before_create or []
        args = pulumi.ResourceHookArgs("urn", "", "eu-namespace", "kubernetes:core/v1:Namespace")
        await hook.callback(args)  # type: ignore[union-attr, misc] # ours are hooks and coroutines

    asyncio.run(main())


def run_release_hooks(kind: str, *errors: str) -> list[Any]:
    async def main() -> list[Any]:
        release = {"namespace": "ops", "releaseName": "operator", "timeout": 600}
        binding = make_hooks().for_release(release, VALUES)
        inputs = {"name": "operator", "namespace": "ops", "timeout": 60.0}
        args = pulumi.ErrorHookArgs(
            "urn",
            "",
            "eu-release",
            "kubernetes:helm.sh/v3:Release",
            inputs,
            {"timeout": 900, "values": FORMER},
            None,
            kind,
            list(errors),
        )
        return [await hook.callback(args) for hook in getattr(binding, kind)]

    return asyncio.run(main())


def test_an_object_that_was_cleared_is_made_again(plugin: Plugin) -> None:
    plugin.answers[CLEAR_LEFTOVER] = {"cleared": True, "reason": ""}
    assert fail_namespace(EXISTS) is True
    thing = {"kind": "Namespace", "name": "eu", "namespace": None, "owner": OWNER, "platformName": "eu"}
    assert plugin.asked == [(CLEAR_LEFTOVER, {"kubeconfig": None, "context": "eu", **thing})]
    assert plugin.said == [
        ("warning", "the Namespace eu was left by an interrupted run of this stack; it is made anew")
    ]


def test_an_object_that_stays_is_explained(plugin: Plugin) -> None:
    plugin.answers[CLEAR_LEFTOVER] = {"cleared": False, "reason": "and is not of this stack", "adoptable": True}
    assert fail_namespace(EXISTS) is False
    [(severity, text)] = plugin.said
    assert severity == "error"
    assert text == "the Namespace eu exists already and is not of this stack; set create_namespace to false"


def test_a_namespace_that_is_not_there_is_named_with_the_argument_that_makes_it(plugin: Plugin) -> None:
    assert fail_namespace('resource "urn" was not created: namespaces "shared" not found', "before") is False
    says = "namespace shared does not exist: create it, or let the platform do so (`createNamespace: true`)"
    assert (plugin.said, plugin.asked) == ([("error", says)], [])


def test_nobody_is_told_to_adopt_what_a_stack_owns(plugin: Plugin) -> None:
    plugin.answers[CLEAR_LEFTOVER] = {"cleared": False, "reason": "and is this stack's", "adoptable": False}
    assert fail_namespace(EXISTS) is False
    assert plugin.said == [("error", "the Namespace eu exists already and is this stack's")]


def test_nobody_is_fought_over_an_object(plugin: Plugin) -> None:
    plugin.answers[CLEAR_LEFTOVER] = {"cleared": True, "reason": ""}
    assert fail_namespace(*[EXISTS] * 3) is True
    assert fail_namespace(*[EXISTS] * 4) is False


def test_other_failures_are_left_as_they_are(plugin: Plugin) -> None:
    assert fail_namespace("forbidden", EXISTS) is False
    assert plugin.asked == []


def test_a_preview_clears_nothing_and_asks_nobody(plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    plugin.answers[CLEAR_LEFTOVER] = {"cleared": True, "reason": ""}
    assert fail_namespace(EXISTS) is False
    assert (plugin.asked, plugin.said) == ([], [])


@pytest.mark.parametrize(("kind", "creating"), [("before_create", True), ("before_update", False)])
def test_a_release_is_recovered_before_it_is_watched(plugin: Plugin, kind: str, *, creating: bool) -> None:
    plugin.answers[RECOVER_RELEASE] = {"done": "it was taken over"}
    run_release_hooks(kind)
    assert [function for function, _ in plugin.asked] == [RECOVER_RELEASE, WATCH_RELEASE]
    arguments = plugin.asked[0][1]
    assert arguments["creating"] is creating
    assert arguments["timeout"] == 900, "the longest that a Helm of this stack may have had"
    assert arguments["owner"] == OWNER
    assert arguments["fingerprint"] == values_fingerprint(VALUES)
    assert arguments["formerFingerprint"] == values_fingerprint(FORMER), "what a failed update puts back"
    assert plugin.said == [("warning", "it was taken over")]


@pytest.mark.parametrize(
    ("refusal", "remedy"),
    [
        ("cannot re-use a name that is still in use", "helm uninstall operator --namespace ops"),
        (IN_PROGRESS, "helm rollback operator --namespace ops --wait"),
        ('"operator" has no deployed releases', "`pulumi up --refresh`"),
    ],
)
def test_what_helm_refuses_is_explained_with_the_command(plugin: Plugin, refusal: str, remedy: str) -> None:
    assert run_release_hooks("on_error", refusal) == [False]
    [(severity, text)] = plugin.said
    assert severity == "error"
    assert remedy in text


def test_a_release_that_is_not_ready_is_explained_by_its_workloads_under_the_platforms_name(plugin: Plugin) -> None:
    plugin.answers[EXPLAIN_RELEASE] = {"reasons": ["Deployment operator is not ready"]}
    assert run_release_hooks("on_error", "timed out waiting for the condition") == [False]
    assert plugin.said == [("error", "platform eu (namespace ops): Deployment operator is not ready")]


def test_a_wrong_context_is_told_before_the_first_object(plugin: Plugin) -> None:
    plugin.answers[FIND_MISSING_RIGHTS] = {"missing": [], "fault": "the kubeconfig has no context `nosuch`; it has `a`"}
    with pytest.raises(WrongContextError, match=r"eu\.context: the kubeconfig has no context `nosuch`"):
        make_first()


def test_every_missing_right_is_listed_before_the_first_object(plugin: Plugin) -> None:
    rights = ["delete pods in namespace eu (freeze)", "create namespaces in the cluster (own namespace)"]
    plugin.answers[FIND_MISSING_RIGHTS] = {"missing": rights}
    with pytest.raises(MissingRightsError) as caught:
        make_first()
    head, *lines = str(caught.value).splitlines()
    assert head == "nothing was written to the cluster, because these rights are missing:"
    assert lines[:2] == [f"  - {right}" for right in rights]
    assert "`codecanvas permissions`" in lines[2]


def test_an_object_is_made_where_no_right_is_missing(plugin: Plugin) -> None:
    plugin.answers[FIND_MISSING_RIGHTS] = {"missing": []}
    make_first()
    assert [function for function, _ in plugin.asked] == [FIND_MISSING_RIGHTS]
