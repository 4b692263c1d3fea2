"""Log groups, seen through hand-made answers."""

from __future__ import annotations

import pytest

from reconciler.observe.aws.logs import OBSERVERS
from reconciler.observe.reads import Answer, Failed, Missing
from tests.unit.observe_aws_answers import (
    ACCOUNT,
    DENIED,
    REGION,
    TAGS,
    THROTTLED,
    World,
    marks,
    named_in,
    resource,
    rows,
    sdk_properties,
    unreadable,
)

(LOG_GROUP,) = OBSERVERS

NAME = "/stackmend/dev/acme/api"
ARN = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{NAME}"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555"
ROW = {
    "logGroupName": NAME,
    "arn": f"{ARN}:*",
    "retentionInDays": 365,
    "kmsKeyId": KEY,
    "logGroupClass": "STANDARD",
}
DECLARED = resource(
    LOG_GROUP.kind.token,
    NAME,
    {"name": NAME, "retentionInDays": 365, "kmsKeyId": KEY, "region": REGION, "tags": TAGS, "tagsAll": TAGS},
)
LISTING, SEARCH = "describe_log_groups *", f"describe_log_groups {NAME}"
WORLD = World({LISTING: rows(ROW), "get_resources": marks((ARN, TAGS))})
GONE = Missing("ResourceNotFoundException")


def test_a_log_group_as_declared() -> None:
    """An untouched log group equals its declared inputs; log groups hold data and are never replaced."""
    assert WORLD.drift(LOG_GROUP, DECLARED) == []
    assert LOG_GROUP.kind.stateful


@pytest.mark.parametrize(
    ("row", "drift"),
    [
        ({k: v for k, v in ROW.items() if k != "retentionInDays"}, ["retentionInDays"]),
        ({k: v for k, v in ROW.items() if k != "kmsKeyId"}, ["kmsKeyId"]),
        ({**ROW, "retentionInDays": 30}, ["retentionInDays"]),
    ],
    ids=["kept for ever", "not encrypted", "kept too short"],
)
def test_changed_settings_are_drift(row: dict[str, object], drift: list[str]) -> None:
    """A setting that AWS leaves out is one that is not set, and differs from a declared one."""
    assert WORLD.told({LISTING: rows(row)}).drift(LOG_GROUP, DECLARED) == drift


def test_no_retention_equals_zero() -> None:
    """A group declared without retention is as declared when AWS says nothing of retention."""
    inputs = {"name": NAME, "retentionInDays": 0, "tags": TAGS}
    world = WORLD.told({LISTING: rows({"logGroupName": NAME, "arn": ARN})})
    assert world.drift(LOG_GROUP, resource(LOG_GROUP.kind.token, NAME, inputs)) == []


@pytest.mark.parametrize(
    ("answers", "sight"),
    [
        ({LISTING: DENIED, SEARCH: rows(), "describe_log_streams": GONE}, DENIED),
        ({LISTING: THROTTLED, SEARCH: rows(), "describe_log_streams": GONE}, THROTTLED),
        ({LISTING: rows(), SEARCH: DENIED, "describe_log_streams": GONE}, DENIED),
        ({LISTING: rows(), SEARCH: rows(), "describe_log_streams": DENIED}, DENIED),
        ({LISTING: rows(), SEARCH: rows(), "describe_log_streams": GONE}, GONE),
    ],
    ids=["listing denied", "listing throttled", "search denied", "streams denied", "all agree"],
)
def test_the_absence_of_a_log_group(answers: dict[str, Answer], sight: Answer) -> None:
    """I06 F01 F10 F15: two empty answers with status 200 prove nothing; only the exact code of the third does."""
    world = WORLD.told(answers)
    assert world.see(LOG_GROUP, DECLARED) == sight
    assert world.locate(LOG_GROUP, resource(LOG_GROUP.kind.token, "", {"name": NAME})) == sight
    assert all(r.absent == {"ResourceNotFoundException"} for r in world.asked if r.operation == "describe_log_streams")
    assert not any(r.absent for r in world.asked if r.operation != "describe_log_streams")


def test_an_empty_listing_is_contradicted() -> None:
    """F15: a group that only the search finds is there, and a longer name found by the search is not it."""
    longer = {**ROW, "logGroupName": f"{NAME}-2"}
    assert WORLD.told({LISTING: rows(), SEARCH: rows(longer, ROW)}).drift(LOG_GROUP, DECLARED) == []
    other = WORLD.told({LISTING: rows(), SEARCH: rows(longer), "describe_log_streams": GONE})
    assert other.see(LOG_GROUP, DECLARED) == GONE


def test_a_log_group_that_only_its_streams_know() -> None:
    """I06 F15: a group that no listing has but that answers is neither present nor absent."""
    world = WORLD.told({LISTING: rows(), SEARCH: rows(), "describe_log_streams": rows({"logStreams": []})})
    assert isinstance(world.see(LOG_GROUP, DECLARED), Failed)


def test_log_group_tags_are_believed_only_when_read_directly() -> None:
    """F08 F15: a stale tag index alone never changes a log group's tags."""
    lost = WORLD.but(get_resources=marks())
    assert lost.but(list_tags_for_resource=rows({"tags": TAGS})).drift(LOG_GROUP, DECLARED) == []
    assert lost.but(list_tags_for_resource=rows({"tags": {}})).drift(LOG_GROUP, DECLARED) == ["tags"]
    for unknown in (DENIED, rows({}), rows()):
        assert unreadable(lost.but(list_tags_for_resource=unknown).properties(LOG_GROUP, DECLARED)) == {"tags"}


def test_locating_and_owning_log_groups() -> None:
    """F42: a group is found by its name; live tagged groups are told by name."""
    assert WORLD.locate(LOG_GROUP, resource(LOG_GROUP.kind.token, "", {"name": NAME})) == NAME
    assert isinstance(WORLD.locate(LOG_GROUP, resource(LOG_GROUP.kind.token, "", {})), Failed)
    assert WORLD.owned(LOG_GROUP, DECLARED) == {NAME: TAGS}


def test_property_names_are_the_sdks() -> None:
    """Every property the observer answers or describes is one the Pulumi SDK has for the type."""
    answered = set(WORLD.properties(LOG_GROUP, DECLARED))
    assert answered | named_in(LOG_GROUP) <= sdk_properties(LOG_GROUP.kind.token)
