"""A whole command gives what Bash and the real Helm make of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.helm_flags import FLAGS, Takes
from pulumi_codecanvas.shell_words import split_command
from pulumi_codecanvas.snippet import parse_snippet
from tests.parity.helm import canonical

if TYPE_CHECKING:
    from pathlib import Path

# The command of `helm template` that shows what a chart is given; flags that it lacks are taken off the command.
SHOW_TEMPLATE = '{{ dict "values" .Values "name" .Release.Name "namespace" .Release.Namespace | toJson }}'
NOT_IN_TEMPLATE = {"--install", "-i", "--reset-values", "--cleanup-on-fail"}

COMMANDS = [
    "helm upgrade --install cc ./chart", "helm install cc ./chart", "helm upgrade cc ./chart",
    "helm upgrade -i cc ./chart -n envs --create-namespace --wait --atomic --timeout 5m0s",
    "helm -n envs upgrade --install cc ./chart --set a=b",
    "helm upgrade --namespace=envs --install cc ./chart --set=a=b", "helm upgrade -nenvs cc ./chart --set a=b",
    "helm upgrade -n=envs cc ./chart --set a=b", "helm --debug=false upgrade cc --wait=true ./chart --set a=b",
    "helm upgrade --set a=b -- cc ./chart",
    "helm upgrade cc ./chart \\\n  --install \\\n  --set operator.secret.instanceId=x \\\n  --set a.b=envs\n",
    "helm upgrade cc ./chart --set 'a=b c' --set \"d=e f\" --set g=h\\ i",
    "helm upgrade cc ./chart --set 'a=$HOME' --set \"b=\\$HOME\" --set c=\\$HOME",
    "helm upgrade cc ./chart --set \"a=it's\" --set 'b=\"x\"' --set c='it'\\''s'",
    "helm upgrade cc ./chart --set \"a=one\\\ntwo\" --set 'b=one\ntwo'",
    "helm upgrade cc ./chart --set 'key=-----BEGIN PRIVATE KEY-----\nMIG+/AgEA==\n-----END PRIVATE KEY-----\n'",
    'helm upgrade cc ./chart --set-string "key=-----BEGIN PRIVATE KEY-----\nMIG+/AgEA==\n-----END PRIVATE KEY-----\n"',
    "helm upgrade cc ./chart --set $'key=one\\ntwo\\t\\x41\\u00e9\\'\\\\'",
    "helm upgrade cc ./chart --set a=b # a comment", "# a comment\nhelm upgrade cc ./chart --set a=b#c",
    "helm upgrade cc ./chart --set a=1,b=true,c=null,d=007,e=1.5,f=1e3,g=",
    "helm upgrade cc ./chart --set-string a=1,b=true,c=null",
    "helm upgrade cc ./chart --set 'a={x,y,1}' --set 'b[1].c=d'", "helm upgrade cc ./chart --set a[0]=x --set a[2]=y",
    "helm upgrade cc ./chart --set 'a=b\\,c' --set 'd\\.e=f' --set g=h\\\\,i=j",
    'helm upgrade cc ./chart --set-json \'a={"b":[1,2,{"c":null}]}\' --set a.b[0]=x',
    "helm upgrade cc ./chart --set a.b=1 --set-json 'a={\"c\":2}'",
    "helm upgrade cc ./chart --set-literal 'a=b,c={d}' --set-literal e=true",
    "helm upgrade cc ./chart --set-literal a=1 --set a=2 --set-string a=3",
    "helm upgrade cc ./chart --set-string a=1 --set a=2",
    "helm upgrade cc ./chart --set-file a=note.txt,b.c=note.txt", "helm upgrade cc ./chart --set-file a=",
    "helm upgrade cc ./chart -f one.yaml", "helm upgrade cc ./chart -f one.yaml -f two.yaml --set text=over",
    "helm upgrade cc ./chart -f two.yaml,one.yaml", "helm upgrade cc ./chart --values=one.yaml --set map=null",
    "helm upgrade cc ./chart -f one.yaml --set map.a=null --set list[0]=null",
    "helm upgrade cc ./chart -f one.yaml --set-json map= --set list=",
    "helm upgrade cc ./chart -f=one.yaml --set yes.no=on", "helm upgrade cc ./chart --set a=b --set a=c --set a=d",
    "helm upgrade cc ./chart --set a.b=1,a.c=2 --set a=3 --set-string a=4",
    "helm upgrade cc ./chart --set \"\" --set ''", "helm upgrade 'cc' \"./chart\" --set a''=\"\"b",
    "helm upgrade cc ./chart --set a=\u00e9\U0001f600 --set 'b=\u201cquoted\u201d'",
    "helm upgrade cc ./chart --set a=--set --set b=-n", "helm upgrade cc ./chart --set a=b=c --set d==",
    "helm upgrade cc ./chart --set a.b. --set c[0].d=", "helm upgrade cc ./chart\t--set\ta=b\n\n\n",
    "helm upgrade cc ./chart --set a=b* --set 'c=?' --set d=[x]",
    "helm upgrade cc ./chart --history-max=3 --set a=b --cleanup-on-fail --reset-values --description 'a b'",
    'helm upgrade cc ./chart --set a=!x --set "b=!x" --set c=%x --set d=^x --set e=@x',
]  # fmt: skip


class Shown(NamedTuple):
    """What a chart is given."""

    values: object
    name: str
    namespace: str


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a stand-in chart that shows what it is given, and values files."""
    path = tmp_path_factory.mktemp("program")
    (path / "chart" / "templates").mkdir(parents=True)
    (path / "chart" / "Chart.yaml").write_text("apiVersion: v2\nname: shown\nversion: 1.0.0\n")
    (path / "chart" / "templates" / "shown.yaml").write_text(SHOW_TEMPLATE)
    (path / "one.yaml").write_text("text: one\nmap: {a: 1, b: {c: yes}}\nlist: [1, 2]\nmode: 0644\nnothing: ~\n")
    (path / "two.yaml").write_text("map: {b: {d: 2001-01-01}}\nlist: [3]\nbig: 12345678901234567890\n")
    (path / "note.txt").write_text("one, two = {three}\n")
    return path


