"""Who it was, as CloudTrail answers: the latest change of the resource, or an honest word why nobody is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from reconciler.events.lookup import PACE_SECONDS, Lookup
from reconciler.model import Urn
from tests.unit.events_worlds import INTRUDER, NOW, api_call, cell, resource

SOON = NOW + timedelta(minutes=30)
FIREWALL = Urn("firewall")


def answered(*events: dict[str, Any]) -> dict[str, Any]:
    """LookupEvents' answer, as documented: the record itself is JSON in a text."""
    rows = []
    for event in events:
        record = event["detail"]
        rows.append(
            {
                "EventId": record["eventID"],
                "EventName": record["eventName"],
                "ReadOnly": str(record["readOnly"]).lower(),
                "EventTime": datetime.fromisoformat(record["eventTime"]),
                "EventSource": record["eventSource"],
                "Username": "intruder",
                "Resources": [{"ResourceType": "AWS::EC2::SecurityGroup", "ResourceName": "sg-1"}],
                "CloudTrailEvent": json.dumps(record),
            }
        )
    return {"Events": rows}


class Trail:
    """CloudTrail, answering from a table by name, and the time that passes meanwhile."""

    def __init__(self, answers: Mapping[str, Any], seconds: float = 0.0) -> None:
        self.answers, self.seconds = answers, seconds
        self.asked: list[tuple[str, float]] = []
        self.regions: list[str] = []
        self.now = 0.0

    def call(
        self, region: str, service: str, operation: str, params: Mapping[str, Any], _deadline: float
    ) -> Mapping[str, Any]:
        self.regions.append(region)
        assert (service, operation) == ("cloudtrail", "LookupEvents")
        (attribute,) = params["LookupAttributes"]
        self.asked.append((attribute["AttributeValue"], self.now))
        self.now += self.seconds
        answer = self.answers.get(attribute["AttributeValue"], {"Events": []})
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def lookup(self, **limits: Any) -> Lookup:
        return Lookup(self.call, clock=lambda: self.now, wait=self.wait, **limits)


def last_change(answer: Any) -> str:
    trail = Trail({"sg-1": answer})
    return str(trail.lookup().last_changes(cell(), [FIREWALL], SOON)[FIREWALL])


def test_nobody_is_blamed_for_what_happened_somewhere_else() -> None:
    """The cell's trail is not asked for a resource of another region: what has its name there is another."""
    trail = Trail({"sg-1": answered(api_call(principal={"arn": "someone"}))})
    there = cell(resource("aws:ec2/securityGroup:SecurityGroup", "firewall", "sg-1", region="us-east-1"))
    found = trail.lookup().last_changes(there, [FIREWALL], SOON)[FIREWALL]
    assert "us-east-1" in found.not_known
    assert trail.asked == []


def test_the_latest_change_is_the_one_that_is_named() -> None:
    """Of several changes the latest counts, whatever order they are answered in; reads and failures do not."""
    answer = answered(
        api_call(at=NOW, principal={"arn": "earlier"}),
        api_call(at=NOW + timedelta(minutes=2), principal={"arn": "later"}),
        api_call(at=NOW + timedelta(minutes=3), principal={"arn": "reader"}, readOnly=True),
        api_call(at=NOW + timedelta(minutes=3), principal={"arn": "denied"}, errorCode="UnauthorizedOperation"),
        api_call(at=NOW + timedelta(minutes=4), principal={"arn": "elsewhere"}, parameters={"groupId": "sg-9"}),
    )
    assert last_change(answer).startswith("later by ec2:AuthorizeSecurityGroupIngress at 2026-03-01 12:02:00 UTC")


