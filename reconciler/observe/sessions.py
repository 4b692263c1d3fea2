"""One identity for each tenant: what is written for one is written under its role, with no more rights than needed.

A session policy narrows the role to the calls and resources of one repair; it can only take rights away. The external
id keeps a role from being assumed for somebody else's cell (the confused deputy).
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session
"""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session
from botocore.exceptions import BotoCoreError, ClientError

from reconciler.errors import RepairRefused
from reconciler.observe.clients import Clients
from tenancy.arns import partition_of
from tenancy.tags import TENANT

_PREFIX: Mapping[str, str] = {"elbv2": "elasticloadbalancing", "cloudwatch": "cloudwatch"}
"""IAM's name of a service, where boto3's client has another."""
_EC2 = {
    "eni": "network-interface",
    "i": "instance",
    "sg": "security-group",
    "snap": "snapshot",
    "vol": "volume",
    "vpc": "vpc",
}
_LONGEST = 2048
"""Characters of a session policy that STS takes."""
_MARGIN = timedelta(minutes=1)


class SessionRefused(RepairRefused):
    """A tenant's role could not be assumed. Nothing was written."""


@dataclass(frozen=True, slots=True)
class _Session:
    environment: Mapping[str, str]
    until: datetime
    clients: Clients


class Sessions:
    """The roles of one cell's tenants. ``pattern`` holds ``{tenant}``; ``external_id`` may hold that and ``{cell}``."""

    def __init__(self, clients: Clients, *, cell: str, pattern: str, external_id: str, seconds: int) -> None:
        self._clients, self._cell = clients, cell
        self._pattern, self._external_id, self._seconds = pattern, external_id, seconds
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], _Session] = {}

    def clients(self, tenant: str, *, operations: Collection[str], resources: Collection[str]) -> Clients:
        """Guarded clients for these calls (``service:Operation``) on these resources only. Raises SessionRefused."""
        return self._session(tenant, call_policy(operations, resources, self._clients)).clients

    def environment(self, tenant: str) -> Mapping[str, str]:
        """The AWS credentials of the tenant's session as variables for the engine. Raises SessionRefused."""
        return self._session(tenant, engine_policy(tenant)).environment

    def _session(self, tenant: str, policy: Mapping[str, Any]) -> _Session:
        text = json.dumps(policy, separators=(",", ":"), sort_keys=True)
        role = self._pattern.replace("{tenant}", tenant)
        if len(text) > _LONGEST:
            raise SessionRefused("the session policy is too long", where=role, why=f"{len(text)} characters")
        with self._lock:
            known = self._known.get((tenant, text))
            if known is not None and known.until - _MARGIN > datetime.now(UTC):
                return known
            try:
                answer = self._clients.client("sts").assume_role(
                    RoleArn=role,
                    RoleSessionName=f"stackmend-{self._cell}-{tenant}"[:64],
                    ExternalId=self._external_id.replace("{cell}", self._cell).replace("{tenant}", tenant),
                    DurationSeconds=self._seconds,
                    Policy=text,
                )
            except (BotoCoreError, ClientError) as error:
                raise SessionRefused("the tenant's role could not be assumed", where=role, why=str(error)) from error
            found = answer["Credentials"]
            core = botocore.session.Session()
            core.set_credentials(found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
            made = _Session(
                {
                    "AWS_ACCESS_KEY_ID": found["AccessKeyId"],
                    "AWS_SECRET_ACCESS_KEY": found["SecretAccessKey"],
                    "AWS_SESSION_TOKEN": found["SessionToken"],
                },
                found["Expiration"],
                Clients(self._clients.region, self._clients.account, session=core),
            )
            self._known[tenant, text] = made
            return made


def call_policy(operations: Collection[str], resources: Collection[str], clients: Clients) -> dict[str, Any]:
    """What a session for direct calls may do: these operations on these resources, whatever else the role may."""
    actions = sorted(f"{_PREFIX.get(s, s)}:{name}" for s, _, name in (o.partition(":") for o in operations))
    partition = partition_of(clients.region)
    arns = {arn for one in resources for arn in _arns(one, clients.account, clients.region, partition)}
    place = f"{clients.region}:{clients.account}"
    if "ec2:CreateSnapshot" in operations:
        arns.add(f"arn:{partition}:ec2:{clients.region}::snapshot/*")
    if "ec2:CreateSecurityGroup" in operations:
        arns.add(f"arn:{partition}:ec2:{place}:security-group/*")
    statement: list[dict[str, Any]] = [{"Effect": "Allow", "Action": actions, "Resource": sorted(arns)}]
    if {"ec2:CreateSnapshot", "ec2:CreateSecurityGroup"} & set(operations):
        # Tags given while something is made are a right of their own.
        made = [f"arn:{partition}:ec2:{clients.region}::snapshot/*", f"arn:{partition}:ec2:{place}:security-group/*"]
        only = {"StringEquals": {"ec2:CreateAction": ["CreateSnapshot", "CreateSecurityGroup"]}}
        statement.append({"Effect": "Allow", "Action": ["ec2:CreateTags"], "Resource": made, "Condition": only})
    return {"Version": "2012-10-17", "Statement": statement}


def engine_policy(tenant: str) -> dict[str, Any]:
    """What the engine's session may do: whatever the role may, but to nothing that is tagged as another tenant's.

    AWS has to say so in the request: S3 does for buckets whose ABAC is enabled, which it is not by default.
    """
    key = f"aws:ResourceTag/{TENANT}"
    # A key that is not there is unequal to anything, so it has to be there as well.
    others = {"StringNotEquals": {key: tenant}, "Null": {key: "false"}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"},
            {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": others},
        ],
    }


def _arns(resource: str, account: str, region: str, partition: str) -> tuple[str, ...]:
    """The ARNs that an identifier of a call may stand for; the session's own account and region only."""
    if resource.startswith("arn:"):
        return (resource,)
    kind = _EC2.get(resource.rpartition("-")[0])
    if kind is not None:
        owner = "" if kind == "snapshot" else account
        return (f"arn:{partition}:ec2:{region}:{owner}:{kind}/{resource}",)
    return (
        f"arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{resource}",
        f"arn:{partition}:kms:{region}:{account}:key/{resource}",
    )
