"""A VPC with a public and a private subnet in each zone; the nodes live in the private ones."""

from __future__ import annotations

from dataclasses import dataclass, field

import pulumi
import pulumi_aws as aws


@dataclass(frozen=True)
class Network:
    """The VPC, the private subnet of each zone, and the routes by which the subnets reach the internet."""

    vpc: aws.ec2.Vpc
    subnets: dict[str, aws.ec2.Subnet] = field(default_factory=dict)
    routes: list[pulumi.Resource] = field(default_factory=list)


def create_network(name: str, zones: list[str]) -> Network:
    """Create the VPC. Each zone has its own NAT gateway, so that the loss of one zone does not reach another."""
    tags = {"Name": name}
    vpc = aws.ec2.Vpc(name, cidr_block="10.42.0.0/16", enable_dns_hostnames=True, tags=tags)
    gateway = aws.ec2.InternetGateway(name, vpc_id=vpc.id, tags=tags)
    public = aws.ec2.RouteTable(
        f"{name}-public",
        vpc_id=vpc.id,
        routes=[{"cidr_block": "0.0.0.0/0", "gateway_id": gateway.id}],
        tags=tags,
    )
    network = Network(vpc)
    for number, zone in enumerate(zones):
        home = f"{name}-{zone}"
        outside = _subnet(f"{home}-public", vpc, zone, f"10.42.{number}.0/24")
        inside = _subnet(home, vpc, zone, f"10.42.{64 + 32 * number}.0/19")
        opened = aws.ec2.RouteTableAssociation(f"{home}-public", subnet_id=outside.id, route_table_id=public.id)
        after = pulumi.ResourceOptions(depends_on=[gateway, opened])
        address = aws.ec2.Eip(home, domain="vpc", tags={"Name": home}, opts=after)
        nat = aws.ec2.NatGateway(home, subnet_id=outside.id, allocation_id=address.id, tags={"Name": home}, opts=after)
        private = aws.ec2.RouteTable(
            home,
            vpc_id=vpc.id,
            routes=[{"cidr_block": "0.0.0.0/0", "nat_gateway_id": nat.id}],
            tags={"Name": home},
        )
        network.subnets[zone] = inside
        network.routes.append(aws.ec2.RouteTableAssociation(home, subnet_id=inside.id, route_table_id=private.id))
    return network


def _subnet(name: str, vpc: aws.ec2.Vpc, zone: str, cidr_block: str) -> aws.ec2.Subnet:
    return aws.ec2.Subnet(name, vpc_id=vpc.id, availability_zone=zone, cidr_block=cidr_block, tags={"Name": name})
