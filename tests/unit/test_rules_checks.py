"""The corners of single rules, and how rules are asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
import structlog

from reconciler.detect.rule import Context, Example, Judgement, Properties, Rule, judge, mapping
from reconciler.detect.rules import RULES
from reconciler.model import (
    Declared,
    DeclaredResource,
    Finding,
    ObservedResource,
    Presence,
    Secret,
    Severity,
    TenantFacts,
    Unreadable,
    Urn,
    Verdict,
)

BY_ID = {rule.id: rule for rule in RULES}
PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
ALL = frozenset({"pci-dss", "hipaa", "gdpr", "soc2"})


def ask(
    rule: Rule,
    type_: str,
    properties: Properties,
    *,
    inputs: dict[str, Any] | None = None,
    others: tuple[DeclaredResource, ...] = (),
    regimes: frozenset[str] = ALL,
    account: str = "1",
) -> list[Finding]:
    tenant = TenantFacts("acme", "gold", regimes)
    resource = DeclaredResource(Urn("urn:x"), type_, "acme-x", "x-1", inputs or {}, tenant="acme")
    declared = Declared("dev", "p", account, "eu", {r.urn: r for r in (resource, *others)}, {"acme": tenant})
    seen = ObservedResource(resource.urn, Presence.PRESENT, properties)
    return list(judge(rule, declared, resource, seen, tenant))


def verdict(id_: str, **properties: Any) -> Verdict | None:
    rule = BY_ID[id_]
    findings = ask(rule, rule.passing.type, {**rule.passing.properties, **properties})
    return findings[0].verdict if findings else None


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["0.0.0.0/0"]}, FAIL),
        ({"protocol": "tcp", "fromPort": 22, "toPort": 22, "ipv6CidrBlocks": ["::/0"]}, FAIL),
        ({"protocol": "tcp", "fromPort": 22, "toPort": 22, "ipv6CidrBlocks": ["0::/0"]}, FAIL),
        ({"protocol": "tcp", "fromPort": 22, "toPort": 22, "ipv6CidrBlocks": ["0:0:0:0:0:0:0:0/0"]}, FAIL),
        ({"protocol": "tcp", "fromPort": 22, "toPort": 22, "ipv6CidrBlocks": ["fd00::/8", "no block"]}, PASS),
        ({"protocol": "6", "fromPort": "3000", "toPort": "4000", "cidrBlocks": ["10.0.0.0/8", "0.0.0.0/0"]}, FAIL),
        ({"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": ["0.0.0.0/0"]}, FAIL),
        ({"protocol": "all", "cidrBlocks": ["0.0.0.0/0"]}, FAIL),
        ({"protocol": "tcp", "fromPort": -1, "toPort": -1, "cidrBlocks": ["0.0.0.0/0"]}, FAIL),
        ({"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": ["10.0.0.0/8"]}, PASS),
        ({"protocol": "tcp", "fromPort": 22, "toPort": 22, "securityGroups": ["sg-1"]}, PASS),
        ({"protocol": "tcp", "fromPort": 80, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}, FAIL),
        ({"protocol": "tcp", "fromPort": 443, "toPort": 443, "cidrBlocks": ["0.0.0.0/0"]}, PASS),
        ({"protocol": "icmp", "fromPort": -1, "toPort": -1, "cidrBlocks": ["0.0.0.0/0"]}, PASS),
    ],
)
def test_admin_ports(rule: dict[str, Any], expected: Verdict) -> None:
    """Ranges, every protocol and IPv6 count (135 lies between 80 and 443); inner networks do not."""
    assert verdict("sg-admin-ports", ingress=[rule]) is expected


@pytest.mark.parametrize(
    ("peers", "expected"),
    [
        ([{"cidrBlocks": ["0.0.0.0/1", "128.0.0.0/1"]}], FAIL),
        ([{"cidrBlocks": ["0.0.0.0/1"]}, {"cidrBlocks": ["128.0.0.0/2", "192.0.0.0/2"]}], FAIL),
        ([{"cidrBlocks": ["0.0.0.0/1"]}, {"cidrBlocks": ["128.0.0.0/1"], "fromPort": 23, "toPort": 25}], PASS),
        ([{"ipv6CidrBlocks": ["::/1"]}, {"ipv6CidrBlocks": ["8000::/1"]}], FAIL),
        ([{"ipv6CidrBlocks": ["2000::/3"]}], FAIL),
        ([{"ipv6CidrBlocks": ["2000::/4", "3000::/4"]}], FAIL),
        ([{"ipv6CidrBlocks": ["2000::/4"], "cidrBlocks": ["0.0.0.0/1"]}], PASS),
        ([{"prefixListIds": ["pl-1"]}], UNKNOWN),
        ([{"prefixListIds": ["pl-1"]}, {"cidrBlocks": ["0.0.0.0/0"]}], FAIL),
        ([{"prefixListIds": ["pl-1"], "fromPort": 443, "toPort": 443}], PASS),
    ],
)
def test_the_world_in_other_words(peers: list[dict[str, Any]], expected: Verdict) -> None:
    """B42: blocks count together, over all rules of a port; what a prefix list holds is not known (I06)."""
    ingress = [{"protocol": "tcp", "fromPort": 22, "toPort": 22, **peer} for peer in peers]
    assert verdict("sg-admin-ports", ingress=ingress) is expected


def test_open_ports_and_unread_lists_are_told() -> None:
    """A person reads which ports are open to whom, or which prefix list nobody looked into."""
    rule = BY_ID["sg-admin-ports"]
    half: dict[str, Any] = {"protocol": "-1", "cidrBlocks": ["0.0.0.0/1"], "prefixListIds": ["pl-1"]}
    other: dict[str, Any] = {"protocol": "tcp", "fromPort": 0, "toPort": 30, "cidrBlocks": ["128.0.0.0/1"]}
    (found,) = ask(rule, rule.passing.type, {"ingress": [half, other]})
    assert (found.message, found.observed) == ("port 22, 23 open to 0.0.0.0/0", [half, other])
    (found,) = ask(rule, rule.passing.type, {"ingress": [half]})
    assert found.message == "port 22 is open to pl-1, and what a prefix list holds is not read"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, PASS),
        (
            {"Principal": {"AWS": ["*"]}, "Action": ["s3:*"], "Condition": {"Bool": {"AWS:SecureTransport": False}}},
            PASS,
        ),
        ({"Resource": "*"}, PASS),
        ({"Effect": "Allow"}, FAIL),
        ({"Action": "s3:GetObject"}, FAIL),
        ({"Resource": "arn:aws:s3:::acme-data-1a2b3c4/*"}, FAIL),
        ({"Resource": ["arn:aws:s3:::other", "arn:aws:s3:::other/*"]}, FAIL),
        ({"Principal": {"AWS": "123456789012"}}, FAIL),
        ({"Condition": {}}, FAIL),
        ({"Condition": {"Bool": {"aws:SecureTransport": "false"}, "IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, FAIL),
    ],
)
def test_tls_only_reads_the_policy_by_meaning(changes: dict[str, Any], expected: Verdict) -> None:
    """Any spelling of the denial counts; a denial with a hole in it does not."""
    policy = json.loads(str(BY_ID["s3-tls-only"].passing.properties["policy"]))
    policy["Statement"][0].update(changes)
    other = {"Effect": "Allow", "Principal": {"AWS": "1"}, "Action": "s3:GetObject", "Resource": "*"}
    policy["Statement"].append(other)
    assert verdict("s3-tls-only", policy=json.dumps(policy)) is expected


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ({"Effect": "Allow", "Action": ["logs:PutLogEvents", "*"], "Resource": "arn:x"}, FAIL),
        ({"Effect": "Allow", "Action": "iam:*", "Resource": ["arn:x", "*"]}, FAIL),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"}, FAIL),
        ({"Effect": "Allow", "Action": "iam:*", "NotResource": "arn:aws:s3:::x"}, FAIL),
        ({"Effect": "Allow", "Action": "iam:GetUser", "NotResource": "arn:aws:s3:::x"}, PASS),
        ({"Effect": "Allow", "Action": "*:*", "Resource": "arn:aws:s3:::x"}, FAIL),
        ({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::x/*"}, PASS),
        ({"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}, FAIL),
        ({"Effect": "Deny", "Action": "*", "Resource": "*"}, PASS),
        ({"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}, PASS),
        ({"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}, PASS),
        ({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}, FAIL),
        ({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*/*"}, FAIL),
        ({"Effect": "Allow", "Action": "S3:*", "Resource": "arn:aws:s3:*"}, FAIL),
        ({"Effect": "Allow", "Action": "iam:*", "Resource": "arn:aws:iam::*:*"}, FAIL),
        ({"Effect": "Allow", "Action": "iam:*", "Resource": "arn:*:i?m::123456789012:*"}, FAIL),
        ({"Effect": "Allow", "Action": "i*:*", "Resource": "arn:aws:iam::123456789012:*"}, FAIL),
        ({"Effect": "Allow", "Action": "iam:?*", "Resource": "*"}, FAIL),
        ({"Effect": "Allow", "Action": "iam:**", "Resource": "*"}, FAIL),
        ({"Effect": "Allow", "Action": "*:?*", "Resource": "arn:x"}, FAIL),
        ({"Effect": "Allow", "Action": "s3:*", "Resource": ["arn:aws:s3:::x/*", "arn:aws:logs:*:*:*"]}, PASS),
        ({"Effect": "Allow", "Action": "iam:Get*", "Resource": "arn:aws:iam::*:*"}, PASS),
        ({"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::${*}"}, PASS),
    ],
)
def test_wildcards(statement: dict[str, Any], expected: Verdict) -> None:
    """T06: what gives too much is found wherever it stands; a wide denial is no grant."""
    assert verdict("iam-no-wildcard", policy=json.dumps({"Statement": [statement]})) is expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3"}}, PASS),
        ({"StringEquals": {"AWS:principalorgid": ["o-a1b2c3", "o-d4e5f6"]}}, PASS),
        ({"StringEquals": {"aws:SourceAccount": "123456789012"}, "Bool": {"aws:SecureTransport": "true"}}, PASS),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::123456789012:role/acme-*"}}, PASS),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:s3:::acme-data-*"}}, PASS),
        ({"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:acme/web:ref:refs/heads/main"}}, PASS),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-a1b2c3/r-ab12/*"}}, PASS),
        ({"StringEquals": {"aws:PrincipalOrgID": "${aws:ResourceOrgID}"}}, PASS),
        ({"StringEquals": {"aws:PrincipalOrgID": "${aws:PrincipalOrgID}"}}, FAIL),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::${aws:PrincipalAccount}:role/acme"}}, FAIL),
        ({"Bool": {"aws:SecureTransport": "true"}}, FAIL),
        ({"StringEquals": {"sts:ExternalId": "acme"}}, FAIL),
        ({"StringLike": {"aws:PrincipalArn": "*"}}, FAIL),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/acme"}}, FAIL),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, FAIL),
        ({"StringLike": {"aws:PrincipalOrgID": ["o-a1b2c3", "o-*"]}}, FAIL),
        ({"StringLike": {"aws:PrincipalOrgPaths": "*/r-ab12/*"}}, FAIL),
        ({"StringLike": {"token.actions.githubusercontent.com:sub": "repo:*"}}, FAIL),
        ({"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-a1b2c3"}}, FAIL),
        ({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3"}}, FAIL),
        ({"StringNotEquals": {"aws:PrincipalAccount": "123456789012"}}, FAIL),
        ({"StringEquals": "o-a1b2c3"}, FAIL),
    ],
)
def test_a_condition_counts_if_it_says_who(condition: dict[str, Any], expected: Verdict) -> None:
    """T07: whoever may come from anywhere is let in by a role that asks for TLS, a password or any principal at all."""
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole", "Condition": condition}
    assert verdict("iam-no-wildcard", policy=json.dumps({"Statement": trust})) is expected


TO_HTTPS = {"type": "redirect", "redirect": {"protocol": "HTTPS"}}


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09"}, PASS),
        ({"sslPolicy": "ELBSecurityPolicy-TLS13-1-3-2021-06"}, PASS),
        ({"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Ext2-2021-06"}, FAIL),
        ({"sslPolicy": "ELBSecurityPolicy-TLS13-1-0-2021-06"}, FAIL),
        ({"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Res-FIPS-PQ-2025-09"}, PASS),
        ({"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Ext0-FIPS-2023-04"}, PASS),
        ({"sslPolicy": "ELBSecurityPolicy-TLS13-1-2-Ext1-FIPS-2023-04"}, FAIL),
        ({"sslPolicy": "ELBSecurityPolicy-FS-1-2-Res-2020-10"}, PASS),
        ({"sslPolicy": "ELBSecurityPolicy-FS-1-2-Res-2019-08"}, PASS),
        ({"sslPolicy": "ELBSecurityPolicy-FS-1-2-2019-08"}, PASS),
        ({"sslPolicy": "ELBSecurityPolicy-FS-1-1-2019-08"}, FAIL),
        ({"sslPolicy": "ELBSecurityPolicy-FS-2018-06"}, FAIL),
        ({"sslPolicy": "ELBSecurityPolicy-TLS-1-2-2017-01"}, FAIL),
        ({"sslPolicy": "ELBSecurityPolicy-TLS-1-2-Ext-2018-06"}, FAIL),
        ({"sslPolicy": "ELBSecurityPolicy-2016-08"}, FAIL),
        ({"protocol": "HTTP", "defaultActions": [{"type": "redirect", "redirect": {"protocol": "HTTPS"}}]}, PASS),
        ({"protocol": "HTTP", "defaultActions": [{"type": "redirect", "redirect": {"protocol": "#{protocol}"}}]}, FAIL),
        (
            {
                "protocol": "HTTP",
                "defaultActions": [{"type": "redirect", "redirect": {"protocol": "HTTPS"}}, {"type": "forward"}],
            },
            FAIL,
        ),
        ({"protocol": "HTTP", "defaultActions": []}, FAIL),
        ({"protocol": "TCP"}, None),
    ],
)
def test_listeners(properties: dict[str, Any], expected: Verdict | None) -> None:
    """Only TLS 1.2 and newer with forward secrecy, and plain HTTP only to say where HTTPS is; plain TCP is let be."""
    assert verdict("elb-tls-policy", **properties) is expected


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        (None, None),
        ([], PASS),
        ([TO_HTTPS, TO_HTTPS], PASS),
        ([TO_HTTPS, {"type": "forward"}], FAIL),
        ([{"type": "redirect", "redirect": {"protocol": "HTTP"}}], FAIL),
        ([{"type": "fixed-response"}], FAIL),
        (Unreadable("denied"), UNKNOWN),
    ],
)
def test_rules_of_listeners(actions: Any, expected: Verdict | None) -> None:
    """A rule comes before the default action, so each of them has to send to HTTPS; those not read are not known."""
    assert verdict("elb-listener-rules", ruleActions=actions) is expected


@pytest.mark.parametrize(
    ("regimes", "days", "expected"),
    [
        ({"soc2"}, 400, PASS),
        ({"soc2", "hipaa"}, 400, FAIL),
        ({"hipaa"}, 2192, PASS),
        ({"hipaa"}, 0, PASS),
        ({"hipaa"}, None, PASS),
    ],
)
def test_retention_follows_the_strictest_regime(regimes: set[str], days: int | None, expected: Verdict) -> None:
    """The longest demand wins, and no retention set means for ever."""
    rule = BY_ID["log-retention"]
    (finding,) = ask(rule, rule.passing.type, {"retentionInDays": days}, regimes=frozenset(regimes))
    assert finding.verdict is expected


def test_a_rule_of_other_regimes_is_not_asked() -> None:
    """A tenant under GDPR alone has no log retention to keep, nor has one under a regime nobody knows."""
    rule = BY_ID["log-retention"]
    for regimes in ({"gdpr"}, {"made-up"}, set()):
        assert ask(rule, rule.passing.type, {"retentionInDays": 1}, regimes=frozenset(regimes)) == []


def test_spoofed_ownership_is_found_in_either_form_of_tags() -> None:
    """T01: a tag that gives a resource to another tenant fails, also in an auto scaling group's list of tags."""
    rule, group = BY_ID["ownership-tags"], "aws:autoscaling/group:Group"
    right = dict(mapping(rule.passing.properties["tags"]))
    right["stackmend:regime"] = "gdpr hipaa pci-dss soc2"
    for tags, expected in ((right, PASS), ({**right, "stackmend:tenant": "beta"}, FAIL), ({}, FAIL)):
        listed = [{"key": k, "value": v, "propagateAtLaunch": True} for k, v in tags.items()]
        assert [f.verdict for f in ask(rule, group, {"tags": listed})] == [expected]
        assert [f.verdict for f in ask(rule, rule.passing.type, {"tags": tags})] == [expected]


