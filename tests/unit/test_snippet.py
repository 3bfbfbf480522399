"""The pasted connection snippet: what it gives, what it is refused for, and that it never shows its token."""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.snippet import MAX_FAULTS, Snippet, parse_snippet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "tK9xQz7LmR2vBn5cWp8"
WINDOW = 5
"""A run of this many of the token's characters anywhere in an error counts as a leak."""
OCI = "oci://registry.example.com/charts/codecanvas-operator"
PASTED = f"""\
helm upgrade --install codecanvas-operator {OCI} \\
  --version 2025.1.2 --namespace dev-envs --create-namespace \\
  --set operator.secret.instanceId=eu \\
  --set operator.secret.jwtPrivateKey='{TOKEN}' --wait --timeout 10m
"""
PEM = f"-----BEGIN PRIVATE KEY-----\nMIGH{TOKEN}AgEA/+==\n-----END PRIVATE KEY-----\n"
SEEDS = [
    PASTED,
    PASTED.replace("\\\n", "`\r\n"),
    PASTED.replace("\\\n", "^\n").replace("'", '"'),
    f"$ helm install rel oci://example.com/c --set-string a.b={TOKEN},c=d --set 'e={{f,g}}' --atomic",
    f'helm upgrade rel oci://example.com/c --set-json \'a={{"b":["{TOKEN}",1]}}\' -n ns --devel --password {TOKEN}',
    f"helm upgrade rel name --repo https://example.com/charts --set-literal 'a={TOKEN},x' --username me",
    f'helm upgrade -i rel oci://example.com/c --set "a.key={PEM}" --set "b=\\"{TOKEN}\\""',
    f"helm upgrade -i rel oci://example.com/c -f values.yaml --set-file x=note.txt --set y[0].b=$'{TOKEN}\\n'",
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a program, with a chart and files."""
    path = tmp_path_factory.mktemp("program")
    (path / "chart").mkdir()
    (path / "values.yaml").write_text(f"a: {{b: 1, c: {TOKEN}}}\nd: yes\n")
    (path / "over.yaml").write_text("a: {b: 2}\n")
    (path / "broken.yaml").write_text(f"a: [{TOKEN}\n")
    (path / "note.txt").write_text(TOKEN)
    (path / "bytes.bin").write_bytes(b"\xff\xfe")
    (path / "large.yaml").write_bytes(b"#" * 300_000)
    (path / "loop").symlink_to(path / "loop")
    os.mkfifo(path / "pipe")
    return path


def read_faults(text: str, directory: Path) -> list[str]:
    with pytest.raises(InvalidArgumentsError) as caught:
        parse_snippet(text, base_dir=directory)
    assert_no_leak(caught.value)
    return [str(fault) for fault in caught.value.faults]


def assert_no_leak(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(type(error), error, error.__traceback__)) + repr(error)
    pieces = (TOKEN[start : start + WINDOW] for start in range(len(TOKEN) - WINDOW + 1))
    assert not [piece for piece in pieces if piece in shown]


def test_the_settings_page_s_command_gives_everything_it_says(directory: Path) -> None:
    assert parse_snippet(PASTED, base_dir=directory) == Snippet(
        chart=OCI,
        release_name="codecanvas-operator",
        chart_repository=None,
        chart_version="2025.1.2",
        namespace="dev-envs",
        values={"operator": {"secret": {"instanceId": "eu", "jwtPrivateKey": TOKEN}}},
        timeout=600,
        create_namespace=True,
    )


def test_every_shell_s_form_gives_the_same(directory: Path) -> None:
    assert len({repr(parse_snippet(text, base_dir=directory)) for text in SEEDS[:3]}) == 1
    values = [parse_snippet(text, base_dir=directory).values for text in SEEDS[:3]]
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("text", SEEDS)
def test_no_secret_is_in_a_snippet_s_text_form(directory: Path, text: str) -> None:
    snippet = parse_snippet(text, base_dir=directory)
    assert TOKEN[:WINDOW] not in repr(snippet)
    assert TOKEN[:WINDOW] not in str(snippet)


def test_a_key_of_several_lines_arrives_whole(directory: Path) -> None:
    assert parse_snippet(SEEDS[6], base_dir=directory).values == {"a": {"key": PEM}, "b": f'"{TOKEN}"'}


def test_windows_line_ends_do_not_get_into_a_key(directory: Path) -> None:
    text = SEEDS[6].replace("\n", "\r\n")
    assert parse_snippet(text, base_dir=directory).values["a"] == {"key": PEM}


def test_large_numbers_that_helm_takes_for_floats_or_text_are_taken(directory: Path) -> None:
    text = f"helm upgrade r {OCI} --set-json 'a=12345678' --set-string b=12345678"
    assert parse_snippet(text, base_dir=directory).values == {"a": 12345678, "b": "12345678"}


def test_values_have_helm_s_precedence(directory: Path) -> None:
    text = (
        f"helm upgrade r {OCI} --set-literal l=1 --set-file f=note.txt --set-string s=1 --set x=set,s=2,f=set,l=2 "
        "--set-json 'x=\"json\"' -f values.yaml -f over.yaml --set a.c=null"
    )
    assert parse_snippet(text, base_dir=directory).values == {
        "a": {"b": 2, "c": None},
        "d": True,
        "x": "set",
        "s": "1",
        "f": TOKEN,
        "l": "1",
    }


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        ("--repo https://charts.example.com/x", "chart_repository", "https://charts.example.com/x"),
        ("--repo https://charts.example.com --username me", "chart_username", "me"),
        ("--repo https://charts.example.com --password ' p '", "chart_password", " p "),
        ("--repo https://charts.example.com --devel", "devel", True),
        ("--repo https://charts.example.com --devel --version 1", "devel", False),
        ("--repo https://charts.example.com --version '>=1.2, <2 || ^3.x'", "chart_version", ">=1.2, <2 || ^3.x"),
        ("--repo https://charts.example.com --version v2025.1-EAP+7", "chart_version", "v2025.1-EAP+7"),
        ("--repo https://charts.example.com --timeout 1h30m0.5s", "timeout", 5401),
        ("--repo https://charts.example.com --timeout 90s", "timeout", 90),
        ("--repo https://charts.example.com --namespace ''", "namespace", None),
        ("--repo https://charts.example.com", "create_namespace", False),
    ],
)
def test_flags_that_matter_are_honoured(directory: Path, words: str, field: str, value: object) -> None:
    assert getattr(parse_snippet(f"helm upgrade rel name {words}", base_dir=directory), field) == value


@pytest.mark.parametrize("program", ["helm", "/usr/local/bin/helm", "helm3", "helm.exe", "./helm"])
def test_helm_may_be_called_by_its_path(directory: Path, program: str) -> None:
    assert parse_snippet(f"{program} upgrade rel {OCI}", base_dir=directory).chart == OCI


def test_flags_may_stand_anywhere(directory: Path) -> None:
    text = f"helm -n ns --set a=1 upgrade --wait rel --set b=2 {OCI} --install"
    snippet = parse_snippet(text, base_dir=directory)
    assert (snippet.namespace, snippet.values, snippet.release_name) == ("ns", {"a": 1, "b": 2}, "rel")


@pytest.mark.parametrize("chart", ["./chart", "chart", OCI, "https://example.com/c-1.0.0.tgz"])
def test_a_chart_is_an_address_or_a_path(directory: Path, chart: str) -> None:
    assert parse_snippet(f"helm upgrade rel {chart}", base_dir=directory).chart == chart


@pytest.mark.parametrize(
    ("chart", "says"),
    [
        ("jetbrains/operator", "known to `helm repo` on one machine only"),
        ("operator", "give its repository's address by --repo"),
        ("./missing", "nothing is there"),
        ("/missing", "nothing is there"),
        ("./" + "a" * 300, "nothing is there"),
        ("oci://me:secret@example.com/c", "no login"),
        ("https://example.com/c.tgz?token=x", "no query"),
        ("ftp://example.com/c.tgz", "not a plain oci://"),
        ("'a b'", "no chart"),
        ("''", "no chart"),
        (f"{OCI} --repo https://example.com", "`--repo` names another one"),
    ],
)
def test_a_chart_that_cannot_be_found_again_is_refused(directory: Path, chart: str, says: str) -> None:
    assert says in "\n".join(read_faults(f"helm upgrade rel {chart}", directory))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--version latest", "`--version` is neither a version"),
        (f"--version {TOKEN}", "`--version` is neither a version"),
        ("--namespace Dev_Envs", "`--namespace` is no namespace name"),
        ("--namespace " + "a" * 64, "`--namespace` is no namespace name"),
        ("--timeout soon", "`--timeout` is not a time"),
        ("--timeout 0s", "`--timeout` is not a time"),
        ("--timeout 10", "`--timeout` is not a time"),
        ("--timeout 25h", "`--timeout` is not a time"),
        ("--repo oci://example.com/charts", "`--repo` is not a plain https:// address"),
        ("--repo https://me:secret@example.com", "`--repo` is not a plain https:// address"),
        ("-f missing.yaml", "`--values` has a file that does not exist"),
        ("-f https://example.com/v.yaml", "`--values` has a file that is not on this machine"),
        ("-f -", "`--values` has a file that is not on this machine"),
        ("-f broken.yaml", "`--values` has a file that is no values file: it is not valid YAML (line 2)"),
        ("-f note.txt", "`--values` has a file that is no values file: it is not a YAML map"),
        ("-f chart", "`--values` has a file that does not exist"),
        ("-f pipe", "`--values` has a file that does not exist"),
        ("-f loop", "`--values` has a file that"),
        ("-f " + "a" * 300, "`--values` has a file that cannot be opened"),
        ("--set-file a=" + "a" * 300, "`--set-file` has a file that cannot be opened"),
        ("-f large.yaml", "`--values` has a file that is larger than 256 KiB"),
        ("-f '\"a\"b,c'", "`--values` has a broken list of files"),
        ("-f " + "over.yaml," * 21, "more than 20 values files"),
        ("--set-file a=missing.txt", "`--set-file` has a file that does not exist"),
        ("--set-file a=bytes.bin", "`--set-file` has a file that is not UTF-8 text"),
        (f"--set {TOKEN}", "`--set` cannot be read: a name has no value"),
        (f"--set {TOKEN[:8]},{TOKEN}==", "`--set` cannot be read: a name has no value"),
        (f"--set a={TOKEN},{TOKEN}", "`--set` cannot be read: a name has no value"),
        (f"--set-json a={TOKEN}", "`--set-json` cannot be read: a value is not JSON"),
        (f"--set 'a={{{TOKEN}'", "`--set` cannot be read: a list in braces is not closed"),
        ("--set a=1000000", "`--set` has a number of a million or more"),
        ("--set 'a.b={1,-1000000}'", "`--set` has a number of a million or more"),
        ("--set 'a=<token>'", "placeholder"),
        ("--set-string a=YOUR_TOKEN", "placeholder"),
        ("--set a=...", "placeholder"),
        ("--set a=%TOKEN%", "placeholder"),
        (f"{TOKEN}", "more words follow"),
        (f"--{TOKEN}", "is no flag"),
        (f"--kube-token {TOKEN}", "`--kube-token` acts as somebody else"),
        ("--post-renderer ./x", "`--post-renderer` runs a program"),
        ("--reuse-values", "`--reuse-values` takes values over"),
        ("--generate-name", "`--generate-name` gives another release name each time; give the release a name"),
    ],
)
def test_what_cannot_be_honoured_is_named(directory: Path, words: str, says: str) -> None:
    assert says in "\n".join(read_faults(f"helm upgrade rel {OCI} {words}", directory))


@pytest.mark.parametrize(
    "word",
    ["a=999999", "a=token", "b=my-token", "d=", "e=1.5", "f=99999999999999999999"],
)
def test_unusual_values_are_no_faults(directory: Path, word: str) -> None:
    assert parse_snippet(f"helm upgrade rel {OCI} --set {word}", base_dir=directory).values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no command"),
        ("# helm upgrade a b", "holds no command"),
        ("kubectl apply -f x", "the command is `kubectl`, not `helm`"),
        (f"sudo helm upgrade rel {OCI}", "the command is `sudo`, not `helm`"),
        (f"TOKEN={TOKEN} helm upgrade rel {OCI}", "begins with an environment variable"),
        (TOKEN, "the command is not `helm`"),
        (f"curl -fsSL https://example.com/{TOKEN} | sh", "`|` joins the command"),
        (f"helm repo add x https://{TOKEN}.example.com", "the command is `helm repo`"),
        (f"helm {TOKEN}", "neither `helm upgrade` nor `helm install`"),
        ("helm", "neither `helm upgrade` nor `helm install`"),
        ("helm upgrade", "one is missing"),
        (f"helm install {OCI}", "one is missing"),
        ("helm upgrade Rel_Ease ./chart", "no release name"),
        (f"helm upgrade {TOKEN} ./chart", "no release name"),
        (f"helm upgrade rel {TOKEN}", "give its repository's address by --repo"),
        (f"helm upgrade rel {TOKEN}/{TOKEN}", "known to `helm repo` on one machine only"),
        (f"helm upgrade rel ./{TOKEN}", "nothing is there"),
        (f"helm upgrade rel oci://{TOKEN}@x", "not a plain oci://"),
        (f"{PASTED}{PASTED}", "line 5: a second command begins"),
        (f"helm repo update && {PASTED}", "`&&` joins the command"),
        (PASTED.replace("'", "", 1), "quotation mark is never closed"),
        (PASTED[: PASTED.index(TOKEN) + 4], "quotation mark is never closed"),
        (PASTED[: PASTED.index("jwt") + 3], "a name has no value"),
        (PASTED[: PASTED.index("--set") + 5], "`--set` has no value"),
        (PASTED[: PASTED.index("oci:")], "one is missing"),
        (PASTED.replace(" \\\n", "\n"), "line 2: a line begins with a flag"),
        (PASTED.replace("'", "\u2019"), "typographic quotation mark"),
        (PASTED.replace(TOKEN, f"{TOKEN}\0"), "control character (U+0000)"),
        (PASTED.replace(TOKEN, f"{TOKEN}\x1b[0m"), "control character (U+001B)"),
        (PASTED + " " * 1_000_000, "longer than 64 KiB"),
        (TOKEN * 100_000, "longer than 64 KiB"),
    ],
)
def test_what_is_no_whole_helm_command_is_one_clear_fault(directory: Path, text: str, says: str) -> None:
    faults = read_faults(text, directory)
    assert says in faults[0]


def test_every_fault_is_found_at_once(directory: Path) -> None:
    text = f"helm upgrade Rel repo/chart --namespace A_B --timeout x --force --set {TOKEN} -f no.yaml --set a=..."
    assert len(read_faults(text, directory)) == 8


def test_a_variable_and_a_refused_flag_are_found_at_once(directory: Path) -> None:
    faults = read_faults(f"helm upgrade rel {OCI} --set a=$TOKEN --kube-context prod", directory)
    assert ["TOKEN" in faults[0], "`context`" in faults[1]] == [True, True]


def test_a_fault_has_a_place_for_the_argument_s_name(directory: Path) -> None:
    with pytest.raises(InvalidArgumentsError) as caught:
        parse_snippet("kubectl", base_dir=directory)
    (fault,) = caught.value.faults
    assert str(fault.within("connectionSnippet")).startswith("connectionSnippet: line 1: the command is `kubectl`")


def test_hundreds_of_faults_are_cut_short(directory: Path) -> None:
    text = f"helm upgrade rel {OCI} " + " ".join(f"\\\n --nope{number}" for number in range(500))
    faults = read_faults(text, directory)
    assert len(faults) == MAX_FAULTS + 1
    assert "and 490 more" in faults[-1]


@pytest.mark.parametrize(
    "text",
    ["--set a[65536]= ", "$A ", "--x ", "{", "\u201c", "'' ", "\\\n", "<a> ", "--set a=1 ", "[0]", "a,", "9", "-"],
)
def test_the_longest_texts_are_read_soon(directory: Path, text: str) -> None:
    started = time.process_time()
    read_faults(f"helm upgrade rel {OCI} --set a{text * (65_000 // len(text))}", directory)
    assert time.process_time() - started < 5


@pytest.fixture
def watched() -> Iterator[list[str]]:
    """Whatever runs a program or opens a connection while this is on; Python cannot take an audit hook off again."""
    _seen.clear()
    _watching.append(True)
    yield _seen
    _watching.clear()


_seen: list[str] = []
_watching: list[bool] = []
_ACTIONS = (
    "subprocess.",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "os.startfile",
    "socket.",
    "pty.",
    "exec",
)


def _watch(event: str, _arguments: object) -> None:
    if _watching and event.startswith(_ACTIONS):
        _seen.append(event)


sys.addaudithook(_watch)


@pytest.mark.parametrize(
    "text",
    [
        *SEEDS,
        *(f"helm upgrade rel {OCI} --set a=$(touch x)", f"helm upgrade rel {OCI} --post-renderer touch"),
        *(
            f"helm upgrade rel {OCI}; touch x",
            f"helm upgrade rel {OCI} -f https://example.com",
            "`touch x`",
            "curl x | sh",
        ),
    ],
)
def test_nothing_is_ever_run(directory: Path, watched: list[str], text: str) -> None:
    with suppress(InvalidArgumentsError):
        parse_snippet(text, base_dir=directory)
    assert watched == []


_TEXTS = st.text(st.characters(exclude_categories=())) | st.text("helm upgrad -=,.[]{}'\"\\$`\n\r\t#;|&<>~ab01")


@given(text=_TEXTS | _TEXTS.map("helm upgrade rel oci://h/c ".__add__))
@settings(max_examples=600)
def test_any_text_is_read_or_refused(directory: Path, text: str) -> None:
    try:
        snippet = parse_snippet(text, base_dir=directory)
    except InvalidArgumentsError as error:
        assert error.faults
        return
    assert snippet.chart
    assert snippet.release_name


FRAGMENTS = [
    " ", "'", '"', "\\", "`", "^", "\n", "\r\n", "$", "${", "}", "$(", "{", ",", "=", ".", "[0]", "--", "-", "-n",
    "-f ", "--set ", "#", ";", "|", "&", "<", ">", "~", "%", "\u201c", "\u00a0", "\0", "--version ", "--repo ",
    "--kube-token ", "--timeout ", "--x", "==", "@", "://", "/", "?",
]  # fmt: skip


@st.composite
def _damaged(draw: st.DrawFn) -> str:
    """A snippet that somebody cut, joined, or lost or gained a few characters of."""
    text = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(1, 4))):
        start, end = sorted((draw(st.integers(0, len(text))), draw(st.integers(0, len(text)))))
        near = min(end, start + draw(st.integers(0, 12)))
        kind = draw(st.sampled_from(["insert", "remove", "cut", "keep", "double", "around the token"]))
        if kind == "insert":
            text = text[:start] + draw(st.sampled_from(FRAGMENTS)) + text[start:]
        elif kind == "remove":
            text = text[:start] + text[near:]
        elif kind == "cut":
            text = text[:start] + text[end:]
        elif kind == "keep":
            text = text[start:end]
        elif kind == "double":
            text = text[:end] + text[start:end] + text[end:]
        else:
            text = text.replace(TOKEN, draw(st.sampled_from(FRAGMENTS)) + TOKEN + draw(st.sampled_from(FRAGMENTS)))
    return text


@given(text=_damaged())
@settings(max_examples=1500)
def test_no_damage_makes_an_error_show_the_token(directory: Path, text: str) -> None:
    try:
        parse_snippet(text, base_dir=directory)
    except InvalidArgumentsError as error:
        assert_no_leak(error)
