"""A server's role that may do everything makes one broken server a broken account."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from reconciler.detect import documents
from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items, mapping
from reconciler.model import Severity, Value

_INLINE, _MANAGED, _ROLE = "aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy", "aws:iam/role:Role"
_INSIDE = "inlinePolicies"
_EVERY = re.compile(r"[*:]*\*[*:]*")
"""Every action, or every resource: ``*``, and ``*:*`` for actions."""


def check(seen: Properties, _: Context) -> Judgement | None:
    for text in _documents(seen):
        for statement in documents.statements(documents.parse(text)):
            if statement.get("Effect") == "Allow" and (bad := _too_much(statement)):
                return Judgement(bad, text)
    return OK


def _documents(seen: Properties) -> list[Value]:
    inside = [mapping(one).get("policy") for one in items(seen.get(_INSIDE))]
    return [*(text for name, text in seen.items() if name != _INSIDE), *inside]


def _too_much(statement: Mapping[str, Any]) -> str:
    actions = documents.as_list(statement.get("Action", ()))
    # What is everywhere but in some places is as good as everywhere.
    everywhere = "NotResource" in statement or _has_every(documents.as_list(statement.get("Resource", ())))
    if _has_every(actions):
        return "it allows every action"
    if everywhere and (whole := [a for a in actions if re.fullmatch(r".+:\*+", str(a))]):
        return f"it allows {whole[0]} on every resource"
    if "NotAction" in statement:
        return "it allows everything but what it names (NotAction)"
    principal = statement.get("Principal", {})
    anybody = principal == "*" or (isinstance(principal, Mapping) and "*" in documents.as_list(principal.get("AWS")))
    return "anybody may assume it" if anybody and not statement.get("Condition") else ""


def _has_every(names: list[Any]) -> bool:
    return any(_EVERY.fullmatch(str(name)) for name in names)


def _example(action: str, resource: str) -> Example:
    allow = {"Effect": "Allow", "Action": action, "Resource": resource}
    return Example(_INLINE, {"policy": json.dumps({"Version": "2012-10-17", "Statement": allow})})


RULE = Rule(
    id="iam-no-wildcard",
    title="Roles are not allowed everything",
    description="No policy allows every action, a service on every resource, or all but some; no role trusts anybody.",
    severity=Severity.HIGH,
    source="https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html",
    controls={
        "pci-dss": ("7.2.5",),
        "hipaa": ("164.312(a)(1)",),
        "gdpr": ("Art. 5(1)(f)", "Art. 32(1)(b)"),
        "soc2": ("CC6.3",),
    },
    reads={_INLINE: ("policy",), _MANAGED: ("policy",), _ROLE: ("assumeRolePolicy",)},
    reads_declared={_ROLE: (_INSIDE,)},
    check=check,
    passing=_example("s3:*", "arn:aws:s3:::acme-data-1a2b3c4/*"),
    failing=_example("s3:*", "*"),
)
