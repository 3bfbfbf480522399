"""Points in time as Kubernetes writes them."""

from __future__ import annotations

import datetime

UTC = datetime.timezone.utc


def parse_time(text: str | None) -> datetime.datetime | None:
    """Read an RFC 3339 time, such as `2025-05-01T10:00:00Z`; None where there is none or it is no time."""
    if not text:
        return None
    try:
        # Python 3.10 knows neither `Z` nor more than six digits of a second.
        whole, _, rest = text.replace("Z", "+00:00").partition(".")
        offset = rest.lstrip("0123456789")
        read = datetime.datetime.fromisoformat(whole + offset)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def now() -> datetime.datetime:
    """Give the time of this machine, in UTC."""
    return datetime.datetime.now(UTC)
