"""Servers, as the group, EC2 and the load balancer see them, together and when they disagree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from reconciler.model import SERVERS, UNITS, DeclaredResource, Fleet, Member, Presence, Unreadable
from reconciler.observe.aws.fleet_versions import ordered
from reconciler.observe.observe import observe
from reconciler.observe.reads import Answer, Missing
from tests.unit.observe_worlds import Table, declared, failed, resource, rows

ARN = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/api/1"
GROUP = resource("aws:autoscaling/group:Group", "g", "g-1", {"targetGroupArns": [ARN]})
LAUNCHED = datetime(2026, 2, 1, 12, tzinfo=timezone(timedelta(hours=1)))
TEMPLATE = {"LaunchTemplateId": "lt-1", "DefaultVersionNumber": 2, "LatestVersionNumber": 3}


def inside(id_: str, lifecycle: str = "InService", version: str = "2") -> dict[str, Any]:
    return {
        "InstanceId": id_,
        "AvailabilityZone": "eu-central-1a",
        "LifecycleState": lifecycle,
        "HealthStatus": "Healthy",
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": version},
    }


def group(*instances: Mapping[str, Any], name: str = "g-1", version: str = "$Default") -> dict[str, Any]:
    return {
        "AutoScalingGroupName": name,
        "MinSize": 1,
        "MaxSize": 4,
        "DesiredCapacity": 2,
        "HealthCheckGracePeriod": 60,
        "LaunchTemplate": {"LaunchTemplateId": "lt-1", "Version": version},
        "Instances": list(instances),
    }


def server(id_: str, state: str = "running", **marks: str) -> dict[str, Any]:
    found = [{"Key": key.replace("_", ":"), "Value": value} for key, value in marks.items()]
    return {"InstanceId": id_, "State": {"Name": state}, "LaunchTime": LAUNCHED, "Tags": found}


def target(id_: str, state: str = "healthy", reason: str = "") -> dict[str, Any]:
    return {"Target": {"Id": id_}, "TargetHealth": {"State": state, "Description": reason}}


def version(number: int, image: str) -> dict[str, Any]:
    return {"LaunchTemplateId": "lt-1", "VersionNumber": number, "LaunchTemplateData": {"ImageId": image}}


QUARANTINE = {"GroupId": "sg-q", "GroupName": "stackmend-quarantine"}


def taken(*groups: str) -> dict[str, Any]:
    """A server that says that a quarantine took it out, with an interface of each group."""
    interfaces = [
        {"Groups": [{"GroupId": id_, "GroupName": "stackmend-quarantine"} for id_ in some.split()]} for some in groups
    ]
    return {**server("i-7", **{"stackmend_quarantined-from": "g-1"}), "NetworkInterfaces": interfaces}


FINE: dict[str, Answer] = {
    "describe_auto_scaling_groups": rows(group(inside("i-1"), inside("i-2"))),
    "describe_instances": rows(server("i-1"), server("i-2")),
    f"describe_target_health {ARN}": rows(target("i-1"), target("i-2")),
    "describe_launch_templates": rows(TEMPLATE),
    "describe_launch_template_versions": rows(version(2, "ami-2"), version(3, "ami-3")),
}
HEALTH = f"describe_target_health {ARN}"


def look(answers: Mapping[str, Answer], one: Any = GROUP) -> Fleet | Unreadable | None:
    return observe(declared(one), Table({**FINE, **answers}), only={one.urn}).fleets.get(one.urn)


def fleet(**answers: Answer) -> Fleet:
    found = look({key.replace("HEALTH", HEALTH): answer for key, answer in answers.items()})
    assert isinstance(found, Fleet), found
    return found


def member(id_: str, **answers: Answer) -> Member:
    return next(m for m in fleet(**answers).members if m.instance_id == id_)


def test_a_healthy_fleet() -> None:
    """The ordinary case: three services agree on two servers."""
    found = fleet()
    assert found.healthy == found.members
    assert (found.desired, found.minimum, found.maximum, found.grace_seconds) == (2, 1, 4, 60)
    assert found.members[0] == Member(
        "i-1", "eu-central-1a", "InService", "running", "healthy", launched=LAUNCHED.astimezone(UTC)
    )
    assert found.target_groups == (ARN,)


def test_in_service_but_not_registered() -> None:
    """A server the load balancer does not know serves nobody."""
    asked = target("i-2", "unused")
    asked["TargetHealth"]["Reason"] = "Target.NotRegistered"
    found = look({HEALTH: rows(target("i-1")), f"describe_target_health i-2 in {ARN}": rows(asked)})
    assert isinstance(found, Fleet)
    assert [m.target for m in found.members] == ["healthy", "unregistered"]


@pytest.mark.parametrize(
    ("asked", "said"), [(rows(target("i-2")), "healthy"), (rows(), None), (failed(), None), (Missing("no"), None)]
)
def test_a_list_of_targets_that_lost_a_row_is_no_proof(asked: Answer, said: str | None) -> None:
    """F06 F15 I06: a server in service that the list lacks is asked for itself; what stays open is unreadable."""
    found = look({HEALTH: rows(target("i-1")), f"describe_target_health i-2 in {ARN}": asked})
    assert isinstance(found, Fleet)
    state = found.members[1].target
    assert state == said if said else isinstance(state, Unreadable)


@pytest.mark.parametrize(
    ("tags", "gone"), [(rows(), True), (rows({"Key": "Name", "Value": "g"}), False), (failed(), False)]
)
def test_a_group_that_nothing_lists_is_gone_with_its_tags_only(tags: Answer, gone: bool) -> None:
    """F15 I06: Auto Scaling answers nothing for a group that is gone, as a lost answer does; its tags tell."""
    answers: dict[str, Answer] = {"describe_auto_scaling_groups": rows(), "describe_tags g-1": tags}
    seen = observe(declared(GROUP), Table({**FINE, **answers}), only={GROUP.urn})
    assert seen.resources[GROUP.urn].presence is (Presence.ABSENT if gone else Presence.UNKNOWN)
    assert isinstance(seen.fleets.get(GROUP.urn), Unreadable) is not gone


def test_not_yet_in_service_and_not_registered() -> None:
    """A server still starting is not expected at the load balancer."""
    groups = rows(group(inside("i-1"), inside("i-2", "Pending")))
    assert member("i-2", describe_auto_scaling_groups=groups, HEALTH=rows(target("i-1"))).target == "unused"


def test_registered_but_no_longer_in_the_group() -> None:
    """A server that left its group and still takes requests is a member, detached."""
    found = member("i-2", describe_auto_scaling_groups=rows(group(inside("i-1"))))
    assert (found.lifecycle, found.state, found.target) == ("Detached", "running", "healthy")


def test_a_server_of_another_group_is_not_ours() -> None:
    """Two groups may share a target group; each has its own members."""
    both = rows(group(inside("i-1")), group(inside("i-2"), name="g-2"))
    assert [m.instance_id for m in fleet(describe_auto_scaling_groups=both).members] == ["i-1"]


def test_terminated_and_gone_from_the_group() -> None:
    """F09: what still drains at the load balancer but is terminated and in no group is no member any more."""
    found = fleet(
        describe_auto_scaling_groups=rows(group(inside("i-1"))),
        describe_instances=rows(server("i-1"), server("i-2", "terminated")),
        HEALTH=rows(target("i-1"), target("i-2", "draining")),
    )
    assert [m.instance_id for m in found.members] == ["i-1"]


@pytest.mark.parametrize(
    ("direct", "state"),
    [
        (Missing("no such"), "terminated"),
        (rows(server("i-2")), "running"),
        (failed("denied"), Unreadable("denied")),
    ],
)
def test_a_server_missing_from_ec2s_listing_is_asked_for(direct: Answer, state: object) -> None:
    """F15 I06: a server of the group that the listing lacks is terminated only if EC2 says so of that very server."""
    answers = {"describe_instances": rows(server("i-1")), "describe_instances i-2": direct}
    found = look(answers)
    assert isinstance(found, Fleet)
    assert {m.instance_id: m.state for m in found.members}["i-2"] == state


def test_unreadable_target_health_costs_only_the_targets() -> None:
    """F10 F23: without the load balancer's word the servers' targets are unknown, their states are not."""
    found = member("i-1", HEALTH=failed("denied"))
    assert (found.state, found.target) == ("running", Unreadable("denied"))


def test_unreadable_instances_cost_only_the_states() -> None:
    """F10: without EC2's word the states are unknown, the targets are not."""
    found = member("i-1", describe_instances=failed("denied"))
    assert (found.state, found.target) == (Unreadable("denied"), "healthy")


