"""Downloads over HTTP that resume, are checked, and give up at once where there is no network."""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import httpx
import tenacity

from tools.console import Ticker
from tools.store import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_Result = TypeVar("_Result")

_CONNECT_SECONDS = 3.0
_READ_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
_CHUNK = 1 << 18
_MEBIBYTE = 1 << 20


class DownloadError(Exception):
    """A download failed, and why."""


class NoNetworkError(DownloadError):
    """The host cannot be reached at all."""


class Downloader:
    """Fetches files.

    Args:
        tries: how often an interrupted download is taken up again.
        pause: seconds before the first retry; it doubles each time.
    """

    def __init__(self, *, tries: int = 5, pause: float = 0.5) -> None:
        self._retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(tries),
            wait=tenacity.wait_exponential(multiplier=pause, max=10),
            retry=tenacity.retry_if_exception(_is_passing),
            reraise=True,
        )
        self._stopping = threading.Event()

    @cached_property
    def _client(self) -> httpx.Client:
        timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        return httpx.Client(follow_redirects=True, timeout=timeout)

    def stop(self) -> None:
        """Make every download end soon; what has arrived stays for the next time."""
        self._stopping.set()

    def read(self, url: str) -> str:
        """Give a small text. Raises NoNetworkError within seconds where the host does not answer."""
        return _within(_ANSWER_SECONDS, lambda: self._attempt(url, lambda: self._read(url)), url)

    def fetch(self, url: str, target: Path, sha256: str, *, label: str) -> None:
        """Download a file whose checksum is known.

        What has arrived is kept as `<target>.part` and taken up again by the next attempt, in this process or a
        later one; `target` appears whole and checked, or not at all. The caller holds the target's lock.
        """
        part = target.with_name(f"{target.name}.part")
        resumed = part.exists()
        self._attempt(url, lambda: self._retrying(self._append, url, part, label))
        if sha256_of(part) != sha256 and resumed:
            # What an earlier run left may be of another file; only a download from the start tells.
            part.unlink()
            self._attempt(url, lambda: self._retrying(self._append, url, part, label))
        actual = sha256_of(part)
        if actual != sha256:
            part.unlink()
            raise DownloadError(f"{url} has SHA-256 {actual}, published is {sha256}")
        part.replace(target)

    def _read(self, url: str) -> str:
        return self._client.get(url).raise_for_status().text

    def _append(self, url: str, part: Path, label: str) -> None:
        """Fetch what `part` has not."""
        have = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
        with self._client.stream("GET", url, headers=headers) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                # All of it is here, or it is of another file: the checksum decides.
                return
            response.raise_for_status()
            if response.status_code != httpx.codes.PARTIAL_CONTENT:
                have = 0
            total = have + int(response.headers.get("Content-Length", 0))
            ticker = Ticker(label)
            with part.open("ab" if have else "wb") as sink:
                for chunk in response.iter_raw(_CHUNK):
                    if self._stopping.is_set():
                        raise DownloadError(f"{url}: interrupted")
                    sink.write(chunk)
                    have += len(chunk)
                    ticker.tick(f"{have // _MEBIBYTE} of {total // _MEBIBYTE} MiB downloaded")

    def _attempt(self, url: str, action: Callable[[], _Result]) -> _Result:
        try:
            return action()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise NoNetworkError(f"{httpx.URL(url).host} cannot be reached: {error}") from error
        except httpx.HTTPStatusError as error:
            raise DownloadError(f"{url}: {error.response.status_code} {error.response.reason_phrase}") from error
        except httpx.HTTPError as error:
            raise DownloadError(f"{url}: {error or type(error).__name__}") from error


def _is_passing(error: BaseException) -> bool:
    """Tell whether another try may help."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
    no_network = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
    return isinstance(error, httpx.TransportError) and not no_network


def _within(seconds: float, action: Callable[[], _Result], url: str) -> _Result:
    """Do something that may hang where no time-out reaches, as a name server that does not answer."""
    results: list[_Result] = []
    errors: list[Exception] = []

    def act() -> None:
        try:
            results.append(action())
        except Exception as error:  # noqa: BLE001 - raised again below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise NoNetworkError(f"{httpx.URL(url).host} did not answer within {seconds:.0f} s")
    return results[0]
