"""The connection snippet of a platform's settings page: a `helm upgrade` command, read and never run.

`parse_snippet` gives what the command would install: chart, version, release, namespace and values. What it cannot
give exactly is a fault, never a guess. The snippet holds the platform's token, and a broken snippet may have it
anywhere: the faults repeat nothing of the text but flags of Helm, operators of the shell and names of variables.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.checks import LABEL_LENGTH, RELEASE_NAME_LENGTH, dns_label_faults, release_name_faults
from pulumi_codecanvas.errors import Fault, InvalidArgumentsError
from pulumi_codecanvas.helm_flags import Invocation, read_invocation
from pulumi_codecanvas.shell_words import PASTE_THE_COMMAND, Word, split_command
from pulumi_codecanvas.snippet_values import PATHS_START, SCHEME, read_snippet_values

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

MAX_FAULTS = 10
"""How many faults are shown at most; a text that has more is no snippet."""
MAX_VERSION = 200
"""The longest version constraint that is read."""

_HELM = frozenset(("helm", "helm3", "helm.exe"))
_OTHER_PROGRAMS = frozenset(("bash", "curl", "docker", "kubectl", "oc", "pulumi", "sh", "sudo", "terraform", "wget"))
_OTHER_COMMANDS = frozenset(
    ("create", "dependency", "get", "history", "lint", "list", "package", "plugin", "pull", "push", "registry")
) | frozenset(("repo", "rollback", "search", "show", "status", "template", "test", "uninstall", "verify", "version"))
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_CHART_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_ADDRESS = re.compile(r"([a-z]+)://[^/?#@\s]+(?:/[^?#\s]*)?")
_VERSION_OPERATOR = re.compile(r"([<>=!~^])[ \t]+")
_VERSION_SEPARATOR = re.compile(r"\s*\|\|\s*|\s*,\s*|\s+-\s+|\s+")
_VERSION = re.compile(
    r"[<>=!~^]{0,2}v?(?:[0-9]{1,10}|[xX*])(?:\.(?:[0-9]{1,10}|[xX*])){0,2}"
    r"(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?"
)
_DURATION = re.compile(r"(?:(?:[0-9]{1,9}(?:\.[0-9]{0,9})?|\.[0-9]{1,9})(?:ns|us|\u00b5s|\u03bcs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9.]+)([a-z\u00b5\u03bc]+)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_MAX_SECONDS = 24 * 3600

BAD_VERSION = "is neither a version nor a version constraint"
_BAD_REPOSITORY = (
    "is not a plain https:// address of a chart repository; it may hold no login and no query, and the chart of an "
    "OCI registry is given whole, as oci://..."
)
BAD_NAMESPACE = f"is no namespace name: at most {LABEL_LENGTH} lower-case letters, digits and '-'"
_BAD_TIMEOUT = "is not a time such as 10m or 300s, of at most 24h"


@dataclass(frozen=True)
class Snippet:
    """What a connection snippet installs.

    Attributes:
        chart: an `oci://` or `https://` address, a chart's name in `chart_repository`, or a path as it was written,
            relative to `base_dir` where it is not absolute.
        release_name: the release's name.
        chart_repository: address of the chart's repository (`--repo`).
        chart_version: version or version constraint (`--version`).
        namespace: the release's namespace (`-n`, `--namespace`).
        values: everything from `--values` and the `--set` family, in Helm's order of precedence; plain JSON types,
            nulls kept, for a null removes a default of the chart. Secret.
        chart_username: login for the chart's registry (`--username`).
        chart_password: its password (`--password`). Secret.
        devel: take pre-release versions too (`--devel`).
        timeout: seconds (`--timeout`).
        create_namespace: whether `--create-namespace` is given.
    """

    chart: str
    release_name: str
    chart_repository: str | None = None
    chart_version: str | None = None
    namespace: str | None = None
    values: dict[str, Any] = field(default_factory=dict, repr=False)
    chart_username: str | None = field(default=None, repr=False)
    chart_password: str | None = field(default=None, repr=False)
    devel: bool = False
    timeout: int | None = None
    create_namespace: bool = False


def parse_snippet(text: str, *, base_dir: Path) -> Snippet:
    """Read a `helm upgrade` or `helm install` command as the settings page gives it.

    Args:
        text: the command as pasted, for Bash, PowerShell or cmd.exe.
        base_dir: the directory that relative paths of values files and charts start from.

    Returns:
        What the command would install.

    Raises:
        InvalidArgumentsError: every fault that was found, without any value of the snippet. The faults' paths are
            empty: the caller knows the argument's name.
    """
    try:
        return _read_command(text, base_dir)
    except InvalidArgumentsError as error:
        raise InvalidArgumentsError(_shorten(error.faults)) from None


def _read_command(text: str, base_dir: Path) -> Snippet:
    command = split_command(text)
    invocation = read_invocation(_read_program(command.words))
    if command.faults:
        raise InvalidArgumentsError([*command.faults, *invocation.faults])
    return _Reader(invocation, base_dir).read()


def _shorten(faults: Sequence[Fault]) -> list[Fault]:
    distinct = list(dict.fromkeys(faults))
    more = len(distinct) - MAX_FAULTS
    return distinct[:MAX_FAULTS] + ([Fault("", f"and {more} more", PASTE_THE_COMMAND)] if more > 0 else [])


def _read_program(words: Sequence[Word]) -> Sequence[Word]:
    """Check that the command is Helm's, and give the words after it."""
    if not words:
        raise InvalidArgumentsError([Fault("", "the text holds no command", PASTE_THE_COMMAND)])
    program = re.split(r"[/\\]", words[0].text)[-1].lower()
    if program in _HELM:
        return words[1:]
    if program in _OTHER_PROGRAMS:
        cause = f"the command is `{program}`, not `helm`"
    elif _ASSIGNMENT.match(words[0].text):
        cause = "the command begins with an environment variable, and none is taken from a snippet"
    else:
        cause = "the command is not `helm`"
    raise InvalidArgumentsError([Fault("", f"line {words[0].line}: {cause}", PASTE_THE_COMMAND)])


