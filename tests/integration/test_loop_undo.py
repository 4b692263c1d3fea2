"""A repair that cuts a tenant's clients off is taken back by the real engine, unless they relied on a breach."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from reconciler.model import Outcome, Status
from tests.integration.loop import BRONZE, GOLD, Cell, assert_clean, failing, names
from tests.unit.probe_worlds import site, status

pytestmark = pytest.mark.engine

DRIFTED = {"drift.property", "drift.declaration-changed"}


class Wall:
    """A tenant's outer firewall, with a port that somebody opened by hand and that its clients have come to use."""

    def __init__(self, cell: Cell, tenant: str, port: int) -> None:
        self.cell, self.tenant, self.port, self.ec2 = cell, tenant, port, cell.client("ec2")
        (self.id,) = (
            group["GroupId"]
            for group in self.ec2.describe_security_groups()["SecurityGroups"]
            if f"{tenant}-alb-sg" in group["GroupName"]
        )

    def open(self) -> None:
        world: Any = {"IpProtocol": "tcp", "FromPort": self.port, "ToPort": self.port}
        world["IpRanges"] = [{"CidrIp": "0.0.0.0/0", "Description": "by hand"}]
        self.ec2.authorize_security_group_ingress(GroupId=self.id, IpPermissions=[world])

    @property
    def is_open(self) -> bool:
        (group,) = self.ec2.describe_security_groups(GroupIds=[self.id])["SecurityGroups"]
        return self.port in {rule.get("FromPort") for rule in group["IpPermissions"]}

    @contextmanager
    def probed(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """While the tenant's endpoint is asked, which answers as long as the port is open."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            status(200 if self.is_open else 503)(request)

        with site(answer) as running, monkeypatch.context() as patch:
            target = {"scheme": "http", "host": "127.0.0.1", "port": running.port}
            patch.setenv("STACKMEND_PROBE__TARGETS", json.dumps({self.tenant: target}))
            patch.setenv("STACKMEND_PROBE__INTERVAL_SECONDS", "0")
            yield

    def closed(self) -> Outcome:
        """What becomes of a repair that closes the port, and that it is the only one of the tenant."""
        (outcome,) = self.cell.repair().outcomes
        assert (outcome.strategy, outcome.tenant, names(outcome)) == ("reapply", self.tenant, {f"{self.tenant}-alb-sg"})
        return outcome


def resumed(cell: Cell, tenant: str) -> None:
    """A person lets the tenant's repairs go on, and nobody asks the endpoint any more: it is as declared afterwards."""
    with cell.cycle() as cycle:
        assert cycle.resume(tenant) == ()
    (outcome,) = cell.repair().outcomes
    assert outcome.status is Status.HEALED
    assert_clean(cell.scan())
    assert cell.engine_agrees()


def test_what_clients_rely_on_is_brought_back(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The endpoint falls silent, so the rule is put back; it stays a difference from the declaration, and waits."""
    wall = Wall(cell, GOLD, 8443)
    wall.open()
    with wall.probed(monkeypatch):
        outcome = wall.closed()
        assert outcome.status is Status.ROLLED_BACK, outcome.reason
        assert "answered 0 of 3 times" in outcome.reason
        assert "the tenant is well again" in outcome.reason
        assert wall.is_open
        second = cell.repair()
        assert {f.rule for f in failing(second.scan).values()} == DRIFTED
        assert (second.outcomes, {d.code for d in second.plan.deferrals}) == ((), {"paused"})
    cell.record().assert_whole()
    resumed(cell, GOLD)
    assert not wall.is_open


def test_a_breach_that_clients_rely_on_stays_healed(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """An administration port that the whole world reaches is not opened again for anybody; the tenant waits."""
    wall = Wall(cell, BRONZE, 22)
    wall.open()
    with wall.probed(monkeypatch):
        outcome = wall.closed()
    assert outcome.status is Status.NOT_HEALED
    assert "a breach is not brought back" in outcome.reason
    assert not wall.is_open
    with cell.cycle() as cycle:
        assert cycle.resume(BRONZE) == ()
    assert_clean(cell.scan())
