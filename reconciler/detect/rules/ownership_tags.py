"""Tags are how a resource outside the state is still known to be somebody's; a wrong one gives it away (T01)."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.detect.rule import OK, Context, Example, Judgement, Properties, Rule, mapping
from reconciler.model import Severity, Value
from tenancy import tags

_TYPES = (
    *("aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet", "aws:ec2/internetGateway:InternetGateway"),
    *("aws:ec2/routeTable:RouteTable", "aws:ec2/securityGroup:SecurityGroup", "aws:ec2/launchTemplate:LaunchTemplate"),
    *("aws:kms/key:Key", "aws:s3/bucket:Bucket", "aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile"),
    *("aws:autoscaling/group:Group", "aws:lb/loadBalancer:LoadBalancer", "aws:lb/targetGroup:TargetGroup"),
    *("aws:lb/listener:Listener", "aws:cloudwatch/logGroup:LogGroup", "aws:cloudwatch/metricAlarm:MetricAlarm"),
)


def check(seen: Properties, context: Context) -> Judgement:
    found = _as_mapping(seen["tags"])
    wanted = {tags.CELL: context.declared.cell, tags.TENANT: context.tenant.name, tags.TIER: context.tenant.tier}
    wrong = [key for key, value in wanted.items() if found.get(key) != value]
    wrong += [tags.REGIME] if set(str(found.get(tags.REGIME) or "").split()) != context.tenant.regimes else []
    wrong += [] if found.get(tags.OWNER) else [tags.OWNER]
    return Judgement(f"missing or wrong: {', '.join(wrong)}", dict(found)) if wrong else OK


def _as_mapping(value: Value) -> Mapping[str, Value]:
    """Auto scaling groups hold tags as a list of key and value."""
    if isinstance(value, list | tuple):
        return {str(mapping(tag).get("key")): mapping(tag).get("value") for tag in value}
    return mapping(value)


def _example(tenant: str) -> Example:
    return Example(
        "aws:ec2/vpc:Vpc",
        {
            "tags": {
                tags.CELL: "dev",
                tags.TENANT: tenant,
                tags.TIER: "gold",
                tags.REGIME: "pci-dss soc2",
                tags.OWNER: "platform",
            }
        },
        regimes=frozenset({"pci-dss", "soc2"}),
    )


RULE = Rule(
    id="ownership-tags",
    title="Everything says whose it is",
    description="Live tags name the resource's cell, tenant, tier, regimes and owner, as the tenant is declared.",
    severity=Severity.MEDIUM,
    source="https://docs.aws.amazon.com/whitepapers/latest/tagging-best-practices/tagging-best-practices.html",
    controls={"pci-dss": ("12.5.1",), "soc2": ("CC6.1",)},
    always=True,
    reads=dict.fromkeys(_TYPES, ("tags",)),
    check=check,
    heeds=frozenset({tags.CELL, tags.TENANT, tags.TIER, tags.REGIME, tags.OWNER, "key", "value"}),
    passing=_example("acme"),
    failing=_example("acme-1"),
)