def test_its_own_making_explains_no_drift() -> None:
    """Records from before the resource was made are not the change that is looked for."""
    made = replace(resource("aws:ec2/securityGroup:SecurityGroup", "firewall", "sg-1"), created=NOW)
    trail = Trail({"sg-1": answered(api_call(at=NOW - timedelta(seconds=5)))})
    (who,) = trail.lookup().last_changes(cell(made), [FIREWALL], SOON).values()
    assert who.not_known.startswith("CloudTrail has no change of it since it was made")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "LookupEvents"), "refused: AccessDeniedException"),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "LookupEvents"), "refused: ThrottlingException"),
        (EndpointConnectionError(endpoint_url="https://x"), "did not answer: EndpointConnectionError"),
        (TimeoutError(), "did not answer: TimeoutError"),
        ({}, "no change"),
        ({"Events": None}, "no change"),
        ({"Events": [None, {}, {"CloudTrailEvent": "{"}, {"CloudTrailEvent": "[" * 9999}]}, "no change"),
    ],
)
def test_what_fails_is_not_known_and_fails_nothing(answer: Any, words: str) -> None:
    """Refused, unreachable, out of time or malformed: the reason is said, and nothing is raised (F01, F10, F16)."""
    assert last_change(answer).startswith("not known: CloudTrail ")
    assert words in last_change(answer)


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_a_record_of_any_shape_fails_nothing(record: Any) -> None:
    """Whatever JSON stands in a record, the answer is an attribution (F16)."""
    assert last_change({"Events": [{"CloudTrailEvent": json.dumps({"requestParameters": "sg-1", "x": record})}]})


def test_calls_keep_to_the_limit_the_number_and_the_deadline() -> None:
    """Two calls a second, so many a pass, and none that could not be answered in time (F01)."""
    groups = [resource("aws:ec2/securityGroup:SecurityGroup", f"g{i}", f"sg-{i}") for i in range(9)]
    trail = Trail({})
    who = trail.lookup(calls=4, seconds=60).last_changes(cell(*groups), [g.urn for g in groups], SOON)
    times = [at for _, at in trail.asked]
    assert len(times) == 4
    assert all(later - earlier >= PACE_SECONDS for earlier, later in pairwise(times))
    assert sum("looked up at once" in str(one) for one in who.values()) == 5
    slow = Trail({}, seconds=2)
    slow.lookup(calls=9, seconds=3).last_changes(cell(*groups), [g.urn for g in groups], SOON)
    assert len(slow.asked) == 2


def test_resources_are_looked_up_by_the_name_that_records_use() -> None:
    """A route is found under its table, a bucket's parts under the bucket, a key under its ARN; each is asked once."""
    trail = Trail({"rtb-1": answered(api_call(name="DeleteRoute", parameters={"routeTableId": "rtb-1"}))})
    urns = [Urn(u) for u in ("route", "table", "policy", "key")]
    who = trail.lookup().last_changes(cell(), urns, SOON)
    key = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    assert [name for name, _ in trail.asked] == ["rtb-1", "acme-data", key]
    assert {who[u].principal for u in urns[:2]} == {INTRUDER}


@pytest.mark.parametrize(
    ("region", "asked"),
    [("eu-central-1", "us-east-1"), ("us-gov-east-1", "us-gov-west-1"), ("cn-northwest-1", "cn-north-1")],
)
def test_a_service_without_regions_is_looked_up_where_it_is(region: str, asked: str) -> None:
    """CloudTrail answers for IAM in one region of the partition; for what has a region it is asked in the cell's."""
    trail = Trail({"acme-server": answered(api_call(name="PutRolePolicy", parameters={"roleName": "acme-server"}))})
    who = trail.lookup().last_changes(replace(cell(), region=region), [Urn("role-policy"), FIREWALL], SOON)
    assert trail.regions == [asked, region]
    assert who[Urn("role-policy")].principal == INTRUDER


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException"}}, "LookupEvents"), "refused: AccessDeniedException"),
        ({"Events": []}, "has no change"),
    ],
)
def test_where_it_was_looked_in_vain_is_said(answer: Any, words: str) -> None:
    """The reason that nobody is named names the other region, too: rights to read it may be missing there only."""
    (who,) = Trail({"acme-server": answer}).lookup().last_changes(cell(), [Urn("role")], SOON).values()
    assert who.not_known.startswith("in us-east-1, where changes of this service are recorded: CloudTrail ")
    assert words in who.not_known