def test_a_bucket_without_its_protection_declared_fails() -> None:
    """What the program forgot to declare cannot drift, so the rule asks for it, by the very bucket."""
    rule, bucket = BY_ID["s3-versioning"], "aws:s3/bucket:Bucket"
    versioning = DeclaredResource(Urn("urn:v"), rule.passing.type, "v", "v", {"bucket": "x-1"})
    foreign = DeclaredResource(Urn("urn:w"), rule.passing.type, "w", "w", {"bucket": "x-10"})
    assert ask(rule, bucket, {}, others=(versioning,)) == []
    (finding,) = ask(rule, bucket, {}, others=(foreign,))
    assert (finding.verdict, finding.message) == (FAIL, "no BucketVersioning is declared for it")


OWN = "1" * 12
OTHER = "4" * 12


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        ({"granteePrincipal": f"arn:aws:iam::{OTHER}:role/backup"}, FAIL),
        ({"granteePrincipal": f"arn:aws:iam::{OTHER}:user/alice"}, FAIL),
        ({"granteePrincipal": f"arn:aws:iam::{OTHER}:root"}, FAIL),
        ({"granteePrincipal": f"arn:aws:sts::{OTHER}:assumed-role/backup/session"}, FAIL),
        ({"granteePrincipal": f"arn:aws-cn:iam::{OTHER}:role/backup"}, FAIL),
        ({"granteePrincipal": f"arn:aws:iam::{OTHER}:role/aws-service-role/autoscaling.amazonaws.com/X"}, FAIL),
        ({"granteePrincipal": "rds.amazonaws.com", "sourceArn": f"arn:aws:rds:eu-west-1:{OTHER}:db:orders"}, FAIL),
        ({"granteePrincipal": f"arn:aws:iam::{OWN}:role/beta-server-1a2b3c4"}, FAIL),
        ({"granteePrincipal": f"arn:aws:iam::{OWN}:role/path/to/beta-server-1a2b3c4"}, FAIL),
        ({"granteePrincipal": f"arn:aws:sts::{OWN}:assumed-role/beta-server-1a2b3c4/i-5d476fab"}, FAIL),
        ({"granteePrincipal": f"arn:aws:iam::{OWN}:role/acme-server-1a2b3c4"}, PASS),
        ({"granteePrincipal": f"arn:aws:iam::{OWN}:role/backup"}, PASS),
        ({"granteePrincipal": f"arn:aws:iam::{OWN}:role/shared"}, PASS),
        ({"granteePrincipal": f"arn:aws:iam::{OWN}:root"}, PASS),
        ({"granteePrincipal": f"arn:aws:iam::{OWN}:user/beta-server-1a2b3c4"}, PASS),
        ({"granteePrincipal": f"arn:aws:sts::{OWN}:assumed-role/backup/beta-server-1a2b3c4"}, PASS),
        ({"granteePrincipal": f"arn:aws:iam::{OWN}:role/aws-service-role/autoscaling.amazonaws.com/X"}, PASS),
        (
            {
                "granteePrincipal": f"arn:aws:sts::{OWN}:assumed-role/aws:ec2-infrastructure/i-5d476fab",
                "retiringPrincipal": f"arn:aws:iam::{OTHER}:root",
            },
            PASS,
        ),
        ({"granteePrincipal": "rds.amazonaws.com", "sourceArn": f"arn:aws:rds:eu-west-1:{OWN}:db:orders"}, PASS),
        ({"granteePrincipal": "s3.amazonaws.com", "sourceArn": "arn:aws:s3:::acme-data-1a2b3c4"}, PASS),
        ({"granteePrincipal": "logs.eu-west-1.amazonaws.com"}, PASS),
        ({"granteePrincipal": "AWS Internal"}, PASS),
        ({"granteePrincipal": f"{OTHER}:aws:ec2-infrastructure:i-81e2f56c"}, PASS),
        ({"granteePrincipal": "AROAEXAMPLE"}, PASS),
        ({"granteePrincipal": None}, PASS),
    ],
)
def test_strangers_with_a_grant_of_a_key(grant: dict[str, Any], expected: Verdict) -> None:
    """T04: other accounts, a service at work for one, and other tenants' roles have no business with a key; AWS's
    services in the key's own account have, and who cannot be told is no stranger."""
    roles = {"acme-server-1a2b3c4": "acme", "beta-server-1a2b3c4": "beta", "shared": None}
    declared = tuple(
        DeclaredResource(Urn(f"urn:{name}"), "aws:iam/role:Role", name, name, {}, tenant=tenant)
        for name, tenant in roles.items()
    )
    rule = BY_ID["kms-grants"]
    fine = {"granteePrincipal": f"arn:aws:iam::{OWN}:role/backup", "operations": ["Decrypt"]}
    given = [fine, {"operations": ["Decrypt", "CreateGrant"], **grant}]
    (finding,) = ask(rule, rule.passing.type, {"grants": given}, others=declared, regimes=frozenset(), account=OWN)
    assert finding.verdict is expected
    if expected is FAIL:
        assert "may Decrypt, CreateGrant" in finding.message
        assert finding.observed == [given[1]]


