from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from codecanvas_provider.cluster import CLAIM, CONFIG_MAP, EVENT, POD, Kind
from codecanvas_provider.namespace_holders import find_holders, release_holders
from codecanvas_provider.resource import Context
from codecanvas_provider.waiting import Pace
from codecanvas_provider.workloads import RELEASE_NAME
from pulumi_codecanvas.errors import ClusterError
from tests.support.calls import run
from tests.support.fake_cluster import FakeCluster

WIDGET = Kind("Widget", "example.com/v1", "widgets")
METRICS = Kind("PodMetrics", "metrics.k8s.io/v1beta1", "pods")
PACE = Pace(first=0.001, longest=0.002)


class Discovering(FakeCluster):
    def discover(self) -> list[Kind]:
        return [CONFIG_MAP, EVENT, POD, CLAIM, WIDGET, METRICS]

    def hold(self, name: str, *finalizers: str, kind: Kind = WIDGET, **metadata: Any) -> None:
        self.put(kind, {"metadata": {"name": name, "finalizers": list(finalizers), **metadata}}, "eu")


@pytest.fixture
def cluster() -> Discovering:
    return Discovering("eu", "us")


def release(cluster: Discovering, timeout: float = 0.05) -> list[str]:
    return [str(holder) for holder in run(release_holders(Context(), cluster, "eu", timeout=timeout, pace=PACE))]


def test_what_holds_a_namespace_is_named_by_kind_name_and_finalizers(cluster: Discovering) -> None:
    cluster.put(CONFIG_MAP, {"metadata": {"name": "config"}}, "eu")
    cluster.put(WIDGET, {"metadata": {"name": "elsewhere", "finalizers": ["example.com/hold"]}}, "us")
    cluster.hold("passing", "example.com/hold", kind=EVENT)
    cluster.hold("job", "batch.kubernetes.io/job-tracking", kind=POD)
    cluster.hold("volume", "example.com/hold", kind=CLAIM)
    cluster.hold("w", "example.com/more", "foregroundDeletion", "example.com/hold")
    assert [str(holder) for holder in find_holders(cluster, "eu")] == [
        "Widget w (finalizers example.com/hold, example.com/more)"
    ]


def test_a_kind_whose_api_server_is_away_is_not_asked_for(
    cluster: Discovering, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.hold("w", "example.com/hold")
    monkeypatch.setattr(cluster, "discover", lambda: [CONFIG_MAP, replace(WIDGET, away=True)])
    assert find_holders(cluster, "eu") == []


def test_what_finalizers_hold_is_asked_to_go(cluster: Discovering) -> None:
    cluster.hold("w", "example.com/hold")
    assert release(cluster) == []
    assert cluster.calls == ["delete Widget w"]


def test_what_does_not_go_is_named_and_asked_once(cluster: Discovering) -> None:
    cluster.hold("w", "example.com/hold")
    cluster.claims_held = {"w"}
    with pytest.raises(ClusterError, match=r"after 0\.05 s: Widget w \(finalizers example\.com/hold\); see that"):
        release(cluster)
    assert cluster.calls == ["delete Widget w"]


def test_what_goes_with_its_owner_or_the_release_is_left_to_them(cluster: Discovering) -> None:
    cluster.hold("child", "example.com/hold", kind=POD, ownerReferences=[{"controller": True}])
    cluster.hold("charts", "example.com/hold", annotations={RELEASE_NAME: "operator"})
    assert release(cluster) == [
        "Pod child (finalizers example.com/hold)",
        "Widget charts (finalizers example.com/hold)",
    ]
    assert cluster.calls == []


def test_kinds_that_we_may_not_list_or_delete_are_passed_over(cluster: Discovering) -> None:
    cluster.denied = {"list widgets", "delete configmaps"}
    cluster.hold("w", "example.com/hold")
    cluster.hold("c", "example.com/hold", kind=CONFIG_MAP)
    assert release(cluster) == ["ConfigMap c (finalizers example.com/hold)"]
