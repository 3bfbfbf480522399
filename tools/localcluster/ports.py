"""Loopback ports for the parts: chosen once, remembered, chosen anew only where another program has one."""

from __future__ import annotations

import json
import secrets
import socket
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING

from tools.localcluster.errors import LocalClusterError
from tools.localcluster.files import write_private

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes ports for outgoing connections (32768 and up), so that a port
# is still free after the cluster was stopped for a while.
_LOWEST, _COUNT = 20_000, 12_000
_TRIES = 200


@dataclass(frozen=True)
class Ports:
    """The TCP ports of one cluster, all on the loopback address."""

    etcd: int
    etcd_peer: int
    apiserver: int
    controller_manager: int
    scheduler: int
    kwok: int


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an ended server that still linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def choose_port(taken: set[int], free: Callable[[int], bool] = is_free) -> int:
    """Find a free port that is not among `taken`.

    Raises:
        LocalClusterError: when none was found.
    """
    for _ in range(_TRIES):
        port = _LOWEST + secrets.randbelow(_COUNT)
        if port not in taken and free(port):
            return port
    raise LocalClusterError(
        f"no free port on {LOOPBACK} from {_LOWEST} to {_LOWEST + _COUNT - 1} after {_TRIES} tries",
        "end programs that listen there, or stop local clusters that are no longer needed",
    )


def choose_ports(free: Callable[[int], bool] = is_free) -> Ports:
    """Find free ports for a whole new cluster."""
    chosen: dict[str, int] = {}
    for field in fields(Ports):
        chosen[field.name] = choose_port(set(chosen.values()), free)
    return Ports(**chosen)


def replace_taken(ports: Ports, in_use: set[str], free: Callable[[int], bool] = is_free) -> Ports:
    """Choose anew each port that another program has.

    Args:
        ports: the remembered ports.
        in_use: names of the ports on which the cluster's own parts listen now; those stay.
        free: tells whether a port is free.
    """
    taken = set(asdict(ports).values())
    for name, port in asdict(ports).items():
        if name not in in_use and not free(port):
            new = choose_port(taken, free)
            taken.add(new)
            ports = replace(ports, **{name: new})
    return ports


def read_ports(path: Path) -> Ports | None:
    """Read the remembered ports; None where there are none or the file is damaged."""
    try:
        return Ports(**{name: int(port) for name, port in json.loads(path.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def write_ports(path: Path, ports: Ports) -> None:
    """Remember the ports."""
    write_private(path, json.dumps(asdict(ports), indent=2) + "\n")