def test_very_many_grants_are_told_in_a_few_words() -> None:
    """T04: whoever makes thousands of grants fills neither the message nor the record."""
    rule = BY_ID["kms-grants"]
    grants = [{"granteePrincipal": f"arn:aws:iam::{OTHER}:role/r{n}", "operations": ["Decrypt"]} for n in range(3000)]
    (finding,) = ask(rule, rule.passing.type, {"grants": grants}, account=OWN)
    assert finding.message.endswith("; and 2995 more")
    assert finding.observed == grants[:5]


@pytest.mark.parametrize(
    ("key", "account", "expected"),
    [
        (f"arn:aws:kms:eu-west-1:{OWN}:key/acme-key", OWN, PASS),
        (f"arn:aws:kms:eu-west-1:{OWN}:key/shared-key", OWN, PASS),
        (f"arn:aws:kms:eu-west-1:{OWN}:key/nobodys", OWN, PASS),
        ("acme-key", OWN, PASS),
        ("alias/acme", OWN, PASS),
        (f"arn:aws:kms:eu-west-1:{OTHER}:key/acme-key", OWN, FAIL),
        (f"arn:aws:kms:eu-west-1:{OTHER}:key/acme-key", "", PASS),
        (f"arn:aws:kms:eu-west-1:{OTHER}:alias/acme", OWN, FAIL),
        (f"arn:aws:kms:eu-west-1:{OWN}:key/beta-key", OWN, FAIL),
        ("beta-key", OWN, FAIL),
        (f"arn:aws:kms:eu-west-1:{OWN}:alias/beta", OWN, FAIL),
        ("alias/beta", OWN, FAIL),
    ],
)
def test_a_bucket_is_encrypted_with_its_own_tenants_key(key: str, account: str, expected: Verdict) -> None:
    """I10 B36: the key of another account or tenant, by whatever name, makes others the masters of this data."""
    keys = (("acme-key", "acme"), ("beta-key", "beta"), ("shared-key", None))
    aliases = (("alias/acme", "acme"), ("alias/beta", "beta"))
    declared = tuple(
        DeclaredResource(Urn(f"urn:{id_}"), type_, id_, id_, {}, tenant=tenant)
        for type_, ids in (("aws:kms/key:Key", keys), ("aws:kms/alias:Alias", aliases))
        for id_, tenant in ids
    )
    rule = BY_ID["s3-encryption-key"]
    default = {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": key}}
    (finding,) = ask(rule, rule.passing.type, {"rules": [default]}, others=declared, account=account)
    assert finding.verdict is expected


@pytest.mark.parametrize(
    ("subnets", "zones", "expected"),
    [
        (["subnet-1", "subnet-2"], ["eu-west-1a", "eu-west-1b"], PASS),
        (["subnet-1", "subnet-2"], ["eu-west-1a"], FAIL),
        (["subnet-1", "subnet-2"], ["eu-west-1a", "eu-west-1a"], FAIL),
        (["subnet-1", "subnet-2"], [], PASS),
        (["subnet-1", "subnet-1"], [], FAIL),
    ],
)
def test_two_subnets_of_one_zone_are_one_zone(subnets: list[str], zones: list[str], expected: Verdict) -> None:
    """F49: servers are spread if their subnets are in more than one zone, as far as AWS names the zones."""
    assert verdict("asg-zones", vpcZoneIdentifiers=subnets, availabilityZones=zones) is expected


ENCRYPTED = {"deviceName": "/dev/xvda", "ebs": {"encrypted": "true"}}
STORE = {"deviceName": "/dev/sdb", "virtualName": "ephemeral0"}


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([ENCRYPTED, STORE], PASS),
        ([ENCRYPTED, {"deviceName": "/dev/sdc", "ebs": {"encrypted": "false"}}], FAIL),
        ([ENCRYPTED, {"deviceName": "/dev/sdc", "ebs": {}}], FAIL),
        ([{"deviceName": "/dev/xvda", "ebs": {}}], FAIL),
        ([STORE], FAIL),
        ([{"deviceName": "/dev/sdb", "noDevice": ""}], FAIL),
        ([], FAIL),
    ],
)
def test_only_volumes_that_are_described_as_encrypted_are(devices: list[Any], expected: Verdict) -> None:
    """An instance store, a device left out or an empty block says nothing of the volume that the image brings."""
    assert verdict("ec2-encrypted-volumes", blockDeviceMappings=devices) is expected


