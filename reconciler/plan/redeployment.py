"""What is replaced together with a resource beyond repair, or why it cannot be and what is done instead.

A type is only redeployed if a second one can stand beside the first: created, cut over to, and only then is the first
retired. Source of the properties that force a replacement: the aws provider's schema (``replaceOnChanges``).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from reconciler.model import Declared, DeclaredResource, Finding, Repair, ResourceKind, Urn
from reconciler.plan.strategy import ESCALATE, REAPPLY, Cause, cause_of

BALANCER = "aws:lb/loadBalancer:LoadBalancer"
LISTENER = "aws:lb/listener:Listener"
TARGET_GROUP = "aws:lb/targetGroup:TargetGroup"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"

IMMUTABLE: Mapping[str, frozenset[str]] = {
    BALANCER: frozenset({"internal", "loadBalancerType", "name"}),
    TARGET_GROUP: frozenset({"name", "port", "protocol", "protocolVersion", "targetType", "vpcId"}),
    TEMPLATE: frozenset({"name"}),
    "aws:ec2/securityGroup:SecurityGroup": frozenset({"description", "name", "vpcId"}),
    "aws:ec2/subnet:Subnet": frozenset({"availabilityZone", "cidrBlock", "vpcId"}),
    "aws:ec2/vpc:Vpc": frozenset({"cidrBlock"}),
    "aws:iam/instanceProfile:InstanceProfile": frozenset({"name", "path"}),
}
"""Properties that AWS cannot change in place, by type."""

BESIDE = frozenset({BALANCER, TARGET_GROUP, TEMPLATE})
"""Types of which a second one can stand beside the first."""

_WHY_NOT: Mapping[str, str] = {
    LISTENER: "a load balancer has one listener on a port",
    "aws:ec2/internetGateway:InternetGateway": "a network has one internet gateway",
    "aws:ec2/route:Route": "a table has one route to a destination",
    "aws:ec2/routeTableAssociation:RouteTableAssociation": "a subnet is associated with one table",
    "aws:ec2/securityGroup:SecurityGroup": "the servers that run keep using the old one",
    "aws:ec2/subnet:Subnet": "its address range is taken as long as the old one exists",
    "aws:ec2/vpc:Vpc": "everything in it would have to move",
}


def as_a_unit(
    repair: Repair,
    findings: Sequence[Finding],
    declared: Declared,
    kinds: Mapping[str, ResourceKind],
    users: Callable[[Collection[Urn]], frozenset[Urn]],
) -> Repair:
    """The redeployment of one resource with what has to be replaced along with it and what refers to any of it.

    Where no second one can stand beside the first, a drift is undone in place and anything else is escalated; either
    says why.
    """
    resource = declared.resources[repair.urns[0]]
    replaced = _unit(resource, declared)
    held = next((why for urn in replaced if (why := _obstacle(declared.resources[urn], resource, kinds))), "")
    if held:
        cause, _ = cause_of(tuple(findings), IMMUTABLE.get(resource.type, frozenset()))
        words = f"{repair.reason}; it cannot be replaced: {held}"
        return replace(repair, strategy=REAPPLY if cause is Cause.DRIFTED else ESCALATE, reason=words)
    touched = {u for u in users(replaced) if declared.resources[u].tenant == resource.tenant}
    in_order = tuple(u for u in declared.resources if u in touched or u in replaced)
    return replace(repair, urns=in_order, replaces=tuple(u for u in in_order if u in replaced))


def _unit(resource: DeclaredResource, declared: Declared) -> frozenset[Urn]:
    """A load balancer goes with its listeners, and with the target groups they forward to: one target group serves one
    load balancer only, so the new one needs its own."""
    if resource.type != BALANCER:
        return frozenset({resource.urn})
    listeners = [
        r for r in declared.resources.values() if r.type == LISTENER and resource.urn in r.references | r.dependencies
    ]
    targets = {
        u
        for listener in listeners
        for u in listener.references | listener.dependencies
        if u in declared.resources and declared.resources[u].type == TARGET_GROUP
    }
    return frozenset({resource.urn, *targets, *(r.urn for r in listeners)})


def _obstacle(one: DeclaredResource, broken: DeclaredResource, kinds: Mapping[str, ResourceKind]) -> str:
    """Why this member of a unit cannot be replaced; empty if it can."""
    kind = kinds.get(one.type)
    if kind is None or kind.stateful or one.protect:
        return f"{one.name} holds state or is protected"
    if one.tenant != broken.tenant:
        return f"{one.name} belongs to another tenant"
    if "name" in one.programmed and isinstance(one.inputs.get("name"), str):
        return f"the name of {one.name} is fixed, and two of one name cannot exist"
    alone = one.urn == broken.urn
    if (alone or one.type != LISTENER) and one.type not in BESIDE:
        return f"{one.name}: {_WHY_NOT.get(one.type, 'nothing proves that a second one can stand beside it')}"
    return ""
