"""How routing is seen: route tables, and the routes and associations that EC2 only answers inside them."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from reconciler.model import DeclaredResource, ResourceKind, Value
from reconciler.observe.aws._common import call, text
from reconciler.observe.aws.ec2 import ROUTE_TABLES, listed
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Row, Sight

_DESTINATIONS = {
    "destinationCidrBlock": "DestinationCidrBlock",
    "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_TARGETS = {
    "carrierGatewayId": "CarrierGatewayId",
    "coreNetworkArn": "CoreNetworkArn",
    "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    "gatewayId": "GatewayId",
    "localGatewayId": "LocalGatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "odbNetworkArn": "OdbNetworkArn",
    "transitGatewayId": "TransitGatewayId",
    "vpcPeeringConnectionId": "VpcPeeringConnectionId",
}
_INLINE_DESTINATIONS = {
    "cidrBlock": "DestinationCidrBlock",
    "ipv6CidrBlock": "DestinationIpv6CidrBlock",
    "destinationPrefixListId": "DestinationPrefixListId",
}
_PROPAGATED = frozenset({"EnableVgwRoutePropagation", "Advertisement"})
"""How routes come about that a virtual private gateway or a route server learned."""


# --- route tables ------------------------------------------------------------------------------------------


def _table(declared: DeclaredResource, row: Row, _: Answers) -> Sight:
    return {
        "vpcId": row.get("VpcId", ""),
        "propagatingVgws": sorted(v["GatewayId"] for v in row.get("PropagatingVgws", ())),
        "routes": [
            {name: route.get(theirs) for name, theirs in _INLINE_DESTINATIONS.items()} | _target(route)
            for route in row.get("Routes", ())
            if route.get("Origin") != "EnableVgwRoutePropagation"
            and (not _made_elsewhere(route) or _is_declared(route, declared.inputs.get("routes")))
        ],
    }


def _made_elsewhere(route: Row) -> bool:
    """Routes that come with something else: the network itself, a service network, a gateway endpoint.

    The provider leaves them out of a table's own routes (terraform-provider-aws, ``flattenRoutes``). An endpoint that
    is the target of a block of addresses is a route like any other.
    """
    gateway = str(route.get("GatewayId", ""))
    return gateway in ("local", "VpcLattice") or ("DestinationPrefixListId" in route and gateway.startswith("vpce-"))


def _is_declared(route: Row, declared: Value) -> bool:
    """Whether the declaration has a route to that destination."""
    return isinstance(declared, list | tuple) and any(
        isinstance(one, Mapping)
        and isinstance(wanted := one.get(name), str)
        and _same_network(route.get(theirs), wanted)
        for one in declared
        for name, theirs in _INLINE_DESTINATIONS.items()
    )


def _target(route: Row) -> dict[str, Value]:
    found: dict[str, Value] = {name: route.get(theirs) for name, theirs in _TARGETS.items()} | {"vpcEndpointId": None}
    if str(found["gatewayId"]).startswith("vpce-"):
        found |= {"vpcEndpointId": found["gatewayId"], "gatewayId": None}
    return found


# --- routes ------------------------------------------------------------------------------------------------


def _destination(declared: DeclaredResource) -> tuple[str, str, str] | None:
    """The declared destination: property, AWS's member, value."""
    for name, theirs in _DESTINATIONS.items():
        if (value := text(declared, name)) is not None:
            return name, theirs, value
    return None


def _route(declared: DeclaredResource, answers: Answers) -> Sight:
    table, destination = text(declared, "routeTableId"), _destination(declared)
    if table is None or destination is None:
        return Failed("the declaration names no route table or no destination")
    name, theirs, value = destination
    # The second look asks for the table itself: a listing without the route is no proof that the route is gone.
    for look in (ROUTE_TABLES.row, lambda id_, known: known.one(ROUTE_TABLES.direct(id_))):
        row = look(table, answers)
        if isinstance(row, Missing | Failed | More):
            return row
        for route in row.get("Routes", ()):
            if _same_network(route.get(theirs), value):
                state = route.get("State", "")
                others = dict.fromkeys(_DESTINATIONS)
                return {**others, "routeTableId": table, name: value, "state": state, **_target(route)}
    return Missing(f"{table} has no route to {value}")


def _same_network(live: object, declared: str) -> bool:
    if not isinstance(live, str):
        return False
    try:
        return ipaddress.ip_network(live) == ipaddress.ip_network(declared)
    except ValueError:
        return live == declared


def _route_id(table: str, destination: str) -> str:
    """The provider's own id: CRC-32 of the destination behind the table's id."""
    return f"r-{table}{zlib.crc32(destination.encode())}"