def test_an_unreadable_group_is_an_unknown_fleet() -> None:
    """I06: without the group there is no telling who belongs to it."""
    assert look({"describe_auto_scaling_groups": failed("denied")}) == Unreadable("denied")


def test_no_group_no_fleet() -> None:
    """A group that does not exist has no fleet; its absence is a finding of its own."""
    assert look({"describe_auto_scaling_groups": rows()}) is None


def test_the_worst_of_several_target_groups_counts() -> None:
    """A server that one of its load balancers finds unhealthy is unhealthy."""
    one = resource("aws:autoscaling/group:Group", "g", "g-1", {"targetGroupArns": [ARN, ARN + "2"]})
    second = rows(target("i-1", "unhealthy", "code 500"), target("i-2"))
    found = look({f"describe_target_health {ARN}2": second}, one)
    assert isinstance(found, Fleet)
    assert [(m.target, m.target_reason) for m in found.members] == [("unhealthy", "code 500"), ("healthy", "")]


@pytest.mark.parametrize("order", [1, -1])
def test_the_worst_of_several_ports_counts(order: int) -> None:
    """A server that is registered on two ports is unhealthy if one of them is, in whatever order they are listed."""
    bad, good = target("i-1", "unhealthy", "code 500"), target("i-1")
    found = member("i-1", HEALTH=rows(*[bad, good][::order], target("i-2")))
    assert (found.target, found.target_reason) == ("unhealthy", "code 500")


