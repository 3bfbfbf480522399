"""The raw peer: typed pulumi-kubernetes, as somebody would write it who does not have this package."""

import json
from pathlib import Path

import pulumi
import pulumi_kubernetes as k8s

for platform in json.loads(Path("platforms.json").read_text()):
    name, manifests = platform["name"], platform["manifests"]
    namespace = k8s.core.v1.Namespace(f"{name}-namespace", metadata=manifests["namespace"]["metadata"])
    k8s.core.v1.PodTemplate(
        f"{name}-pod-template",
        metadata=k8s.meta.v1.ObjectMetaArgs(
            name=name,
            namespace=namespace.metadata.name,
            labels=manifests["template"]["metadata"]["labels"],
        ),
        template=manifests["template"]["template"],
    )
    values = platform["values"]
    values["operator"]["secret"]["jwtPrivateKey"] = pulumi.Output.secret(values["operator"]["secret"]["jwtPrivateKey"])
    release = k8s.helm.v3.Release(
        f"{name}-release",
        name=platform["release"],
        namespace=namespace.metadata.name,
        chart=platform["chart"],
        values=values,
        atomic=True,
        cleanup_on_fail=True,
        max_history=2,
        timeout=platform["timeout"],
    )
    if "policy" in manifests:
        policy = k8s.admissionregistration.v1.ValidatingAdmissionPolicy(
            f"{name}-freeze-policy", metadata=manifests["policy"]["metadata"], spec=manifests["policy"]["spec"]
        )
        k8s.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-freeze-binding",
            metadata=manifests["binding"]["metadata"],
            spec=manifests["binding"]["spec"],
            opts=pulumi.ResourceOptions(depends_on=[policy]),
        )
    pulumi.export(name, {"namespace": namespace.metadata.name, "status": release.status.status})
