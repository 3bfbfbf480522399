"""The flags of `helm upgrade` and `helm install`: how each is written, and what this package does with it.

Every flag of Helm 3 is in one of three groups: honoured; ignored, because what is installed is the same
without it; refused by name, because it would change what is installed, or where, and cannot be honoured. A
flag's value may be a secret, and so may a word that only looks like a flag: the faults name nothing but
flags of this table.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from pulumi_codecanvas.errors import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pulumi_codecanvas.shell_words import Word


class Use(Enum):
    """What this package does with a flag."""

    HONOURED = "honoured"
    IGNORED = "ignored"
    REFUSED = "refused"


class Takes(Enum):
    """How a flag is written."""

    VALUE = "--flag value, or --flag=value"
    SWITCH = "--flag, or --flag=false"
    OPTIONAL = "--flag, or --flag=value"


@dataclass(frozen=True)
class Flag:
    """One flag of Helm.

    Attributes:
        name: its long name, without dashes.
        takes: how it is written.
        use: what this package does with it.
        reason: for a refused flag, what it would do; for an ignored one, why nothing is lost.
        remedy: for a refused flag, the way out.
        short: its letter, or empty.
    """

    name: str
    takes: Takes
    use: Use
    reason: str = ""
    remedy: str = ""
    short: str = ""


@dataclass(frozen=True)
class FlagUse:
    """One flag as given. A switch has the value `true` or `false`."""

    flag: Flag
    value: str = field(repr=False)
    line: int


@dataclass(frozen=True)
class Invocation:
    """A command line, taken apart.

    Attributes:
        arguments: the words that are no flags.
        flags: the flags in their order; refused ones and switches that are off are not among them.
        faults: what is wrong with the flags.
    """

    arguments: tuple[Word, ...]
    flags: tuple[FlagUse, ...]
    faults: tuple[Fault, ...]

    def read_last(self, name: str) -> str | None:
        """Give a flag's value, the last one where it is repeated, without blanks around it; None if empty."""
        given = [use.value.strip() for use in self.flags if use.flag.name == name]
        return (given[-1] or None) if given else None

    def list_uses(self, name: str) -> list[FlagUse]:
        """Give every use of a flag, in order."""
        return [use for use in self.flags if use.flag.name == name]


_V, _S, _O = Takes.VALUE, Takes.SWITCH, Takes.OPTIONAL
_REMOVE = "remove it"
_KUBECONFIG = "remove it and give the cluster by the arguments `kubeconfig` and `context`"
_CREDENTIALS = "remove it, and give a private registry's login by --username and --password"


def _honour(name: str, takes: Takes, short: str = "") -> Flag:
    return Flag(name, takes, Use.HONOURED, short=short)


def _ignore(name: str, takes: Takes, reason: str, short: str = "") -> Flag:
    return Flag(name, takes, Use.IGNORED, reason, short=short)


def _refuse(name: str, takes: Takes, reason: str, remedy: str = _REMOVE, short: str = "") -> Flag:
    return Flag(name, takes, Use.REFUSED, reason, remedy, short)


