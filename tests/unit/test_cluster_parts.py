from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tools.localcluster.credentials import USERS, ensure_credentials
from tools.localcluster.parts import AUDIT_POLICY, KWOK_CONFIG, NAMES, Layout, Part, describe_parts
from tools.localcluster.ports import Ports

PORTS = Ports(etcd=1, etcd_peer=2, apiserver=3, controller_manager=4, scheduler=5, kwok=6)
LAYOUT = Layout(Path("/var/cluster/a"))


def parts(layout: Layout = LAYOUT, *, audit: bool = False) -> tuple[Part, ...]:
    policy = AUDIT_POLICY if audit else None
    return describe_parts(layout, PORTS, controlplane=Path("/bin/controlplane"), kwok=Path("/bin/kwok"), audit=policy)


def test_every_part_is_described_in_the_order_of_start() -> None:
    assert tuple(part.name for part in parts()) == NAMES


@pytest.mark.parametrize("part", parts(), ids=lambda part: part.name)
def test_part_is_known_by_its_own_mark_and_by_no_other(part: Part) -> None:
    assert [name for name in NAMES if LAYOUT.mark(name) in part.command] == [part.name]


def test_parts_of_another_cluster_have_other_marks() -> None:
    # A directory whose name begins with the other's is another one, too.
    other = Layout(Path("/var/cluster/ab"))
    assert {LAYOUT.mark(name) for name in NAMES}.isdisjoint(
        argument for part in parts(other) for argument in part.command
    )


def test_every_address_is_on_the_loopback_interface() -> None:
    for part in parts():
        addresses = [argument for argument in part.command if re.search(r"listen|address|urls|servers", argument)]
        assert addresses, part.name
        assert all("127.0.0.1" in argument for argument in addresses), addresses
        assert part.health.startswith("https://127.0.0.1:")


def test_no_token_or_key_is_in_a_command_line(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    ensure_credentials(layout.credentials)
    text = " ".join(argument for part in parts(layout) for argument in part.command)
    for user in USERS:
        assert layout.credentials.read_token(user) not in text
    assert "PRIVATE KEY" not in text


def test_audit_log_is_written_only_on_demand() -> None:
    def flags(*, audit: bool) -> list[str]:
        return [argument for part in parts(audit=audit) for argument in part.command if "audit" in argument]

    assert flags(audit=False) == []
    assert f"--audit-log-path={LAYOUT.audit_log}" in flags(audit=True)


def test_no_stage_of_kwok_takes_finalizers_away() -> None:
    stages = list(yaml.safe_load_all(KWOK_CONFIG.read_text()))
    assert {stage["kind"] for stage in stages} == {"Stage"}
    assert all("finalizers" not in stage["spec"]["next"] for stage in stages)
