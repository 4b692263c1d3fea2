"""Which declared resources a change may concern: by id, name and ARN, by membership of a fleet, and by what uses them.

Too many is harmless, since all that follows is a look. Who did it is more delicate, so that is only said of resources
that the record names itself, or of those that AWS's records know only under the name of what they belong to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from reconciler.events.message import Change, spellings
from reconciler.model import Declared, DeclaredResource, Fleet, Scan, Urn

GLOBAL_SOURCES = frozenset({"aws.iam"})
"""Services without regions: their events come from one region of the partition, whatever the cell's is."""

ALARM_TYPE = "aws:cloudwatch/metricAlarm:MetricAlarm"

MOST_MEMBERS = 50_000
"""Servers that are remembered: forged events must not fill the memory."""

RECORDED_UNDER: Mapping[str, tuple[str, ...]] = {
    "aws:cloudwatch/eventTarget:EventTarget": ("aws:cloudwatch/eventRule:EventRule",),
    "aws:ec2/route:Route": ("aws:ec2/routeTable:RouteTable",),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": ("aws:ec2/routeTable:RouteTable", "aws:ec2/subnet:Subnet"),
    "aws:iam/rolePolicy:RolePolicy": ("aws:iam/role:Role",),
    "aws:s3/bucketPolicy:BucketPolicy": ("aws:s3/bucket:Bucket",),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": ("aws:s3/bucket:Bucket",),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": ("aws:s3/bucket:Bucket",),
    "aws:s3/bucketVersioning:BucketVersioning": ("aws:s3/bucket:Bucket",),
}
"""Types that API calls do not name by an id of their own, and the types by which they name them."""


@dataclass(frozen=True, slots=True)
class Concerned:
    """The resources that a change concerns."""

    look_at: frozenset[Urn] = frozenset()
    about: frozenset[Urn] = frozenset()
    """Those of them that the change's record is about, so that it says who changed them."""
    why_none: str = ""
    """Why there are none: one of a few fixed words."""


class Resolver:
    """The names of one declared cell and of its servers, gathered once from a look at it."""

    def __init__(self, declared: Declared, members: Mapping[str, Urn]) -> None:
        self.declared, self.members = declared, dict(members)
        self._named: dict[str, set[Urn]] = defaultdict(set)
        self._users: dict[Urn, set[Urn]] = defaultdict(set)
        self._accounts, self._regions = {declared.account}, {declared.region}
        for urn, resource in declared.resources.items():
            self._accounts.add(resource.account or declared.account)
            self._regions.add(resource.region or declared.region)
            if resource.id:
                self._named[resource.id].add(urn)
            for used in resource.references:
                self._users[used].add(urn)

    @classmethod
    def of(cls, scan: Scan, before: Resolver | None = None) -> Resolver:
        """What a scan shows; a scan of a part leaves the servers of the other groups as they were known ``before``."""
        fleets = {u: f for u, f in scan.observed.fleets.items() if isinstance(f, Fleet)}
        known = before.members if before else {}
        kept = {i: u for i, u in known.items() if u not in fleets and u in scan.declared.resources}
        return cls(scan.declared, {**kept, **{m.instance_id: u for u, f in fleets.items() for m in f.members}})

    def concerned(self, change: Change) -> Concerned:
        """The resources that a change concerns, directly or as users of what it names."""
        if change.account not in self._accounts:
            return Concerned(why_none="another account")
        if change.region not in self._regions and change.source not in GLOBAL_SOURCES:
            return Concerned(why_none="another region")
        mentioned = {u for m in change.mentions for form in spellings(m) for u in self._by_name(form)}
        named = frozenset(u for u in mentioned if self._is_there(u, change))
        if not named:
            return Concerned(why_none="nothing declared")
        self._learn(change)
        resources = self.declared.resources
        users = {user for urn in named for user in self._users.get(urn, ())}
        # An alarm is a symptom: what it watches is looked at.
        watched = {w for urn in named if resources[urn].type == ALARM_TYPE for w in resources[urn].references}
        belonging = {u for u in users if any(p.urn in named for p in recorded_under(self.declared, u))}
        return Concerned(frozenset(named | users | (watched & resources.keys())), frozenset(named | belonging))

    def _is_there(self, urn: Urn, change: Change) -> bool:
        """Whether a resource is where the change was made: a name in one region says nothing about another."""
        resource = self.declared.resources[urn]
        if (resource.account or self.declared.account) != change.account:
            return False
        return change.source in GLOBAL_SOURCES or (resource.region or self.declared.region) == change.region

    def _learn(self, change: Change) -> None:
        """Auto Scaling says which group a server is of; EC2's own events name only the server."""
        if change.instance and len(self.members) < MOST_MEMBERS:
            for urn in self._named.get(change.group, ()):
                self.members.setdefault(change.instance, urn)

    def _by_name(self, form: str) -> Iterator[Urn]:
        yield from self._named.get(form, ())
        if (group := self.members.get(form)) is not None:
            yield group


def recorded_under(declared: Declared, urn: Urn) -> tuple[DeclaredResource, ...]:
    """The resources by whose ids AWS records changes of this one: itself, or what it belongs to."""
    resource = declared.resources[urn]
    parents = RECORDED_UNDER.get(resource.type)
    if parents is None:
        return (resource,)
    used = (declared.resources.get(u) for u in sorted(resource.references))
    return tuple(p for p in used if p is not None and p.type in parents)
