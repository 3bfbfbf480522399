"""A stand-in for the provider of Google Cloud: the resources and functions that examples/gke uses."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tests.support.clouds.package import Package, RefusedError, fresh, kubernetes_taints, node

if TYPE_CHECKING:
    from tests.support.clouds.package import Place, Properties, Resource

PROJECTS = ("platform-team",)
REGIONS = ("europe-west1", "europe-west3", "us-east1")
VERSIONS = ("1.35.1-gke.100", "1.34.5-gke.200", "1.34.4-gke.100", "1.33.9-gke.300", "1.29.9-gke.100")
MACHINES = {
    "e2-standard-2": (2, 8192, "X86_64"),
    "n2-standard-8": (8, 32768, "X86_64"),
    "t2a-standard-8": (8, 32768, "ARM64"),
}


def _named(collection: str, *, region: bool = True) -> Resource:
    """Give a resource that gets a name, if it has none, and an id made of it."""

    def create(place: Place, name: str, inputs: Properties) -> Properties:
        made = inputs.get("name") or fresh(name)
        where = f"regions/{place.region}" if region else "global"
        path = f"projects/{_project(place)}/{where}/{collection}/{made}"
        return {"id": path, "name": made, "project": _project(place), "selfLink": f"https://compute.example/{path}"}

    return create


def _router_nat(place: Place, name: str, inputs: Properties) -> Properties:
    made = inputs.get("name") or fresh(name)
    return {"id": f"{_project(place)}/{place.region}/{inputs['router']}/{made}", "name": made}


def _account(place: Place, name: str, inputs: Properties) -> Properties:
    short = inputs.get("accountId") or fresh(name)
    if not re.fullmatch(r"[a-z]([-a-z0-9]{4,28})[a-z0-9]", short):
        raise RefusedError(f"accountId: {short} is not 6 to 30 characters of the right kind")
    email = f"{short}@{_project(place)}.iam.gserviceaccount.com"
    path = f"projects/{_project(place)}/serviceAccounts/{email}"
    return {"id": path, "name": path, "email": email, "member": f"serviceAccount:{email}", "accountId": short}


def _project_member(_place: Place, _name: str, inputs: Properties) -> Properties:
    return {"id": f"{inputs['project']}/{inputs['role']}/{inputs['member']}", "etag": "BwX"}


def _account_member(_place: Place, _name: str, inputs: Properties) -> Properties:
    return {"id": f"{inputs['serviceAccountId']}/{inputs['role']}/{inputs['member']}", "etag": "BwX"}


def _cluster(place: Place, name: str, inputs: Properties) -> Properties:
    if inputs["minMasterVersion"] not in {".".join(version.split(".")[:2]) for version in VERSIONS}:
        raise RefusedError(f"minMasterVersion: no valid versions with the prefix {inputs['minMasterVersion']}")
    made = inputs.get("name") or fresh(name)
    return {
        "id": f"projects/{_project(place)}/locations/{place.region}/clusters/{made}",
        "name": made,
        "endpoint": place.endpoint,
        "masterAuth": {"clusterCaCertificate": place.certificate},
        "masterVersion": VERSIONS[1],
    }


def _node_pool(place: Place, name: str, inputs: Properties) -> Properties:
    kubernetes_taints(inputs["nodeConfig"].get("taints"))
    if inputs["nodeConfig"]["imageType"] not in {"COS_CONTAINERD", "UBUNTU_CONTAINERD"}:
        raise RefusedError(f"nodeConfig: there is no image type {inputs['nodeConfig']['imageType']}")
    made = inputs.get("name") or fresh(name)
    if len(made) > 40:
        raise RefusedError(f"name: {made} is longer than 40 characters")
    return {"id": f"{inputs['cluster']}/nodePools/{made}", "name": made, "project": _project(place)}


def _nodes(pool: str, outputs: Properties) -> list[dict[str, Any]]:
    config = outputs["nodeConfig"]
    taints = kubernetes_taints(config.get("taints"))
    return [
        node(f"gke-{outputs['name']}-{zone}-{number}", zone=zone, labels=config.get("labels") or {}, taints=taints)
        for zone in outputs.get("nodeLocations") or [pool.split("/")[3]]
        for number in range(int(outputs["initialNodeCount"]))
    ]


def _project(place: Place) -> str:
    return place.settings.get("project", "")


def _known_project(arguments: Properties) -> None:
    if arguments.get("project") not in PROJECTS:
        raise RefusedError(f"googleapi: Error 403: project {arguments.get('project')} does not exist or is not yours")


def _regions(_place: Place, arguments: Properties) -> Properties:
    _known_project(arguments)
    return {"id": arguments["project"], "names": list(REGIONS), "project": arguments["project"]}


def _zones(_place: Place, arguments: Properties) -> Properties:
    _known_project(arguments)
    names = [f"{arguments['region']}-{letter}" for letter in "bcd"]
    return {"id": arguments["region"], "names": names, "project": arguments["project"]}


def _engine_versions(_place: Place, arguments: Properties) -> Properties:
    _known_project(arguments)
    return {
        "id": arguments["location"],
        "validMasterVersions": list(VERSIONS),
        "validNodeVersions": list(VERSIONS),
        "latestMasterVersion": VERSIONS[0],
        "latestNodeVersion": VERSIONS[0],
        "defaultClusterVersion": VERSIONS[1],
        "releaseChannelDefaultVersion": {},
        "releaseChannelLatestVersion": {},
        "releaseChannelUpgradeTargetVersion": {},
    }


def _machine_types(_place: Place, arguments: Properties) -> Properties:
    _known_project(arguments)
    found = re.fullmatch(r'name = "([^"]+)"', arguments["filter"])
    if found is None:
        raise RefusedError(f"googleapi: Error 400: invalid filter {arguments['filter']}")
    kinds = [
        {"name": name, "guestCpus": cpus, "memoryMb": memory, "architecture": architecture}
        for name, (cpus, memory, architecture) in MACHINES.items()
        if name == found[1]
    ]
    return {"id": arguments["zone"], "zone": arguments["zone"], "machineTypes": kinds}


GCP = Package(
    name="gcp",
    resources={
        "gcp:compute/network:Network": _named("networks", region=False),
        "gcp:compute/subnetwork:Subnetwork": _named("subnetworks"),
        "gcp:compute/router:Router": _named("routers"),
        "gcp:compute/routerNat:RouterNat": _router_nat,
        "gcp:serviceaccount/account:Account": _account,
        "gcp:serviceaccount/iAMMember:IAMMember": _account_member,
        "gcp:projects/iAMMember:IAMMember": _project_member,
        "gcp:container/cluster:Cluster": _cluster,
        "gcp:container/nodePool:NodePool": _node_pool,
    },
    functions={
        "gcp:compute/getRegions:getRegions": _regions,
        "gcp:compute/getZones:getZones": _zones,
        "gcp:compute/getMachineTypes:getMachineTypes": _machine_types,
        "gcp:container/getEngineVersions:getEngineVersions": _engine_versions,
    },
    cluster_parts=frozenset({"gcp:container/cluster:Cluster", "gcp:container/nodePool:NodePool"}),
    nodes={"gcp:container/nodePool:NodePool": _nodes},
)