def split_by_bash(command: str, directory: Path) -> list[str] | None:
    """Let Bash split the command; None where it reports an error. Only ever given this file's own commands."""
    script = f"helm() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    environment = {"PATH": os.defpath, "HOME": str(directory), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=directory, env=environment, capture_output=True, check=False
    )
    if done.returncode or done.stderr:
        return None
    return done.stdout.decode().split("\0")[:-1]


def show_by_helm(helm: Path, arguments: list[str], directory: Path) -> Shown:
    """Let the real Helm render the chart."""
    kept = [argument for argument in arguments if argument not in NOT_IN_TEMPLATE]
    kept = [argument for argument in kept if not argument.startswith("--history-max")]
    command = next(index for index, argument in enumerate(kept) if argument in ("upgrade", "install"))
    kept[command] = "template"
    home = {f"HELM_{kind}_HOME": str(directory) for kind in ("CACHE", "CONFIG", "DATA")}
    done = subprocess.run(
        [helm, *kept], cwd=directory, env={"PATH": os.defpath, **home}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout.partition("shown.yaml\n")[2])
    return Shown(canonical(shown["values"]), shown["name"], shown["namespace"])


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_gives_what_bash_and_helm_make_of_it(helm: Path, directory: Path, command: str) -> None:
    arguments = split_by_bash(command, directory)
    assert arguments is not None
    snippet = parse_snippet(command, base_dir=directory)
    ours = Shown(canonical(snippet.values), snippet.release_name, snippet.namespace or "default")
    assert ours == show_by_helm(helm, arguments, directory)


PIECES = [
    "a", "b=", "c,d", " ", " ", "  ", "\t", "\\\n", "''", '""', "'x y'", '"x y"', "'\\'", '"\\\\"', '"\\""', '"\\x"',
    "\\'", '\\"', "\\\\", "x\\ y", "x#", '"\'"', "'\"'", "'\n'", '"\n"', '"\\\n"', "$'a\\tb'",
    "$'\\x41\\'\\101\\u00e9'", '$"z"', "$.", "'$'", '"\\$"', '"$"', "\\`", "'`'", "!", "%", "[0]", "-", "--", ".",
    "..", "\u00e9", "'~'", "'", '"',
]  # fmt: skip

_WORDS = st.lists(st.sampled_from(PIECES), max_size=10).map("".join)


def split_by_us(command: str) -> list[str] | None:
    try:
        split = split_command(command)
    except InvalidArgumentsError:
        return None
    return None if split.faults else [word.text for word in split.words[1:]]


@given(text=_WORDS)
@settings(max_examples=400)
def test_words_are_split_as_bash_splits_them(directory: Path, text: str) -> None:
    ours = split_by_us(f"helm a{text}")
    bash = split_by_bash(f"helm a{text}", directory)
    # A continuation mark at the very end is a cut-off text to us; Bash takes it for nothing.
    assert ours == bash or (ours is None and text.endswith("\\\n"))


@given(text=st.text(alphabet="{},.ab~=' ", max_size=12))
@settings(max_examples=300)
def test_no_word_is_taken_that_bash_would_expand(directory: Path, text: str) -> None:
    ours = split_by_us(f"helm a {text}")
    assert ours is None or ours == split_by_bash(f"helm a {text}", directory)


def read_flags(helm: Path, command: str) -> dict[str, tuple[str, bool]]:
    """Read from `helm COMMAND --help` every flag: its name, its letter, and whether it takes a value."""
    text = subprocess.run([helm, command, "--help"], capture_output=True, text=True, check=True).stdout
    lines = re.findall(
        r"^ +(?:-(\w), | {4})--([a-z-]+)(\[=| [a-zA-Z0-9]+ {2,}| [a-zA-Z0-9]+\[=| {2,})", text, re.MULTILINE
    )
    return {name: (letter, kind.strip() != "") for letter, name, kind in lines}


def test_every_flag_that_helm_has_is_classified(helm: Path) -> None:
    theirs = {**read_flags(helm, "install"), **read_flags(helm, "upgrade")}
    ours = {flag.name: (flag.short, flag.takes is not Takes.SWITCH) for flag in FLAGS}
    hidden = {"recreate-pods"}
    assert len(theirs) > 60
    assert {name: ours[name] for name in ours if name not in hidden} == theirs
