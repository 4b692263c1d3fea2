"""Stand-ins for what acting is handed: a journal, an engine, looks, and a clock that only waiting moves."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.act.steps import EnginePlan, EngineRun, Step
from reconciler.act.tools import Pace, Tools
from reconciler.errors import StackmendError, TenantPaused
from reconciler.model import (
    Declared,
    DeclaredResource,
    Finding,
    Fleet,
    Kind,
    Outcome,
    Plan,
    Repair,
    ResourceKind,
    Severity,
    Unreadable,
    Urn,
    Value,
    Verdict,
)

THING, STORE, KEY = "aws:ec2/vpc:Vpc", "aws:s3/bucket:Bucket", "aws:kms/key:Key"
BINDING = "aws:ec2/route:Route"
GROUP = "aws:autoscaling/group:Group"
KINDS = {t: ResourceKind(t, stateful=t in (STORE, KEY)) for t in (THING, STORE, KEY, BINDING, GROUP)}


def urn(name: str, type_: str = THING) -> Urn:
    return Urn(f"urn:pulumi:dev::stackmend::{type_}::{name}")


def resource(
    name: str, type_: str = THING, *, inputs: Mapping[str, Value] | None = None, protect: bool = False
) -> DeclaredResource:
    """``acme-vpc`` belongs to tenant acme; a name without a dash to nobody."""
    tenant = name.split("-")[0] if "-" in name else None
    return DeclaredResource(urn(name, type_), type_, name, f"id-{name}", inputs or {}, tenant=tenant, protect=protect)


def declared(*resources: DeclaredResource) -> Declared:
    return Declared("dev", "stackmend", "123456789012", "eu-central-1", {r.urn: r for r in resources})


def finding(about: DeclaredResource, verdict: Verdict = Verdict.FAIL, rule: str = "drift.changed") -> Finding:
    message = f"{about.name} is wrong"
    return Finding(rule, Kind.DRIFT, verdict, Severity.HIGH, about.urn, about.type, about.id, about.tenant, message)


def differs(about: DeclaredResource, property: str, observed: Value) -> Finding:
    """The drift of one property."""
    drift = finding(about, rule="drift.property")
    return replace(drift, property=property, declared=about.inputs.get(property), observed=observed)


def repair(strategy: str, *resources: DeclaredResource, after: Sequence[Repair] = (), **more: Any) -> Repair:
    """A repair of the first resource's finding that names all of them."""
    return Repair(
        strategy,
        resources[0].tenant,
        tuple(r.urn for r in resources),
        (finding(resources[0]).id,),
        f"{resources[0].name} is wrong",
        after=tuple(r.id for r in after),
        **more,
    )


def plan(*repairs: Repair) -> Plan:
    return Plan("run-1", "dev", repairs, ())


class Journal:
    """Keeps intents and outcomes; ``trouble`` is raised by the named call."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.intents: list[Repair] = []
        self.outcomes: dict[int, Outcome] = {}
        self.paused: set[str] = set()
        self.told_before: set[str] = set()
        self.trouble: dict[str, StackmendError] = {}

    def told(self, repair: Repair) -> bool:
        return repair.id in self.told_before

    def intend(self, repair: Repair) -> int:
        self._may("intend")
        self.intents.append(repair)
        self.log.append(f"intend {repair.strategy}")
        return len(self.intents) - 1

    def conclude(self, intent: int, outcome: Outcome, *, finished: bool = False) -> None:  # noqa: ARG002
        self._may("conclude")
        assert intent not in self.outcomes, "concluded twice"
        self.outcomes[intent] = outcome
        self.log.append(f"conclude {outcome.status}")

    def ensure_held(self, tenants: Collection[str] = ()) -> None:
        self._may("ensure_held")
        if paused := self.paused.intersection(tenants):
            raise TenantPaused(f"tenant {min(paused)} is paused")
        self.log.append("held")

    def _may(self, call: str) -> None:
        if call in self.trouble:
            raise self.trouble[call]

    @property
    def open(self) -> list[int]:
        return [n for n in range(len(self.intents)) if n not in self.outcomes]


class Engine:
    """Repairs whatever it is told to. ``would`` gives other steps than an update for a resource."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.would: dict[Urn, tuple[str, ...]] = {}
        self.besides: list[Step] = []
        self.fails: dict[Urn, str] = {}
        self.missing: set[Urn] = set()
        self.preview_trouble: Callable[[Collection[Urn]], StackmendError | None] = lambda _: None
        self.up_trouble: BaseException | None = None
        self.previews: list[tuple[Urn, ...]] = []
        self.replaced: tuple[Urn, ...] = ()
        self.ups: list[tuple[tuple[Urn, ...], Collection[str] | None]] = []

    def recorded(self, targets: Collection[Urn]) -> frozenset[Urn]:
        return frozenset(targets) - self.missing

    def preview(
        self,
        targets: Sequence[Urn],
        tenants: Collection[str] | None = None,  # noqa: ARG002
        *,
        replace: Sequence[Urn] = (),
        overriding: Mapping[Urn, Mapping[str, Value]] | None = None,
    ) -> EnginePlan:
        self.replaced = tuple(replace)
        self.previews.append(tuple(targets))
        self.world.log.append("preview")
        if trouble := self.preview_trouble(targets):
            raise trouble
        known = self.world.tools.declared.resources
        steps = [Step(t, known[t].type, op) for t in targets for op in self.would.get(t, ("update",))]
        return EnginePlan((*steps, *self.besides), overridden=overriding or {})

    def up(self, targets: Sequence[Urn], plan: EnginePlan, tenants: Collection[str] | None = None) -> EngineRun:
        self.world.log.append("up")
        self.ups.append((tuple(targets), tenants))
        if self.up_trouble:
            raise self.up_trouble
        for step in plan.writes:
            if step.urn not in self.fails:
                self.world.broken.pop(step.urn, None)
        for urn, properties in plan.overridden.items():
            resource = self.world.tools.declared.resources[urn]
            self.world.broken[urn] = [differs(resource, name, value) for name, value in properties.items()]
        return EngineRun(plan.steps, {t: why for t, why in self.fails.items() if t in targets})