class _Reader:
    """Turns an invocation into a Snippet, and gathers every fault on the way."""

    def __init__(self, invocation: Invocation, base_dir: Path) -> None:
        self.invocation = invocation
        self.base_dir = base_dir
        self.faults: list[Fault] = []

    def read(self) -> Snippet:
        release, chart = self.read_arguments()
        self.faults += self.invocation.faults
        version = self.read_checked("version", is_version, BAD_VERSION)
        repository = self.read_checked("repo", _is_repository, _BAD_REPOSITORY)
        namespace = self.read_checked("namespace", is_namespace, BAD_NAMESPACE)
        timeout = self.read_checked("timeout", _is_duration, _BAD_TIMEOUT)
        self.check_release(release)
        self.check_chart(chart)
        values, value_faults = read_snippet_values(self.invocation, self.base_dir)
        self.faults += value_faults
        if self.faults:
            raise InvalidArgumentsError(self.faults)
        return Snippet(
            chart=chart,
            release_name=release,
            chart_repository=repository,
            chart_version=version,
            namespace=namespace,
            values=values,
            chart_username=self.invocation.read_last("username"),
            chart_password=self.read_password(),
            devel=version is None and bool(self.invocation.list_uses("devel")),
            timeout=_to_seconds(timeout) if timeout else None,
            create_namespace=bool(self.invocation.list_uses("create-namespace")),
        )

    def read_arguments(self) -> tuple[str, str]:
        """Give release and chart; a command that is another one altogether ends the reading."""
        names = [word.text.strip() for word in self.invocation.arguments]
        command = names[0] if names else ""
        if command not in ("upgrade", "install"):
            other = f"`helm {command}`" if command in _OTHER_COMMANDS else "neither `helm upgrade` nor `helm install`"
            raise InvalidArgumentsError([Fault("", f"the command is {other}", PASTE_THE_COMMAND)])
        expected = 3
        if len(names) == expected:
            return names[1], names[2]
        if len(names) < expected:
            fault = Fault("", "a release name and a chart are expected, and one is missing", "it may be cut off")
        else:
            remedy = "a value with blanks in it needs quotes"
            fault = Fault("", "a release name and a chart are expected, and more words follow", remedy)
        raise InvalidArgumentsError([fault, *self.invocation.faults])

    def read_password(self) -> str | None:
        """Give the password as it stands: blanks around it may be its own."""
        uses = self.invocation.list_uses("password")
        return (uses[-1].value or None) if uses else None

    def read_checked(self, name: str, fits: Callable[[str], bool], cause: str) -> str | None:
        value = self.invocation.read_last(name)
        if value is None or fits(value):
            return value
        line = self.invocation.list_uses(name)[-1].line
        self.faults.append(Fault("", f"line {line}: `--{name}` {cause}"))
        return None

    def check_release(self, release: str) -> None:
        if release_name_faults("", release):
            remedy = f"it has at most {RELEASE_NAME_LENGTH} lower-case letters, digits, '-' and '.'"
            self.faults.append(Fault("", "the first argument is no release name", remedy))

    def check_chart(self, chart: str) -> None:
        found = self.find_chart_fault(chart)
        if found:
            self.faults.append(Fault("", *found))

    def find_chart_fault(self, chart: str) -> tuple[str, str] | None:
        """Give cause and remedy of what is wrong with the chart."""
        has_repository = self.invocation.read_last("repo") is not None
        if SCHEME.match(chart):
            return _find_address_fault(chart, has_repository)
        if exists(self.base_dir, chart):
            return None
        if chart.startswith((".", "/")):
            return "the chart is a path, and nothing is there", PATHS_START
        if not _CHART_NAME.fullmatch(chart):
            return "the second argument is no chart", "it is an oci:// address, a path, or a name with --repo"
        if has_repository:
            return None
        if "/" in chart:
            cause = "the chart's repository is an alias, known to `helm repo` on one machine only"
            return cause, "give the repository's address by --repo, and the chart's name alone"
        return "the chart is a bare name", "give its repository's address by --repo"


