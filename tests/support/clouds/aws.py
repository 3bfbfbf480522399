"""A stand-in for the provider of AWS: the resources and functions that examples/eks uses, and eks.py for it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from tests.support.clouds.package import Package, RefusedError, fresh, kubernetes_taints, node

if TYPE_CHECKING:
    from tests.support.clouds.package import Place, Properties, Resource

ACCOUNT = "123456789012"
VERSIONS = {"1.31": "EXTENDED_SUPPORT", "1.33": "STANDARD_SUPPORT", "1.34": "STANDARD_SUPPORT"}
MACHINES = {
    "m6i.large": (2, 8192, "x86_64"),
    "m6i.2xlarge": (8, 32768, "x86_64"),
    "m7g.2xlarge": (8, 32768, "arm64"),
}
IMAGE = "ami-0c0decafe00000001"


def _arn(place: Place, service: str, what: str) -> str:
    return f"arn:aws:{service}:{place.region}:{ACCOUNT}:{what}"


def _plain(prefix: str, arn_kind: str) -> Resource:
    """Give a resource that only gets an id and an ARN."""

    def create(place: Place, _name: str, _inputs: Properties) -> Properties:
        made = fresh(prefix)
        return {"id": made, "arn": _arn(place, "ec2", f"{arn_kind}/{made}")}

    return create


def _unnamed(prefix: str) -> Resource:
    """Give a resource that only gets an id."""
    return lambda _place, _name, _inputs: {"id": fresh(prefix)}


def _eip(place: Place, _name: str, _inputs: Properties) -> Properties:
    made = fresh("eipalloc")
    return {"id": made, "allocationId": made, "publicIp": "203.0.113.10", "arn": _arn(place, "ec2", made)}


def _launch_template(place: Place, name: str, inputs: Properties) -> Properties:
    if "userData" in inputs:
        script = base64.b64decode(inputs["userData"], validate=True).decode()
        if not script.startswith(("#!", "MIME-Version")):
            raise RefusedError("userData: is neither a script nor a MIME archive")
    made = fresh("lt")
    arn = _arn(place, "ec2", f"launch-template/{made}")
    return {"id": made, "arn": arn, "name": fresh(name), "latestVersion": 1, "defaultVersion": 1}


def _role(_place: Place, name: str, inputs: Properties) -> Properties:
    for statement in json.loads(inputs["assumeRolePolicy"])["Statement"]:
        if not {"Effect", "Principal", "Action"} <= set(statement):
            raise RefusedError("assumeRolePolicy: MalformedPolicyDocument")
    made = inputs.get("name") or fresh(name)
    if len(made) > 64:
        raise RefusedError(f"name: {made} is longer than 64 characters")
    return {"id": made, "name": made, "arn": f"arn:aws:iam::{ACCOUNT}:role/{made}", "uniqueId": fresh("AROA")}


def _oidc_provider(_place: Place, _name: str, inputs: Properties) -> Properties:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{inputs['url'].removeprefix('https://')}"
    return {"id": arn, "arn": arn}


def _cluster(place: Place, name: str, inputs: Properties) -> Properties:
    if inputs.get("version") not in VERSIONS:
        raise RefusedError(f"version: unsupported Kubernetes version {inputs.get('version')}")
    if len(inputs["vpcConfig"]["subnetIds"]) < 2:
        raise RefusedError("vpcConfig: subnets must be in at least two different availability zones")
    made = inputs.get("name") or fresh(name)
    issuer = f"https://oidc.eks.{place.region}.amazonaws.com/id/{fresh('ABCD').upper()}"
    return {
        "id": made,
        "name": made,
        "arn": _arn(place, "eks", f"cluster/{made}"),
        "endpoint": f"https://{place.endpoint}",
        "certificateAuthority": {"data": place.certificate},
        "identities": [{"oidcs": [{"issuer": issuer}]}],
        "platformVersion": "eks.1",
        "status": "ACTIVE",
        "vpcConfig": {**inputs["vpcConfig"], "clusterSecurityGroupId": fresh("sg"), "vpcId": fresh("vpc")},
    }


def _addon(place: Place, _name: str, inputs: Properties) -> Properties:
    made = f"{inputs['clusterName']}:{inputs['addonName']}"
    return {"id": made, "arn": _arn(place, "eks", f"addon/{made}"), "addonVersion": "v1.0.0-eksbuild.1"}


def _node_group(place: Place, name: str, inputs: Properties) -> Properties:
    kubernetes_taints(inputs.get("taints"))
    scaling = inputs["scalingConfig"]
    if not scaling["minSize"] <= scaling["desiredSize"] <= scaling["maxSize"]:
        raise RefusedError("scalingConfig: minSize <= desiredSize <= maxSize does not hold")
    made = inputs.get("nodeGroupName") or fresh(name)
    return {
        "id": f"{inputs['clusterName']}:{made}",
        "nodeGroupName": made,
        "arn": _arn(place, "eks", f"nodegroup/{inputs['clusterName']}/{made}"),
        "status": "ACTIVE",
    }


def _access_entry(place: Place, _name: str, inputs: Properties) -> Properties:
    made = f"{inputs['clusterName']}:{inputs['principalArn']}"
    return {"id": made, "accessEntryArn": _arn(place, "eks", f"access-entry/{made}")}


def _access_policy(_place: Place, _name: str, inputs: Properties) -> Properties:
    made = f"{inputs['clusterName']}#{inputs['principalArn']}#{inputs['policyArn']}"
    return {"id": made, "associatedAt": "2026-01-01T00:00:00Z"}


def _nodes(group: str, outputs: Properties) -> list[dict[str, Any]]:
    taints = kubernetes_taints(outputs.get("taints"))
    name = group.rpartition(":")[2]
    return [
        node(f"{name}-{number}", zone="", labels=outputs.get("labels") or {}, taints=taints)
        for number in range(int(outputs["scalingConfig"]["desiredSize"]))
    ]


def _zones(place: Place, _arguments: Properties) -> Properties:
    names = [f"{place.region}{letter}" for letter in "abc"]
    return {"id": place.region, "names": names, "zoneIds": names, "groupNames": [place.region]}


def _cluster_versions(place: Place, _arguments: Properties) -> Properties:
    known = [
        {"clusterVersion": version, "versionStatus": status, "clusterType": "eks", "defaultVersion": version == "1.34"}
        for version, status in VERSIONS.items()
    ]
    return {"region": place.region, "clusterVersions": known}


def _instance_type(_place: Place, arguments: Properties) -> Properties:
    machine = arguments["instanceType"]
    if machine not in MACHINES:
        raise RefusedError(f"InvalidInstanceType: the instance type {machine} does not exist")
    cpus, memory, architecture = MACHINES[machine]
    return {"id": machine, "defaultVcpus": cpus, "memorySize": memory, "supportedArchitectures": [architecture]}


def _parameter(place: Place, arguments: Properties) -> Properties:
    name = arguments["name"]
    known = [
        f"/aws/service/canonical/ubuntu/eks/24.04/{version}/stable/{release}/amd64/hvm/ebs-gp3/ami-id"
        for version in VERSIONS
        for release in ("current", "20260801")
    ]
    if name not in known:
        raise RefusedError(f"ParameterNotFound: {name}")
    arn = _arn(place, "ssm", f"parameter{name}")
    return {"id": name, "name": name, "arn": arn, "type": "String", "insecureValue": IMAGE, "value": IMAGE}


def _partition(_place: Place, _arguments: Properties) -> Properties:
    return {"id": "aws", "partition": "aws", "dnsSuffix": "amazonaws.com"}


AWS = Package(
    name="aws",
    resources={
        "aws:ec2/vpc:Vpc": _plain("vpc", "vpc"),
        "aws:ec2/subnet:Subnet": _plain("subnet", "subnet"),
        "aws:ec2/internetGateway:InternetGateway": _plain("igw", "internet-gateway"),
        "aws:ec2/routeTable:RouteTable": _plain("rtb", "route-table"),
        "aws:ec2/routeTableAssociation:RouteTableAssociation": _unnamed("rtbassoc"),
        "aws:ec2/eip:Eip": _eip,
        "aws:ec2/natGateway:NatGateway": _unnamed("nat"),
        "aws:ec2/launchTemplate:LaunchTemplate": _launch_template,
        "aws:iam/role:Role": _role,
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _unnamed("attachment"),
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _oidc_provider,
        "aws:eks/cluster:Cluster": _cluster,
        "aws:eks/addon:Addon": _addon,
        "aws:eks/nodeGroup:NodeGroup": _node_group,
        "aws:eks/accessEntry:AccessEntry": _access_entry,
        "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _access_policy,
    },
    functions={
        "aws:index/getAvailabilityZones:getAvailabilityZones": _zones,
        "aws:index/getPartition:getPartition": _partition,
        "aws:eks/getClusterVersions:getClusterVersions": _cluster_versions,
        "aws:ec2/getInstanceType:getInstanceType": _instance_type,
        "aws:ssm/getParameter:getParameter": _parameter,
    },
    cluster_parts=frozenset({"aws:eks/cluster:Cluster", "aws:eks/addon:Addon", "aws:eks/nodeGroup:NodeGroup"}),
    nodes={"aws:eks/nodeGroup:NodeGroup": _nodes},
)
