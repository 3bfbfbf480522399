"""Splitting a pasted command into words. That Bash's rules are Bash's is shown in tests/parity."""

from __future__ import annotations

import pytest

from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.shell_words import MAX_CHARACTERS, split_command

TOKEN = "tK9xQz7LmR2vBn5c"


def split(text: str) -> list[str]:
    command = split_command(text)
    assert command.faults == ()
    return [word.text for word in command.words]


def read_faults(text: str) -> str:
    try:
        return "\n".join(map(str, split_command(text).faults))
    except InvalidArgumentsError as error:
        return str(error)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("helm upgrade a", ["helm", "upgrade", "a"]),
        ("  helm\tupgrade   a \n\n", ["helm", "upgrade", "a"]),
        ("helm 'a b' \"c d\" e\\ f", ["helm", "a b", "c d", "e f"]),
        ("helm a'b'\"c\"d ''", ["helm", "abcd", ""]),
        ('helm \'a\\b$c`d\' "e\\f\\"g\\$h\\\\"', ["helm", "a\\b$c`d", 'e\\f"g$h\\']),
        ("helm 'one\ntwo' \"three\nfour\"", ["helm", "one\ntwo", "three\nfour"]),
        ("helm $'a\\nb\\t\\x41\\u00e9\\'' $\"c\"", ["helm", "a\nb\tA\u00e9'", "c"]),
        ("helm a=b# #c", ["helm", "a=b#"]),
        ("# how\n\nhelm a # why\n# bye", ["helm", "a"]),
        ("helm a$ $. {} {a} a[0]=* %x ^y @z", ["helm", "a$", "$.", "{}", "{a}", "a[0]=*", "%x", "^y", "@z"]),
        ("", []),
        ("# nothing", []),
    ],
)
def test_bash_words(text: str, words: list[str]) -> None:
    assert split(text) == words


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["\\", "`", "^"])
def test_lines_are_joined_in_every_shell(mark: str, end: str) -> None:
    assert split(f"helm upgrade {mark}{end}  --set a=b {mark}{end}  --wait{end}") == [
        "helm", "upgrade", "--set", "a=b", "--wait",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *("$ helm a \\\n> b", "> helm a b", "\n\n$ helm a b\n", "\ufeffhelm a b"),
        *("PS C:\\Users\\me> helm a `\n>> b", "PS> helm a b", "C:\\Users\\me>helm a ^\n b"),
    ],
)
def test_prompts_are_taken_off(text: str) -> None:
    assert split(text) == ["helm", "a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        *("```\nhelm a \\\n b\n```", "\n```bash\n$ helm a \\\n b\n```\n\n", "~~~\nhelm a b\n~~~"),
        *("# run `this`\nhelm a \\\n b", "  # or ^\n# and `\nhelm a \\\n b", "```\n# `x`\nhelm a b\n```"),
        "```powershell\nhelm a `\n b\n```",
    ],
)
def test_fences_and_comments_do_not_choose_the_shell(text: str) -> None:
    assert split(text) == ["helm", "a", "b"]


@pytest.mark.parametrize(("text", "line"), [("```\nhelm a b", 1), ("\nhelm a \\\n b\n```\n", 4), ("```", 1)])
def test_half_a_fence_is_refused_by_name(text: str, line: int) -> None:
    assert read_faults(text).startswith(f"line {line}: a code fence")


def test_lines_are_counted_with_the_fence() -> None:
    assert read_faults("```\nhelm a | b\n```").startswith("line 2: `|`")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('helm \'a\'\'b\' "c`"d`$e""f"', ["helm", "a'b", 'c"d$e"f']),
        ('helm a\\b `$c "d`te"', ["helm", "a\\b", "$c", "d\te"]),
        ("helm \"a'b\" 'c\"d' e=f", ["helm", "a'b", 'c"d', "e=f"]),
    ],
)
def test_powershell_words(text: str, words: list[str]) -> None:
    assert split(f"{text} `\n x") == [*words, "x"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('helm "a b" c^&d "e^f" g\\h', ["helm", "a b", "c&d", "e^f", "g\\h"]),
        ('helm \'a\' "b\\"c" 5% $x', ["helm", "'a'", 'b"c', "5%", "$x"]),
    ],
)
def test_cmd_words(text: str, words: list[str]) -> None:
    assert split(f"{text} ^\n x") == [*words, "x"]


