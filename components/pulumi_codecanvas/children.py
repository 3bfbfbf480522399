"""The children of a platform, registered in the order in which they depend on each other."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pulumi

from pulumi_codecanvas import chart_values, freeze, hardening, storage
from pulumi_codecanvas.args import ARGUMENTS, PlatformArgs, is_plain, to_camel
from pulumi_codecanvas.cluster_access import find_access, find_identity
from pulumi_codecanvas.connection import (
    SECRET_FIELDS,
    place_of_args,
    place_of_snippet,
    snippet_fingerprint,
    snippet_key,
)
from pulumi_codecanvas.hooks import Hooks
from pulumi_codecanvas.late_checks import (
    checked_kubeconfig,
    checked_values,
    merged_values,
    parse_later,
    public_half,
)
from pulumi_codecanvas.manifests import NAMESPACE_SECONDS, PATCH_FORCE, SKIP_AWAIT, STACK_ANNOTATION
from pulumi_codecanvas.outputs import without_dependencies
from pulumi_codecanvas.pod_template import pod_template_object, render_yaml, shared_claims
from pulumi_codecanvas.resources import (
    CodeCanvasProvider,
    ConnectionKey,
    ConnectionTest,
    DevEnvironments,
    HelmRelease,
    KubernetesObject,
    KubernetesProvider,
)
from pulumi_codecanvas.turns import Turn
from pulumi_codecanvas.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_HISTORY = 2
"""Revisions that Helm keeps; each holds the values of its time, so old keys must not linger there."""


class Builder:
    """Registers the children of one platform."""

    def __init__(self, parent: pulumi.ComponentResource, args: PlatformArgs) -> None:
        self.args = args
        self.stem = args.platform_name
        self.parent = parent
        self.snippet = parse_later(args)
        self.children: dict[str, pulumi.ProviderResource] = {}
        self.given = dict(parent._providers)  # noqa: SLF001 - no public way
        if _default_provider_disabled() and "codecanvas" not in self.given:
            self.children["codecanvas"] = CodeCanvasProvider(self.stem, pulumi.ResourceOptions(parent=parent))
        self.access = find_access(args, {**self.given, **self.children})
        self.namespace = self._place("namespace")
        self.operator_namespace = self._place("operator_namespace")
        self.labels = hardening.owned_labels(args.platform_name, args.labels or {})
        self.objects: list[pulumi.Resource] = []
        self.key: ConnectionKey | None = None
        self.home: KubernetesObject | None = None
        self.operator_home: KubernetesObject | None = None
        self.identity: pulumi.Output[str | None] | None = None
        self.owner = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
        self.annotations = {PATCH_FORCE: "true", **(args.annotations or {}), STACK_ANNOTATION: self.owner}
        self.ask = pulumi.InvokeOptions(parent=parent, provider=self.children.get("codecanvas"), version=VERSION)
        self.hooks = Hooks(self.stem, self.access, self.owner, self.ask)
        self.reclaim = self.hooks.for_object()
        places = {"namespace": self.namespace, "operatorNamespace": self.operator_namespace}
        self.first = self.hooks.for_first({**places, "features": features_of(args)})
        # Where there is a key, it comes first, and the engine starts the plugin for it.
        answer = [] if self.snippet is None else self.hooks.first_answer()
        self.turn = Turn([parent.urn, *self._needs(), *answer])

    def build(self) -> dict[str, Any]:
        """Register every child and give the component's outputs."""
        self.key = self._add_key()
        self._add_kubernetes_provider()
        self._add_namespaces()
        template = self._add_pod_template()
        self._add_hardening()
        block = self._add_freeze_block()
        private_key, public_key, fingerprint = self._key_facts()
        homes = [self.operator_home] if self.operator_home else []
        release = self._add_release(private_key, after=[*homes, template])
        environments = self._add_environments(after=[release, *self.objects, *block])
        test = self._add_test(release, fingerprint, after=[environments])
        self.turn.end_with(test)
        return {
            "platform_name": self.args.platform_name,
            "instance_id": self.args.instance_id,
            "namespace": self.namespace,
            "operator_namespace": self.operator_namespace,
            "release_name": self._place("release_name"),
            "release_status": release.status_of_release.apply(lambda status: status.get("status")),
            "chart_version": release.chart_version,
            "pod_template_yaml": render_yaml(self.args.pod_template.manifest),
            "public_key": public_key,
            "key_fingerprint": fingerprint,
            "token": private_key,
            "application_values": self._application_values(public_key),
            "connection": test.results,
            "frozen": self.args.freeze,
        }

    def _options(
        self,
        *,
        after: list[pulumi.Resource] | None = None,
        inside: bool = False,
        passing: bool = False,
        asks: bool = True,
    ) -> pulumi.ResourceOptions:
        """Options of a child: its parent, what it waits for, and whether it goes with the namespace.

        What is `passing` comes and goes in a platform's life, so that a protected platform can be unfrozen too. What
        makes nothing in the cluster, or always comes after something that asked, asks for no rights there.
        """
        home = self.home if inside else None
        waits = [*(after or []), *([home] if home else [])]
        goes_along = None if self.args.retain_volumes else home
        return pulumi.ResourceOptions(
            parent=self.parent,
            providers=self.children or None,
            depends_on=waits or self._first(),
            deleted_with=goes_along,
            hooks=self.first if asks and not after else None,
            protect=False if passing else None,
        )

    def _moves_with_the_cluster(self, **options: Any) -> pulumi.ResourceOptions:
        """Options of what is in the cluster: it is made anew in another one.

        By itself the engine does so only in the run that brings another cluster, not where a failed one is repeated.
        """
        return pulumi.ResourceOptions(replacement_trigger=self.identity, **options)

    def _first(self) -> Any:
        """Give what the first children wait for: the key, which refuses a move before anything is changed."""
        return [self.key] if self.key else self.turn.begun

    def _needs(self) -> list[Any]:
        """Give what has to be there before the first child: inputs that others may still have to make, providers."""
        inputs = [getattr(self.args, name) for name, hint in ARGUMENTS.items() if hint.startswith("Input[")]
        inputs += [value for notes in (self.args.service_accounts or {}).values() for value in (notes or {}).values()]
        open_ones = [value for value in inputs if value is not None and not isinstance(value, str)]
        return [*open_ones, *(provider.urn for provider in [*self.given.values(), *self.children.values()])]

    def _add_kubernetes_provider(self) -> None:
        """Make the provider of the cluster that the arguments name; it is replaced where they name another one."""
        args, stem = self.args, self.stem
        if args.kubeconfig is not None or args.context is not None:
            props: dict[str, Any] = {"kubeconfig": None, "context": args.context}
            if args.kubeconfig is not None:
                # Else a new certificate or address of the same cluster would replace all that is there.
                self.identity = self.key.cluster_identity if self.key else find_identity(self.access, self.ask)
                given = pulumi.Output.secret(args.kubeconfig)
                checked: Any = given.apply(lambda text: checked_kubeconfig(args.platform_name, text))
                props |= {"kubeconfig": checked, "clusterIdentifier": self.identity}
            opts = pulumi.ResourceOptions(parent=self.parent, depends_on=self._first())
            self.children["kubernetes"] = KubernetesProvider(stem, props, opts)

    def _place(self, field: str) -> Any:
        """One fact of the connection: plain from the arguments, an Output from a snippet."""
        if self.snippet is None:
            return getattr(place_of_args(self.args), field)
        found = self.snippet.apply(lambda snippet: getattr(place_of_snippet(vars(self.args), snippet), field))
        return found if field in SECRET_FIELDS else pulumi.Output.unsecret(found)

    def _add_namespaces(self) -> None:
        """Register the platform's own namespaces; their end is waited for by the key, where there is one."""
        args = self.args
        annotations = {**self.annotations, **({SKIP_AWAIT: "true"} if self.key else {})}
        if args.create_namespace:
            manifest = hardening.namespace_object(
                self.namespace, pod_security=args.pod_security, labels=self.labels, annotations=annotations
            )
            retained = pulumi.ResourceOptions(retain_on_delete=args.retain_volumes or None)
            self.home = self._namespace("namespace", manifest, retained)
        if args.create_operator_namespace and _operator_lives_apart(args):
            manifest = hardening.plain_namespace(self.operator_namespace, labels=self.labels, annotations=annotations)
            self.operator_home = self._namespace("operator-namespace", manifest)

    def _namespace(
        self,
        suffix: str,
        manifest: Mapping[str, Any],
        opts: pulumi.ResourceOptions | None = None,
    ) -> KubernetesObject:
        argument = to_camel(f"create_{suffix.replace('-', '_')}")
        remedy = f"to use it as it is, set `{argument}` to false, else choose another namespace"
        options = self._options()
        more = self._moves_with_the_cluster(hooks=self.hooks.for_object(suffix, remedy))
        for given in (self._end(), more, opts or pulumi.ResourceOptions()):
            options = pulumi.ResourceOptions.merge(options, given)
        return KubernetesObject.declare(f"{self.stem}-{suffix}", manifest, options)

    def _end(self) -> pulumi.ResourceOptions:
        """Give the options of what waits for the end of a namespace."""
        seconds = max(self.args.stop_timeout, NAMESPACE_SECONDS)
        return pulumi.ResourceOptions(custom_timeouts=pulumi.CustomTimeouts(delete=f"{seconds}s"))

    def _add_key(self) -> ConnectionKey | None:
        if self.snippet is not None:
            return None
        return ConnectionKey.declare(
            f"{self.stem}-key",
            token_version=self.args.token_version,
            private_key=self.args.private_key,
            place=self._place_of_key(),
            opts=pulumi.ResourceOptions.merge(self._options(passing=True, asks=False), self._end()),
        )

    def _place_of_key(self) -> dict[str, Any]:
        """Tell the key where the platform is, and which of its namespaces a delete takes along."""
        args = self.args
        owned = "retained" if args.retain_volumes else "namespaces"
        places: dict[str, Any] = {owned if args.create_namespace else "adopted": [self.namespace]}
        if _operator_lives_apart(args) and args.create_operator_namespace:
            places["namespaces"] = [*places.get("namespaces", []), self.operator_namespace]
        elif _operator_lives_apart(args):
            places["operatorNamespace"] = self.operator_namespace
        # Not given where it does not hold: a line less of state each for each platform.
        asked = {"forceDelete": args.force_delete or None, "identifyCluster": args.kubeconfig is not None or None}
        return {**self.access, **places, **asked}

    def _key_facts(self) -> tuple[Any, Any, Any]:
        """Private key, public key and fingerprint, from the key or from the snippet."""
        if self.key is not None:
            return self.key.key_pem, self.key.public_pem, self.key.digest
        if self.snippet is None:
            raise AssertionError("a platform has a key or a snippet")
        private = self.snippet.apply(snippet_key)
        return (
            pulumi.Output.secret(private),
            pulumi.Output.unsecret(private.apply(public_half)),
            pulumi.Output.unsecret(self.snippet.apply(snippet_fingerprint)),
        )

    def _add_pod_template(self) -> KubernetesObject:
        template = self.args.pod_template
        if template.changes:
            pulumi.log.warn(
                "pod template: Kubernetes wants text here, so these were quoted: " + ", ".join(template.changes),
                self.parent,
            )
        if template.omissions:
            pulumi.log.warn(
                "pod template: empty, or set for every pod, so these were left out: " + ", ".join(template.omissions),
                self.parent,
            )
        manifest = pod_template_object(
            template.manifest,
            name=self.stem,
            namespace=self.namespace,
            labels=self.labels,
            annotations=self.annotations,
        )
        # Not among the objects that the dev environments wait for: the release, which they wait for as well, does.
        return self._object("pod-template", manifest, self._options(inside=True, asks=self.home is None))

    def _inside(self, suffix: str, manifest: Mapping[str, Any], *, passing: bool = False) -> KubernetesObject:
        """Register an object that lives in the platform's namespace and goes with it."""
        registered = self._object(suffix, manifest, self._options(inside=True, passing=passing))
        self.objects.append(registered)
        return registered

    def _object(self, suffix: str, manifest: Mapping[str, Any], opts: pulumi.ResourceOptions) -> KubernetesObject:
        """Register an object; one that an interrupted run left is made way for.

        Where it is replaced, as when the cluster's access changes, the old one goes first: it may be the same object.
        """
        more = self._moves_with_the_cluster(hooks=self.reclaim, delete_before_replace=True)
        options = pulumi.ResourceOptions.merge(opts, more)
        return KubernetesObject.declare(f"{self.stem}-{suffix}", manifest, options)

    def _add_hardening(self) -> None:
        """Register service accounts, quota, limits, network policy and storage classes."""
        args = self.args
        common: dict[str, Any] = {"labels": self.labels, "annotations": self.annotations}
        for name in sorted(args.service_accounts or {}):
            account = hardening.service_account(
                name,
                namespace=self.namespace,
                labels=self.labels,
                annotations={**self.annotations, **(args.service_accounts[name] or {})},
            )
            self._inside(f"service-account-{name}", account)
        if args.quota:
            self._inside(
                "quota",
                hardening.resource_quota(self.stem, namespace=self.namespace, quota=args.quota, **common),
            )
        if args.limits:
            self._inside(
                "limits",
                hardening.limit_range(self.stem, namespace=self.namespace, limits=args.limits, **common),
            )
        if args.network_policy:
            self._inside(
                "network-policy",
                hardening.network_policy(
                    self.stem,
                    namespace=self.namespace,
                    operator_namespace=self.operator_namespace,
                    **common,
                ),
            )
        self.storage_manifests = (
            []
            if args.storage is None
            else storage.storage_objects(args.storage, name=storage.storage_name(args.storage, self.stem), **common)
        )
        self.classes = [
            self._object(_kebab(manifest["kind"]), manifest, self._options()) for manifest in self.storage_manifests
        ]
        self.objects += self.classes

    def _add_freeze_block(self) -> list[pulumi.Resource]:
        """Register what refuses new dev environments; there only while frozen."""
        args = self.args
        if not args.freeze:
            return []
        facts: dict[str, Any] = {
            "platform_name": args.platform_name,
            "reason": args.freeze_reason,
            "labels": self.labels,
            "annotations": self.annotations,
        }
        namespace = pulumi.Output.from_input(self.namespace)
        if args.freeze_mode == "quota":
            quota = namespace.apply(lambda name: freeze.freeze_quota(namespace=name, **facts))
            return [self._inside("freeze-quota", _late("v1", "ResourceQuota", quota), passing=True)]
        pair = namespace.apply(lambda name: freeze.freeze_policy(namespace=name, **facts))
        group = "admissionregistration.k8s.io/v1"
        policy = self._object(
            "freeze-policy", _late(group, "ValidatingAdmissionPolicy", pair[0]), self._options(passing=True)
        )
        binding = self._object(
            "freeze-binding",
            _late(group, "ValidatingAdmissionPolicyBinding", pair[1]),
            self._options(after=[policy], passing=True),
        )
        return [policy, binding]

    def _add_release(self, private_key: Any, *, after: list[pulumi.Resource]) -> HelmRelease:
        args = self.args
        username, password = self._place("chart_username"), self._place("chart_password")
        props = {
            "name": self._place("release_name"),
            "namespace": self.operator_namespace,
            "chart": self._place("chart"),
            "version": self._place("chart_version"),
            "devel": self._place("devel"),
            "repositoryOpts": {
                "repo": self._place("chart_repository"),
                "username": username,
                "password": None if password is None else pulumi.Output.secret(password),
            },
            "values": self._release_values(private_key),
            "description": self.owner,
            # Helm waits for whatever is atomic.
            "atomic": not args.skip_await,
            "cleanupOnFail": True,
            "maxHistory": MAX_HISTORY,
            "timeout": self._place("timeout"),
            "skipAwait": args.skip_await,
        }
        watched = {"namespace": props["namespace"], "releaseName": props["name"], "timeout": props["timeout"]}
        hooks = self.hooks.for_release(watched, props["values"])
        options = pulumi.ResourceOptions.merge(
            self._options(after=after),
            # In place: another one of its name cannot be there at the same time.
            self._moves_with_the_cluster(hooks=hooks, delete_before_replace=True),
        )
        return HelmRelease.declare(f"{self.stem}-release", props, options)

    def _release_values(self, private_key: Any) -> Any:
        """The release's values: a snippet's with the user's on top, or the user's under ours."""
        values = self.args.values
        if self.snippet is not None:
            both = pulumi.Output.all(self.snippet, values or {})
            name = self.args.platform_name
            return pulumi.Output.secret(both.apply(lambda pair: merged_values(name, pair[0], pair[1])))
        facts = {
            "server_url": self.args.server_url,
            # The pod template, which the release waits for, comes after the key.
            "private_key": without_dependencies(private_key),
            "instance_id": self.args.instance_id,
            "target_namespace": self.namespace,
        }
        if is_plain(values):
            return chart_values.operator_values(**facts, values=values or {})
        return pulumi.Output.all(values=values, **facts).apply(
            lambda known: checked_values(self.args.platform_name, known)
        )

    def _cluster(self) -> dict[str, Any]:
        """What our own resources need to reach the same cluster as the kubernetes provider."""
        return {
            **self.access,
            "namespace": self.namespace,
            "namespaceUid": self.home.uid if self.home else None,
            "ownsNamespace": self.args.create_namespace,
            "platformName": self.args.platform_name,
        }

    def _add_environments(self, *, after: list[pulumi.Resource]) -> DevEnvironments:
        """Register the guard; it comes after everything else in the cluster so that a delete asks it first."""
        args = self.args
        props = {
            **self._cluster(),
            "cluster": None if self.identity is None else without_dependencies(self.identity),
            "frozen": args.freeze,
            "freezeReason": args.freeze_reason,
            "freezeMode": args.freeze_mode,
            "stopTimeout": args.stop_timeout,
            "forceDelete": args.force_delete,
            "retainVolumes": args.retain_volumes,
            # Not given where there are none: most templates name no volume.
            "templateClaims": shared_claims(args.pod_template.manifest) or None,
        }
        return DevEnvironments.declare(f"{self.stem}-environments", props, self._options(after=after))

    def _add_test(self, release: HelmRelease, fingerprint: Any, *, after: list[pulumi.Resource]) -> ConnectionTest:
        args = self.args
        classes = {manifest["kind"]: manifest["metadata"]["name"] for manifest in self.storage_manifests}
        revision = release.status_of_release.apply(lambda status: status.get("revision"))
        props = {
            **self._cluster(),
            # Of the test, which is never replaced, it is enough that the dev environments come after the namespace.
            "namespaceUid": without_dependencies(self.home.uid) if self.home else None,
            "enabled": args.test_connection,
            "labels": self.labels if args.create_namespace else None,
            "operatorNamespace": self.operator_namespace,
            "releaseName": self._place("release_name"),
            "keyFingerprint": without_dependencies(fingerprint),
            "podTemplate": args.pod_template.manifest,
            "frozen": args.freeze,
            "freezeMode": args.freeze_mode,
            "freezeReason": args.freeze_reason,
            "forceDelete": args.force_delete,
            # What lets a worker pod pass or not; the default is not given, so that most states hold none of it.
            "podSecurity": args.pod_security if args.create_namespace and args.pod_security != "privileged" else None,
            "quota": args.quota or None,
            "limits": args.limits or None,
            "serviceAccounts": sorted(args.service_accounts or {}) or None,
            "storageClass": classes.get("StorageClass"),
            "volumeSnapshotClass": classes.get("VolumeSnapshotClass"),
            "timeout": self._place("timeout"),
            "triggers": {"revision": without_dependencies(revision)},
        }
        return ConnectionTest.declare(f"{self.stem}-test", props, self._options(after=after))

    def _application_values(self, public_key: Any) -> Any:
        """Give what the application needs to know; nothing where a snippet shows that it knows the platform."""
        if self.snippet is not None:
            return None
        known = pulumi.Output.all(
            name=self.args.platform_name,
            instance_id=self.args.instance_id,
            namespace=self.namespace,
            public_key=public_key,
        )
        return known.apply(lambda facts: chart_values.application_values(chart_values.Connection(**facts)))