def test_without_a_load_balancer_the_groups_word_counts() -> None:
    """A group without target groups knows only its own health check."""
    one = resource("aws:autoscaling/group:Group", "g", "g-1", {})
    groups = rows(group(inside("i-1"), {**inside("i-2"), "HealthStatus": "Unhealthy"}))
    found = look({"describe_auto_scaling_groups": groups}, one)
    assert isinstance(found, Fleet)
    assert [m.target for m in found.members] == ["healthy", "unhealthy"]


# --- quarantine ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "cut_off"),
    [
        (["sg-q"], [True]),
        (["sg-q", "sg-q"], [True]),
        (["sg-q sg-marker"], [True]),
        (["sg-named"], [False]),
        (["sg-marker"], [False]),
        (["sg-q", "sg-open"], [False]),
        ([""], [False]),
        (["sg-q sg-open"], []),
        (["sg-q sg-denied"], []),
        (["sg-q sg-gone"], []),
    ],
)
def test_a_server_is_cut_off_by_what_its_groups_let_through(groups: list[str], cut_off: list[bool]) -> None:
    """T01 I06: not by a tag or a group's name; nothing is said where one is not known, or has rules beside it."""
    rule = {"IpProtocol": "tcp", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    asked: dict[str, Answer] = {
        "describe_security_groups sg-denied": failed(),
        "describe_security_groups sg-gone": Missing("no such group"),
    }
    found = fleet(
        describe_instances=rows(server("i-1"), server("i-2"), taken(*groups)),
        describe_security_groups=rows(
            QUARANTINE,
            {"GroupId": "sg-marker", "GroupName": "marker"},
            {"GroupId": "sg-named", "GroupName": "stackmend-quarantine", "IpPermissionsEgress": [rule]},
            {"GroupId": "sg-open", "GroupName": "open", "IpPermissions": [rule]},
        ),
        **asked,
    )
    assert [q.cut_off for q in found.quarantined] == cut_off


def test_security_groups_are_read_for_isolated_servers_only() -> None:
    """A fleet without any costs no listing of them."""
    table = Table(FINE)
    observe(declared(GROUP), table, only={GROUP.urn})
    assert "describe_security_groups" not in {read.operation for read in table.asked}


# --- template versions -------------------------------------------------------------------------------------


OLD = "describe_launch_template_versions lt-1 version 1"


def outdated(launched: str, /, current: Any = "$Default", **answers: Answer) -> bool | Unreadable:
    groups = rows(group(inside("i-1", version=launched), version=current))
    return member("i-1", describe_auto_scaling_groups=groups, **answers).outdated


@pytest.mark.parametrize(
    ("launched", "current", "expected"),
    [
        ("2", "$Default", False),
        ("3", "$Default", True),
        ("2", "$Latest", True),
        ("3", "$Latest", False),
        ("3", "3", False),
    ],
)
def test_versions_are_resolved(launched: str, current: str, expected: bool) -> None:
    """What a group launches now is found behind ``$Default``, ``$Latest`` or a number."""
    assert outdated(launched, current) is expected


@pytest.mark.parametrize(("image", "expected"), [("ami-2", False), ("ami-1", True)])
def test_versions_are_compared_by_content(image: str, expected: bool) -> None:
    """Another number with the same content is not outdated: replacing servers for it would be for nothing."""
    assert outdated("1", **{OLD: rows(version(1, image))}) is expected


def test_the_order_of_tags_in_a_template_is_no_content() -> None:
    """AWS keeps no order of tags, so the same tags in another order make no server outdated."""
    tags = [{"Key": "a", "Value": "1"}, {"Value": "2", "Key": "b"}]
    listed = [{"ResourceType": "instance", "Tags": tags}, {"ResourceType": "volume", "Tags": tags}]
    turned = [{"ResourceType": s["ResourceType"], "Tags": tags[::-1]} for s in reversed(listed)]
    assert ordered({"TagSpecifications": listed}) == ordered({"TagSpecifications": turned})
    assert ordered({"TagSpecifications": listed}) != ordered({"TagSpecifications": listed[:1]})


def test_versions_that_agree_in_number_are_not_read() -> None:
    """The content of a version is asked for only when the numbers differ."""
    table = Table(FINE)
    observe(declared(GROUP), table, only={GROUP.urn})
    assert "describe_launch_template_versions" not in {read.operation for read in table.asked}


LAUNCHING = {**GROUP.inputs, "launchTemplate": {"id": "lt-1"}}


@pytest.mark.parametrize("one", [GROUP, replace(GROUP, inputs=LAUNCHING)], ids=["undeclared", "declared"])
def test_a_fleet_with_every_trouble_at_once_is_readable(one: DeclaredResource) -> None:
    """A fleet is readable just when it needs repair: a server that left, an old version and a sick server together."""
    table = Table(
        {
            **FINE,
            "describe_auto_scaling_groups": rows(group(inside("i-1", version="1"))),
            "describe_instances": rows(server("i-1"), server("i-9"), taken("sg-q")),
            "describe_security_groups sg-q": rows(QUARANTINE),
            HEALTH: rows(target("i-1", "unhealthy"), target("i-9")),
            "describe_auto_scaling_instances i-9": rows(),
            OLD: rows(version(1, "ami-1")),
            "describe_instance_status i-1": rows({"InstanceStatus": {"Status": "impaired"}}),
        }
    )
    found = observe(declared(one), table, only={one.urn}).fleets[one.urn]
    assert isinstance(found, Fleet), found
    assert [(m.instance_id, m.lifecycle, m.checks) for m in found.members] == [
        ("i-1", "InService", "impaired"),
        ("i-9", "Detached", ""),
    ]
    assert found.members[0].outdated is True
    assert [q.cut_off for q in found.quarantined] == [True]


def test_the_versions_of_a_declared_template_are_asked_with_the_rest() -> None:
    """A small look asks for the versions of the group's own template alone, a whole one no more than it did."""
    launching = replace(GROUP, inputs=LAUNCHING)
    template = resource("aws:ec2/launchTemplate:LaunchTemplate", "lt", "lt-1", {})
    looks: dict[bool, list[str]] = {}
    for small in (True, False):
        table = Table({**FINE, "describe_auto_scaling_groups 1 by name": FINE["describe_auto_scaling_groups"]})
        only = {launching.urn} if small else None
        observe(declared(launching, template), table, only=only, narrow=small)
        looks[small] = [r.target for r in table.asked if r.operation == "describe_launch_template_versions"]
    assert looks == {True: ["lt-1"], False: ["*"]}


@pytest.mark.parametrize("direct", [Missing("no such version"), failed("denied")])
def test_a_version_that_cannot_be_read_is_unknown(direct: Answer) -> None:
    """I06: a server whose template version is gone or denied is neither outdated nor up to date."""
    assert isinstance(outdated("1", **{OLD: direct}), Unreadable)


def test_an_unreadable_template_is_unknown() -> None:
    """F10: if the group's own template cannot be read, nobody can be called outdated."""
    assert outdated("2", describe_launch_templates=failed("denied")) == Unreadable("denied")


def test_ec2s_own_mark_counts_before_the_groups_note() -> None:
    """The version EC2 marked at launch cannot change afterwards, so it is believed first."""
    marked = server("i-1")
    marked["Tags"] = [
        {"Key": "aws:ec2launchtemplate:id", "Value": "lt-1"},
        {"Key": "aws:ec2launchtemplate:version", "Value": "3"},
    ]
    assert outdated("2", describe_instances=rows(marked)) is True


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (rows({"InstanceStatus": {"Status": "ok"}, "SystemStatus": {"Status": "ok"}}), "ok"),
        (rows({"InstanceStatus": {"Status": "impaired"}, "SystemStatus": {"Status": "ok"}}), "impaired"),
        (rows({"InstanceStatus": {"Status": "ok"}, "SystemStatus": {"Status": "impaired"}}), "impaired"),
        (rows({"InstanceStatus": {"Status": "initializing"}, "SystemStatus": {"Status": "ok"}}), "undecided"),
        (rows({}), "undecided"),
        (rows(), None),
        (failed(), None),
        (Missing("gone"), None),
    ],
)
def test_status_checks_of_a_server_that_does_not_serve(answer: Answer, said: str | None) -> None:
    """F10 I06: only the server that is not healthy is asked for, and an answer that fails is no sign against it."""
    table = Table(
        {**FINE, HEALTH: rows(target("i-1"), target("i-2", "unhealthy")), "describe_instance_status i-2": answer}
    )
    found = observe(declared(GROUP), table, only={GROUP.urn}).fleets[GROUP.urn]
    assert isinstance(found, Fleet)
    assert found.members[0].checks == ""
    checks = found.members[1].checks
    assert checks == said if said else isinstance(checks, Unreadable)
    assert {r.target for r in table.asked if r.operation == "describe_instance_status"} == {"i-2"}


