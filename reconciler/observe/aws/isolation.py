"""Whether servers that say a quarantine isolated them are cut off: their security groups tell, not a tag or a name."""

from __future__ import annotations

from enum import Enum
from typing import TypeAlias

from reconciler.observe.aws._common import together
from reconciler.observe.aws.ec2 import SECURITY_GROUPS
from reconciler.observe.reads import Answers, Failed, Missing, More, Row
from tenancy.tags import QUARANTINE_GROUP


class Reach(Enum):
    """What the network lets through to a server, or from it."""

    NOTHING = "each interface has the quarantine's security group, and no group has a rule"
    BESIDE = "each interface has the quarantine's, but another one has rules: somebody investigates, or pretends to"
    ANYTHING = "an interface lacks the quarantine's, or that has rules"


Reached: TypeAlias = Reach | Missing | Failed | More


def reach(server: Row, answers: Answers) -> Reached:
    """How far the server is reached; what is no ``Reach`` says that one of its groups is not known."""
    interfaces = server.get("NetworkInterfaces") or [{"Groups": server.get("SecurityGroups", ())}]
    held = [{group["GroupId"] for group in one.get("Groups", ())} for one in interfaces]
    groups = {id_: SECURITY_GROUPS.row(id_, answers) for ids in held for id_ in ids}
    if (more := together(*groups.values())).reads:
        return more
    closed, isolating = set(), set()
    for id_, row in groups.items():
        if isinstance(row, Missing | Failed | More):
            return row
        if not row.get("IpPermissions") and not row.get("IpPermissionsEgress"):
            closed.add(id_)
            if row.get("GroupName") == QUARANTINE_GROUP:
                isolating.add(id_)
    if any(ids.isdisjoint(isolating) for ids in held):
        return Reach.ANYTHING
    return Reach.NOTHING if closed == groups.keys() else Reach.BESIDE