@pytest.mark.parametrize(
    ("rule", "default", "message"),
    [
        ("ec2-imdsv2", {"defaultMetadataOptions": {}}, "in the default version, servers answer metadata requests"),
        ("ec2-imdsv2", {"defaultMetadataOptions": {"httpTokens": "required"}}, ""),
        ("ec2-encrypted-volumes", {"defaultBlockDeviceMappings": []}, "in the default version, no volume is described"),
        ("ec2-encrypted-volumes", {"defaultBlockDeviceMappings": [ENCRYPTED]}, ""),
    ],
)
def test_the_default_version_of_a_template_counts_as_well(rule: str, default: dict[str, Any], message: str) -> None:
    """Groups launch the default version, so a newest one that is in order proves nothing of servers to come."""
    type_ = BY_ID[rule].passing.type
    (finding,) = ask(BY_ID[rule], type_, {**BY_ID[rule].passing.properties, **default})
    assert finding.verdict is (FAIL if message else PASS)
    assert finding.message.startswith(message)
    if message:
        (observed,) = default.values()
        assert finding.observed == observed


def test_asymmetric_keys_need_no_rotation() -> None:
    """AWS cannot rotate them."""
    rule = BY_ID["kms-rotation"]
    off = {"enableKeyRotation": False}
    assert ask(rule, rule.passing.type, off, inputs={"customerMasterKeySpec": "RSA_2048"}) == []


