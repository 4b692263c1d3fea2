"""A grant is a way to a key beside its policy: whoever holds one can decrypt, and the policy stays as it was (T04)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, items, mapping
from reconciler.model import Severity, Value

_TYPE = "aws:kms/key:Key"
_ROLE = "aws:iam/role:Role"
_TOLD = 5
"""Grants that are told and kept as evidence: a key can have 50,000."""
_ARN = re.compile(r"arn:[\w-]+:[\w-]+:[\w-]*:(?P<account>\d{12}):(?P<name>.+)")


def check(seen: Properties, context: Context) -> Judgement:
    grants = [mapping(grant) for grant in items(seen["grants"])]
    found = [(who, grant) for grant in grants if (who := _stranger(grant, context))]
    if not found:
        return OK
    told = [f"{who} may {', '.join(map(str, items(grant.get('operations'))))}" for who, grant in found[:_TOLD]]
    more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return Judgement(f"granted to strangers: {'; '.join(told)}{more}", [dict(grant) for _, grant in found[:_TOLD]])


def _stranger(grant: Mapping[str, Value], context: Context) -> str:
    """Whom beside the tenant a grant serves; empty for nobody, and where that cannot be told.

    A service that was granted the key for one resource (``sourceArn``) acts for that resource's account. The retiring
    principal can only end the grant, and that of EBS's own grants is an account of AWS: it is not judged.
    """
    for name in ("granteePrincipal", "sourceArn"):
        arn = _ARN.fullmatch(str(grant.get(name)))
        if arn is not None and (arn["account"] != context.declared.account or _of_another_tenant(arn["name"], context)):
            return arn[0]
    return ""


def _of_another_tenant(name: str, context: Context) -> bool:
    """Whether it is a role that the cell declares for somebody else, or a session of one."""
    kind, *path = name.split("/")
    role = path[-1:] if kind == "role" else path[:1] if kind == "assumed-role" else []
    return context.is_anothers(_ROLE, role)


def _example(principal: str) -> Example:
    grant = {"grantId": "0c237476", "granteePrincipal": principal, "operations": ["Decrypt"]}
    return Example(_TYPE, {"grants": [grant]})


RULE = Rule(
    id="kms-grants",
    title="Keys are granted to no stranger",
    description="No grant of a key is for a principal of another account, for an AWS service on behalf of a resource "
    "of another account, or for a role that the cell declares for another tenant. What AWS services hold in the key's "
    "own account passes, and so does a grantee that is no ARN of an account, as those of most services are.",
    severity=Severity.CRITICAL,
    source="https://docs.aws.amazon.com/kms/latest/developerguide/determining-access-grants.html",
    controls={
        "pci-dss": ("3.6.1", "7.2.5"),
        "hipaa": ("164.312(a)(1)",),
        "gdpr": ("Art. 32(1)(b)",),
        "soc2": ("CC6.1", "CC6.3"),
    },
    always=True,
    reads={_TYPE: ("grants",)},
    check=check,
    passing=_example(
        "arn:aws:iam::123456789012:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"
    ),
    failing=_example("arn:aws:iam::444455556666:role/backup"),
)
