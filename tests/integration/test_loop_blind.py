"""What cannot be read is not judged, and what is not judged is not touched; everything else goes on as before."""

from __future__ import annotations

import pytest

from reconciler.model import Fleet, Presence, Scan, Verdict
from tests.integration.loop import BRONZE, GOLD, SILVER, Cell, assert_clean, assert_fleets_whole, by_status

pytestmark = pytest.mark.engine


def unknown(scan: Scan) -> set[tuple[str | None, str]]:
    return {(f.tenant, f.type) for f in scan.of(Verdict.UNKNOWN)}


def fails(scan: Scan) -> set[tuple[str | None, str]]:
    return {(f.tenant, f.type) for f in scan.failing}


ENCRYPTION = "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
GROUP = "aws:autoscaling/group:Group"
SUBNET = "aws:ec2/subnet:Subnet"


def test_one_read_is_denied(cell: Cell) -> None:
    """403 on one bucket's encryption: it is UNKNOWN and stays as it is although it drifted; the same bucket's
    versioning and the other buckets' encryption are judged and repaired as before. Allowed again, it is healed (I06,
    F10)."""
    bucket = cell.strike("change-encryption", GOLD)
    cell.strike("suspend-versioning", GOLD)
    cell.strike("change-encryption", SILVER)
    rule = cell.control.inject("access-denied", "s3", "GetBucketEncryption", match=bucket)

    scan = cell.scan()
    assert unknown(scan) == {(GOLD, ENCRYPTION)}
    assert fails(scan) == {(GOLD, VERSIONING), (SILVER, ENCRYPTION)}
    (seen,) = [o for o in scan.observed.resources.values() if o.presence is Presence.UNKNOWN]
    assert "AccessDenied" in seen.reason
    assert [(r.operation, r.target) for r in scan.observed.failed] == [("get_bucket_encryption", bucket)]
    assert scan.coverage.observed == scan.coverage.declared - 1

    cell.control.reset()
    done = cell.repair()
    assert {(o.tenant, o.status.value) for o in done.outcomes} == {(GOLD, "healed"), (SILVER, "healed")}
    assert [d.code for d in done.plan.deferrals] == ["unknown"]
    assert [w.call for w in cell.control.writes() if w.names(bucket)] == ["s3:PutBucketVersioning"]
    assert cell.client("s3").get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"

    cell.control.clear([rule])
    assert fails(cell.scan()) == {(GOLD, ENCRYPTION)}
    assert by_status(cell.repair().outcomes) == {("reapply", "healed"): 1}
    assert_clean(cell.scan())


def test_a_page_of_the_servers_fails(cell: Cell) -> None:
    """500 on DescribeInstances, retries included: no server is judged, one that is stopped is not replaced and no group
    is touched; the subnets are judged and repaired. Once it answers, the server is replaced (I06, F02)."""
    whole = cell.scan()
    server = cell.strike("stop-instance", SILVER)
    cell.strike("expose-subnet", BRONZE)
    rule = cell.control.inject("internal-error", "ec2", "DescribeInstances", actor="reconciler")

    scan = cell.scan()
    assert {type_ for _, type_ in unknown(scan)} == {GROUP}
    assert {tenant for tenant, _ in unknown(scan)} == {GOLD, SILVER, BRONZE}
    assert fails(scan) == {(BRONZE, SUBNET)}
    members = {m.instance_id for f in whole.observed.fleets.values() if isinstance(f, Fleet) for m in f.members}
    assert {f.resource_id for f in scan.of(Verdict.UNKNOWN)} == members

    cell.control.reset()
    done = cell.repair()
    assert by_status(done.outcomes) == {("reapply", "healed"): 1}
    assert {d.code for d in done.plan.deferrals} == {"unknown"}
    writes = cell.control.calls().writes
    assert writes == {"ec2:ModifySubnetAttribute": 1}

    cell.control.clear([rule])
    scan = cell.scan()
    assert {f.resource_id for f in scan.failing} == {server}
    assert by_status(cell.repair().outcomes) == {("rollout", "healed"): 1}
    after = cell.scan()
    assert_clean(after)
    assert_fleets_whole(after)


@pytest.mark.parametrize("effect", ["truncate", "empty", "malformed", "repeat-token"])
def test_an_answer_that_lies(cell: Cell, effect: str) -> None:
    """A listing with half of its rows, none, a broken body or an endless token makes nothing missing: what it hides
    is asked for by itself or is UNKNOWN, and no repair is planned (I06, F06, F07, F15, F16)."""
    calls = (("ec2", "DescribeSubnets"), ("cloudwatch", "DescribeAlarms"), ("elbv2", "DescribeLoadBalancers"))
    times = None if effect == "repeat-token" else 1
    rules = [cell.control.inject(effect, *call, actor="reconciler", times=times) for call in calls]
    with cell.cycle() as cycle:
        planned = cycle.plan()
    assert all(rule["hits"] for rule in cell.control.faults())
    cell.control.clear(rules)
    assert planned.repairs == ()
    assert {d.code for d in planned.deferrals} <= {"unknown"}
    assert_clean(cell.scan())
