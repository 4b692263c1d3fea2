"""Accepted findings: what a selector may say, what it matches, and that it ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.detect.exceptions import accept, parse
from reconciler.errors import ConfigurationError
from reconciler.model import Finding, Kind, Severity, Urn, Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LATER = (NOW + timedelta(days=30)).isoformat()
FINDING = Finding(
    rule="sg-admin-ports",
    kind=Kind.COMPLIANCE,
    verdict=Verdict.FAIL,
    severity=Severity.CRITICAL,
    urn=Urn("urn:pulumi:dev::stackmend::stackmend:index:Tenant$aws:ec2/securityGroup:SecurityGroup::tenant-1-alb-sg"),
    type="aws:ec2/securityGroup:SecurityGroup",
    resource_id="sg-1",
    tenant="tenant-1",
    message="port 22 open",
)


def accepted(finding: Finding = FINDING, *, now: datetime = NOW, **selector: Any) -> bool:
    raw = [{"owner": "ana", "reason": "until the bastion moves", "expires": LATER, **selector}]
    (result,) = accept([finding], parse(raw, where="exceptions.yaml"), now)
    return result.accepted is not None


@pytest.mark.parametrize(
    "selector",
    [
        {"rule": "sg-admin-ports"},
        {"tenant": "tenant-1", "type": "aws:ec2/securityGroup:SecurityGroup"},
        {"resource_id": "sg-1"},
        {"urn": "*::tenant-1-alb-sg"},
        {"urn": "*", "any_urn": True, "rule": "sg-admin-ports"},
    ],
)
def test_a_selector_matches_what_it_names(selector: dict[str, Any]) -> None:
    """Every selector given must match, and then the finding is shown as accepted, with owner, reason and end."""
    assert accepted(**selector)


@pytest.mark.parametrize(
    "selector",
    [
        {},
        {"any_urn": True},
        {"rule": "s3-versioning"},
        {"rule": "sg-admin-ports", "tenant": "tenant-10"},
        {"tenant": "tenant-"},
        {"urn": "*::tenant-10-*"},
        {"property": "ingress"},
    ],
)
def test_a_selector_matches_nothing_else(selector: dict[str, Any]) -> None:
    """B20: an empty selector matches nothing; B34: tenant-10 is not tenant-1."""
    assert not accepted(**selector)


@pytest.mark.parametrize("urn", ["*", "**", "?*", "urn:*", "urn:pulumi:*", "*::*", "[!x]*"])
def test_a_pattern_of_everything_must_be_meant(urn: str) -> None:
    """B21: a pattern that matches every URN is refused unless any_urn says that it is meant."""
    with pytest.raises(ConfigurationError, match="matches everything"):
        accepted(urn=urn)


@pytest.mark.parametrize(
    "broken",
    [
        {"tenant": "*"},
        {"tenant": ""},
        {"owner": " "},
        {"reason": ""},
        {"expires": "2027-01-01T00:00:00"},
        {"expires": "never"},
        {"rules": "sg-admin-ports"},
        {"rule": True},
    ],
)
def test_bad_exceptions_name_file_value_and_reason(broken: dict[str, Any]) -> None:
    """B10, B11, B21: an unknown key, a wrong type, a wildcard or an end without time zone is a clear error."""
    with pytest.raises(ConfigurationError) as caught:
        accepted(**{"rule": "sg-admin-ports", **broken})
    text = str(caught.value)
    assert "exceptions.yaml" in text
    assert next(iter(broken)) in text


def test_exceptions_that_are_no_list_are_a_clear_error() -> None:
    """B11: a mapping where the list belongs is refused as such."""
    with pytest.raises(ConfigurationError, match=r"exceptions\.yaml"):
        parse({"rule": "x"}, where="exceptions.yaml")


def test_an_exception_ends() -> None:
    """From its end on an exception has no effect, to the second."""
    end = datetime.fromisoformat(LATER)
    assert accepted(rule=FINDING.rule, now=end - timedelta(seconds=1))
    assert not accepted(rule=FINDING.rule, now=end)


def test_only_failures_can_be_accepted() -> None:
    """An exception says nothing about what passes or is unknown."""
    for verdict in (Verdict.PASS, Verdict.UNKNOWN):
        finding = Finding(**{**{f: getattr(FINDING, f) for f in FINDING.__slots__}, "verdict": verdict})
        assert not accepted(finding, rule=FINDING.rule)


def test_the_longest_exception_is_named() -> None:
    """Of several that apply, the one that lasts longest is shown, whatever their order."""
    raw = [
        {"rule": FINDING.rule, "owner": str(days), "reason": "r", "expires": (NOW + timedelta(days=days)).isoformat()}
        for days in (1, 3, 2, -5)
    ]
    (result,) = accept([FINDING], parse(raw, where="x"), NOW)
    assert result.accepted is not None
    assert result.accepted.owner == "3"


@given(st.text(max_size=40))
def test_no_pattern_hangs_or_crashes(pattern: str) -> None:
    """B23, B24: any text is a pattern or a clear refusal; patterns are no regular expressions."""
    try:
        result = accepted(urn=pattern)
    except ConfigurationError:
        return
    assert result is fnmatchcase(FINDING.urn, pattern.strip())