@pytest.mark.parametrize(("action", "expected"), [("*", FAIL), ("s3:GetObject", PASS)])
def test_policies_inside_a_role_are_judged_where_it_declares_them(action: str, expected: Verdict) -> None:
    """T06: a role's own policies give as much as any other; where it declares none, nobody reads them."""
    rule, type_ = BY_ID["iam-no-wildcard"], "aws:iam/role:Role"
    trust = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    policy = json.dumps({"Statement": {"Effect": "Allow", "Action": action, "Resource": "arn:x"}})
    alone: dict[str, Any] = {"assumeRolePolicy": json.dumps({"Statement": trust})}
    full: dict[str, Any] = {**alone, "inlinePolicies": [{"name": "p", "policy": policy}]}
    assert [f.verdict for f in ask(rule, type_, full, inputs=full)] == [expected]
    assert [f.verdict for f in ask(rule, type_, alone, inputs=full)] == [Verdict.UNKNOWN]
    assert [f.verdict for f in ask(rule, type_, alone, inputs=alone)] == [PASS]


CLOSED = Secret()
OIDC = {"type": "authenticate-oidc", "authenticateOidc": {"clientSecret": CLOSED}}
OWNED = {**mapping(BY_ID["ownership-tags"].passing.properties["tags"]), "stackmend:regime": " ".join(sorted(ALL))}