FLAGS: tuple[Flag, ...] = (
    _honour("version", _V),
    _honour("repo", _V),
    _honour("username", _V),
    _honour("password", _V),
    _honour("devel", _S),
    _honour("namespace", _V, "n"),
    _honour("create-namespace", _S),
    _honour("timeout", _V),
    _honour("values", _V, "f"),
    _honour("set", _V),
    _honour("set-string", _V),
    _honour("set-json", _V),
    _honour("set-literal", _V),
    _honour("set-file", _V),
    _ignore("install", _S, "a missing release is always installed", "i"),
    _ignore("atomic", _S, "the release is always atomic"),
    _ignore("cleanup-on-fail", _S, "a failed release is always cleaned up"),
    _ignore("wait", _S, "the release is always waited for"),
    _ignore("wait-for-jobs", _S, "what is waited for does not change what is installed"),
    _ignore("replace", _S, "a release that was uninstalled is always installed anew"),
    _ignore("reset-values", _S, "the values are always the chart's own and the snippet's"),
    _ignore("history-max", _V, "old revisions hold old tokens, so few are always kept"),
    _ignore("recreate-pods", _S, "a new token always restarts the operator"),
    _ignore("description", _V, "it is a note on the release's revision"),
    _ignore("hide-notes", _S, "it changes what is printed"),
    _ignore("hide-secret", _S, "it changes what is printed"),
    _ignore("render-subchart-notes", _S, "it changes what is printed"),
    _ignore("output", _V, "it changes what is printed", "o"),
    _ignore("debug", _S, "it changes what is printed"),
    _ignore("disable-openapi-validation", _S, "the check only ever refuses"),
    _ignore("skip-schema-validation", _S, "the check only ever refuses"),
    _ignore("keyring", _V, "it does nothing without --verify"),
    _ignore("burst-limit", _V, "it changes how fast requests are sent"),
    _ignore("qps", _V, "it changes how fast requests are sent"),
    _ignore("repository-cache", _V, "it is where downloads are kept"),
    _ignore("repository-config", _V, "no name from it is used: --repo gives the repository"),
    _refuse("dry-run", _O, "installs nothing", "remove it; `pulumi preview` shows what an update would do"),
    _refuse("help", _S, "installs nothing", short="h"),
    _refuse("generate-name", _S, "gives another release name each time", "give the release a name", "g"),
    _refuse("name-template", _V, "makes the release name up", "give the release a name"),
    _refuse(
        "reuse-values",
        _S,
        "takes values over from the release in the cluster, which are not known here",
        "remove it, and give every value that differs from the chart's own",
    ),
    _refuse(
        "reset-then-reuse-values",
        _S,
        "takes values over from the release in the cluster, which are not known here",
        "remove it, and give every value that differs from the chart's own",
    ),
    _refuse("force", _S, "replaces objects instead of updating them"),
    _refuse("take-ownership", _S, "takes over objects that other releases or people own"),
    _refuse("no-hooks", _S, "leaves out the chart's hooks"),
    _refuse("skip-crds", _S, "leaves out the chart's custom resource definitions"),
    _refuse("post-renderer", _V, "runs a program that changes the chart's objects"),
    _refuse("post-renderer-args", _V, "runs a program that changes the chart's objects"),
    _refuse("enable-dns", _S, "lets the chart's templates look up names in the network"),
    _refuse(
        "dependency-update",
        _S,
        "downloads the charts that a local chart depends on",
        "remove it, and run `helm dependency update` on the chart once",
    ),
    _refuse("labels", _V, "puts labels on Helm's own record of the release", short="l"),
    _refuse("verify", _S, "asks for a check of the chart's signature, which is not supported"),
    _refuse("ca-file", _V, "sets the certificate authority of the chart's registry"),
    _refuse("cert-file", _V, "sets a client certificate for the chart's registry", _CREDENTIALS),
    _refuse("key-file", _V, "sets a client certificate for the chart's registry", _CREDENTIALS),
    _refuse("insecure-skip-tls-verify", _S, "takes the chart from a registry that proves no identity"),
    _refuse("plain-http", _S, "takes the chart over a connection that is not encrypted"),
    _refuse("pass-credentials", _S, "sends the registry's password to other hosts"),
    _refuse("registry-config", _V, "names a file with registry logins", _CREDENTIALS),
    _refuse("kubeconfig", _V, "chooses another cluster", "remove it and use the argument `kubeconfig`"),
    _refuse("kube-context", _V, "chooses another cluster", "remove it and use the argument `context`"),
    _refuse("kube-apiserver", _V, "chooses another cluster", _KUBECONFIG),
    _refuse("kube-as-group", _V, "acts as somebody else in the cluster", _KUBECONFIG),
    _refuse("kube-as-user", _V, "acts as somebody else in the cluster", _KUBECONFIG),
    _refuse("kube-ca-file", _V, "changes how the cluster is reached", _KUBECONFIG),
    _refuse("kube-insecure-skip-tls-verify", _S, "changes how the cluster is reached", _KUBECONFIG),
    _refuse("kube-tls-server-name", _V, "changes how the cluster is reached", _KUBECONFIG),
    _refuse("kube-token", _V, "acts as somebody else in the cluster", _KUBECONFIG),
)
"""Every flag that Helm 3.22 shows for `install` and `upgrade`, and the deprecated `--recreate-pods`."""

