from __future__ import annotations

import socket
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from tools.localcluster.errors import LocalClusterError
from tools.localcluster.ports import choose_port, choose_ports, is_free, read_ports, replace_taken, write_ports

if TYPE_CHECKING:
    from pathlib import Path


def test_each_part_gets_a_port_of_its_own() -> None:
    ports = asdict(choose_ports()).values()
    assert len(set(ports)) == len(ports)


def test_ports_lie_below_those_that_outgoing_connections_take() -> None:
    assert all(port < 32_768 for port in asdict(choose_ports()).values())


def test_listening_port_is_not_free() -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert not is_free(server.getsockname()[1])


def test_port_that_nobody_listens_on_is_free() -> None:
    assert is_free(choose_port(set()))


def test_remembered_ports_are_kept() -> None:
    ports = choose_ports()
    assert replace_taken(ports, set(), lambda _: True) == ports


def test_only_a_taken_port_is_chosen_anew() -> None:
    ports = choose_ports()
    new = replace_taken(ports, set(), lambda port: port != ports.scheduler)
    assert new.scheduler not in asdict(ports).values()
    assert replace(new, scheduler=ports.scheduler) == ports


def test_port_of_a_running_part_is_kept() -> None:
    ports = choose_ports()
    assert replace_taken(ports, {"apiserver"}, lambda port: port != ports.apiserver) == ports


def test_lack_of_free_ports_is_an_error_with_a_way_out() -> None:
    with pytest.raises(LocalClusterError, match=r"no free port .*; end programs"):
        choose_port(set(), lambda _: False)


def test_ports_are_remembered(tmp_path: Path) -> None:
    ports = choose_ports()
    write_ports(tmp_path / "ports.json", ports)
    assert read_ports(tmp_path / "ports.json") == ports


@pytest.mark.parametrize("text", ["", "{", "[]", '{"etcd": 1}', '{"etcd": "x"}', "null"])
def test_damaged_memory_of_ports_counts_as_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "ports.json"
    path.write_text(text)
    assert read_ports(path) is None
    assert read_ports(tmp_path / "missing") is None
