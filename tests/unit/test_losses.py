"""What setting a property back takes away for good, and that nothing of it is done unasked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi_aws
import pytest

from reconciler.act.safety import refuse_unless
from reconciler.act.steps import EnginePlan, Step
from reconciler.decisions import Approval, Approved
from reconciler.errors import RepairRefused
from reconciler.losses import KEEPING, losses
from reconciler.model import Declared, DeclaredResource, Finding, Plan, Repair, ResourceKind, Urn, Value, Verdict
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.policy import Policy
from tests.unit.plan_worlds import NOW, cell, finding, resource, scan
from tests.unit.test_plan_planner import planned

LOGS = "aws:cloudwatch/logGroup:LogGroup"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
TABLE = "aws:dynamodb/table:Table"
RULE = {"id": "old", "status": "Enabled", "expiration": {"days": 30}}
TIDY = {"id": "tidy", "status": "Enabled", "abortIncompleteMultipartUpload": {"daysAfterInitiation": 7}}

CASES: list[tuple[str, str, Any, Any, bool]] = [
    (LOGS, "retentionInDays", 30, 365, True),
    (LOGS, "retentionInDays", 30, 0, True),
    (LOGS, "retentionInDays", 30, None, True),
    (LOGS, "retentionInDays", "30", "365", True),
    (LOGS, "retentionInDays", 365, 30, False),
    (LOGS, "retentionInDays", 0, 30, False),
    (LOGS, "retentionInDays", 30, 30.0, False),
    ("aws:sqs/queue:Queue", "messageRetentionSeconds", 60, 3600, True),
    ("aws:sqs/queue:Queue", "messageRetentionSeconds", 60, None, True),
    ("aws:sqs/queue:Queue", "messageRetentionSeconds", 3600, 60, False),
    (VERSIONING, "versioningConfiguration", {"status": "Suspended"}, {"status": "Enabled"}, True),
    (VERSIONING, "versioningConfiguration", {"status": "Enabled"}, {"status": "Suspended"}, False),
    ("aws:s3/bucket:Bucket", "versioning", {"enabled": False}, {"enabled": True}, True),
    (LIFECYCLE, "rules", [RULE], [], True),
    (LIFECYCLE, "rules", [RULE], [{**RULE, "status": "Disabled"}], True),
    (LIFECYCLE, "rules", [RULE], [{**RULE, "expiration": {"days": 90}}], True),
    (LIFECYCLE, "rules", [RULE, TIDY], [RULE], False),
    (LIFECYCLE, "rules", [], [RULE], False),
    (
        LIFECYCLE,
        "rules",
        [RULE],
        [{**RULE, "prefix": "", "expiration": {"days": 30, "date": ""}, "transitions": []}],
        False,
    ),
    ("aws:rds/instance:Instance", "backupRetentionPeriod", 7, 35, True),
    (TABLE, "pointInTimeRecovery", {"enabled": False}, {"enabled": True}, True),
    (TABLE, "ttl", {"enabled": True, "attributeName": "t"}, {"enabled": False}, True),
    (TABLE, "ttl", {"enabled": False}, {"enabled": True}, False),
    (TABLE, "billingMode", "a", "b", False),
]


@pytest.mark.parametrize(("type_", "property_", "declared", "observed", "lost"), CASES)
def test_what_is_lost(type_: str, property_: str, declared: Any, observed: Any, *, lost: bool) -> None:
    """Keeping for less long, or no more, is a loss; keeping for longer is none."""
    found = list(losses(Urn("u"), type_, {property_: declared}, {property_: observed}))
    assert bool(found) is lost


def test_only_what_is_set_is_lost() -> None:
    """A property that an update does not set stays as it is."""
    assert list(losses(Urn("u"), LOGS, {"tags": {}}, {"retentionInDays": 0})) == []


def test_the_table_names_real_properties_and_its_sources() -> None:
    """Every type and property is one of the provider's, and every fact has AWS's own page."""
    for keeping in KEEPING:
        module, name = keeping.type.removeprefix("aws:").split("/")[0], keeping.type.rsplit(":", 1)[-1]
        text = "".join(f.read_text() for f in (Path(pulumi_aws.__file__).parent / module).glob("*.py"))
        assert f"class {name}(" in text
        assert f'"{keeping.property}"' in text or f"def {keeping.property}(" in text
        assert keeping.source.startswith("https://docs.aws.amazon.com/")


# --- the plan ----------------------------------------------------------------------------------------------

GROUP = resource("a-logs", "acme", LOGS)
KEY = "a-logs retentionInDays: 30 instead of 365"


def shorter(observed: Value = 365, **fields: Any) -> Finding:
    return replace(finding(GROUP, property_="retentionInDays"), declared=30, observed=observed, **fields)


def plan(*findings: Finding, approvals: tuple[Approval, ...] = ()) -> Plan:
    return planned(scan(cell(GROUP), *findings), Policy(), circumstances=Circumstances(approvals=approvals))


def approval(*repairs: Repair) -> Approval:
    consent = tuple(Approved(r.content, r.id, r.tenant) for r in repairs)
    return Approval(7, "h", "ana", "", NOW, NOW.replace(hour=23), consent, frozenset())


def test_a_loss_waits_for_a_person() -> None:
    """A log group that keeps for longer than declared is not set back unasked; the reason says what would go and what
    to do. Once exactly that is approved it is done (I08)."""
    result = plan(shorter())
    (proposal,) = result.proposals
    assert (result.repairs, proposal.loses, proposal.strategy) == ((), (KEY,), "restore")
    assert "30 instead of 365" in proposal.reason
    assert "declare what is kept now, or approve" in proposal.reason
    (repair,) = plan(shorter(), approvals=(approval(proposal),)).repairs
    assert (repair.approval, repair.loses) == (7, (KEY,))
    assert plan(shorter(observed=0), approvals=(approval(proposal),)).repairs == ()


def test_an_approval_is_of_what_is_lost() -> None:
    """The same difference accepted for one value is another loss with the next: who approved has not seen that."""
    drifted = finding(GROUP, property_="kmsKeyId")
    (seen,) = plan(shorter(accepted=object()), drifted).proposals
    assert plan(shorter(accepted=object()), drifted, approvals=(approval(seen),)).repairs
    assert plan(shorter(400, accepted=object()), drifted, approvals=(approval(seen),)).repairs == ()


def test_consent_is_to_what_was_told() -> None:
    """A version that finds more to be lost, or to be set back, asks again: that was not shown to who approved."""
    (seen,) = plan(shorter(accepted=object()), finding(GROUP, property_="kmsKeyId")).proposals
    for more in (replace(seen, loses=(*seen.loses, "other")), replace(seen, sets_back=(*seen.sets_back, "other"))):
        assert more.content != seen.content


def test_keeping_for_longer_is_an_ordinary_restore() -> None:
    """A retention that somebody has shortened is raised again without a question."""
    (repair,) = plan(shorter(observed=7)).repairs
    assert (repair.strategy, repair.loses) == ("restore", ())


def test_an_accepted_difference_is_not_undone_in_passing() -> None:
    """Another drift of the same log group, whose longer retention an exception accepts: an update would set both back,
    so it waits, too."""
    accepted = shorter(accepted=object())
    (proposal,) = plan(accepted, finding(GROUP, property_="kmsKeyId")).proposals
    assert proposal.loses == (KEY,)


def test_what_passes_or_is_not_known_is_no_loss() -> None:
    """Only a difference that was seen counts; what was not seen the check before the update judges."""
    result = plan(shorter(verdict=Verdict.PASS), finding(GROUP, property_="kmsKeyId"))
    assert [r.loses for r in result.repairs] == [()]


# --- the check before the update ---------------------------------------------------------------------------

KINDS = {LOGS: ResourceKind(LOGS, stateful=True)}


def refused(repair: Repair, about: DeclaredResource = GROUP, **fields: Any) -> str:
    values: dict[str, Any] = {"after": {"retentionInDays": 30}, "before": {"retentionInDays": 365}, **fields}
    step = Step(about.urn, about.type, "update", **values)
    world = Declared("dev", "p", "1" * 12, "us-east-1", {about.urn: about})
    try:
        refuse_unless(EnginePlan((step,)), [repair], world, KINDS)
    except RepairRefused as error:
        return str(error)
    return ""


NAMED = Repair("restore", "acme", (GROUP.urn,), ("f-1",), "drifted", loses=(KEY,), approval=7)


@pytest.mark.parametrize(
    ("repair", "step", "passes"),
    [
        (NAMED, {}, True),
        (NAMED, {"changed": ("retentionInDays",)}, True),
        (replace(NAMED, approval=None), {}, False),
        (replace(NAMED, loses=()), {}, False),
        (NAMED, {"before": {"retentionInDays": 0}}, False),
        (NAMED, {"before": {"retentionInDays": 400}}, False),
        (replace(NAMED, loses=()), {"before": {"retentionInDays": 7}}, True),
        (replace(NAMED, loses=()), {"changed": ("tags.a",)}, True),
        (replace(NAMED, loses=()), {"after": {"name": "x"}}, True),
    ],
)
def test_the_engine_takes_nothing_away_unasked(repair: Repair, step: dict[str, Any], *, passes: bool) -> None:
    """By the values that the engine itself has just read and would set: a loss passes only if it is the one that was
    planned and approved (I08)."""
    why = refused(repair, **step)
    assert (why == "") is passes
    assert passes or "nobody has approved" in why
