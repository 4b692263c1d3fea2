"""What a program leaves to others, with the real engine: it is not compared, not planned, and survives a repair."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.model import GROUP, Declared, DeclaredResource, Fleet, Outcome, Scan, Status
from sandbox.lifecycle import Sandbox
from tests.integration.sandbox_cell import Cell

pytestmark = pytest.mark.engine

PROGRAM = f"""
import pulumi
from pulumi.runtime import register_stack_transformation

from stacks.program import run


def sized_by_others(args):
    if args.type_ == "{GROUP}":
        more = pulumi.ResourceOptions(ignore_changes=["desiredCapacity"])
        return pulumi.ResourceTransformationResult(args.props, pulumi.ResourceOptions.merge(args.opts, more))


register_stack_transformation(sized_by_others)
run()
"""


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    """A cell whose program leaves the size of its groups to others."""
    sandbox = Sandbox(home=tmp_path / "sandbox")
    try:
        sandbox.up(1)
        program = sandbox.cell_directory / "program"
        program.mkdir()
        (program / "__main__.py").write_text(PROGRAM)
        (sandbox.cell_directory / "Pulumi.yaml").write_text("name: stackmend\nruntime: python\nmain: program\n")
        sandbox.stack().up(color="never")
        cell = Cell(sandbox)
        cell.environment(monkeypatch)
        yield cell
    finally:
        sandbox.down()


def group_of(declared: Declared) -> DeclaredResource:
    (group,) = declared.of_type(GROUP)
    return group


def servers(scan: Scan) -> int:
    fleet = scan.observed.fleets[group_of(scan.declared).urn]
    assert isinstance(fleet, Fleet)
    return len(fleet.healthy)


def repair(cell: Cell) -> tuple[Outcome, ...]:
    with cell.cycle() as cycle:
        return cycle.repair(progress=lambda *_: None).outcomes


def test_a_group_that_others_size_keeps_its_servers(cell: Cell) -> None:
    """Scaled out by hand it is as declared; a repair of its tags changes those, and takes no server away (I02, I09)."""
    before = cell.scan()
    group = group_of(before.declared)
    assert group.ignored == ("desiredCapacity",)
    autoscaling = cell.aws("autoscaling")
    autoscaling.set_desired_capacity(AutoScalingGroupName=group.id, DesiredCapacity=servers(before) + 2)
    grown = cell.scan()
    assert servers(grown) == servers(before) + 2
    assert [f for f in grown.failing if f.urn == group.urn] == []
    assert repair(cell) == ()
    tag = {"ResourceId": group.id, "ResourceType": "auto-scaling-group", "Key": "who", "PropagateAtLaunch": False}
    autoscaling.create_or_update_tags(Tags=[{**tag, "Value": "me"}])
    assert [(o.status, o.strategy) for o in repair(cell)] == [(Status.HEALED, "reapply")]
    assert servers(cell.scan()) == servers(before) + 2