def _find_address_fault(chart: str, has_repository: bool) -> tuple[str, str] | None:
    if has_repository:
        cause = "the chart is an address of its own, and `--repo` names another one"
        return cause, "remove `--repo`, or give the chart's name in that repository"
    if not is_address(chart, ("oci", "https", "http")):
        cause = "the chart's address is not a plain oci:// or https:// one"
        return cause, "it may hold no login and no query: give a login by --username and --password"
    return None


def is_version(text: str) -> bool:
    """Tell whether a text is a version or a version constraint, as Helm takes them."""
    joined = _VERSION_OPERATOR.sub(r"\1", text)
    return len(text) <= MAX_VERSION and all(map(_VERSION.fullmatch, _VERSION_SEPARATOR.split(joined)))


def _is_repository(text: str) -> bool:
    return is_address(text, ("https", "http"))


def is_namespace(text: str) -> bool:
    """Tell whether a text can name a namespace."""
    return not dns_label_faults("", text)


def _is_duration(text: str) -> bool:
    return _to_seconds(text) is not None


def is_address(text: str, schemes: tuple[str, ...]) -> bool:
    """Tell whether a text is an address of one of the schemes, without login, query and fragment."""
    match = _ADDRESS.fullmatch(text)
    return match is not None and match.group(1) in schemes


def exists(base_dir: Path, chart: str) -> bool:
    """Tell whether a chart is a path at which something is."""
    try:
        return bool(chart) and (base_dir / chart).exists()
    except (OSError, ValueError):
        return False


def _to_seconds(text: str) -> int | None:
    """Read a duration in Go's notation, rounded up to whole seconds; None where it is none."""
    if not _DURATION.fullmatch(text):
        return None
    total = sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))
    return math.ceil(total) if 0 < total <= _MAX_SECONDS else None
