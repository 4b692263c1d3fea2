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
_WITHIN = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"})
"""Operators that demand a value. With ``IfExists`` or ``ForAllValues`` they hold where there is none."""
_ARNS = frozenset({"aws:principalarn", "aws:sourcearn"})
_IDS = frozenset(
    {"aws:principalaccount", "aws:principalorgid", "aws:sourceaccount", "aws:sourceorgid", "aws:principalorgpaths"}
)
"""Condition keys, in small letters, that say who asks. An external id is a password, and TLS is for everybody."""
_OPEN = frozenset("*?$")
_OWN = re.compile(r"\$\{aws:Resource(Account|OrgID)\}", re.IGNORECASE)


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
    actions = [str(action) for action in documents.as_list(statement.get("Action", ()))]
    resources = [str(resource) for resource in documents.as_list(statement.get("Resource", ()))]
    if any(_anything(action, "*?:") for action in actions):
        return "it allows every action"
    for action in actions:
        service, _, verb = action.partition(":")
        # What is everywhere but in some places is as good as everywhere.
        everywhere = "NotResource" in statement or any(_everything(resource, service.lower()) for resource in resources)
        if everywhere and _anything(verb, "*?"):
            return f"it allows {action} on every resource"
    if "NotAction" in statement:
        return "it allows everything but what it names (NotAction)"
    principal = statement.get("Principal", {})
    anybody = principal == "*" or (isinstance(principal, Mapping) and "*" in documents.as_list(principal.get("AWS")))
    return "anybody may assume it" if anybody and not _says_who(statement.get("Condition")) else ""


def _anything(name: str, wild: str) -> bool:
    """Whether a name, or a part of one, is made of wildcards, and what joins them, alone."""
    return "*" in name and not name.strip(wild)


def _everything(resource: str, service: str) -> bool:
    """Whether it is every resource, or all that the service has in an account. A last ``*`` goes beyond its colon."""
    parts = resource.split(":", 5)
    other = len(parts) == 6 and parts[2] != service and not any(wild in parts[2] + service for wild in "*?")
    return _anything(parts[-1], "*?:/") and not other


def _says_who(condition: Any) -> bool:
    """Whether one of the conditions, all of which must hold, limits who asks."""
    for operator, tests in condition.items() if isinstance(condition, Mapping) else ():
        if operator.removeprefix("ForAnyValue:") in _WITHIN and isinstance(tests, Mapping):
            for key, values in tests.items():
                if all(_is_named(key.lower(), str(value)) for value in documents.as_list(values)):
                    return True
    return False


def _is_named(key: str, value: str) -> bool:
    """Whether the value of a condition key is somebody, or some in an account or organisation.

    A web identity's subject ends with ``:sub``. What a policy variable stands for is the asker's, or the role's own.
    """
    value = _OWN.sub("own", value)
    if key in _ARNS:
        parts = value.split(":", 5)
        return len(parts) == 6 and not _OPEN & set(parts[4]) and bool(parts[4] or not _anything(parts[5], "*?:/"))
    if key == "aws:principalorgpaths":
        value = value.partition("/")[0]
    return (key in _IDS or key.endswith(":sub")) and not _OPEN & set(value)


def _example(action: str, resource: str) -> Example:
    allow = {"Effect": "Allow", "Action": action, "Resource": resource}
    return Example(_INLINE, {"policy": json.dumps({"Version": "2012-10-17", "Statement": allow})})


RULE = Rule(
    id="iam-no-wildcard",
    title="Roles are not allowed everything",
    description="No policy allows every action, a service on every resource, or all but some; no role trusts anybody, "
    "unless a condition says which account, organisation, principal or resource may ask.",
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
