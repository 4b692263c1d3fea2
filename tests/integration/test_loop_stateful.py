"""What holds data is set back in place or handed to a person; no path of the product makes or ends one."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from pulumi.automation import Deployment

from reconciler.model import Outcome, Status
from sandbox.control import Write
from stacks.config import load_file
from tests.integration.loop import BRONZE, GOLD, SILVER, TENANTS, Cell, assert_clean, names

pytestmark = pytest.mark.engine

ENDING_OR_MAKING = {
    "s3:CreateBucket",
    "s3:DeleteBucket",
    "kms:CreateKey",
    "kms:ScheduleKeyDeletion",
    "kms:DisableKey",
    "logs:CreateLogGroup",
    "logs:DeleteLogGroup",
}


def assert_no_data_touched(writes: tuple[Write, ...]) -> None:
    """No call made or ended a bucket, a key or a log group (I08)."""
    assert [w for w in writes if w.call in ENDING_OR_MAKING] == []


def of(outcomes: tuple[Outcome, ...], name: str) -> Outcome:
    (found,) = [o for o in outcomes if name in names(o)]
    return found


def test_deleted_behind_its_back(cell: Cell) -> None:
    """A log group and a bucket that are gone are handed to a person; what needs the bucket waits for that, and nothing
    else is held up. What a person then restores by hand is completed by a repair (I08)."""
    logs, s3 = cell.client("logs"), cell.client("s3")
    group = f"/stackmend/{cell.name}/{SILVER}/api"
    bucket = cell.victim(BRONZE).id("s3", "data")
    (was,) = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    group_tags = logs.list_tags_for_resource(resourceArn=was["arn"].removesuffix(":*"))["tags"]
    bucket_tags = s3.get_bucket_tagging(Bucket=bucket)["TagSet"]
    logs.delete_log_group(logGroupName=group)
    s3.delete_bucket(Bucket=bucket)
    cell.strike("expose-subnet", SILVER)
    cell.strike("delete-alarm", BRONZE)

    cell.control.reset()
    done = cell.repair()
    assert of(done.outcomes, f"{SILVER}-api").status is Status.ESCALATED
    assert of(done.outcomes, f"{BRONZE}-data").status is Status.ESCALATED
    assert of(done.outcomes, f"{SILVER}-private-a").status is Status.HEALED
    assert of(done.outcomes, f"{BRONZE}-unhealthy-hosts").status is Status.HEALED
    assert_no_data_touched(cell.control.writes())
    assert [w for w in cell.control.writes() if w.names(bucket)] == []
    assert len(done.outcomes) == 4
    waiting = {i for d in done.plan.deferrals for i in d.finding_ids if d.code == "dependency"}
    assert len([f for f in done.scan.failing if f.id in waiting and f.rule == "drift.missing"]) == 4

    logs.create_log_group(logGroupName=group, kmsKeyId=was["kmsKeyId"], tags=group_tags)
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": bucket_tags})
    cell.control.reset()
    outcomes = cell.repair().outcomes
    assert {o.status for o in outcomes} == {Status.HEALED}
    assert of(outcomes, f"{SILVER}-api").strategy == "restore"
    assert_no_data_touched(cell.control.writes())
    assert_clean(cell.scan())


def test_a_key_whose_deletion_cannot_be_cancelled(cell: Cell) -> None:
    """The engine would take a key on its way to deletion for gone and make another. So while AWS refuses to cancel
    the deletion, the engine is not asked at all; as soon as it can be cancelled, the same key is back (I08, F10)."""
    key = cell.strike("schedule-key-deletion", GOLD)
    rule = cell.control.inject("access-denied", "kms", "CancelKeyDeletion")
    cell.control.reset()
    (outcome,) = cell.repair().outcomes
    assert (outcome.strategy, outcome.status) == ("restore", Status.NOT_HEALED)
    assert "AccessDenied" in outcome.reason
    assert [w.call for w in cell.control.writes()] == ["kms:CancelKeyDeletion"]
    assert cell.control.calls("engine").total == 0

    cell.control.clear([rule])
    cell.control.reset()
    (outcome,) = cell.repair().outcomes
    assert (outcome.strategy, outcome.status) == ("restore", Status.HEALED)
    assert_no_data_touched(cell.control.writes())
    assert cell.client("kms").describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert_clean(cell.scan())


def test_a_key_granted_to_a_stranger(cell: Cell) -> None:
    """T04: a grant of a tenant's key to another account shows on that key alone, is handed to a person, and no repair
    revokes it; a drift of the key besides is healed all the same. Once a person revokes it all is well (I08)."""
    key = cell.strike("grant-key", GOLD)
    cell.control.reset()
    done = cell.repair()
    assert [(f.rule, f.tenant, f.resource_id) for f in done.scan.failing] == [("kms-grants", GOLD, key)]
    (outcome,) = done.outcomes
    assert (outcome.strategy, outcome.status) == ("escalate", Status.ESCALATED)
    assert cell.control.calls().writes == {}

    cell.strike("disable-key-rotation", GOLD)
    cell.control.reset()
    assert {o.strategy: o.status for o in cell.repair().outcomes} == {
        "restore": Status.HEALED,
        "escalate": Status.ESCALATED,
    }
    assert set(cell.control.calls().writes) == {"kms:EnableKey", "kms:EnableKeyRotation"}
    assert {f.rule for f in cell.scan().failing} == {"kms-grants"}

    kms = cell.client("kms")
    (grant,) = kms.list_grants(KeyId=key)["Grants"]
    kms.revoke_grant(KeyId=key, GrantId=grant["GrantId"])
    assert_clean(cell.scan())


def test_logs_that_are_kept_for_longer_than_declared(cell: Cell) -> None:
    """Somebody keeps a log group's events for ever, as under a legal hold: nothing shortens that until a person has
    approved it, and then it is set back (I08)."""
    logs, name = cell.client("logs"), f"/stackmend/{cell.name}/{SILVER}/api"
    (was,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    logs.delete_retention_policy(logGroupName=name)

    cell.control.reset()
    done = cell.repair()
    (proposal,) = done.plan.proposals
    assert (done.outcomes, proposal.strategy) == ((), "restore")
    assert f"would be {was['retentionInDays']} instead of no end" in proposal.reason
    assert cell.control.calls().writes == {}

    with cell.cycle() as cycle:
        cycle.approve(done.plan.id, note="no hold", seconds=600, who="Ana")
    assert [(o.strategy, o.status) for o in cell.repair().outcomes] == [("restore", Status.HEALED)]
    (now,) = logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    assert now["retentionInDays"] == was["retentionInDays"]
    assert_clean(cell.scan())


def test_an_engine_that_believes_the_data_is_gone(cell: Cell) -> None:
    """A key, a bucket and a log group have drifted, and the engine alone gets stale answers by which they do not
    exist: its plan would create others, so all three are refused before anything is written; with true answers they are
    set back in place (I08, F08)."""
    cell.strike("disable-key-rotation", GOLD)
    bucket = cell.victim(SILVER).id("s3", "data")
    tags = cell.client("s3").get_bucket_tagging(Bucket=bucket)["TagSet"]
    cell.client("s3").put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [*tags, {"Key": "mine", "Value": "now"}]})
    cell.strike("shorten-log-retention", BRONZE)
    rules = [
        cell.control.inject("error", "kms", "DescribeKey", actor="engine", code="NotFoundException"),
        cell.control.inject("error", "s3", "HeadBucket", actor="engine", status=404, code="NoSuchBucket"),
        cell.control.inject("empty", "logs", "DescribeLogGroups", actor="engine"),
    ]
    cell.control.reset()
    done = cell.repair()
    assert {o.tenant: (o.strategy, o.status) for o in done.outcomes} == dict.fromkeys(
        TENANTS, ("restore", Status.REFUSED)
    )
    assert all("the engine would create" in o.reason for o in done.outcomes)
    assert cell.control.calls().writes == {}

    cell.control.clear(rules)
    cell.control.reset()
    done = cell.repair()
    assert {o.tenant: (o.strategy, o.status) for o in done.outcomes} == dict.fromkeys(
        TENANTS, ("restore", Status.HEALED)
    )
    assert_no_data_touched(cell.control.writes())
    assert_clean(cell.scan())


def test_a_state_that_asks_for_a_replacement(cell: Cell) -> None:
    """Somebody edits the state so that its log group has another name than the program declares, which only a
    replacement could change, and a drift calls for a repair of it: it is set back in place (I08)."""
    stack = cell.sandbox.stack()
    before = stack.export_stack()
    edited: dict[str, Any] = copy.deepcopy(dict(before.deployment or {}))
    (resource,) = (r for r in edited["resources"] if r["urn"].endswith(f"LogGroup::{SILVER}-api"))
    for place in ("inputs", "outputs"):
        resource[place]["name"] += "-2"
    stack.import_stack(Deployment(before.version, edited))
    cell.strike("shorten-log-retention", SILVER)

    cell.control.reset()
    (outcome,) = cell.repair().outcomes
    assert (outcome.strategy, outcome.status) == ("restore", Status.HEALED)
    assert_no_data_touched(cell.control.writes())
    assert_clean(cell.scan())


def test_a_program_that_was_not_deployed(cell: Cell) -> None:
    """The configuration asks for another network, which would replace the VPC and all that is in it; a repair of a tag
    of that VPC is refused and does not deploy it in passing (I07, I10)."""
    cell.strike("strip-tag", SILVER)
    file = cell.sandbox.config_file
    before = file.read_text()
    tenant = next(t for t in load_file(file).tenants if t.name == SILVER)
    file.write_text(before.replace(str(tenant.cidr), "10.99.0.0/16"))
    try:
        cell.control.reset()
        (outcome,) = cell.repair().outcomes
        assert (outcome.strategy, outcome.status) == ("reapply", Status.REFUSED)
        assert "replace" in outcome.reason
        assert cell.control.calls().writes == {}
    finally:
        file.write_text(before)
    assert [o.status for o in cell.repair().outcomes] == [Status.HEALED]
    assert_clean(cell.scan())
