"""Whether the servers of each fleet serve, and what the alarms say.

A server is judged by independent signs: what EC2 says of the machine, what the load balancer says of its answers, and
EC2's status checks. They are merged into the one finding that explains most, so that one sick server counts once;
``Finding.signs`` says how many agree.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.detect import endpoint
from reconciler.detect.diff import differences
from reconciler.detect.findings import about, plain
from reconciler.model import (
    GROUP,
    Declared,
    DeclaredResource,
    Finding,
    Fleet,
    Kind,
    Member,
    Observed,
    ObservedResource,
    Presence,
    ResourceKind,
    Severity,
    Unreadable,
    Urn,
    Verdict,
)

STATE = "health.instance-state"
TARGET = "health.target"
OUTDATED = "health.outdated-template"
SHORT = "health.fleet-short"
ALARM = "health.alarm"
COMPROMISED = "health.compromised"
QUARANTINE_OVER = "health.quarantine-over"
BROKEN = "health.resource-failed"

RULES: Mapping[str, str] = {
    STATE: "A server in service is not running.",
    TARGET: "A server in service does not answer the load balancer's health check, or is not registered with it.",
    OUTDATED: "A server was launched from another template than its group launches now.",
    SHORT: "A group has fewer servers in service than desired, and none being launched in time; UNKNOWN where its size "
    "counts processors or memory.",
    ALARM: "An alarm is in ALARM state; without data to judge, as a new one is, it passes.",
    COMPROMISED: "A person, or a tag on the server, says that it was broken into.",
    QUARANTINE_OVER: "An isolated server has been kept as long as it was to be.",
    BROKEN: "AWS says of a resource that it failed for good.",
    **endpoint.RULES,
}

BALANCER_TYPE = "aws:lb/loadBalancer:LoadBalancer"
ALARM_TYPE = "aws:cloudwatch/metricAlarm:MetricAlarm"
TEMPLATE_TYPE = "aws:ec2/launchTemplate:LaunchTemplate"

_NOT_IN_USE = ("Target.NotInUse", "Target group is not configured", "not enabled for the load balancer")
"""How the load balancer says, by code or in words, that the group or zone of a target gets no traffic at all."""
_INVALID_STATE = ("Target.InvalidState", "Target is in")
"""How it says that it believes the server stopped."""


def health(
    resource: DeclaredResource,
    seen: ObservedResource,
    declared: Declared,
    observed: Observed,
    kinds: Mapping[str, ResourceKind],
    now: datetime,
) -> Iterator[Finding]:
    """The health findings of one declared resource; nothing for what has no health. ``now`` is timezone-aware."""
    fleet = observed.fleets.get(resource.urn)
    if isinstance(fleet, Fleet):
        settled = _launches_as_declared(resource, seen, declared, observed, kinds)
        yield _size(resource, fleet, now)
        for member in fleet.members:
            if member.compromised:
                words = f"server {plain(member.instance_id)} is said to be compromised: {plain(member.compromised)}"
                yield _finding(resource, COMPROMISED, Verdict.FAIL, Severity.CRITICAL, words, member.instance_id)
            elif member.lifecycle == "InService":
                yield _member(resource, fleet, member, now, settled=settled)
        members = {m.instance_id for m in fleet.members}
        for kept in fleet.quarantined:
            if kept.cut_off:
                over = kept.until is not None and kept.until <= now
                words = f"isolated server {plain(kept.instance_id)} is kept until {kept.until or 'a person decides'}"
                verdict = Verdict.FAIL if over else Verdict.PASS
                yield _finding(resource, QUARANTINE_OVER, verdict, Severity.LOW, words, kept.instance_id)
            elif kept.instance_id not in members:
                words = f"server {plain(kept.instance_id)} was taken out of its group, but is not cut off"
                yield _finding(resource, COMPROMISED, Verdict.FAIL, Severity.CRITICAL, words, kept.instance_id)
    elif fleet is not None or (resource.type == GROUP and seen.presence is Presence.PRESENT):
        why = "it was not looked at" if fleet is None else plain(fleet.reason)
        yield _finding(resource, SHORT, Verdict.UNKNOWN, Severity.HIGH, f"the group's servers are not known: {why}")
    if seen.presence is Presence.PRESENT and seen.failed:
        words = f"AWS says that it failed: {plain(seen.failed)}"
        yield _finding(resource, BROKEN, Verdict.FAIL, Severity.CRITICAL, words)
    elif resource.type == BALANCER_TYPE and seen.presence is Presence.PRESENT:
        yield _finding(resource, BROKEN, Verdict.PASS, Severity.CRITICAL, "AWS has not given it up")
    if resource.type == ALARM_TYPE and seen.presence is Presence.PRESENT:
        yield _alarm(resource, observed.alarms.get(resource.urn, Unreadable("it was not looked at")))


def also_judged_by(declared: Declared, urns: Collection[Urn]) -> frozenset[Urn]:
    """What has to be observed together with these resources: servers are judged by their group's template, too."""
    groups = (r for u in urns if (r := declared.resources.get(u)) is not None)
    return frozenset(t.urn for group in groups if (t := _template(group, declared)) is not None)


