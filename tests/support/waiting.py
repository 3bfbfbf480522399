"""Bounded waiting for what needs time to become true."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import tenacity

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def wait_for(check: Callable[[], T], what: str, seconds: float = 30.0, every: float = 0.1) -> T:
    """Give the first true result of `check`; fail with `what` after `seconds`."""

    def fail(state: tenacity.RetryCallState) -> T:
        last = state.outcome.result() if state.outcome else None
        raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {last!r}")

    return tenacity.Retrying(
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(every),
        retry=tenacity.retry_if_result(lambda result: not result),
        retry_error_callback=fail,
    )(check)
