"""Faults of the servers' permissions."""

from __future__ import annotations

import json

from sandbox.faults.fault import Actor, Fault
from sandbox.faults.victim import Victim


def widen_role_policy(victim: Victim) -> str:
    role = victim.role()
    names = victim.iam.list_role_policies(RoleName=role)["PolicyNames"]
    if not names:
        raise victim.missing(f"inline policy of {role}", "iam:role-policy")
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    victim.iam.put_role_policy(RoleName=role, PolicyName=names[0], PolicyDocument=json.dumps(everything))
    return role


FAULTS = (
    Fault(
        "widen-role-policy",
        "the servers may do anything in the account",
        Actor.INTRUDER,
        "identity",
        ("aws:iam/rolePolicy:RolePolicy",),
        widen_role_policy,
    ),
)
