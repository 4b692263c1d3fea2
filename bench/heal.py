"""Time to heal: how long from a fault's detection to the proof that it is healed, and what takes it.

Every fault strikes a deployed cell of the sandbox; one whole pass of the product follows, in this process, as in a
pass of ``stackmend run``. Declarative faults only, and one rollout. At the end one fault strikes up to ten tenants at
once. ``python -m bench.heal --help``; `make bench-heal` writes ``bench/results/heal.json`` and the table of
``docs/heal.md``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from reconciler import interpreter
from reconciler.act.tools import Tools
from reconciler.cycle import Cycle
from reconciler.model import Finding, Plan, Repair, Status, Urn
from reconciler.settings import load
from sandbox.lifecycle import REPOSITORY, Sandbox
from stacks.config import load_file

DECLARATIVE = (
    "open-ssh",
    "strip-tag",
    "expose-subnet",
    "disable-dns-hostnames",
    "detach-subnet",
    "delete-default-route",
    "allow-imdsv1",
    "unblock-bucket",
    "change-encryption",
    "suspend-versioning",
    "drop-tls-policy",
    "disable-key-rotation",
    "delete-alias",
    "widen-role-policy",
    "downgrade-tls",
    "delete-listener",
    "delete-alarm",
    "mute-alarm",
    "shorten-log-retention",
    "weaken-health-check",
)
ROLLOUT = "terminate-instance"
TOGETHER = "mute-alarm"
MANY = 10
RESULTS = REPOSITORY / "bench" / "results" / "heal.json"
PAGE = REPOSITORY / "docs" / "heal.md"
BEGIN, END = "<!-- figures: written by `make bench-heal` -->", "<!-- end of figures -->"


@dataclass(frozen=True, slots=True)
class Healing:
    """One pass, in seconds. ``heal_seconds`` is the time from detection to proof: plan, act and verify."""

    fault: str
    tenants: int
    """Of the cell."""
    struck: int
    outcome: str
    detect_seconds: float
    plan_seconds: float
    act_seconds: float
    """From the intent to the end of the engine's update; the engine's own share is ``engine_seconds``."""
    engine_seconds: float
    verify_seconds: float
    heal_seconds: float
    total_seconds: float
    cpu_seconds: float
    """User and system time of the reconciler and the processes it waited for, the engine's among them."""


class Watch:
    """Adds up how long each part of a pass takes."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def over(self, part: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = self.seconds.get(part, 0.0) + time.monotonic() - began


class TimedEngine:
    """The engine, watched."""

    def __init__(self, engine: Any, watch: Watch) -> None:
        self._engine, self._watch = engine, watch

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._engine, name)

        def watched(*args: Any, **kwargs: Any) -> Any:
            with self._watch.over("engine"):
                return call(*args, **kwargs)

        return watched if name in ("recorded", "preview", "up") else call


class TimedCycle(Cycle):
    """The product's cycle, watched from inside this process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.watch = Watch()
        _wrap(self._deciding, "plan", self._planned)
        _wrap(self._acting, "tools", self._equipped)

    def _planned(self, plan: Callable[..., Plan], *args: Any) -> Plan:
        self.watch.seconds["detected"] = time.monotonic()
        with self.watch.over("plan"):
            return plan(*args)

    def _equipped(self, tools: Callable[..., Tools], *args: Any) -> Tools:
        given = tools(*args)

        def watched(repairs: Sequence[Repair]) -> Mapping[str, str]:
            with self.watch.over("verify"):
                return given.verify(repairs)

        return replace(given, engine=TimedEngine(given.engine, self.watch), verify=watched)


def _wrap(owner: object, name: str, around: Callable[..., Any]) -> None:
    setattr(owner, name, partial(around, getattr(owner, name)))


def healed(sandbox: Sandbox, fault: str, tenants: Collection[str]) -> Healing:
    """Strike, let one pass heal it, and say how long that took."""
    for tenant in tenants:
        sandbox.break_(fault, tenant)
    settings = load()
    cycle = TimedCycle.open(settings)
    watch = cycle.watch
    proven: list[float] = []

    def progress(repair: Repair, message: str) -> None:  # noqa: ARG001 - the protocol's names
        if message.startswith(tuple(s.value for s in Status)):
            proven.append(time.monotonic())

    cpu, began = _cpu(), time.monotonic()
    try:
        done = cycle.repair(progress=progress)
    finally:
        cycle.close()
    ended = proven[-1] if proven else time.monotonic()
    detected, plan, verify = (watch.seconds.get(part, 0.0) for part in ("detected", "plan", "verify"))
    statuses = {o.status.value for o in done.outcomes}
    wanted = {u for r in done.plan.repairs for u in r.urns}
    outcome = "healed" if statuses == {"healed"} and _struck(done.scan.failing, wanted) else ", ".join(sorted(statuses))
    return Healing(
        fault=fault,
        tenants=len(load_file(sandbox.config_file).tenants),
        struck=len(tenants),
        outcome=outcome or "nothing was planned",
        detect_seconds=round(detected - began, 2),
        plan_seconds=round(plan, 2),
        act_seconds=round(ended - detected - plan - verify, 2),
        engine_seconds=round(watch.seconds.get("engine", 0.0), 2),
        verify_seconds=round(verify, 2),
        heal_seconds=round(ended - detected, 2),
        total_seconds=round(ended - began, 2),
        cpu_seconds=round(_cpu() - cpu, 2),
    )


