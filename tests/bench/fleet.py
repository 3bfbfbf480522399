"""What is asked for: platforms as plain data, the same for every peer, and how each operation changes it."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pulumi_codecanvas import chart_values, freeze, hardening
from pulumi_codecanvas.pod_template import load_pod_template, pod_template_object
from tests.support.stack import CHART, CHECKOUT, SERVER_URL

if TYPE_CHECKING:
    from collections.abc import Callable

RELEASE = chart_values.DEFAULT_RELEASE_NAME
TIMEOUT = 600
KEY_DIGEST = "bench/key-version"
"""An annotation of the operator's pods by which raw Pulumi and Helm restart them onto a new key."""

OPERATIONS = ("up", "no-op", "preview", "field", "rotate", "freeze", "destroy")


@dataclass
class Platform:
    """One platform as it should be."""

    name: str
    pod_template: dict[str, Any]
    key_version: int = 1
    frozen: bool = False
    _keys: dict[int, str] = field(default_factory=dict)

    def key(self) -> str:
        """Give the private key of the present version, PEM; peers that make none of their own take it."""
        if self.key_version not in self._keys:
            key = ec.generate_private_key(ec.SECP256R1())
            form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            self._keys[self.key_version] = key.private_bytes(*form).decode()
        return self._keys[self.key_version]

    def manifests(self) -> dict[str, dict[str, Any]]:
        """Give the Kubernetes objects outside the release, by what they are for."""
        labels = hardening.owned_labels(self.name, {})
        common: dict[str, Any] = {"labels": labels, "annotations": {}}
        template = load_pod_template(self.pod_template, base_dir=CHECKOUT).manifest
        found = {
            "namespace": hardening.namespace_object(self.name, pod_security="privileged", **common),
            "template": pod_template_object(template, name=self.name, namespace=self.name, **common),
        }
        if self.frozen:
            policy, binding = freeze.freeze_policy(namespace=self.name, platform_name=self.name, reason=None, **common)
            found |= {"policy": policy, "binding": binding}
        return found

    def values(self) -> dict[str, Any]:
        """Give the release's values."""
        return chart_values.operator_values(
            server_url=SERVER_URL,
            private_key=self.key(),
            instance_id=chart_values.derive_instance_id(self.name),
            target_namespace=self.name,
            values={"podAnnotations": {KEY_DIGEST: str(self.key_version)}},
        )


@dataclass
class Fleet:
    """All platforms of one run."""

    platforms: list[Platform]
    chart: str = CHART

    @staticmethod
    def of(size: int) -> Fleet:
        """Make so many platforms, named alike in every run."""
        return Fleet([Platform(f"bench-{number:03}", copy.deepcopy(_POD)) for number in range(size)])

    def change(self, operation: str) -> list[Platform]:
        """Change what is asked for as the operation does; give the platforms that are concerned."""
        change = _CHANGES.get(operation)
        if change is None:
            return self.platforms
        concerned = self.platforms if operation == "freeze" else self.platforms[:1]
        for platform in concerned:
            change(platform)
        return concerned


_POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "spec": {
        "restartPolicy": "Never",
        "containers": [{"name": "worker-main", "resources": {"requests": {"cpu": "2", "memory": "4Gi"}}}],
    },
}


def _change_field(platform: Platform) -> None:
    platform.pod_template["spec"]["containers"][0]["resources"]["requests"]["memory"] = "6Gi"


def _rotate(platform: Platform) -> None:
    platform.key_version += 1


def _freeze(platform: Platform) -> None:
    platform.frozen = True


_CHANGES: dict[str, Callable[[Platform], None]] = {"field": _change_field, "rotate": _rotate, "freeze": _freeze}
