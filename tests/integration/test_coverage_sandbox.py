"""Types without an observer, seen by the real engine: the same verdicts as an observer's, and the same repairs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as Folder

import pytest

from reconciler.model import Path, Presence, Status, Verdict
from reconciler.present.documents import scan_document
from sandbox.lifecycle import Sandbox
from tests.integration.sandbox_cell import ALARM, LOG_GROUP, Cell, drifts, named, values, without

pytestmark = pytest.mark.engine

BLIND = without(ALARM, LOG_GROUP)
TENANT = "acme-bank"


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    sandbox = Sandbox(home=tmp_path_factory.mktemp("coverage") / "sandbox")
    try:
        sandbox.up(1)
        yield Cell(sandbox)
    finally:
        sandbox.down()


@pytest.fixture
def cell(deployed: Cell, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    """The cell as declared, and AWS as it should be."""
    deployed.environment(monkeypatch)
    deployed.sandbox.control.reset()
    yield deployed
    deployed.sandbox.control.clear()


@pytest.fixture
def fragile(cell: Cell) -> Iterator[Cell]:
    """The same for a test that breaks it: it is mended afterwards."""
    yield cell
    cell.sandbox.stack().up(refresh=True, color="never")


def test_an_untouched_cell_is_seen_whole_by_both_paths(cell: Cell) -> None:
    """I15: everything passes, the scan says which path saw how much, and looking through the engine writes nothing."""
    scan = cell.scan(BLIND)
    assert drifts(scan, ALARM) == {
        (f"{TENANT}-{n}", "drift.property", "", "PASS") for n in ("5xx", "latency", "unhealthy-hosts")
    }
    assert {(p.path, p.resources) for p in scan.coverage.paths} == {
        (Path.BULK, len(scan.declared.resources) - 4),
        (Path.REFRESH, 4),
    }
    assert (scan.coverage.unseen, scan.coverage.unsupported) == ((), tuple(sorted((ALARM, LOG_GROUP))))
    assert [p["path"] for p in scan_document(scan, everything=False)["coverage"]["paths"]] == ["bulk", "refresh"]
    assert cell.sandbox.control.calls().writes == {}


def test_drift_and_absence_come_out_as_an_observer_says(fragile: Cell) -> None:
    """A changed property, a foreign tag, a removed value, a deleted resource: equal findings by either path."""
    cloudwatch = fragile.aws("cloudwatch")
    before = fragile.scan().declared
    alarm = named(before, ALARM, f"{TENANT}-5xx")
    (row,) = cloudwatch.describe_alarms(AlarmNames=[alarm.id])["MetricAlarms"]
    kept = ("AlarmName", "AlarmDescription", "MetricName", "Namespace", "Statistic", "Dimensions", "Period")
    more = ("EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "TreatMissingData")
    cloudwatch.put_metric_alarm(**{k: row[k] for k in (*kept, *more)}, Threshold=77.5, AlarmActions=[])
    cloudwatch.tag_resource(ResourceARN=row["AlarmArn"], Tags=[{"Key": "who", "Value": "me"}])
    cloudwatch.delete_alarms(AlarmNames=[named(before, ALARM, f"{TENANT}-latency").id])
    fragile.aws("logs").delete_retention_policy(logGroupName=f"/stackmend/dev/{TENANT}/api")
    seen, blind = fragile.scan(), fragile.scan(BLIND)
    for type_ in (ALARM, LOG_GROUP):
        assert drifts(blind, type_) == drifts(seen, type_)
        assert values(blind.failing, type_) == values(seen.failing, type_)
    assert (f"{TENANT}-latency", "drift.missing", "", "FAIL") in drifts(blind, ALARM)
    assert values(blind.failing, ALARM).keys() == {
        (f"{TENANT}-5xx", name) for name in ("threshold", "alarmActions", "tags")
    }


def test_a_read_that_fails_is_unknown_as_an_observer_says(cell: Cell) -> None:
    """I06 F10: denied reads make UNKNOWN by either path, with AWS's words, and nothing else does."""
    control = cell.sandbox.control
    control.inject("error", "cloudwatch", "DescribeAlarms", status=403, code="AccessDenied", message="no")
    seen, blind = cell.scan(), cell.scan(BLIND)
    assert drifts(blind, ALARM) == drifts(seen, ALARM)
    assert {v for *_, v in drifts(blind, ALARM)} == {"UNKNOWN"}
    assert {v for *_, v in drifts(blind, LOG_GROUP)} == {"PASS"}
    assert all("AccessDenied" in u.reason for u in blind.coverage.unseen)
    assert len(blind.coverage.unseen) == 3