def _locate_route(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    seen = _route(declared, answers)
    if not isinstance(seen, Mapping):
        return seen
    table, destination = text(declared, "routeTableId"), _destination(declared)
    if table is None or destination is None:
        return Failed("the declaration names no route table or no destination")
    id_ = _route_id(table, destination[2])
    return Missing(f"the state already holds {id_}") if id_ in answers.claimed else id_


# --- routes that may be nobody's ---------------------------------------------------------------------------


def described(table: str, route: Row) -> tuple[str, str]:
    """The id that the provider would give a live route, and the route in words."""
    destination = next((str(route[theirs]) for theirs in _DESTINATIONS.values() if route.get(theirs)), "")
    target = next((str(route[theirs]) for theirs in _TARGETS.values() if route.get(theirs)), "nowhere")
    return _route_id(table, destination), f"the route of {table} to {destination} by {target}"


def declares(declared: DeclaredResource, route: Row) -> bool:
    """Whether it is this live route, of the same table; what is declared of it may have drifted."""
    destination = _destination(declared)
    return destination is not None and _same_network(route.get(destination[1]), destination[2])


def comes_with(route: Row, claimed: Collection[str]) -> bool:
    """Whether it comes with the network, with what propagates routes, or with a gateway endpoint that is declared."""
    if route.get("Origin") in _PROPAGATED:
        return True
    gateway = str(route.get("GatewayId", ""))
    return _made_elsewhere(route) and (not gateway.startswith("vpce-") or gateway in claimed)


def shows_in_table(route: Row, table: DeclaredResource | None) -> bool:
    """Whether it is compared with the routes that the table declares inline."""
    routes = table.inputs.get("routes") if table is not None else None
    return routes is not None and (not _made_elsewhere(route) or _is_declared(route, routes))


# --- associations ------------------------------------------------------------------------------------------


def _associations(rows: Iterable[Row]) -> dict[tuple[str, Any], Row]:
    """Live associations by each of the members that can name one; the first of several."""
    found: dict[tuple[str, Any], Row] = {}
    for row in rows:
        for association in row.get("Associations", ()):
            if association.get("AssociationState", {}).get("State", "associated") in ("associated", "associating"):
                for member in ("RouteTableAssociationId", "SubnetId", "GatewayId"):
                    if association.get(member):
                        found.setdefault((member, association[member]), association)
    return found


def _association(declared: DeclaredResource, answers: Answers) -> Sight:
    found = _live_association(declared, answers)
    if isinstance(found, Missing | Failed | More):
        return found
    return {
        "routeTableId": found.get("RouteTableId", ""),
        "subnetId": found.get("SubnetId", ""),
        "gatewayId": found.get("GatewayId", ""),
    }


def _live_association(declared: DeclaredResource, answers: Answers) -> Row | Missing | Failed | More:
    """The association by its id, or else by its subnet or gateway: replacing an association gives it another id."""
    subnet, gateway = text(declared, "subnetId"), text(declared, "gatewayId")
    if subnet is None and gateway is None:
        return Failed("the declaration names neither a subnet nor a gateway")
    member, target = ("SubnetId", subnet) if subnet is not None else ("GatewayId", gateway)
    filter_ = "association.subnet-id" if subnet is not None else "association.gateway-id"
    direct = call(
        "ec2",
        "describe_route_tables",
        "RouteTables",
        target=declared.id or str(target),
        Filters=((("Name", filter_), ("Values", (target,))),),
    )
    for read in (ROUTE_TABLES.read, direct):
        live = answers.derived(read, _associations)
        if not isinstance(live, dict):
            return live
        found = live.get(("RouteTableAssociationId", declared.id)) or live.get((member, target))
        if found is not None:
            return found
    # Nothing found is no proof while the table that should have it does not answer at all.
    table = answers.one(ROUTE_TABLES.direct(table_id)) if (table_id := text(declared, "routeTableId")) else None
    if isinstance(table, Failed | More):
        return table
    return Missing(f"{target} is explicitly associated with no route table")


def _locate_association(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    found = _live_association(declared, answers)
    if isinstance(found, Missing | Failed | More):
        return found
    id_, table = str(found["RouteTableAssociationId"]), found.get("RouteTableId")
    if table != text(declared, "routeTableId"):
        return Missing(f"{id_} leads to {table}, not to the declared table")
    return Missing(f"the state already holds {id_}") if id_ in answers.claimed else id_


OBSERVERS = (
    listed(
        ResourceKind("aws:ec2/routeTable:RouteTable", unordered=frozenset({"routes", "propagatingVgws"})),
        ROUTE_TABLES,
        _table,
        "ec2:DescribeRouteTables",
    ),
    Observer(
        ResourceKind("aws:ec2/route:Route"),
        reads=lambda _: (ROUTE_TABLES.read,),
        see=_route,
        permissions=("ec2:DescribeRouteTables",),
        locate=_locate_route,
    ),
    Observer(
        ResourceKind("aws:ec2/routeTableAssociation:RouteTableAssociation"),
        reads=lambda _: (ROUTE_TABLES.read,),
        see=_association,
        permissions=("ec2:DescribeRouteTables",),
        locate=_locate_association,
    ),
)
