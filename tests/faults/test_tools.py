"""That the tools of these tests do what the tests rely on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import psutil
import pytest

from codecanvas_provider.cluster import CONFIG_MAP, NAMESPACE, Cluster, Refused, Unreachable
from tests.support import small_disk, victims
from tests.support.names import unique
from tests.support.namespaces import make_namespace
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.api_proxy import ApiProxy
    from tests.support.stack import Stack

pytestmark = pytest.mark.engine


def test_proxy_passes_on_refuses_and_holds(proxy: ApiProxy, admin: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("codecanvas_provider.cluster.PATIENCE", 0.5)
    monkeypatch.setattr("codecanvas_provider.cluster.FIRST_PATIENCE", 0.5)
    cluster = Cluster(str(proxy.kubeconfig), None)
    namespace = make_namespace(admin)
    assert cluster.get(NAMESPACE, namespace)
    with proxy.away(), pytest.raises(Unreachable):
        cluster.get(NAMESPACE, namespace)
    with proxy.busy(503), pytest.raises(Refused, match="503"):
        cluster.get(NAMESPACE, namespace)
    for name, after in (("before", False), ("after", True)):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}
        hold = proxy.hold("POST", "configmaps", after=after)
        create = threading.Thread(target=cluster.create, args=(CONFIG_MAP, body, namespace))
        create.start()
        hold.wait()
        assert (admin.get(CONFIG_MAP, name, namespace) is not None) is after
        hold.release()
        create.join()
        assert admin.get(CONFIG_MAP, name, namespace)


def test_every_process_of_a_run_is_found_and_killed(stack: Stack) -> None:
    platform = unique("eu")
    stack.set(platform)
    with stack.start("up", "--skip-preview", "--yes") as running:
        wait_for(lambda: running.has_step(f"{platform}-release"), "the release")
        assert len(victims.find(running)) >= 4
        # Else it could be through with the death of its plugin before the others are killed.
        psutil.Process(running.pid).suspend()
        victims.kill(running, "kubernetes")
        victims.kill(running)
        assert victims.find(running) == []
        assert running.wait().exit_code == -9


def test_a_full_disk_takes_nothing(tmp_path: Path) -> None:
    with small_disk.mount(tmp_path / "disk") as disk:
        disk.fill()
        with pytest.raises(OSError, match="No space left"):
            (disk.root / "file").write_bytes(bytes(100_000))
        (disk.root / "file").unlink()
        disk.free()
        (disk.root / "file").write_bytes(bytes(100_000))
