"""The plugin's custom resources as seen from a program, and raw Kubernetes resources.

Kubernetes objects are registered by type token: the typed `pulumi_kubernetes` modules cost a second of
start-up and add nothing to manifests that the pure modules already made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import pulumi

from pulumi_codecanvas.origins import no_origin
from pulumi_codecanvas.shared_hooks import bind_hooks
from pulumi_codecanvas.tokens import CONNECTION_KEY, CONNECTION_TEST, DEV_ENVIRONMENTS
from pulumi_codecanvas.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self

KUBERNETES_VERSION = "4.30.0"
"""The kubernetes plugin that this package is made for."""


class _Child(pulumi.CustomResource):
    """What a platform is made of.

    Attributes:
        computed: outputs that are no inputs and are read here.

    """

    computed: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def _register(cls, token: str, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> Self:
        bind_hooks(opts, token, name)
        # Of each property that is there, given or not, the SDK makes an Output.
        given = {name: value for name, value in props.items() if value is not None}
        with no_origin():
            return cls(token, name, {**dict.fromkeys(cls.computed), **given}, opts)


class KubernetesObject(_Child):
    """One object in the cluster, given as its manifest."""

    @classmethod
    def declare(cls, name: str, manifest: Mapping[str, Any], opts: pulumi.ResourceOptions) -> KubernetesObject:
        """Register the object of a manifest."""
        token = f"kubernetes:{_group_version(manifest['apiVersion'])}:{manifest['kind']}"
        options = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=KUBERNETES_VERSION), opts)
        return cls._register(token, name, manifest, options)

    @property
    def uid(self) -> pulumi.Output[str | None]:
        """The object's `metadata.uid`."""
        return _output(self, "metadata").apply(lambda metadata: (metadata or {}).get("uid"))


class HelmRelease(_Child):
    """A Helm release through the kubernetes plugin."""

    computed = ("status", "version")

    @classmethod
    def declare(cls, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> HelmRelease:
        """Register a release; `props` are the kubernetes plugin's inputs."""
        options = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=KUBERNETES_VERSION), opts)
        token = "kubernetes:helm.sh/v3:Release"  # noqa: S105 - a type token
        return cls._register(token, name, props, options)

    @property
    def status_of_release(self) -> pulumi.Output[dict[str, Any]]:
        """Helm's account of the release: `status`, `revision`, `version`, and so on."""
        return _output(self, "status").apply(lambda status: status or {})

    @property
    def chart_version(self) -> pulumi.Output[str]:
        """The version of the chart that is installed."""
        return _output(self, "version")


class KubernetesProvider(pulumi.ProviderResource):
    """The kubernetes provider of a platform that names its own kubeconfig or context."""

    def __init__(self, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> None:
        options = pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=KUBERNETES_VERSION), opts)
        super().__init__("kubernetes", name, dict(props), options)


class CodeCanvasProvider(pulumi.ProviderResource):
    """The provider of this package, for stacks in which default providers are disabled."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions) -> None:
        super().__init__("codecanvas", name, {}, _ours(opts))


class ConnectionKey(_Child):
    """The key pair of a connection. A changed `tokenVersion` or `privateKey` replaces it."""

    computed = ("privateKey", "publicKey", "fingerprint", "cluster")

    @classmethod
    def declare(
        cls,
        name: str,
        *,
        token_version: str,
        private_key: Any,
        place: Mapping[str, Any],
        opts: pulumi.ResourceOptions,
    ) -> ConnectionKey:
        """Register a key: a new one, or `private_key` where that is given; `place` says which namespaces go before."""
        props = {
            **place,
            "tokenVersion": token_version,
            "privateKey": None if private_key is None else pulumi.Output.secret(private_key),
        }
        secret = pulumi.ResourceOptions(additional_secret_outputs=["privateKey"])
        return cls._register(CONNECTION_KEY, name, props, pulumi.ResourceOptions.merge(_ours(opts), secret))

    @property
    def key_pem(self) -> pulumi.Output[str]:
        """The private key as PEM, secret."""
        return pulumi.Output.secret(_output(self, "privateKey"))

    @property
    def public_pem(self) -> pulumi.Output[str]:
        """The public key as PEM."""
        return _output(self, "publicKey")

    @property
    def digest(self) -> pulumi.Output[str]:
        """The public key's fingerprint."""
        return _output(self, "fingerprint")

    @property
    def cluster_identity(self) -> pulumi.Output[str | None]:
        """What tells the cluster of a given kubeconfig from others; None where nothing does."""
        return _output(self, "cluster").apply(lambda uid: uid or None)


class DevEnvironments(_Child):
    """The dev environments of a platform: stopped by a freeze, guarded and emptied by a delete."""

    @classmethod
    def declare(cls, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> DevEnvironments:
        """Register them; `props` are the inputs."""
        return cls._register(DEV_ENVIRONMENTS, name, props, _ours(opts))


class ConnectionTest(_Child):
    """The named checks of a connection."""

    computed = ("checks",)

    @classmethod
    def declare(cls, name: str, props: Mapping[str, Any], opts: pulumi.ResourceOptions) -> ConnectionTest:
        """Register the checks; `props` are the inputs."""
        return cls._register(CONNECTION_TEST, name, props, _ours(opts))

    @property
    def results(self) -> pulumi.Output[list[dict[str, str]]]:
        """The checks: name, status and message of each."""
        return _output(self, "checks")


def _ours(opts: pulumi.ResourceOptions) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions.merge(pulumi.ResourceOptions(version=VERSION), opts)


def _group_version(api_version: str) -> str:
    """Write an apiVersion as the kubernetes package's tokens do: the core group has a name there."""
    return api_version if "/" in api_version else f"core/{api_version}"


def _output(resource: pulumi.Resource, name: str) -> pulumi.Output[Any]:
    value: pulumi.Output[Any] = getattr(resource, name)
    return value