def _struck(failing: Sequence[Finding], planned: Collection[Urn]) -> bool:
    return bool(failing) and {f.urn for f in failing} <= set(planned)


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usages)


def measure(sandbox: Sandbox, faults: Sequence[str], say: Callable[[Healing], None]) -> list[Healing]:
    names = [t.name for t in load_file(sandbox.config_file).tenants]
    done: list[Healing] = []

    def heal(fault: str, tenants: Collection[str]) -> None:
        done.append(healed(sandbox, fault, tenants))
        say(done[-1])

    # The first pass after a deployment also learns AWS's spellings; it is not what is measured.
    with closing(TimedCycle.open(load())) as cycle:
        cycle.watch = Watch()
        cycle.scan()
    for number, fault in enumerate(faults):
        heal(fault, [names[number % len(names)]])
    heal(TOGETHER, [names[-1]])
    heal(TOGETHER, names[:MANY])
    return done


def table(done: Sequence[Healing]) -> str:
    lines = [
        "| fault | tenants | struck | outcome | detect | plan | act | of it engine | verify | **healed in** | CPU |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for one in done:
        lines.append(
            f"| {one.fault} | {one.tenants} | {one.struck} | {one.outcome} | {one.detect_seconds:.1f}"
            f" | {one.plan_seconds:.1f} | {one.act_seconds:.1f} | {one.engine_seconds:.1f} | {one.verify_seconds:.1f}"
            f" | **{one.heal_seconds:.1f}** | {one.cpu_seconds:.1f} |"
        )
    return "\n".join(lines)


def summary(done: Sequence[Healing]) -> dict[str, float]:
    """Medians of the lone declarative repairs of each cell, and ten tenants at once as a multiple of one."""
    figures: dict[str, float] = {}
    for tenants in sorted({one.tenants for one in done}):
        here = [one for one in done if one.tenants == tenants]
        lone = [one for one in here if one.struck == 1 and one.fault in DECLARATIVE]
        many = [one for one in here if one.struck > 1]
        if lone:
            figures[f"median_heal_seconds_{tenants}"] = round(median(one.heal_seconds for one in lone), 2)
            figures[f"median_total_seconds_{tenants}"] = round(median(one.total_seconds for one in lone), 2)
            figures[f"median_cpu_seconds_{tenants}"] = round(median(one.cpu_seconds for one in lone), 2)
        alone = [one for one in lone if one.fault == TOGETHER]
        if many and alone:
            of_one = median(one.heal_seconds for one in alone)
            figures[f"{many[0].struck}_at_once_multiple_{tenants}"] = round(many[0].heal_seconds / of_one, 2)
    return figures


def main(arguments: Sequence[str]) -> int:
    options = argparse.ArgumentParser(prog="python -m bench.heal", description=__doc__)
    options.add_argument("--tenants", type=int, nargs="+", default=[3, 25], help="sizes of the cells")
    options.add_argument("--faults", nargs="+", default=[*DECLARATIVE, ROLLOUT], help="names of faults")
    options.add_argument("--write", action="store_true", help="write the results and the documentation's table")
    chosen = options.parse_args(arguments)
    interpreter.prepare()
    done: list[Healing] = []
    for tenants in chosen.tenants:
        with TemporaryDirectory(prefix="stackmend-heal-") as home:
            sandbox = Sandbox("dev", home=Path(home) / "home")
            try:
                sandbox.up(tenants=tenants)
                os.environ.update(sandbox.environment())
                # The same resource may be struck twice within the hour.
                os.environ["STACKMEND_FLAP__LIMIT"] = "100"
                done += measure(sandbox, chosen.faults, lambda one: print(table([one]).splitlines()[-1], flush=True))
            finally:
                sandbox.down()
    figures = summary(done)
    print(json.dumps(figures, indent=2))
    if chosen.write:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        document = {"cores": os.cpu_count(), "summary": figures, "healings": [asdict(one) for one in done]}
        RESULTS.write_text(json.dumps(document, indent=2) + "\n")
        before, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{table(done)}\n{END}{after}", "utf-8")
    return 0 if all(one.outcome == "healed" for one in done) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
