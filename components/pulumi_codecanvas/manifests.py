"""What every manifest of ours shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMESPACE_SECONDS = 300
"""How long a namespace may take to go at the least; what would hold it was asked to go before."""

PATCH_FORCE = "pulumi.com/patchForce"
"""Annotation by which an update takes fields of ours back from whoever changed them; fields of others stay theirs."""

SKIP_AWAIT = "pulumi.com/skipAwait"
"""Annotation by which the kubernetes plugin does not wait for an object, neither for its making nor for its end."""

STACK_ANNOTATION = "pulumi-codecanvas/stack"
"""On every object of ours: the stack that made it, as `organization/project/stack`."""

PLATFORM_LABEL = "app.kubernetes.io/instance"
"""On every object of ours: the platform that it belongs to."""

WORKER_CONTAINER = "worker-main"
"""Name of the container in which CodeCanvas runs its worker; a pod that has one is a dev environment's."""


def object_metadata(
    name: object, *, labels: Mapping[str, Any], annotations: Mapping[str, Any], namespace: object = None
) -> dict[str, Any]:
    """Describe an object's metadata; empty maps and a missing namespace are left out.

    Leaves may be opaque objects, such as Pulumi outputs: they are passed on as they are.
    """
    metadata: dict[str, Any] = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = dict(labels)
    if annotations:
        metadata["annotations"] = dict(annotations)
    return metadata


def stack_of(metadata: Mapping[str, Any]) -> str | None:
    """Give the stack that made an object, as its mark says; None where it bears none."""
    owner = (metadata.get("annotations") or {}).get(STACK_ANNOTATION)
    return None if owner is None else str(owner)