class Aws:
    """Records permits and calls; ``answers`` gives the answer of a read."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.permitted: tuple[Collection[str], Collection[str]] | None = None
        self.answers: dict[str, Callable[[dict[str, Any]], Any]] = {}

    def client(self, service: str) -> Any:
        return _Client(self, service)

    @contextmanager
    def permit(
        self,
        _: Repair,
        *,
        operations: Collection[str],
        resources: Collection[str],
    ) -> Iterator[None]:
        assert self.permitted is None, "permits do not nest"
        self.permitted = (operations, resources)
        try:
            yield
        finally:
            self.permitted = None


@dataclass(frozen=True)
class _Client:
    aws: Aws
    service: str

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            if not operation.startswith("describe_"):
                name = "".join(w.capitalize() for w in operation.split("_"))
                assert self.aws.permitted is not None, f"{operation} without a permit"
                operations, resources = self.aws.permitted
                assert operations == {f"{self.service}:{name}"}
                named = {v for k, v in parameters.items() if k.endswith(("Id", "Name", "Arn"))}
                named |= {t["Id"] for t in parameters.get("Targets", ())}
                assert named <= set(resources), f"{operation} names {named - set(resources)}"
                self.aws.world.log.append(operation)
            return self.aws.answers[operation](parameters)

        return call


@dataclass
class World:
    """Everything that acting touches. ``broken`` holds the findings that a look shows."""

    declared: Declared
    log: list[str] = field(default_factory=list)
    broken: dict[Urn, list[Finding]] = field(default_factory=dict)
    now: float = 0.0
    look_trouble: StackmendError | None = None
    fleet: Callable[[Urn], Fleet | Unreadable] = lambda _: Unreadable("no fleet here")

    def __post_init__(self) -> None:
        self.journal, self.engine, self.aws = Journal(self.log), Engine(self), Aws(self)
        self.told: list[str] = []
        self.tools = Tools(
            engine=self.engine,
            aws=self.aws,
            journal=self.journal,
            look=self.look,
            fleet=self.see_fleet,
            verify=self.verify,
            declared=self.declared,
            kinds=KINDS,
            progress=lambda _, message: self.told.append(message),
            clock=lambda: self.now,
            wait=self.wait,
            pace=Pace(poll=10, bake=30, patience=300),
        )

    def see_fleet(self, group: Urn) -> Fleet | Unreadable:
        return self.fleet(group)

    def change(self, **fields: Any) -> None:
        self.tools = replace(self.tools, **fields)

    def breaks(self, *resources: DeclaredResource) -> None:
        for one in resources:
            self.broken[one.urn] = [finding(one)]

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def look(self, urns: Collection[Urn]) -> tuple[Finding, ...]:
        self.log.append("look")
        if self.look_trouble:
            raise self.look_trouble
        return tuple(f for u in urns for f in self.broken.get(u, ()))

    def verify(self, repairs: Sequence[Repair]) -> Mapping[str, str]:
        self.log.append("verify")
        wrong = {f.id: f.message for fs in self.broken.values() for f in fs}
        return {r.id: wrong[i] for r in repairs for i in r.finding_ids if i in wrong}
