"""What the simulated AWS answers to reads, rightly or damaged; fleets in AWS's own words, so that real code reads them.

Other resources have observers of their own here: what an AWS answer means is not what is practised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from reconciler.model import DeclaredResource
from reconciler.observe.reads import Answer, Answers, Failed, Missing, More, Observer, Read, Rows, Sight
from reconciler.observe.registry import KINDS
from reconciler.observe.registry import OBSERVERS as REAL
from simulator.layout import ALARM, FREE, GROUP, KEY, TEMPLATE
from simulator.world import Thing, World

_GONE = "NotFound"


def _listing(type_: str) -> Read:
    return Read("sim", "list", "Things", (("type", type_),), frozenset(), "*")


def _direct(type_: str, id_: str) -> Read:
    return Read("sim", "get", "Things", (("id", id_), ("type", type_)), frozenset({_GONE}), id_)


def _see(type_: str, resource: DeclaredResource, answers: Answers) -> Sight:
    row = answers.find(_listing(type_), "id", resource.id, direct=_direct(type_, resource.id))
    return row["props"] if isinstance(row, Mapping) else row


def _locate(type_: str, resource: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    answer = answers.get(_listing(type_))
    if not isinstance(answer, Rows):
        return answer
    found = sorted({row["id"] for row in answer.rows if row["name"] == resource.name} - answers.claimed)
    if len(found) > 1:
        return Failed("several may be it")
    return found[0] if found else Missing("none is it")


OBSERVERS: Mapping[str, Observer] = {
    GROUP: REAL[GROUP],
    **{
        type_: Observer(
            KINDS[type_],
            reads=partial(lambda type_, _: (_listing(type_),), type_),
            see=partial(_see, type_),
            permissions=(),
            locate=partial(_locate, type_),
        )
        for type_ in (*FREE, TEMPLATE)
        if type_ != GROUP
    },
}


class Cloud:
    """Answers reads; what goes wrong is taken from the world's faults, by the operation's name."""

    def __init__(self, world: World) -> None:
        self.world = world

    def ask(self, reads: Iterable[Read]) -> Mapping[Read, Answer]:
        asked = list(reads)
        self.world.step("read")
        stale = self.world.take_fault("stale") is not None
        return {read: self._answer(read, stale=stale) for read in asked}

    def _answer(self, read: Read, *, stale: bool) -> Answer:
        world = self.world
        what = f"{read.service}:{read.operation}:{read.target}:{dict(read.params).get('type', '')}"
        if world.take_fault("read fails", what):
            return Failed("injected: it did not answer")
        answer = self._truth(read, stale=stale)
        if isinstance(answer, Rows) and read.target == "*" and answer.rows:
            if world.take_fault("read empty", what):
                return Rows(())
            if world.take_fault("read truncated", what):
                return Rows(answer.rows[: len(answer.rows) // 2])
        if isinstance(answer, Rows) and read.target != "*" and world.take_fault("direct empty", what):
            return Rows(())
        return answer

    def _truth(self, read: Read, *, stale: bool) -> Answer:
        live, fleets = self.world.past if stale else (self.world.live, self.world.fleets)
        params = dict(read.params)
        if read.service == "sim":
            things = [t for t in live.values() if t.type == params["type"]]
            if read.operation == "list":
                return Rows(tuple(self._row(t) for t in things))
            found = [self._row(t) for t in things if t.id == params["id"]]
            return Rows(tuple(found)) if found else Missing("it does not exist")
        rows: list[dict[str, Any]] = []
        match read.operation:
            case "describe_auto_scaling_groups":
                names = params.get("AutoScalingGroupNames")
                for urn, fleet in fleets.items():
                    if urn in live and (names is None or fleet.name in names):
                        props = live[urn].props
                        rows.append(fleet.row(props["targetGroupArns"], props["vpcZoneIdentifiers"], props["tags"]))
            case "describe_instances":
                wanted = params.get("InstanceIds")
                for fleet in fleets.values():
                    rows += [
                        {
                            "InstanceId": s.id,
                            "State": {"Name": s.state},
                            "Placement": {"AvailabilityZone": s.zone},
                            "LaunchTime": self.world.base + timedelta(seconds=s.born),
                            "Tags": [{"Key": "aws:autoscaling:groupName", "Value": fleet.name}],
                        }
                        for s in fleet.servers.values()
                        if wanted is None or s.id in wanted
                    ]
                if wanted is not None and not rows:
                    return Missing("there is no such server")
            case "describe_launch_templates":
                newest = {fleet.template: fleet.version for fleet in fleets.values()}
                rows = [
                    {"LaunchTemplateId": id_, "DefaultVersionNumber": v, "LatestVersionNumber": v}
                    for id_, v in newest.items()
                ]
            case "describe_launch_template_versions":
                id_ = params.get("LaunchTemplateId")
                for fleet in fleets.values():
                    number = int(params["Versions"][0]) if id_ else fleet.version
                    if id_ in (None, fleet.template):
                        content = {"ImageId": f"ami-{number}"}
                        row = {"LaunchTemplateId": fleet.template, "VersionNumber": number}
                        rows.append({**row, "LaunchTemplateData": content})
            case "describe_target_health":
                wanted = [dict(one)["Id"] for one in params.get("Targets", ())]
                for fleet in (f for f in fleets.values() if f.targets == params["TargetGroupArn"]):
                    known = {s.id: s for s in fleet.servers.values() if s.target != "unregistered"}
                    rows += [
                        {"Target": {"Id": s.id}, "TargetHealth": {"State": s.target}}
                        for s in known.values()
                        if not wanted or s.id in wanted
                    ]
                    unregistered = {"State": "unused", "Reason": "Target.NotRegistered"}
                    rows += [{"Target": {"Id": i}, "TargetHealth": unregistered} for i in wanted if i not in known]
        return Rows(tuple(rows))

    def _row(self, thing: Thing) -> dict[str, Any]:
        props = dict(thing.props)
        if thing.type == ALARM:
            props["stateValue"] = "OK"
        if thing.type == KEY:
            props.setdefault("isEnabled", True)
            props["grants"] = []
        return {"id": thing.id, "name": thing.urn.rsplit("::", 1)[-1], "props": props}
