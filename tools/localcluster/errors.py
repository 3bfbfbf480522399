"""What the local cluster says when it cannot do what was asked."""

from __future__ import annotations

from tools.errors import ToolsError


class LocalClusterError(ToolsError):
    """The local cluster cannot do what was asked; says why and what to do about it."""

    def __init__(self, cause: str, remedy: str) -> None:
        self.cause = cause
        self.remedy = remedy
        super().__init__(f"{cause}; {remedy}")


class PartFailedError(LocalClusterError):
    """A part of the cluster ended, or did not become healthy in time.

    Attributes:
        part: the part's name, such as `etcd`.
        log_tail: the last lines of its log.
    """

    def __init__(self, part: str, cause: str, remedy: str, log_tail: str) -> None:
        self.part = part
        self.log_tail = log_tail
        super().__init__(cause, remedy)

    def __str__(self) -> str:
        text = f"{self.cause}; {self.remedy}"
        if not self.log_tail:
            return text
        return f"{text}\nlast lines of its log:\n" + "\n".join(f"  {x}" for x in self.log_tail.splitlines())
