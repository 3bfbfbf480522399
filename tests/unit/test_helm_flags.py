"""Helm's flags: how they are written, and what becomes of each."""

from __future__ import annotations

import pytest

from pulumi_codecanvas.helm_flags import FLAGS, Invocation, Takes, Use, read_invocation
from pulumi_codecanvas.shell_words import Word

TOKEN = "tK9xQz7LmR2vBn5c"


def read(*words: str) -> Invocation:
    return read_invocation([Word(word, line=1) for word in words])


def read_faults(*words: str) -> str:
    return "\n".join(map(str, read(*words).faults))


@pytest.mark.parametrize(
    "words",
    [
        *(("--namespace", "envs"), ("--namespace=envs",), ("-n", "envs"), ("-nenvs",), ("-n=envs",), ("-in", "envs")),
        *(("-inenvs",), ("-in=envs",), ("-n", "other", "--namespace", " envs ")),
    ],
)
def test_a_flag_is_read_however_it_is_written(words: tuple[str, ...]) -> None:
    invocation = read("upgrade", *words, "release", "chart")
    assert invocation.faults == ()
    assert invocation.read_last("namespace") == "envs"
    assert [word.text for word in invocation.arguments] == ["upgrade", "release", "chart"]


def test_words_after_two_dashes_are_no_flags() -> None:
    invocation = read("upgrade", "--", "--set", "-n")
    assert [word.text for word in invocation.arguments] == ["upgrade", "--set", "-n"]


def test_repeated_flags_keep_their_order() -> None:
    invocation = read("--set", "a=1", "--set=b=2", "--set", "a=3")
    assert [use.value for use in invocation.list_uses("set")] == ["a=1", "b=2", "a=3"]


@pytest.mark.parametrize("value", ["true", "1", "T"])
def test_a_switch_is_on_with_a_true_value(value: str) -> None:
    assert len(read(f"--devel={value}").list_uses("devel")) == 1


@pytest.mark.parametrize("value", ["false", "0", "F"])
@pytest.mark.parametrize("name", ["devel", "skip-crds", "atomic"])
def test_a_switch_that_is_off_is_as_if_it_were_not_there(name: str, value: str) -> None:
    invocation = read(f"--{name}={value}")
    assert invocation.faults == ()
    assert invocation.flags == ()


def test_a_switch_takes_no_word_after_it() -> None:
    assert [word.text for word in read("--wait", "false").arguments] == ["false"]
    assert "`--wait` is a switch" in read_faults("--wait=maybe")


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.use is Use.REFUSED], ids=lambda flag: flag.name)
def test_a_refused_flag_is_named_with_a_reason_and_a_remedy(flag: object) -> None:
    assert isinstance(flag, type(FLAGS[0]))
    value = [TOKEN] if flag.takes is Takes.VALUE else []
    (fault,) = read(f"--{flag.name}", *value).faults
    assert f"`--{flag.name}` {flag.reason}" in fault.cause
    assert fault.remedy
    assert TOKEN not in str(fault)


@pytest.mark.parametrize("flag", [flag for flag in FLAGS if flag.use is Use.IGNORED], ids=lambda flag: flag.name)
def test_an_ignored_flag_takes_its_value_along_and_says_why_nothing_is_lost(flag: object) -> None:
    assert isinstance(flag, type(FLAGS[0]))
    value = ["5"] if flag.takes is Takes.VALUE else []
    invocation = read(f"--{flag.name}", *value, "argument")
    assert invocation.faults == ()
    assert [word.text for word in invocation.arguments] == ["argument"]
    assert flag.reason


@pytest.mark.parametrize(("name", "argument"), [("kube-context", "`context`"), ("kubeconfig", "`kubeconfig`")])
def test_the_cluster_is_given_by_arguments(name: str, argument: str) -> None:
    assert argument in read_faults(f"--{name}", "x")


@pytest.mark.parametrize("words", [("--dry-run",), ("--dry-run=client",), ("--dry-run=server",), ("--dry-run=true",)])
def test_a_dry_run_is_refused(words: tuple[str, ...]) -> None:
    assert "`pulumi preview`" in read_faults(*words)


@pytest.mark.parametrize("value", ["none", "false", ""])
def test_no_dry_run_is_none(value: str) -> None:
    assert read_faults(f"--dry-run={value}") == ""


@pytest.mark.parametrize("words", [("--set",), ("--set", "--namespace", "x"), ("--set", "--set=a=b"), ("-n",)])
def test_a_flag_without_its_value_is_a_fault(words: tuple[str, ...]) -> None:
    assert "has no value" in read_faults(*words)


def test_a_value_that_only_looks_like_a_flag_is_a_value() -> None:
    assert read("--set-string", "--x=y").list_uses("set-string")[0].value == "--x=y"


def test_a_letter_glued_to_its_value_is_refused_where_helm_misreads_it() -> None:
    assert "put a blank between them" in read_faults("-fone.yaml")
    assert read("-f=one.yaml").list_uses("values")[0].value == "one.yaml"


@pytest.mark.parametrize("word", [f"--{TOKEN}", f"--{TOKEN}=x", f"-{TOKEN}", f"--set{TOKEN}=a", f"-x{TOKEN}", "---"])
def test_an_unknown_flag_is_not_repeated(word: str) -> None:
    text = read_faults(word)
    assert "is no flag" in text
    assert TOKEN[:4] not in text


def test_a_mistyped_flag_is_guessed() -> None:
    assert "did you mean `--namespace`?" in read_faults("--namspace", "x")


def test_every_fault_is_found_at_once() -> None:
    assert len(read("--force", "--verify", "--nope", "--labels", "a=b").faults) == 4


def test_values_are_in_no_text_form_of_an_invocation() -> None:
    assert TOKEN not in repr(read("upgrade", TOKEN, "--set", f"a={TOKEN}", "--password", TOKEN))


def test_no_flag_is_listed_twice() -> None:
    assert len({flag.name for flag in FLAGS}) == len(FLAGS)
    letters = [flag.short for flag in FLAGS if flag.short]
    assert len(set(letters)) == len(letters)
