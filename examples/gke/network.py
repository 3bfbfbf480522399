"""A VPC whose nodes have no addresses on the internet and go out through a NAT."""

from __future__ import annotations

import pulumi_gcp as gcp

PODS, SERVICES = "pods", "services"
"""The subnet's secondary ranges: GKE gives pods and Services addresses of the VPC."""


def create_network(name: str, region: str) -> tuple[gcp.compute.Network, gcp.compute.Subnetwork, gcp.compute.RouterNat]:
    """Create the network, its subnet and the NAT."""
    network = gcp.compute.Network(name, auto_create_subnetworks=False)
    subnet = gcp.compute.Subnetwork(
        name,
        network=network.id,
        region=region,
        ip_cidr_range="10.42.0.0/20",
        secondary_ip_ranges=[
            {"range_name": PODS, "ip_cidr_range": "10.44.0.0/14"},
            {"range_name": SERVICES, "ip_cidr_range": "10.48.0.0/20"},
        ],
        private_ip_google_access=True,
    )
    router = gcp.compute.Router(name, network=network.id, region=region)
    nat = gcp.compute.RouterNat(
        name,
        router=router.name,
        region=region,
        nat_ip_allocate_option="AUTO_ONLY",
        source_subnetwork_ip_ranges_to_nat="ALL_SUBNETWORKS_ALL_IP_RANGES",
    )
    return network, subnet, nat
