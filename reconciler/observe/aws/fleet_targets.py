"""What the load balancer says of a fleet's servers, target group by target group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from reconciler.model import Unreadable
from reconciler.observe.aws._common import call
from reconciler.observe.reads import Answers, Missing, More, Read, Row, Rows

_WORST_FIRST = ("unhealthy", "unregistered", "draining", "unavailable", "initial", "unused", "unhealthy.draining")
_RANKS = {state: rank for rank, state in enumerate(_WORST_FIRST)}

Targets: TypeAlias = Mapping[str, Row] | Unreadable
"""The targets of one target group by instance id."""


def listing(arn: str) -> Read:
    return call(
        "elbv2",
        "describe_target_health",
        "TargetHealthDescriptions",
        absent=("TargetGroupNotFound",),
        target=arn,
        TargetGroupArn=arn,
    )


def _health_of(arn: str, instance: str) -> Read:
    """One target, registered or not: AWS answers for any."""
    return call(
        "elbv2",
        "describe_target_health",
        "TargetHealthDescriptions",
        absent=("TargetGroupNotFound",),
        target=f"{instance} in {arn}",
        TargetGroupArn=arn,
        Targets=((("Id", instance),),),
    )


def targets_of(answer: Any) -> Targets:
    if isinstance(answer, Rows):
        # A server may be registered on several ports: the worst of them is last, and counts.
        return {row["Target"]["Id"]: row for row in sorted(answer.rows, key=lambda row: -_rank(_said(row)))}
    return Unreadable(answer.how if isinstance(answer, Missing) else answer.reason)


def _said(row: Row) -> tuple[str, str]:
    """The state of a target, and the load balancer's own reason for it."""
    health = row.get("TargetHealth", {})
    state = "unregistered" if health.get("Reason") == "Target.NotRegistered" else health.get("State", "unavailable")
    return state, health.get("Description") or health.get("Reason") or ""


def _rank(said: tuple[str, str]) -> int:
    return _RANKS.get(said[0], len(_RANKS))


def judged(inside: Row, targets: Mapping[str, Targets], answers: Answers) -> tuple[str | Unreadable, str] | More:
    """The worst that any target group says of an instance, with the load balancer's own reason.

    Without a load balancer the group's own health check is the only word there is. A server in service that a list of
    targets lacks is asked for by its id: a list that lost some of its rows looks the same.
    """
    if not targets:
        return ("healthy" if inside.get("HealthStatus") == "Healthy" else "unhealthy", "the group's own health check")
    found: list[tuple[str, str]] = []
    id_ = inside["InstanceId"]
    for arn, one in targets.items():
        if isinstance(one, Unreadable):
            return one, ""
        row = one.get(id_)
        if row is None and inside["LifecycleState"] != "InService":
            found.append(("unused", ""))
            continue
        if row is None:
            answer = answers.one(_health_of(arn, id_))
            if isinstance(answer, More):
                return answer
            if not isinstance(answer, Mapping):
                return Unreadable(answer.how if isinstance(answer, Missing) else answer.reason), ""
            row = answer
        found.append(_said(row))
    return min(found, key=_rank)