def test_one_denied_resource_does_not_hide_its_neighbours(cell: Cell) -> None:
    """The engine ends at the first read that fails; the others are judged all the same."""
    alarm = named(cell.scan().declared, ALARM, f"{TENANT}-5xx")
    cell.sandbox.control.inject(
        "error", "cloudwatch", "DescribeAlarms", match=alarm.id, status=403, code="AccessDenied"
    )
    blind = cell.scan(BLIND)
    presence = {u: o.presence for u, o in blind.observed.resources.items()}
    assert presence.pop(alarm.urn) is Presence.UNKNOWN
    assert set(presence.values()) == {Presence.PRESENT}


def test_without_a_working_engine_these_types_are_unknown(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """No passphrase, so no refresh: UNKNOWN with the engine's words; what observers see is seen as ever."""
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    blind = cell.scan(BLIND)
    assert {u.type for u in blind.coverage.unseen} == {ALARM, LOG_GROUP}
    assert all("passphrase" in u.reason for u in blind.coverage.unseen)
    assert not blind.failing
    assert blind.coverage.observed == len(blind.declared.resources) - 4


def test_what_somebody_put_into_a_tenants_network_is_reported_and_left(cell: Cell) -> None:
    """T03: a security group, a route table, a server and a route in a declared table, all made by hand, are findings of
    that tenant; nothing removes them."""
    ec2, before = cell.aws("ec2"), cell.scan().declared
    vpc = named(before, "aws:ec2/vpc:Vpc", f"{TENANT}-vpc").id
    subnet = named(before, "aws:ec2/subnet:Subnet", f"{TENANT}-public-a").id
    group = ec2.create_security_group(GroupName="mine", Description="mine", VpcId=vpc)["GroupId"]
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    declared_table = named(before, "aws:ec2/routeTable:RouteTable", f"{TENANT}-public").id
    gateway = named(before, "aws:ec2/internetGateway:InternetGateway", f"{TENANT}-igw").id
    way = {"RouteTableId": declared_table, "DestinationCidrBlock": "10.99.0.0/16"}
    ec2.create_route(**way, GatewayId=gateway)
    image = ec2.describe_images(Owners=["self"])["Images"][0]["ImageId"]
    server = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"][0]["InstanceId"]
    cell.sandbox.control.reset()
    try:
        with cell.cycle() as cycle:
            done = cycle.repair(progress=lambda *_: None)
        found = {f.resource_id: (f.rule, f.tenant) for f in done.scan.failing}
        (route,) = found.keys() - {group, table, server}
        assert route.startswith(f"r-{declared_table}")
        assert found == dict.fromkeys((group, table, server, route), ("orphan.unmanaged", TENANT))
        assert {d.code for d in done.plan.deferrals} == {"orphan"}
        assert cell.sandbox.control.calls().writes == {}
    finally:
        ec2.terminate_instances(InstanceIds=[server])
        ec2.delete_route(**way)
        ec2.delete_route_table(RouteTableId=table)
        ec2.delete_security_group(GroupId=group)
    assert not cell.scan().failing


def test_what_only_the_engine_sees_is_restored_in_place_only(fragile: Cell, tmp_path: Folder) -> None:
    """A drift of such a type is set back and proven by the engine's look; a missing one is left to a person."""
    cloudwatch = fragile.aws("cloudwatch")
    fragile.aws("logs").put_retention_policy(logGroupName=f"/stackmend/dev/{TENANT}/api", retentionInDays=1)
    gone = named(fragile.scan().declared, ALARM, f"{TENANT}-latency")
    cloudwatch.delete_alarms(AlarmNames=[gone.id])
    with fragile.cycle(BLIND, store_url=f"sqlite:///{tmp_path}/store.db") as cycle:
        done = cycle.repair(progress=lambda *_: None)
    assert {(o.strategy, o.status) for o in done.outcomes} == {
        ("restore", Status.HEALED),
        ("escalate", Status.ESCALATED),
    }
    assert {f.verdict for f in fragile.scan().findings if f.type == LOG_GROUP} == {Verdict.PASS}
    assert cloudwatch.describe_alarms(AlarmNames=[gone.id])["MetricAlarms"] == []
