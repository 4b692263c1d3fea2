"""The product's tools on one hand-made tenant of the sandbox's server: real calls, real observation, no engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import botocore.session

from reconciler.detect.detect import detect
from reconciler.model import Declared, DeclaredResource, Finding, Fleet, Repair, Unreadable, Urn, Verdict
from reconciler.observe.clients import Clients
from reconciler.observe.observe import observe
from reconciler.observe.registry import OBSERVERS
from reconciler.ownership import sighted
from reconciler.wiring import GuardedWriter
from sandbox.lifecycle import ACCOUNT, Sandbox
from tests.unit import act_world
from tests.unit.act_fleet import Killed
from tests.unit.act_world import GROUP, urn
from tests.unit.sandbox_worlds import CELL, World

KINDS = {token: observer.kind for token, observer in OBSERVERS.items()}


class Stage:
    """One tenant with a fleet of ``size`` servers. ``floor`` is the least number of healthy ones."""

    def __init__(self, sandbox: Sandbox, tenant: str, *, floor: int, size: int = 3, room: int = 3) -> None:
        self.world = World(sandbox, tenant)
        self.control = sandbox.control
        self.world.victim.autoscaling.update_auto_scaling_group(
            AutoScalingGroupName=self.world.group, MinSize=1, DesiredCapacity=size, MaxSize=size + room
        )
        core = botocore.session.Session()
        core.set_credentials("sandbox", "sandbox")
        self.clients = _At(sandbox.url, core)
        inputs: Mapping[str, Any] = {"desiredCapacity": size, "targetGroupArns": [self.world.target_group]}
        name = f"{tenant}-servers"
        self.group = DeclaredResource(urn(name, GROUP), GROUP, name, self.world.group, inputs, tenant=tenant)
        self.declared = Declared(CELL, "stackmend", ACCOUNT, "us-east-1", {self.group.urn: self.group})
        self.now = datetime.now(UTC)
        self.seen: dict[Urn, frozenset[str]] = {}
        self.acting = act_world.World(self.declared)
        self.acting.change(
            aws=GuardedWriter(self.clients, self.declared, self.seen),
            fleet=self.fleet,
            look=self.look,
            floor=lambda *_: floor,
            now=lambda: self.now,
            kinds=KINDS,
            pace=replace(self.acting.tools.pace, bake=0, poll=1, patience=5),
        )

    def fleet(self, group: Urn) -> Fleet | Unreadable:
        self.now += timedelta(seconds=1)
        found = observe(self.declared, self.clients, only={group}, observers=OBSERVERS).fleets[group]
        if isinstance(found, Fleet):
            self.seen[group] = self.seen.get(group, frozenset()) | sighted(found)
        return found

    def look(self, _: object) -> tuple[Finding, ...]:
        """The health findings, an hour from now: every server is past its warm-up."""
        later, only = self.now + timedelta(hours=1), {self.group.urn}
        observed = observe(self.declared, self.clients, only=only, observers=OBSERVERS)
        found = detect(self.declared, observed, KINDS, now=later, only=only)
        return tuple(f for f in found if f.kind == "health")

    def failing(self) -> set[tuple[str, str]]:
        return {(f.rule, f.resource_id) for f in self.look(None) if f.verdict is Verdict.FAIL}

    def calls(self) -> list[str]:
        return [w.action for w in self.control.writes() if w.actor == "reconciler"]

    @contextmanager
    def dying(self, at: int, *, performed: bool) -> Iterator[None]:
        """The process dies at its write number ``at``, before or after it took effect."""
        writer = self.acting.tools.aws
        left = at

        class Mortal:
            def client(self, service: str) -> Any:
                return writer.client(service)

            @contextmanager
            def permit(self, *arguments: Any, **named: Any) -> Iterator[object]:
                nonlocal left
                left -= 1
                if left < 0 and not performed:
                    raise Killed
                with writer.permit(*arguments, **named) as granted:
                    yield granted
                if left < 0:
                    raise Killed

        self.acting.change(aws=Mortal())
        try:
            yield
        finally:
            self.acting.change(aws=writer)


@dataclass
class Intent:
    """An open intent, as a dead process leaves it."""

    number: int
    repair: Repair


class _At(Clients):
    """Clients of the sandbox's server, whatever the environment says."""

    def __init__(self, url: str, core: botocore.session.Session) -> None:
        super().__init__("us-east-1", ACCOUNT, session=core)
        self._url = url

    def client(self, service: str) -> Any:
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._session.client(  # type: ignore[call-overload]
                    service, config=self._config, endpoint_url=self._url
                )
            return self._clients[service]