@pytest.mark.parametrize(
    ("rule", "properties"),
    [
        ("iam-no-wildcard", {"policy": CLOSED}),
        ("iam-no-wildcard", {"policy": {"Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", CLOSED]}]}}),
        ("s3-tls-only", {"policy": CLOSED}),
        ("s3-encryption-key", {"rules": [{"applyServerSideEncryptionByDefault": {"kmsMasterKeyId": CLOSED}}]}),
        ("sg-admin-ports", {"ingress": [{"protocol": "tcp", "fromPort": 22, "toPort": 22, "cidrBlocks": [CLOSED]}]}),
        ("elb-tls-policy", {"sslPolicy": CLOSED}),
        ("log-encryption", {"kmsKeyId": CLOSED}),
        ("ownership-tags", {"tags": {**OWNED, "stackmend:tenant": CLOSED}}),
    ],
)
def test_a_secret_is_neither_right_nor_wrong(rule: str, properties: dict[str, Any]) -> None:
    """I06: what the engine sealed, at any depth, proves nothing of what a rule looks at, and the finding says so."""
    type_ = BY_ID[rule].passing.type
    (finding,) = ask(BY_ID[rule], type_, {**BY_ID[rule].passing.properties, **properties})
    (name,) = properties
    assert (finding.verdict, finding.message) == (Verdict.UNKNOWN, f"{name} is not known: it is a secret")


