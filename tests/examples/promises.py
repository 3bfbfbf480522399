"""What every example keeps on the real engine; the tests of each example inherit it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from tests.examples.life import Life
    from tests.examples.site import Site
    from tests.support.example_stack import Run
    from tests.support.examples import Example

OURS = ("codecanvas:", "kubernetes:")
CLOUDS = ("aws:", "eks:", "gcp:")


class Promises:
    """Promises about a life, wherever it is lived; a subclass gives the fixture `life`."""

    def test_a_second_up_changes_nothing(self, life: Life) -> None:
        assert life.up.changes
        assert life.again.changes == []

    def test_the_cloud_and_the_cluster_show_no_drift(self, life: Life) -> None:
        assert life.drift.changes == []

    def test_the_connection_test_succeeds(self, life: Life) -> None:
        status = {check["name"]: check["status"] for check in life.outputs[0]["connection"]}
        assert status["Operator"] == "Success"
        assert set(status.values()) <= {"Success", "Skipped"}

    def test_a_freeze_and_its_end_change_the_platform_only(self, life: Life) -> None:
        for run in (life.freeze, life.unfreeze):
            types = {step.type for step in run.changes}
            assert types
            assert all(type_.startswith((*OURS, "pulumi:pulumi:")) for type_ in types), types
        assert [outputs["frozen"] for outputs in life.outputs] == [False, True]

    def test_nothing_is_left_in_the_state(self, life: Life) -> None:
        assert life.left == []

    def test_the_platform_goes_before_what_it_stands_on(self, life: Life) -> None:
        steps = [step for step in life.destroy.steps if step.type.startswith((*OURS, *CLOUDS))]
        ours = [step.type.startswith(OURS) for step in steps]
        assert ours[0]
        assert ours == sorted(ours, reverse=True), steps


class StandInPromises(Promises):
    """Promises that take a look into the local cluster and the stand-ins' clouds."""

    def test_dev_environments_stop_with_a_freeze_and_keep_their_volumes(self, life: Life) -> None:
        assert life.running == [2, 0]
        assert sorted(life.volumes) == ["env-a-home", "env-b-home"]
        assert "upgrade of the nodes" in life.refusal

    def test_nothing_is_left_in_the_cluster_and_in_the_cloud(self, life: Life, site: Site) -> None:
        assert life.left == []
        assert site.leftovers() == []

    def test_no_secret_is_in_plain_text(self, life: Life, site: Site) -> None:
        for text in (*life.exported, str(life.outputs), *(run.text for run in _runs(life))):
            assert site.token not in text
            assert not re.search("BEGIN (EC )?PRIVATE KEY", text)

    def test_the_kubeconfig_is_secret_in_the_state(self, life: Life) -> None:
        holders = set()
        for resource in json.loads(life.exported[0])["deployment"]["resources"]:
            for properties in (resource.get("inputs", {}), resource.get("outputs", {})):
                if "kubeconfig" in properties and resource["type"] != "eks:index:Cluster":
                    holders.add(resource["type"])
                    assert "ciphertext" in properties["kubeconfig"], resource["urn"]
        assert {"pulumi:providers:kubernetes", "codecanvas:index:DevEnvironments"} <= holders


class ClusterPromises(StandInPromises):
    """Promises of the examples that make the cluster; a subclass names the example."""

    example: ClassVar[Example]

    def test_worker_pods_go_to_the_workers(self, life: Life) -> None:
        (taint,) = life.taints
        assert (taint["key"], taint["value"]) == ("dedicated", "dev-environments")

    def test_no_check_of_the_connection_is_skipped(self, life: Life) -> None:
        assert {check["status"] for check in life.outputs[0]["connection"]} == {"Success"}

    def test_the_kubeconfig_is_a_secret_output(self, life: Life) -> None:
        assert life.outputs[0]["kubeconfig"] == "[secret]"

    def check_refusal(self, site: Site, key: str, value: str | None) -> None:
        """See that a preview with this setting, or without it, fails with the key's name and no traceback."""
        name = f"{'wrong' if value else 'no'}-{key.rpartition(':')[2].lower()}"
        run = site.stack(self.example, name, **{key: value}).preview(ok=False)
        whole = key if ":" in key else f"{self.example.project['name']}:{key}"
        assert f"{whole}: " in run.text
        assert not [step for step in run.steps if step.type.startswith((*OURS, *CLOUDS))]


def _runs(life: Life) -> list[Run]:
    return [life.up, life.again, life.drift, life.freeze, life.unfreeze, life.destroy]
