"""Which servers may leave a fleet, decided on one look at it. Pure: the rollout and its recovery share it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from reconciler.model import Fleet, Member, Unreadable

_LEAVING = ("Terminating", "Terminated", "Detaching", "Detached")
_ASIDE = ("Standby", "EnteringStandby", "Warmed")
_DEAD = frozenset({"terminated", "shutting-down"})


def leaving(member: Member) -> bool:
    """Whether the group has let go of it already."""
    return member.lifecycle.startswith(_LEAVING)


def aside(member: Member) -> bool:
    """Whether it is kept beside the group, by a person (on standby) or in a warm pool: no size of the group counts it.

    https://docs.aws.amazon.com/autoscaling/ec2/userguide/as-enter-exit-standby.html
    """
    return member.lifecycle.startswith(_ASIDE)


def dead(member: Member) -> bool:
    """Whether the server itself is gone, whatever the group believes."""
    return member.state in _DEAD


def serving(member: Member, fleet: Fleet) -> bool | None:
    """Whether requests may be reaching it; None when what says so could not be read."""
    if member in fleet.healthy:
        return True
    if isinstance(member.state, Unreadable):
        return None
    if member.state in _DEAD or member.state in {"stopped", "stopping"}:
        return False
    if isinstance(member.target, Unreadable):
        return None
    # A target that is not healthy gets no requests while another one is; `initial` ones never did.
    return member.target == "healthy"


def may_leave(member: Member, fleet: Fleet, floor: int) -> bool:
    """Whether the fleet keeps its floor without it (I02): it does not serve, or enough others are healthy."""
    serves = serving(member, fleet)
    if serves is None:
        return False
    others = sum(m.instance_id != member.instance_id for m in fleet.healthy)
    return not serves or others >= floor


def surplus(fleet: Fleet, bad: Collection[str], rejected: Collection[str], floor: int) -> Member | None:
    """The server to take out of a fleet that is one too large, or None if none may leave.

    First a ``rejected`` newcomer; then one that does not serve, newcomers before the ones that were to be replaced
    (``bad``); then one that was to be replaced anyway, if enough others are healthy; then the newest. Where nothing was
    to be replaced, one that failed goes before one that is still starting: that one is about to serve. Never one that
    is compromised (it is isolated), nor one that somebody has put aside.
    """
    staying = [m for m in fleet.members if not leaving(m) and not aside(m)]
    candidates = [m for m in staying if not m.compromised and may_leave(m, fleet, floor)]

    def order(member: Member) -> tuple[bool, bool, bool, bool, float]:
        serves, old = serving(member, fleet) is not False, member.instance_id in bad
        starts = not bad and member.target == "initial"
        age = -member.launched.timestamp() if member.launched else 0.0
        return member.instance_id not in rejected, serves, (not old if serves else old), starts, age

    return min(candidates, key=order, default=None)


def superfluous(
    fleet: Fleet, size: int, bad: Collection[str], rejected: Collection[str], floor: int
) -> str | int | None:
    """What makes a fleet that is larger than ``size`` smaller: the server to leave, ``rejected`` newcomers first, or
    another size where servers that were asked for never came; None if none may leave."""
    staying = sum(not leaving(m) and not aside(m) for m in fleet.members)
    if staying < fleet.desired:
        return max(size, staying)
    member = surplus(fleet, bad, rejected, floor)
    return member.instance_id if member else None


def find(fleet: Fleet, instance: str) -> Member | None:
    """The member that the group has not let go of yet."""
    return next((m for m in fleet.members if m.instance_id == instance and not leaving(m)), None)


def by_zone(fleet: Fleet, instances: Collection[str]) -> tuple[str, ...]:
    """The instances as they are replaced: one zone after another, in a zone first what does not serve.

    One that the fleet does not show any more comes last.
    """
    members = {m.instance_id: m for m in fleet.members}

    def order(instance: str) -> tuple[bool, str, bool, str]:
        member = members.get(instance)
        if member is None:
            return True, "", False, instance
        return False, member.zone, serving(member, fleet) is not False, instance

    return tuple(sorted(instances, key=order))


def astray(before: Fleet, newcomers: Collection[Member]) -> str:
    """A zone that should have got one of the newcomers and got none; empty if each came where it belongs.

    Auto Scaling launches in the zone with the fewest servers. That it did not means that the zone has no room, and a
    server that serves there is not given up for one elsewhere.
    """
    counts = Counter(m.zone for m in before.members if not leaving(m))
    for zone in {m.zone for m in before.members}:
        counts.setdefault(zone, 0)
    came = Counter(m.zone for m in newcomers)
    # Several come in an order that nobody knows: any order in which each goes where there are fewest will do.
    while came:
        emptiest = min(counts.values(), default=0)
        right = next((z for z in came if counts.get(z, 0) <= emptiest), None)
        if right is None:
            return min(zone for zone, count in counts.items() if count == emptiest)
        counts[right] += 1
        came -= Counter({right: 1})
    return ""
