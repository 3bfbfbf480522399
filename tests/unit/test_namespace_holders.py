from __future__ import annotations

from codecanvas_provider.cluster import CLAIM, CONFIG_MAP, EVENT, POD, Kind
from codecanvas_provider.namespace_holders import MAX_HOLDERS, namespace_holders
from tests.support.fake_cluster import FakeCluster

WIDGET = Kind("Widget", "example.com/v1", "widgets")
METRICS = Kind("PodMetrics", "metrics.k8s.io/v1beta1", "pods")


class Discovering(FakeCluster):
    def discover(self) -> list[Kind]:
        return [CONFIG_MAP, EVENT, POD, CLAIM, WIDGET, METRICS]


def test_what_holds_a_namespace_is_named_by_kind_name_and_finalizers() -> None:
    cluster = Discovering("eu")
    cluster.put(CONFIG_MAP, {"metadata": {"name": "config"}}, "eu")
    cluster.put(EVENT, {"metadata": {"name": "passing"}}, "eu")
    cluster.put(WIDGET, {"metadata": {"name": "w", "finalizers": ["example.com/hold", "example.com/more"]}}, "eu")
    cluster.put(POD, {"metadata": {"name": "elsewhere"}}, "us")
    assert namespace_holders(cluster, "eu") == [
        "Widget w (finalizers example.com/hold, example.com/more)",
        "ConfigMap config",
    ]


def test_kinds_that_we_may_not_list_are_passed_over() -> None:
    cluster = Discovering("eu")
    cluster.denied = {"list widgets"}
    cluster.put(WIDGET, {"metadata": {"name": "w"}}, "eu")
    cluster.put(POD, {"metadata": {"name": "p"}}, "eu")
    assert namespace_holders(cluster, "eu") == ["Pod p"]


def test_the_list_is_bounded() -> None:
    cluster = Discovering("eu")
    for number in range(MAX_HOLDERS + 5):
        cluster.put(POD, {"metadata": {"name": f"p{number}"}}, "eu")
    found = namespace_holders(cluster, "eu")
    assert len(found) == MAX_HOLDERS + 1
    assert found[-1] == "and 5 more"
