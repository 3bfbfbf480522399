"""The search for secrets: every spelling in which one could stand somewhere, and where it must not."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SHORTEST = 12
"""Parts of a secret that are shorter, such as the end of a PEM body, could stand anywhere by chance."""

SECRET_SIGNATURE = "4dabf18193072939515e22adb298388d"
"""The key by which Pulumi's protocol marks a value of a special kind, and below what it says for a secret one."""
SECRET_KIND = "1b47061264138c4ac30d75fd1eb44270"


def spellings(secret: str) -> set[bytes]:
    """Give what to search for: the secret, its lines and, for PEM, its body, plain and in base64 at every alignment."""
    lines = [line.strip() for line in secret.splitlines() if "-----" not in line]
    parts = {part for part in (*lines, "".join(lines)) if len(part) >= SHORTEST}
    escaped = {json.dumps(part)[1:-1] for part in parts}
    return {part.encode() for part in parts | escaped} | {code for part in parts for code in base64_cores(part)}


def base64_cores(text: str) -> Iterator[bytes]:
    """Give what the base64 of any text around this one must hold, for each of the three ways to be aligned."""
    for before in range(3):
        data = bytes(before) + text.encode()
        # A group of three bytes that a neighbour has a part in is not known.
        first, last = -(-before // 3) * 4, len(data) // 3 * 4
        core = base64.b64encode(data)[first:last]
        if len(core) >= SHORTEST:
            yield core
            yield core.translate(bytes.maketrans(b"+/", b"-_"))


def find_secrets(places: Mapping[str, bytes], secrets: Mapping[str, str]) -> list[str]:
    """Name each secret and the place where it was found; the secret itself is not told."""
    needles = {name: spellings(secret) for name, secret in secrets.items()}
    return [
        f"{name} in {place}"
        for place, text in places.items()
        for name, wanted in needles.items()
        if any(needle in text for needle in wanted)
    ]


def without_sealed(value: Any) -> Any:
    """Take out what Pulumi's protocol marks as secret: whoever reads the message knows that it is one."""
    if isinstance(value, dict):
        if value.get(SECRET_SIGNATURE) == SECRET_KIND:
            return "[secret]"
        return {key: without_sealed(inner) for key, inner in value.items()}
    return [without_sealed(inner) for inner in value] if isinstance(value, list) else value
