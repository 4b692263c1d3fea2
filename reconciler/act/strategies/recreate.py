"""Create what is gone, and point what depends on it at the new one."""

from __future__ import annotations

from reconciler.act.strategies.base import Strategy

STRATEGY = Strategy(
    name="recreate",
    does="creates the named resources that are gone and updates the named ones that refer to them",
    operations=frozenset({"create", "update"}),
    # These refer to a parent by an argument that AWS cannot change in place, and are nothing but that reference.
    replaceable=frozenset(
        {
            "aws:ec2/route:Route",
            "aws:ec2/routeTableAssociation:RouteTableAssociation",
            "aws:iam/rolePolicy:RolePolicy",
        }
    ),
)