@pytest.mark.parametrize(
    ("rule", "properties", "expected"),
    [
        ("elb-tls-policy", {"defaultActions": [OIDC, {"type": "forward"}]}, PASS),
        ("elb-tls-policy", {"protocol": "HTTP", "defaultActions": [OIDC]}, FAIL),
        ("sg-admin-ports", {"ingress": [{"protocol": "tcp", "fromPort": 443, "description": CLOSED}]}, PASS),
        ("ec2-encrypted-volumes", {"blockDeviceMappings": [{"ebs": {"encrypted": True, "kmsKeyId": CLOSED}}]}, PASS),
        ("ownership-tags", {"tags": {**OWNED, "Token": CLOSED}}, PASS),
    ],
)
def test_a_secret_that_a_rule_does_not_look_at_hides_nothing(
    rule: str, properties: dict[str, Any], expected: Verdict
) -> None:
    """A login's secret, a description or a key beside what is judged leaves no rule without an answer for ever."""
    assert verdict(rule, **properties) is expected


def test_what_was_declared_as_a_secret_is_not_shown() -> None:
    """A rule judges what AWS answers in clear of a declared secret, and tells none of it (I13)."""
    rule = BY_ID["iam-no-wildcard"]
    (name,) = rule.failing.properties
    open_, hidden = (
        ask(rule, rule.failing.type, dict(rule.failing.properties), inputs={name: value})[0] for value in ("{}", CLOSED)
    )
    assert open_.verdict is hidden.verdict is Verdict.FAIL
    assert open_.observed is not None
    assert isinstance(hidden.observed, Secret)
    assert hidden.message == f"this does not hold, in what was declared as a secret: {rule.title}"


def test_a_rule_that_crashes_says_unknown_and_leaves_its_traceback() -> None:
    """A bug in one rule hides nothing and stops nothing; the log has the traceback."""

    def crash(_: Properties, __: Context) -> Judgement:
        raise KeyError("oops")

    example = Example("aws:x/y:Y", {"a": 1})
    rule = Rule("x", "t", "d", Severity.LOW, "https://x", {"aws:x/y:Y": ("a",)}, crash, example, example, always=True)
    with structlog.testing.capture_logs() as logs:
        (finding,) = ask(rule, "aws:x/y:Y", {"a": 1})
    assert finding.verdict is Verdict.UNKNOWN
    assert logs[0]["rule"] == "x"
    assert logs[0]["exc_info"]
