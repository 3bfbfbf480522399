"""The pod template: the worker pod's manifest, read, normalised, checked, and propagation merged in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

WORKER_CONTAINER = "worker-main"

IMAGE_PLACEHOLDER = "codecanvas.invalid/assigned-by-codecanvas:placeholder"
"""Stands where CodeCanvas puts the worker's image later: the API server asks for an image in every container.
No image can ever be pulled from it, for `.invalid` is a reserved domain (RFC 2606)."""


@dataclass(frozen=True)
class PodTemplate:
    """A pod template that passed every check.

    Attributes:
        manifest: the normalised Pod; plain dicts, lists, texts, numbers and booleans.
        changes: what normalising changed, such as `metadata.labels.codecanvas: true -> "true"`. Values that
            may be secret are not in it.

    """

    manifest: dict[str, Any]
    changes: tuple[str, ...] = ()


def load_pod_template(
    source: object,
    *,
    base_dir: Path,
    propagate_env: Sequence[str] = (),
    propagate_paths: Sequence[str] = (),
) -> PodTemplate:
    """Read a pod template."""
    raise NotImplementedError


def render_yaml(manifest: Mapping[str, Any]) -> str:
    """Write a manifest as YAML text."""
    raise NotImplementedError


def pod_template_object(
    manifest: Mapping[str, Any],
    *,
    name: object,
    namespace: object,
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
    image: str = IMAGE_PLACEHOLDER,
) -> dict[str, Any]:
    """Describe the `v1` PodTemplate that holds the worker pod."""
    raise NotImplementedError


def worker_pod(
    manifest: Mapping[str, Any],
    *,
    name: str,
    namespace: str,
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
    image: str = IMAGE_PLACEHOLDER,
) -> dict[str, Any]:
    """Describe a Pod made from the template, for a dry run."""
    raise NotImplementedError
