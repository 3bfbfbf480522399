"""The pod template: the worker pod's manifest, read, normalised, checked, with propagation merged in.

The API server checks every field of it (it is applied as a `PodTemplate`); what is checked here is what the API
server cannot know, or what would hide its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pulumi_codecanvas.errors import InvalidArgumentsError
from pulumi_codecanvas.manifests import object_metadata
from pulumi_codecanvas.pod_checks import drop_foreign_fields, find_worker, pod_faults
from pulumi_codecanvas.pod_source import read_source
from pulumi_codecanvas.pod_values import normalise
from pulumi_codecanvas.propagation import merge_propagation, propagation_faults
from pulumi_codecanvas.strict_yaml import dump_yaml

if TYPE_CHECKING:
    from pathlib import Path

IMAGE_PLACEHOLDER = "codecanvas.invalid/assigned-by-codecanvas:placeholder"
"""Stands where CodeCanvas puts the worker's image later: the API server asks for an image in every container.
No image can ever be pulled from it, for `.invalid` is a reserved domain (RFC 2606)."""

_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec")
_CONTAINER_LISTS = ("initContainers", "containers")


@dataclass(frozen=True)
class PodTemplate:
    """A pod template that passed every check.

    Attributes:
        manifest: the normalised Pod; plain dicts, lists, texts, numbers and booleans.
        changes: what normalising changed, such as `metadata.labels.codecanvas: true -> "true"`. Values that
            may be secret are not in it.
        omissions: paths of the fields that were left out: empty ones, and those that are set for every pod.

    """

    manifest: dict[str, Any]
    changes: tuple[str, ...] = ()
    omissions: tuple[str, ...] = ()


def load_pod_template(
    source: object,
    *,
    base_dir: Path,
    propagate_env: Sequence[str] = (),
    propagate_paths: Sequence[str] = (),
) -> PodTemplate:
    """Read, normalise and check a pod template, and merge into `worker-main` what it is to propagate.

    Args:
        source: YAML (or JSON) text, a mapping, the path of a `.yaml` or `.yml` file, or None for a bare
            `worker-main` pod.
        base_dir: the folder that a path is relative to.
        propagate_env: names of environment variables to pass on into dev-environment containers. They need not
            be defined in the template: CodeCanvas adds variables of its own.
        propagate_paths: paths of files to pass on.

    Raises:
        InvalidArgumentsError: every fault at once; paths are relative to the template (`spec.containers`) or
            begin with `propagateEnv` or `propagatePaths`. No text in it holds a value of an environment variable.

    """
    faults = propagation_faults(propagate_env, propagate_paths)
    try:
        outcome = normalise(read_source(source, base_dir))
    except InvalidArgumentsError as error:
        raise InvalidArgumentsError([*error.faults, *faults]) from None
    manifest = outcome.value
    foreign = drop_foreign_fields(manifest) if isinstance(manifest, dict) else []
    reported = {fault.path for fault in outcome.faults}
    shape_faults = pod_faults(manifest) if outcome.is_whole else []
    faults = [*outcome.faults, *(fault for fault in shape_faults if fault.path not in reported), *faults]
    if not faults:
        faults = merge_propagation(*find_worker(manifest), propagate_env, propagate_paths)
    if faults:
        raise InvalidArgumentsError(faults)
    return PodTemplate(manifest, tuple(outcome.changes), (*outcome.omissions, *foreign))


def render_yaml(manifest: Mapping[str, Any]) -> str:
    """Write a manifest as YAML: in Kubernetes' usual order, the same whatever order its keys came in."""
    return dump_yaml(_in_order(manifest))


def shared_claims(manifest: Mapping[str, Any]) -> list[str]:
    """Name the PersistentVolumeClaims that a template mounts: all dev environments share them, none owns them.

    What is no volume is passed over; the API server refuses it.
    """
    volumes = manifest["spec"].get("volumes")
    entries = [volume for volume in volumes if isinstance(volume, Mapping)] if isinstance(volumes, Sequence) else []
    claims = [entry.get("persistentVolumeClaim") for entry in entries]
    return sorted({str(claim["claimName"]) for claim in claims if isinstance(claim, Mapping) and "claimName" in claim})


def pod_template_object(
    manifest: Mapping[str, Any],
    *,
    name: object,
    namespace: object,
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
    image: str = IMAGE_PLACEHOLDER,
) -> dict[str, Any]:
    """Describe the `v1` PodTemplate that holds the worker pod; labels and annotations are the PodTemplate's own.

    Containers without an image get `image`.
    """
    template = {"metadata": manifest.get("metadata"), "spec": _with_images(manifest["spec"], image)}
    return {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": object_metadata(name, labels=labels, annotations=annotations, namespace=namespace),
        "template": {key: value for key, value in template.items() if value},
    }


def worker_pod(
    manifest: Mapping[str, Any],
    *,
    name: str,
    namespace: str,
    labels: Mapping[str, Any],
    annotations: Mapping[str, Any],
    image: str = IMAGE_PLACEHOLDER,
) -> dict[str, Any]:
    """Describe a Pod made from the template, to be tried in a server-side dry run.

    Labels and annotations are added to the template's own; containers without an image get `image`.
    """
    own = manifest.get("metadata") or {}
    metadata = object_metadata(
        name,
        namespace=namespace,
        labels={**own.get("labels", {}), **labels},
        annotations={**own.get("annotations", {}), **annotations},
    )
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**own, **metadata},
        "spec": _with_images(manifest["spec"], image),
    }


def _with_images(spec: Mapping[str, Any], image: str) -> dict[str, Any]:
    filled = {
        key: [container if container.get("image") else {**container, "image": image} for container in spec[key]]
        for key in _CONTAINER_LISTS
        if key in spec
    }
    return {**spec, **filled}


def _in_order(value: object, first: Sequence[str] = _TOP_LEVEL) -> object:
    if isinstance(value, Mapping):
        keys = [*(key for key in first if key in value), *sorted(key for key in value if key not in first)]
        return {key: _in_order(value[key], ("name",)) for key in keys}
    if isinstance(value, list):
        return [_in_order(item, ("name",)) for item in value]
    return value