@pytest.mark.parametrize("word", ["(a)", "a,b", "{a}", "a;b", "a|b", "@(a)"])
def test_what_powershell_would_evaluate_is_refused(word: str) -> None:
    text = read_faults(f"helm {word} `\n x")
    assert "PowerShell" in text or "joins the command" in text


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        *(("a | sh", "|"), ("a || b", "||"), ("a && b", "&&"), ("a & b", "&"), ("a; b", ";"), ("a > b", ">")),
        *(("a >> b", ">>"), ("a < b", "<"), ("a << EOF\nx\nEOF", "<<"), ("(a)", "("), ("a 2>&1", ">")),
    ],
)
def test_operators_are_refused_by_name(text: str, operator: str) -> None:
    assert f"line 1: `{operator}` joins the command to something else" in read_faults(f"helm {text}")


@pytest.mark.parametrize("text", ["$(cat x)", "`cat x`", '"$(cat x)"', '"`cat x`"', "$((1+1))", "$[1+1]"])
def test_command_substitution_is_refused(text: str) -> None:
    assert "nothing is ever run" in read_faults(f"helm a={text}")


@pytest.mark.parametrize(
    "text", ["$TOKEN", "${TOKEN}", "$env:TOKEN", "${env:TOKEN}", '"$TOKEN"', "a=$TOKEN", 'a="${TOKEN}"', "a=$TOKEN,b=c"]
)
def test_a_variable_is_a_fault_that_names_it(text: str) -> None:
    assert "the environment variable TOKEN is referred to" in read_faults(f"helm --set {text}")


def test_a_variable_of_cmd_is_a_fault_that_names_it() -> None:
    assert "the environment variable TOKEN is referred to" in read_faults("helm ^\n --set a=%TOKEN%")


@pytest.mark.parametrize(
    "text", [f"${TOKEN}", f"ab${TOKEN}", "x$ABCDEFG", "$ABCDEFGx", "$abcdefg", "'x'$ABCDEFG", "$1", "${a:-b}"]
)
def test_what_may_be_a_part_of_a_secret_is_not_named(text: str) -> None:
    faults = read_faults(f"helm --set a={text}")
    assert "a variable is referred to" in faults
    assert "ABCDEFG" not in faults.upper()
    assert TOKEN[:4] not in faults


@pytest.mark.parametrize("text", ["'$TOKEN'", "\\$TOKEN", '"\\$TOKEN"', "'${TOKEN}'", "'$(x)'", "'`x`'", "'%TOKEN%'"])
def test_a_quoted_dollar_is_text(text: str) -> None:
    assert len(split(f"helm {text}")) == 2


def test_every_variable_and_placeholder_is_found_at_once() -> None:
    faults = split_command("helm --set a=$ONE \\\n --set b=$TWO \\\n --set c=<token>").faults
    assert [fault.cause.partition(":")[0] for fault in faults] == ["line 1", "line 2", "line 3"]


@pytest.mark.parametrize("text", ["<token>", "<your token here>", "a=<TOKEN>", "<generated-token>,b=c"])
def test_a_placeholder_in_angle_brackets_asks_for_the_token(text: str) -> None:
    assert "Generate token" in read_faults(f"helm --set {text}")


@pytest.mark.parametrize("text", ["'a", '"a', "a'", "'a'b'", "$'a", '"a\\"', "'a' \"b\nc"])
def test_an_open_quote_is_a_fault_at_its_line(text: str) -> None:
    assert "line 2: a quotation mark is never closed" in read_faults(f"helm \\\n {text}")