def _template(group: DeclaredResource, declared: Declared) -> DeclaredResource | None:
    block = group.inputs.get("launchTemplate") if group.type == GROUP else None
    template_id = block.get("id") if isinstance(block, Mapping) else None
    return declared.identified(TEMPLATE_TYPE, template_id) if isinstance(template_id, str) else None


def _launches_as_declared(
    group: DeclaredResource,
    seen: ObservedResource,
    declared: Declared,
    observed: Observed,
    kinds: Mapping[str, ResourceKind],
) -> bool:
    """Whether what the group launches now is what was declared.

    While it is not, a server that differs from it may be the one that is right: replacing it would spread the drift.
    """
    pairs: list[tuple[DeclaredResource, ObservedResource | None]] = [(group, seen)]
    if (template := _template(group, declared)) is not None:
        pairs.append((template, observed.resources.get(template.urn)))
    for resource, live in pairs:
        if live is None or live.presence is not Presence.PRESENT:
            return False
        found = {d.property for d in differences(kinds.get(resource.type, ResourceKind(resource.type)), resource, live)}
        if found - {"tags", "tagsAll"} if resource is not group else "launchTemplate" in found:
            return False
    return True


def _size(resource: DeclaredResource, fleet: Fleet, now: datetime) -> Finding:
    if not fleet.measured:
        words = f"the group's size counts {plain(fleet.unit)}: how much of it a server makes up is not known"
        return _finding(resource, SHORT, Verdict.UNKNOWN, Severity.HIGH, words)
    serving = sum(m.weight for m in fleet.members if m.lifecycle == "InService")
    coming = sum(m.weight for m in fleet.members if m.lifecycle.startswith("Pending") and _warming_up(fleet, m, now))
    words = f"{serving} of {fleet.desired} {fleet.unit} in service" + (f", {coming} being launched" if coming else "")
    if serving + coming >= fleet.desired:
        return _finding(resource, SHORT, Verdict.PASS, Severity.HIGH, words)
    # Of a group that was just told to grow, the listing lacks the new servers for a moment: that is no second sign.
    return replace(_finding(resource, SHORT, Verdict.FAIL, Severity.HIGH, words), signs=(words,))


def _member(resource: DeclaredResource, fleet: Fleet, member: Member, now: datetime, *, settled: bool) -> Finding:
    rule, verdict, severity, words = _judge(fleet, member, now, settled)
    found = _finding(
        resource, rule, verdict, severity, f"server {plain(member.instance_id)} {words}", member.instance_id
    )
    return replace(found, signs=_signs(rule, fleet, member)) if verdict is Verdict.FAIL else found