def heavy(id_: str, weight: str) -> dict[str, Any]:
    return {**inside(id_), "WeightedCapacity": weight}


@pytest.mark.parametrize(
    ("more", "instances", "unit"),
    [
        ({}, (inside("i-1"),), SERVERS),
        ({"DesiredCapacityType": "units"}, (heavy("i-1", "1"),), SERVERS),
        ({}, (heavy("i-1", "4"),), UNITS),
        ({"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"WeightedCapacity": "2"}, {}]}}}, (), UNITS),
        ({"MixedInstancesPolicy": {"LaunchTemplate": {"Overrides": [{"InstanceType": "m5.large"}]}}}, (), SERVERS),
        ({"DesiredCapacityType": "vcpu"}, (heavy("i-1", "4"),), "vcpu"),
    ],
)
def test_what_the_size_of_a_group_counts(
    more: Mapping[str, Any], instances: Sequence[Mapping[str, Any]], unit: str
) -> None:
    """Servers, unless an instance type or a server has another weight than one, or the group counts something else."""
    groups = rows({**group(*instances), **more})
    found = fleet(describe_auto_scaling_groups=groups, HEALTH=rows(target("i-1")))
    assert found.unit == unit
    assert [m.weight for m in found.members if m.lifecycle == "InService"] == [
        int(i.get("WeightedCapacity", 1)) for i in instances
    ]


def test_what_somebody_has_suspended() -> None:
    """The processes that a person has suspended are the fleet's; without any there are none."""
    halted = group(inside("i-1"), inside("i-2")) | {"SuspendedProcesses": [{"ProcessName": "Launch"}]}
    assert fleet(describe_auto_scaling_groups=rows(halted)).suspended == {"Launch"}
    assert fleet().suspended == frozenset()