_BY_NAME = {flag.name: flag for flag in FLAGS}
_BY_LETTER = {flag.short: flag for flag in FLAGS if flag.short}
_YES = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_NO = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_NO_DRY_RUN = _NO | {"", "none"}


def read_invocation(words: Sequence[Word]) -> Invocation:
    """Take the words after `helm` apart, by the rules of Helm's own flag parser.

    Args:
        words: the words, the subcommand among them.

    Returns:
        The arguments and flags, with every fault of the flags. No secret is in the faults.
    """
    reader = _Reader(words)
    reader.read()
    return Invocation(tuple(reader.arguments), tuple(reader.uses), tuple(reader.faults))


class _Reader:
    """One run over the words."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = list(words)
        self.position = 0
        self.arguments: list[Word] = []
        self.uses: list[FlagUse] = []
        self.faults: list[Fault] = []

    def read(self) -> None:
        while self.position < len(self.words):
            word = self.words[self.position]
            self.position += 1
            if word.text == "--":
                self.arguments += self.words[self.position :]
                return
            if word.text.startswith("--"):
                self.read_long(word)
            elif word.text.startswith("-") and word.text != "-":
                self.read_letters(word)
            else:
                self.arguments.append(word)

    def read_long(self, word: Word) -> None:
        name, equals, value = word.text[2:].partition("=")
        flag = _BY_NAME.get(name)
        if flag is None:
            self.refuse_unknown(name, word.line)
        elif equals:
            self.take(flag, value, word.line)
        else:
            self.take_next(flag, word.line)

    def read_letters(self, word: Word) -> None:
        """Read `-i`, `-n name`, `-nname`, `-n=name`, or letters of which the last may take a value."""
        letters = word.text[1:]
        while letters:
            flag = _BY_LETTER.get(letters[0])
            rest = letters[1:]
            if flag is None:
                self.refuse_unknown("", word.line)
                return
            if len(rest) > 1 and rest.startswith("="):
                self.take(flag, rest[1:], word.line)
                return
            if flag.takes is not Takes.VALUE:
                self.take_next(flag, word.line)
                letters = rest
            elif rest:
                self.take_glued(flag, rest, word.line)
                return
            else:
                self.take_next(flag, word.line)
                return

    def take_glued(self, flag: Flag, value: str, line: int) -> None:
        """Take `-nname`; Helm itself misreads the same of other letters: `-fone.yaml` gives a namespace `e.yaml`."""
        if flag.name == "namespace":
            self.take(flag, value, line)
        else:
            self.fault(line, f"`-{flag.short}` and its value are one word", "put a blank between them")

    def take_next(self, flag: Flag, line: int) -> None:
        """Take a flag without a value of its own: a switch is on, and others take the next word."""
        if flag.takes is not Takes.VALUE:
            self.take(flag, "true", line)
            return
        following = self.words[self.position] if self.position < len(self.words) else None
        if following is None or _is_flag(following.text):
            self.fault(line, f"`--{flag.name}` has no value", "give one; the snippet may be cut off there")
            return
        self.position += 1
        self.take(flag, following.text, line)

    def take(self, flag: Flag, value: str, line: int) -> None:
        if flag.takes is Takes.SWITCH:
            if value not in _YES | _NO:
                self.fault(line, f"`--{flag.name}` is a switch and takes no value but true or false")
            elif value in _NO:
                return
        if flag.use is not Use.REFUSED:
            self.uses.append(FlagUse(flag, value, line))
        elif flag.takes is not Takes.OPTIONAL or value not in _NO_DRY_RUN:
            self.fault(line, f"`--{flag.name}` {flag.reason}", flag.remedy)

    def refuse_unknown(self, name: str, line: int) -> None:
        near = difflib.get_close_matches(name, _BY_NAME, n=1, cutoff=0.8) if len(name) <= _LONGEST else []
        self.fault(
            line,
            "a word begins with a dash but is no flag of `helm upgrade` or `helm install`",
            f"did you mean `--{near[0]}`?" if near else "remove it, or quote the value that it belongs to",
        )

    def fault(self, line: int, cause: str, remedy: str = "") -> None:
        self.faults.append(Fault("", f"line {line}: {cause}", remedy))


_LONGEST = max(map(len, _BY_NAME)) + 2


def _is_flag(text: str) -> bool:
    return text.startswith("--") and text[2:].partition("=")[0] in _BY_NAME