def _signs(rule: str, fleet: Fleet, member: Member) -> tuple[str, ...]:
    """What stands against a server, each from another source."""
    if rule == OUTDATED:
        return ("its template differs",)
    found = []
    if member.state != "running":
        found.append(f"EC2 says it is {plain(str(member.state))}")
    if member.target != "healthy":
        found.append(f"the load balancer says it is {plain(str(member.target))}")
    # Without a load balancer the group judges by these very checks: they would be counted twice.
    if member.checks == "impaired" and fleet.target_groups:
        found.append("EC2's status checks are impaired")
    return tuple(found)


def _judge(fleet: Fleet, member: Member, now: datetime, settled: bool) -> tuple[str, Verdict, Severity, str]:
    """(rule, verdict, severity, words): the one thing to be said of a server in service.

    While either sign is unreadable nothing is said against it: a replacement could not be proven healthy either (I06).
    """
    state, target = member.state, member.target
    if isinstance(state, Unreadable):
        return STATE, Verdict.UNKNOWN, Severity.HIGH, f"has an unknown state: {plain(state.reason)}"
    if isinstance(target, Unreadable):
        return TARGET, Verdict.UNKNOWN, Severity.HIGH, f"has unknown target health: {plain(target.reason)}"
    warming = _warming_up(fleet, member, now)
    if state == "pending" and warming:
        return STATE, Verdict.PASS, Severity.HIGH, "is starting"
    if state != "running":
        return STATE, Verdict.FAIL, Severity.HIGH, f"is {plain(state)} although its group counts it as in service"
    serves, answer = _target(target, member.target_reason, warming)
    if serves is not Verdict.PASS:
        return TARGET, serves, Severity.HIGH, answer
    if settled and isinstance(member.outdated, Unreadable):
        words = f"was launched from an unknown template: {plain(member.outdated.reason)}"
        return OUTDATED, Verdict.UNKNOWN, Severity.MEDIUM, words
    if settled and member.outdated:
        return OUTDATED, Verdict.FAIL, Severity.MEDIUM, "was launched from another template than its group's now"
    return TARGET, Verdict.PASS, Severity.HIGH, answer


def _target(target: str, reason: str, warming: bool) -> tuple[Verdict, str]:
    """What the load balancer's answer means for a running server (Elastic Load Balancing, "Target health status")."""
    why = f" ({plain(reason)})" if reason else ""
    if target == "healthy":
        return Verdict.PASS, "serves"
    if target == "unused" and any(words in reason for words in _NOT_IN_USE):
        # A missing listener or zone is a fault of its own; the server can do nothing about it.
        return Verdict.PASS, "runs, but its target group is not in use"
    if warming:
        return Verdict.PASS, "is warming up"
    if target == "initial":
        return Verdict.UNKNOWN, f"is still being checked by the load balancer{why}"
    if target == "unused" and any(words in reason for words in _INVALID_STATE):
        # EC2 says that it runs: one of the two answers is stale (F08).
        return Verdict.UNKNOWN, f"runs, but the load balancer says it does not{why}"
    return Verdict.FAIL, f"is {plain(target)} at the load balancer{why}"


def _warming_up(fleet: Fleet, member: Member, now: datetime) -> bool:
    """Younger than the group's grace period; a launch time ahead of ``now`` (a clock set back) counts as young."""
    return member.launched is not None and (now - member.launched).total_seconds() < fleet.grace_seconds


def _alarm(resource: DeclaredResource, state: str | Unreadable) -> Finding:
    if isinstance(state, Unreadable):
        words = f"the alarm's state is not known: {plain(state.reason)}"
        return _finding(resource, ALARM, Verdict.UNKNOWN, Severity.MEDIUM, words)
    verdict = Verdict.FAIL if state == "ALARM" else Verdict.PASS
    return _finding(resource, ALARM, verdict, Severity.MEDIUM, f"the alarm's state is {plain(state)}")


def _finding(
    resource: DeclaredResource,
    rule: str,
    verdict: Verdict,
    severity: Severity,
    words: str,
    resource_id: str | None = None,
) -> Finding:
    return about(resource, rule, Kind.HEALTH, verdict, severity, words, resource_id=resource_id)