@pytest.mark.parametrize("mark", ["\\", "`", "^"])
def test_a_text_that_ends_in_a_continuation_is_cut_off(mark: str) -> None:
    assert "it is cut off" in read_faults(f"helm a {mark}\n b {mark}")


@pytest.mark.parametrize("text", ["a \\ --set b=c", "a \\ \n --set b=c", "a \\\t\n b"])
def test_blanks_after_a_continuation_mark_are_found(text: str) -> None:
    assert "a blank follows the continuation mark" in read_faults(f"helm {text}")


def test_a_lost_continuation_is_told_from_a_second_command() -> None:
    assert "line 2: a line begins with a flag" in read_faults("helm upgrade a b\n  --set c=d")
    assert "line 3: a second command begins" in read_faults("helm upgrade a b\n\nkubectl get pods")


@pytest.mark.parametrize("text", ["{a,b}", "a={b,c}", "{1..3}", "a={{b},c}"])
def test_what_bash_would_make_several_words_of_is_refused(text: str) -> None:
    assert "several words" in read_faults(f"helm {text}")
    assert split(f"helm '{text}'") == ["helm", text]


@pytest.mark.parametrize("text", ["~", "~/values.yaml", "~me", "path=~/x"])
def test_a_home_directory_is_to_be_written_out(text: str) -> None:
    assert "home directory" in read_faults(f"helm {text}")
    assert split(f"helm '{text}'") == ["helm", text]


@pytest.mark.parametrize("quotes", ["\u201c\u201d", "\u2018\u2019", "\u00ab\u00bb", "\u201e\u201c"])
def test_typographic_quotes_are_refused_outside_quotes_only(quotes: str) -> None:
    assert "typographic quotation mark" in read_faults(f"helm --set a={quotes[0]}b{quotes[1]}")
    assert split(f"helm 'a {quotes}'") == ["helm", f"a {quotes}"]


@pytest.mark.parametrize("dash", ["\u2013", "\u2014", "\u2212"])
def test_typographic_dashes_are_refused_where_a_flag_begins(dash: str) -> None:
    assert "typographic dash" in read_faults(f"helm {dash}set a=b")
    assert split(f"helm a{dash}b") == ["helm", f"a{dash}b"]


@pytest.mark.parametrize("character", ["\u00a0", "\u200b", "\u2028", "\u2003", "\u00ad"])
def test_invisible_characters_are_refused_by_number(character: str) -> None:
    assert f"U+{ord(character):04X}" in read_faults(f"helm a{character}b")


@pytest.mark.parametrize("character", ["\0", "\x07", "\x1b", "\x7f", "\x85", "\r", "\ud800"])
def test_control_characters_are_refused_by_number(character: str) -> None:
    text = read_faults(f"helm 'a\n{character}'")
    assert f"line 2: a control character (U+{ord(character):04X})" in text


@pytest.mark.parametrize("escape", ["\\0", "\\x00", "\\xff", "\\777", "\\ud800", "\\U00110000", "\\c@"])
def test_escapes_that_stand_for_no_character_are_refused(escape: str) -> None:
    assert "stands for no character" in read_faults(f"helm $'{escape}'")


def test_a_text_that_is_too_long_is_refused() -> None:
    assert split("a" * MAX_CHARACTERS)
    assert "longer than 64 KiB" in read_faults("a" * (MAX_CHARACTERS + 1))
    assert "longer than 64 KiB" in read_faults("a" * 1_000_000)


def test_words_know_their_lines() -> None:
    words = split_command("\n$ helm \\\n a 'b\nc' \\\n d").words
    assert [(word.text, word.line) for word in words] == [("helm", 2), ("a", 3), ("b\nc", 3), ("d", 5)]


def test_a_word_does_not_show_its_text() -> None:
    assert TOKEN not in repr(split_command(f"helm {TOKEN}"))