def features_of(args: PlatformArgs) -> list[str]:
    """Name the features in use, as the plugin's list of rights does."""
    by_policy = args.freeze and args.freeze_mode == "policy"
    used = {
        "kubeconfig": args.kubeconfig is not None,
        "pod template": True,
        "Helm release": True,
        "own namespace": args.create_namespace,
        "own operator namespace": args.create_operator_namespace and _operator_lives_apart(args),
        "service accounts": args.service_accounts,
        "quota": args.quota,
        "limits": args.limits,
        "network policy": args.network_policy,
        "storage": args.storage,
        "freeze": args.freeze,
        "freeze by policy": by_policy,
        "freeze by quota": args.freeze and not by_policy,
        "connection test": True,
        "key rotation": True,
        "delete": True,
    }
    return [feature for feature, wanted in used.items() if wanted]


def _operator_lives_apart(args: PlatformArgs) -> bool:
    """Say whether the operator has a namespace of its own; a snippet's target, which is not known yet, is checked."""
    home = args.namespace or (None if args.connection_snippet is not None else args.platform_name)
    return args.operator_namespace not in {None, home}


def _default_provider_disabled() -> bool:
    """Say whether the stack disables the default provider of this package."""
    listed = pulumi.runtime.get_config("pulumi:disable-default-providers") or "[]"
    try:
        disabled = json.loads(listed)
    except ValueError:
        return False
    return isinstance(disabled, list) and ("*" in disabled or "codecanvas" in disabled)


def _late(api_version: str, kind: str, manifest: pulumi.Output[dict[str, Any]]) -> dict[str, Any]:
    """Write a manifest of which only the type is known now."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": manifest["metadata"],
        "spec": manifest["spec"],
    }


def _kebab(kind: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind).lower()
