"""One pasted command, split into words as the shell that it was written for would split it.

Nothing is run and nothing is looked up. What a shell would run, look up or open is a fault: variables,
command substitution, pipes, redirections, a second command. Bash is assumed; a back-tick at a line's end
means PowerShell, a caret there cmd.exe. The text holds a secret: no fault repeats any of it but operators
and the names of variables that stand where a value should be.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

from pulumi_codecanvas.errors import Fault, InvalidArgumentsError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_CHARACTERS = 64 * 1024
"""The longest text that is read at all."""

PASTE_THE_COMMAND = "paste the one `helm upgrade` command of the platform's settings page, and nothing else"

_BLANKS = " \t"
_PROMPTS = (
    re.compile(r"\$ +"),
    re.compile(r"PS(?: [^<>|\n]{0,300})?> *"),
    re.compile(r"[A-Za-z]:\\[^<>|\n]{0,300}>"),
    re.compile(r"> +"),
)
_CONTINUED_PROMPT = re.compile(r"^>>? +", re.MULTILINE)
_FENCE = re.compile(r"(?:```+|~~~+)[A-Za-z]*")
# Comments may end in any character.
_CONTINUED = re.compile(r"^(?![ \t]*#).*([\\`^])[ \t]*\n", re.MULTILINE)
_SHORT_PLACEHOLDER = re.compile(r"<[^<>|&;\n]{1,80}>")
_VARIABLE = re.compile(r"\$(?:env:|\{(?:env:)?)?([A-Za-z_][A-Za-z0-9_]*|[0-9?$!#@*-])\}?", re.IGNORECASE)
_CMD_VARIABLE = re.compile(r"[%!]([A-Za-z_][A-Za-z0-9_]*)[%!]")
_TELLING_NAME = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
_HOME = re.compile(r"~|[A-Za-z_][A-Za-z0-9_]*=~")
_ANSI_C = re.compile(r"\$'((?:[^'\\]|\\.)*)'", re.DOTALL)
_ANSI_C_ESCAPE = re.compile(
    r"\\(?:([abeEfnrtv\\'\"?])|([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{1,4})|U([0-9A-Fa-f]{1,8})|c([@-~]))"
)
_CONTROLS = {"a": 7, "b": 8, "e": 27, "E": 27, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "0": 0}
_CURLY_QUOTES = frozenset("\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb\u2032\u2033")
_LONG_DASHES = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212")
_MASK = "\0"


@dataclass(frozen=True)
class Word:
    """One word of a command, without its quotes; `line` is where it begins, counted from 1."""

    text: str = field(repr=False)
    line: int


@dataclass(frozen=True)
class Command:
    """One command, split up.

    Attributes:
        words: its words; none for a text that holds no command.
        faults: values that are not there, such as variables; the words have a stand-in for each.
    """

    words: tuple[Word, ...]
    faults: tuple[Fault, ...]


def split_command(text: str) -> Command:
    """Split one command into its words.

    Args:
        text: a command as pasted: prompts, line continuations and comments are taken off.

    Raises:
        InvalidArgumentsError: the text is not one plain command, so that its words cannot be told.
    """
    text = _take_off_fence(_normalise(text))
    start = len(text) - len(text.lstrip(" \t\n"))
    prompt = next((match for pattern in _PROMPTS if (match := pattern.match(text, start))), None)
    if prompt:
        # The blank lines before it stay, so that faults count lines as the user does.
        text = text[:start] + _CONTINUED_PROMPT.sub("", text[prompt.end() :])
    return _choose_dialect(text, prompt.group() if prompt else "")(text).scan()


def _normalise(text: str) -> str:
    """Refuse what no command has, and give every line the same end."""
    if len(text) > MAX_CHARACTERS:
        _refuse(f"the text is longer than {MAX_CHARACTERS // 1024} KiB", PASTE_THE_COMMAND)
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    for position, character in enumerate(text):
        if character not in "\n\t" and unicodedata.category(character) in ("Cc", "Cs"):
            line = text.count("\n", 0, position) + 1
            cause = f"line {line}: a control character (U+{ord(character):04X})"
            _refuse(cause, "copy the command again, as plain text")
    return text


def _take_off_fence(text: str) -> str:
    """Empty the two lines of Markdown around a command, which stay so that faults count lines as the user does."""
    lines = text.split("\n")
    filled = [index for index, line in enumerate(lines) if line.strip()]
    fences = [index for index in {*filled[:1], *filled[-1:]} if _FENCE.fullmatch(lines[index].strip())]
    if len(fences) == 1:
        cause = f"line {fences[0] + 1}: a code fence of Markdown stands on one side of the command only"
        _refuse(cause, "copy the command alone, without the fence")
    for index in fences:
        lines[index] = ""
    return "\n".join(lines)


def _choose_dialect(text: str, prompt: str) -> type[_Scanner]:
    if prompt.startswith("PS"):
        return _PowerShell
    if re.match(r"[A-Za-z]:\\", prompt):
        return _Cmd
    continued = _CONTINUED.search(text)
    mark = continued.group(1) if continued else ""
    return {"`": _PowerShell, "^": _Cmd}.get(mark, _Bash)


def _refuse(cause: str, remedy: str) -> NoReturn:
    raise InvalidArgumentsError([Fault("", cause, remedy)])


class _Scanner:
    """One run over a command; a subclass knows its shell's quotes, escapes and variables.

    Attributes:
        steps: for each character that means something outside quotes, the method that reads on from it.
        escape: the character that joins lines.
    """

    escape = ""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.words: list[Word] = []
        self.faults: list[Fault] = []
        self.in_word = False
        self.taken: list[str] = []
        self.bare: list[str] = []
        self.word_start = 0
        self.ended = False
        self.steps: dict[str, Callable[[], None]] = {}
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def scan(self) -> Command:
        while self.position < len(self.text):
            character = self.text[self.position]
            step = self.steps.get(character)
            if character in _BLANKS or character == "\n":
                self.end_word()
                self.ended = self.ended or (character == "\n" and bool(self.words))
                self.position += 1
            elif character == "#" and not self.in_word:
                end = self.text.find("\n", self.position)
                self.position = end if end >= 0 else len(self.text)
            elif step:
                step()
            else:
                self.check_bare(character)
                self.add(character, bare=True)
                self.position += 1
        self.end_word()
        return Command(tuple(self.words), tuple(self.faults))

    def begin_word(self) -> None:
        if self.in_word:
            return
        if self.ended:
            self.refuse_second_command()
        self.in_word, self.taken, self.bare, self.word_start = True, [], [], self.position

    def add(self, text: str, *, bare: bool = False) -> None:
        """Add text to the word, beginning one if need be; `bare` means neither quoted nor escaped."""
        self.begin_word()
        self.taken.append(text)
        self.bare.append(text if bare else _MASK)

    def end_word(self) -> None:
        if not self.in_word:
            return
        self.check_word("".join(self.bare))
        self.words.append(Word("".join(self.taken), self.line_of(self.word_start)))
        self.in_word = False

    def check_word(self, bare: str) -> None:
        """Look at a complete word, in which quoted parts are masked."""

    def check_bare(self, character: str) -> None:
        """Find the characters that web pages and word processors put in place of plain ones."""
        if character < "\x7f":
            return
        if character in _CURLY_QUOTES:
            self.fault("a typographic quotation mark", "put a plain ' or \" in its place")
        elif character in _LONG_DASHES and not self.in_word:
            self.fault("a typographic dash begins a word", "put plain hyphens in its place")
        elif character.isspace() or unicodedata.category(character) in ("Cf", "Zs"):
            self.fault(f"an invisible character (U+{ord(character):04X})", "put a plain blank in its place")

    def fault(self, cause: str, remedy: str) -> None:
        self.faults.append(Fault("", f"line {self.line_of(self.position)}: {cause}", remedy))

    def stop(self, cause: str, remedy: str, position: int | None = None) -> NoReturn:
        line = self.line_of(self.position if position is None else position)
        raise InvalidArgumentsError([*self.faults, Fault("", f"line {line}: {cause}", remedy)])

    def line_of(self, position: int) -> int:
        return bisect_right(self.line_starts, position)

    def peek(self) -> str:
        return self.text[self.position + 1 : self.position + 2]

    def refuse_second_command(self) -> NoReturn:
        if self.text[self.position] == "-":
            self.stop(
                "a line begins with a flag, but the line before it does not end in a continuation mark",
                "end every line but the last with a backslash, or put the command on one line",
            )
        self.stop("a second command begins", PASTE_THE_COMMAND)

    def refuse_operator(self) -> None:
        character = self.text[self.position]
        if character == "<" and (match := _SHORT_PLACEHOLDER.match(self.text, self.position)):
            self.fault(
                "a text in angle brackets stands where a value belongs",
                "put the value in its place, brackets included; Generate token on the settings page gives a token",
            )
            self.add("placeholder")
            self.position = match.end()
            return
        operator = character * 2 if self.peek() == character else character
        self.stop(f"`{operator}` joins the command to something else", f"{PASTE_THE_COMMAND}; or quote the value")

    def refuse_substitution(self) -> NoReturn:
        self.stop(
            "a value is the output of another command, and nothing is ever run from a snippet",
            "put the value itself in its place, in single quotes",
        )

    def refuse_variable(self, match: re.Match[str]) -> None:
        """Refuse a variable; its name is shown only where it is a whole value and looks like no secret."""
        before = self.text[max(0, match.start() - 2) : match.start()].removesuffix('"')[-1:]
        after = self.text[match.end() : match.end() + 2].removeprefix('"')[:1]
        whole = before in ("", " ", "\t", "\n", "=", ",") and after in ("", " ", "\t", "\n", ",")
        telling = whole and _TELLING_NAME.fullmatch(match.group(1))
        name = f"the environment variable {match.group(1)}" if telling else "a variable"
        self.fault(
            f"{name} is referred to, and nothing is read from the environment",
            "put the value itself in its place, in single quotes",
        )
        self.add("value")
        self.position = match.end()

    def add_to_next(self, quote: str, start: int) -> None:
        """Add what stands before the next `quote`, and step past it."""
        end = self.text.find(quote, self.position)
        if end < 0:
            self.refuse_open_quote(start)
        self.add(self.text[self.position : end])
        self.position = end + 1

    def refuse_open_quote(self, start: int) -> NoReturn:
        self.stop(
            "a quotation mark is never closed",
            "close it, or copy the whole command again: it may be cut off",
            start,
        )

    def read_escape(self) -> None:
        """Read the escape character outside quotes: it joins lines, or takes the next character as it is."""
        self.refuse_lost_break()
        following = self.peek()
        if following and following != "\n":
            self.add_escaped(following)
            return
        self.position += 2
        if self.position >= len(self.text):
            self.refuse_cut()

    def add_escaped(self, following: str) -> None:
        self.add(following)
        self.position += 2

    def refuse_cut(self) -> NoReturn:
        self.stop("the text ends in a continuation mark", "copy the whole command again: it is cut off")

    def refuse_lost_break(self) -> None:
        """Refuse a continuation mark that blanks follow, where it begins a word: it joins nothing."""
        if not self.in_word and self.peek() in tuple(_BLANKS):
            self.stop(
                f"a blank follows the continuation mark `{self.escape}`",
                "remove the blanks after it where its line ends there, else remove the mark",
            )


class _Bash(_Scanner):
    """Bash, and what other POSIX shells have in common with it."""

    escape = "\\"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.steps = {"\\": self.read_escape, "'": self.read_single, '"': self.read_double}
        self.steps |= {"$": self.read_dollar, "`": self.refuse_substitution}
        self.steps |= dict.fromkeys("|&;<>()", self.refuse_operator)

    def check_word(self, bare: str) -> None:
        if _expands_braces(bare):
            self.fault("Bash makes several words of an unquoted `{a,b}`", "put the whole value in single quotes")
        if _HOME.match(bare):
            self.fault("`~` stands for a home directory", "write the path out, or put the value in single quotes")

    def read_single(self) -> None:
        start = self.position
        self.begin_word()
        self.position += 1
        self.add_to_next("'", start)

    def read_double(self) -> None:
        start = self.position
        self.add("")
        self.position += 1
        while self.position < len(self.text):
            character = self.text[self.position]
            if character == '"':
                self.position += 1
                return
            if character == "\\":
                self.read_quoted_escape()
            elif character == "$":
                self.read_dollar(quoted=True)
            elif character == "`":
                self.refuse_substitution()
            else:
                self.add(character)
                self.position += 1
        self.refuse_open_quote(start)

    def read_quoted_escape(self) -> None:
        following = self.peek()
        if following and following in '\\"$`':
            self.add(following)
        elif following != "\n":
            self.add("\\" + following)
        self.position += 1 + len(following)

    def read_dollar(self, *, quoted: bool = False) -> None:
        following = self.peek()
        if following in ("(", "["):
            self.refuse_substitution()
        if match := _VARIABLE.match(self.text, self.position):
            self.refuse_variable(match)
        elif following == "{":
            self.stop("a `${` begins a variable", "put the value itself in its place, in single quotes")
        elif following == "'" and not quoted:
            self.read_ansi_c()
        elif following == '"' and not quoted:
            self.position += 1
        else:
            self.add("$")
            self.position += 1

    def read_ansi_c(self) -> None:
        match = _ANSI_C.match(self.text, self.position)
        if not match:
            self.refuse_open_quote(self.position)
        self.add(_ANSI_C_ESCAPE.sub(self.decode_ansi_c, match.group(1)))
        self.position = match.end()

    def decode_ansi_c(self, match: re.Match[str]) -> str:
        letter, octal, hexadecimal, short_unicode, long_unicode, control = match.groups()
        if letter:
            return chr(_CONTROLS[letter]) if letter in _CONTROLS else str(letter)
        if control:
            code = ord(control) & 0x1F
        elif short_unicode or long_unicode:
            code = int(short_unicode or long_unicode, 16)
        else:
            # Bash makes bytes of these, and those above 0x7F are parts of characters.
            code = int(octal, 8) if octal else int(hexadecimal, 16)
            code = code if code < 0x80 else 0
        if code == 0 or code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            self.stop("an escape in $'...' stands for no character", "write the value as plain text")
        return chr(code)


def _expands_braces(bare: str) -> bool:
    """Tell whether Bash may make several words of this one; it finds more in odd nestings than its manual says."""
    first, last = bare.find("{"), bare.rfind("}")
    inside = bare[first + 1 : last] if 0 <= first < last else ""
    return "," in inside or ".." in inside


class _PowerShell(_Scanner):
    """PowerShell. What is more than a plain word there, such as an unquoted comma or brace, is refused."""

    escape = "`"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.steps = {
            "`": self.read_escape,
            "'": self.read_single,
            '"': self.read_double,
            "$": self.read_dollar,
        }
        self.steps |= dict.fromkeys("|&;<>", self.refuse_operator)
        self.steps |= dict.fromkeys("(){},", self.refuse_syntax)

    def refuse_syntax(self) -> None:
        character = self.text[self.position]
        self.stop(f"an unquoted `{character}` means more to PowerShell", "put the whole value in single quotes")

    def add_escaped(self, following: str) -> None:
        if following == "0":
            self.stop("a NUL character", "copy the command again, as plain text")
        is_control = following in _CONTROLS and following != "E"
        self.add(chr(_CONTROLS[following]) if is_control else following)
        self.position += 2

    def read_single(self) -> None:
        start = self.position
        self.begin_word()
        self.position += 1
        self.add_to_next("'", start)
        while self.text.startswith("'", self.position):
            self.add("'")
            self.position += 1
            self.add_to_next("'", start)

    def read_double(self) -> None:
        start = self.position
        self.add("")
        self.position += 1
        while self.position < len(self.text):
            character = self.text[self.position]
            if character == '"':
                if self.peek() != '"':
                    self.position += 1
                    return
                self.position += 1
            if character == "`" and self.peek():
                self.add_escaped(self.peek())
            elif character == "$":
                self.read_dollar()
            else:
                self.add(character)
                self.position += 1
        self.refuse_open_quote(start)

    def read_dollar(self) -> None:
        if self.peek() == "(":
            self.refuse_substitution()
        if match := _VARIABLE.match(self.text, self.position):
            self.refuse_variable(match)
        else:
            self.add("$")
            self.position += 1


class _Cmd(_Scanner):
    """cmd.exe, with the argument rules of the programs that it starts."""

    escape = "^"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.steps = {"^": self.read_escape, '"': self.read_double, "%": self.read_percent}
        self.steps |= {"\\": self.read_backslash}
        self.steps |= dict.fromkeys("|&<>()", self.refuse_operator)

    def read_double(self) -> None:
        start = self.position
        self.add("")
        self.position += 1
        while self.position < len(self.text):
            character = self.text[self.position]
            if character in '"\n':
                break
            if character == "\\":
                self.read_backslash()
            elif character == "%":
                self.read_percent()
            else:
                self.add(character)
                self.position += 1
        if self.text[self.position : self.position + 1] != '"':
            self.refuse_open_quote(start)
        self.position += 1

    def read_backslash(self) -> None:
        escaped = self.peek() == '"'
        self.add('"' if escaped else "\\")
        self.position += 1 + escaped

    def read_percent(self) -> None:
        if match := _CMD_VARIABLE.match(self.text, self.position):
            self.refuse_variable(match)
        else:
            self.add("%")
            self.position += 1
