from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from codecanvas_provider import cli, stack_state
from codecanvas_provider.cli import NOT_WELL, UNUSABLE, app
from codecanvas_provider.platform_status import PlatformStatus
from codecanvas_provider.stack_state import PlatformState, StackError, find_platforms, read_platforms
from pulumi_codecanvas.tokens import COMPUTING_PLATFORM
from pulumi_codecanvas.version import VERSION

SECRET_MARK = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
VALUES = {"application": {"config": {"name": "eu"}}}
WELL: dict[str, Any] = {
    "platformName": "eu",
    "namespace": "eu",
    "namespacePhase": "Active",
    "frozen": False,
    "blockPresent": False,
    "runningDevEnvironments": 3,
    "operatorReady": True,
    "operatorMessages": [],
    "chartVersion": "2025.1.0",
    "keyFingerprint": "SHA256:8bba4b1c4d07c1ba113651",
}
PASSED = [{"name": "Operator", "status": "Success", "message": "ready"}]


def state(name: str = "eu", *, checks: list[dict[str, str]] | None = None, **inputs: Any) -> PlatformState:
    given = {"platformName": name, "namespace": name, "frozen": False, **inputs}
    return PlatformState(name, given, given, PASSED if checks is None else checks, {"applicationValues": VALUES})


def exported(kubeconfig: object = None, **outputs: Any) -> list[dict[str, Any]]:
    parent = "urn:pulumi:dev::codecanvas::codecanvas:index:ComputingPlatform::eu"
    inputs = {"namespace": "eu", "platformName": "eu", "kubeconfig": kubeconfig}
    return [
        {"urn": parent, "type": COMPUTING_PLATFORM, "outputs": outputs},
        {"urn": "e", "type": stack_state.ENVIRONMENTS, "parent": parent, "inputs": inputs},
        {
            "urn": "t",
            "type": stack_state.TEST,
            "parent": parent,
            "inputs": {**inputs, "releaseName": "operator"},
            "outputs": {"checks": PASSED},
        },
        {"urn": "old", "type": stack_state.TEST, "parent": parent, "delete": True, "inputs": {"namespace": "old"}},
    ]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give a call of the command line on platforms and what the cluster shows of them."""

    def call(platforms: list[PlatformState], *arguments: str, **seen: Any) -> Any:
        async def status(*_: Any) -> dict[str, Any]:
            return {**WELL, **seen}

        monkeypatch.setattr(cli, "read_platforms", lambda *_: platforms)
        monkeypatch.setattr(PlatformStatus, "get_platform_status", status)
        return CliRunner().invoke(app, list(arguments))

    return call


def test_status_of_a_well_platform_ends_with_0(run: Any) -> None:
    shown = run([state()], "status", "--json")
    assert shown.exit_code == 0
    assert json.loads(shown.stdout) == [{**WELL, "lastTest": "Success", "problems": []}]


@pytest.mark.parametrize(
    ("inputs", "seen", "problem"),
    [
        ({"frozen": True}, {"runningDevEnvironments": 0}, "should be frozen"),
        ({"frozen": True}, {"frozen": True, "runningDevEnvironments": 2}, "still runs 2 dev environments"),
        ({"frozen": True}, {"frozen": True, "runningDevEnvironments": 1}, "still runs 1 dev environment"),
        ({}, {"blockPresent": True}, "a freeze or unfreeze did not come to its end (run `pulumi up`), or"),
        ({}, {"operatorReady": False, "operatorMessages": ["no pod"]}, "no pod"),
        ({}, {"namespacePhase": None}, "not there"),
        ({"checks": [{"name": "Quota", "status": "Failed", "message": "full"}]}, {}, "codecanvas test eu"),
    ],
)
def test_status_tells_what_is_not_well_and_ends_with_1(
    run: Any, inputs: dict[str, Any], seen: dict[str, Any], problem: str
) -> None:
    shown = run([state(**inputs)], "status", "--json", **seen)
    assert shown.exit_code == NOT_WELL
    [found] = json.loads(shown.stdout)[0]["problems"]
    assert problem in found
    assert "1 dev environments" not in found


def test_a_delete_that_stopped_halfway_is_told_although_the_rest_looks_well(run: Any) -> None:
    halfway = [resource for resource in exported() if resource["type"] != stack_state.TEST]
    shown = run(find_platforms(halfway), "status", "--json")
    assert shown.exit_code == NOT_WELL
    assert json.loads(shown.stdout)[0]["problems"] == [
        "its create or delete did not come to its end; run `pulumi up` or `pulumi destroy` again"
    ]


def test_headings_of_the_status_are_whole_on_a_narrow_terminal(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    heading = run([state()], "status").stdout.splitlines()[0]
    for title in ("Platform", "Namespace", "Frozen", "Running", "Operator", "Key", "Chart", "Last test"):
        assert title in heading


def test_a_log_shows_names_in_one_piece(run: Any) -> None:
    name = "a-platform-with-a-name-as-long-as-kubernetes-lets-it-be-in-fact"
    shown = run([state()], "status", platformName=name, namespace=name)
    assert shown.stdout.count(name) == 2


def test_status_never_prints_a_kubeconfig(run: Any) -> None:
    sealed = state(kubeconfig="kubeconfig with s3cret")
    for options in ((), ("--json",)):
        assert "s3cret" not in run([sealed], "status", *options).output
    assert "s3cret" not in repr(sealed)


def test_a_platform_that_never_came_up_is_told(run: Any) -> None:
    shown = run([PlatformState("eu", {}, None, [], {})], "status")
    assert shown.exit_code == NOT_WELL
    assert "pulumi up" in shown.output
    assert run([PlatformState("eu", {}, None, [], {})], "test", "eu").exit_code == UNUSABLE


def test_unknown_platform_is_wrong_usage_and_the_known_ones_are_named(run: Any) -> None:
    shown = run([state("eu"), state("us")], "test", "asia")
    assert shown.exit_code == UNUSABLE
    assert "eu, us" in shown.output


def test_application_values_are_those_of_one_platform(run: Any) -> None:
    assert run([state()], "application-values").stdout == "application:\n  config:\n    name: eu\n"
    several = run([state("eu"), state("us")], "application-values")
    assert several.exit_code == UNUSABLE
    assert several.stdout == ""
    assert "--platform, or print --all: eu, us" in several.stderr
    assert run([state("eu"), state("us")], "application-values", "--platform", "us").exit_code == 0


def test_a_key_in_application_values_is_printed_line_by_line(run: Any) -> None:
    pem = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"
    platform = PlatformState("eu", {}, None, [], {"applicationValues": {"jwtPublicKey": pem}})
    shown = run([platform], "application-values").stdout
    assert shown == ("jwtPublicKey: |\n  -----BEGIN PUBLIC KEY-----\n  AAAA\n  -----END PUBLIC KEY-----\n")
    assert yaml.safe_load(run([platform], "application-values", "--all").stdout) == {"eu": {"jwtPublicKey": pem}}


def test_all_application_values_are_one_map_by_platform(run: Any) -> None:
    snippet = PlatformState("ap", {}, None, [], {})
    shown = run([snippet, state("eu"), state("us")], "application-values", "--all")
    assert shown.exit_code == 0
    assert yaml.safe_load(shown.stdout) == {"eu": VALUES, "us": VALUES}
    assert "platform ap has no such values" in shown.stderr
    assert run([snippet], "application-values", "--all").exit_code == UNUSABLE
    assert run([], "application-values", "--all").exit_code == UNUSABLE
    assert run([state()], "application-values", "--all", "--platform", "eu").exit_code == UNUSABLE


def test_application_values_that_the_state_seals_are_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def export(_stack: object, _directory: object, *options: str) -> list[dict[str, Any]]:
        content = {"plaintext": json.dumps(VALUES)} if options else {"ciphertext": "v1:x"}
        return exported(applicationValues={**SECRET_MARK, **content})

    monkeypatch.setattr(stack_state, "_export", export)
    shown = CliRunner().invoke(app, ["application-values"])
    assert yaml.safe_load(shown.stdout) == VALUES


def test_application_values_are_refused_where_the_key_is_unknown(run: Any) -> None:
    assert run([PlatformState("eu", {}, None, [], {})], "application-values").exit_code == UNUSABLE


def test_a_stack_that_cannot_be_read_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> list[PlatformState]:
        raise StackError("no stack is selected")

    monkeypatch.setattr(cli, "read_platforms", fail)
    shown = CliRunner().invoke(app, ["status"])
    assert shown.exit_code == UNUSABLE
    assert shown.output == "no stack is selected\n"


def test_platforms_are_found_with_their_present_children() -> None:
    [found] = find_platforms(exported(applicationValues=VALUES))
    assert found.inputs == {"namespace": "eu", "platformName": "eu", "releaseName": "operator"}
    assert found.checks == PASSED
    assert found.application_values == VALUES


def test_after_a_failed_update_a_platform_is_judged_by_what_was_wanted_last() -> None:
    resources = exported()
    wanted = {"namespace": "eu", "platformName": "eu", "frozen": True}
    resources[1]["outputs"] = {**wanted, "running": 2, "leftBlocked": False}
    resources[2]["outputs"] = {**wanted, "operatorNamespace": "ops", "releaseName": "new", "checks": PASSED}
    [found] = find_platforms(resources)
    assert found.inputs == {**wanted, "operatorNamespace": "ops", "releaseName": "new"}


def test_the_pod_template_is_printed_as_it_is(run: Any) -> None:
    platform = PlatformState("eu", {}, {}, [], {"podTemplateYaml": "kind: Pod\n"})
    done = run([platform], "pod-template", "eu")
    assert (done.exit_code, done.stdout) == (0, "kind: Pod\n")
    missing = run([PlatformState("eu", {}, {}, [], {})], "pod-template", "eu")
    assert missing.exit_code == UNUSABLE
    assert "run `pulumi up` first" in missing.stderr


@pytest.mark.parametrize(("kubeconfig", "calls"), [(None, 1), ({**SECRET_MARK, "ciphertext": "v1:x"}, 2)])
def test_secrets_are_asked_for_only_where_a_kubeconfig_is_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kubeconfig: object, calls: int
) -> None:
    opened = {**SECRET_MARK, "plaintext": '"text of the kubeconfig"'}
    for name, content in (("sealed", kubeconfig), ("opened", opened)):
        (tmp_path / name).write_text(json.dumps({"deployment": {"resources": exported(content)}}))
    script = tmp_path / "pulumi"
    script.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\ncase "$*" in\n'
        f"*--show-secrets*) cat {tmp_path}/opened ;;\n*) cat {tmp_path}/sealed ;;\nesac\n"
    )
    script.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    [found] = read_platforms("dev", None)
    assert found.inputs.get("kubeconfig") == (None if kubeconfig is None else "text of the kubeconfig")
    lines = (tmp_path / "calls").read_text().splitlines()
    assert len(lines) == calls
    assert all("--stack dev" in line for line in lines)


def test_pulumis_own_error_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "pulumi"
    script.write_text("#!/bin/sh\necho 'error: no stack named x found' >&2\nexit 255\n")
    script.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(StackError, match="cannot read the stack: no stack named x found"):
        read_platforms("x", None)


def test_a_missing_pulumi_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StackError, match="install the Pulumi CLI"):
        read_platforms(None, None)


def test_what_goes_wrong_unexpectedly_is_one_line_that_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise ValueError("Bearer s3cret")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == UNUSABLE
    shown = capsys.readouterr()
    assert shown.err.strip() == "codecanvas failed unexpectedly (ValueError); please report it"
    assert shown.out == ""


@pytest.mark.parametrize("option", ["permissions", "--version"])
def test_output_that_cannot_be_written_is_told(option: str) -> None:
    code = "from codecanvas_provider import cli; cli.main()"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, option], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == UNUSABLE
    assert done.stderr == "the output cannot be written: No space left on device\n"


def test_the_version_is_shown() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.stdout) == (0, f"codecanvas {VERSION}\n")


@pytest.mark.parametrize("option", ["--namespace", "--operator-namespace"])
def test_roles_for_a_namespace_that_cannot_exist_are_refused(option: str) -> None:
    shown = CliRunner().invoke(app, ["permissions", "--namespace", "eu", option, "A_B"])
    assert shown.exit_code == UNUSABLE
    assert shown.stdout == ""
    assert f'{option}: "A_B" is not a valid name; use up to 63 lower-case letters' in shown.stderr
