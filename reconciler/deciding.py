"""The deciding half of a cycle: the plan, with everything that stands from earlier passes, and what people decide."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from reconciler.decisions import Acknowledgement, Approval, Approved, Breaker
from reconciler.declare.graph import Graph
from reconciler.errors import ConfigurationError
from reconciler.model import Plan, Repair, ResourceKind, Scan, Urn
from reconciler.plan.circumstances import Circumstances
from reconciler.plan.ladder import times_set_back
from reconciler.plan.planner import plan
from reconciler.record import cuts, journal, sightings, standing
from reconciler.record.store import Run, Store
from reconciler.settings import Settings
from reconciler.wiring import ensure_known, policy_of

PASSES_SEARCHED = 200
LONGEST_NAME = 100
JUDGING = ("declare", "observe", "detect")
"""The stages that decide what is wrong: when they change, so may the verdicts on a world that did not."""


class Deciding:
    """Plans for one cell, and keeps what was decided."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        kinds: Mapping[str, ResourceKind],
        now: Callable[[], datetime],
        *,
        actor: str,
    ) -> None:
        self._settings, self._store, self._kinds, self._now, self._actor = settings, store, kinds, now, actor
        self._cell = settings.cell
        self.policy = policy_of(settings, kinds)

    def plan(self, scan: Scan, spent: Sequence[Repair] = ()) -> Plan:
        """What to do about a scan; ``spent`` counts against the budgets.

        Raises ConfigurationError if a setting names what the cell does not have.
        """
        ensure_known(self._settings, scan.declared)
        now = self._now()
        needs = Graph(scan.declared)
        remembered = timedelta(hours=self._settings.rollout.remember_hours)
        bad_images = journal.bad_images(self._store, self._cell, now - remembered)
        told = self.circumstances()
        made = plan(
            scan,
            replace(self.policy, bad_images=bad_images),
            journal.attempts(self._store, self._cell, now - self.policy.memory),
            self._kinds,
            now=now,
            dependents=needs.dependents,
            users=needs.users,
            paused={p.tenant: f"paused by {p.who}: {p.reason}" for p in self._store.pauses(self._cell)},
            first_seen=sightings.first_seen(self._store, self._cell),
            cut_off=cuts.cuts(self._store, self._cell) if scan.observed.strays else {},
            circumstances=told,
            spent=spent,
        )
        standing.save_breakers(self._store, self._cell, made.breakers, known=told.breakers, actor=self._actor)
        return made

    def fought_over(self, scan: Scan) -> frozenset[Urn]:
        """The resources with a property that somebody keeps setting back."""
        now = self._now()
        history = journal.attempts(self._store, self._cell, now - self.policy.memory)
        limit = self.policy.fight_limit
        return frozenset(f.urn for f in scan.failing if times_set_back(f, history, self.policy, now) >= limit)

    def circumstances(self) -> Circumstances:
        """What stands in this cell now."""
        return Circumstances(
            approvals=standing.approvals(self._store, self._cell),
            acknowledgements=standing.acknowledgements(self._store, self._cell),
            breakers=standing.breakers(self._store, self._cell),
            replacements=journal.replacements(self._store, self._cell),
            under_way=tuple(i.repair for i in journal.open_intents(self._store, self._cell)),
            upgrade=self._upgrade(),
        )

    def watched(self, *, whole: bool) -> None:
        """Note that this program has made a pass: after one over the whole cell it may repair from the next one on."""
        if whole or not self._upgrade():
            standing.save_program(self._store, self._cell, this_program(), actor=self._actor)

    def _upgrade(self) -> str:
        before, now = standing.program(self._store, self._cell), this_program()
        if before == now or (not before and not self._store.repaired_before(self._cell)):
            return ""
        was = before or "an older version"
        return f"stackmend was changed: {was} made the last pass over the whole cell, this is {now}"

    # --- people --------------------------------------------------------------------------------------------

    def approve(self, plan_id: str, *, note: str, seconds: float | None, who: str | None) -> Approval:
        """Consent to the proposals of a plan that was shown. Raises ConfigurationError if it proposes nothing."""
        document = self._plan_document(plan_id)
        repairs = [
            Approved(p["content"], p["repair_id"], p["tenant"]) for p in document.get("proposals") or () if p["content"]
        ]
        if not repairs:
            raise ConfigurationError(f"plan {plan_id} proposes nothing", todo="`stackmend plan` shows what waits.")
        return standing.approve(
            self._store,
            self._cell,
            plan=document["hash"],
            repairs=repairs,
            who=self._named(who),
            note=note,
            seconds=seconds or self._settings.approval.expires_seconds,
        )

    def acknowledge(
        self, tenant: str | None, *, reason: str, seconds: float | None, who: str | None
    ) -> tuple[Acknowledgement, ...]:
        """Let repairs go on for exactly what failed. Raises ConfigurationError if no breaker is open there."""
        open_now = [b for b in self.breakers() if b.tenant == tenant and not b.acknowledged]
        if not open_now:
            where = f"of tenant {tenant}" if tenant else f"of the whole cell {self._cell}"
            others = ", ".join(sorted({b.tenant or "the cell" for b in self.breakers() if not b.acknowledged}))
            raise ConfigurationError(
                f"no breaker {where} is open",
                todo=f"Open are those of: {others}." if others else "None is open; `stackmend plan` looks again.",
            )
        lasts = seconds or self._settings.breaker.acknowledged_seconds
        return standing.acknowledge(
            self._store, self._cell, open_now, who=self._named(who), reason=reason, seconds=lasts
        )

    def breakers(self) -> tuple[Breaker, ...]:
        return standing.breakers(self._store, self._cell)

    def _named(self, who: str | None) -> str:
        """The operating system's word on who it is, and then the name given beside it.

        In this order nothing in a name can cut the account off or have it masked. Raises ConfigurationError.
        """
        name = who.strip() if who else ""
        if len(name) > LONGEST_NAME:
            raise ConfigurationError(f"--as has {len(name)} characters, allowed are {LONGEST_NAME}")
        return f"{self._actor} as {name}" if name else self._actor

    def _plan_document(self, plan_id: str) -> Mapping[str, Any]:
        wanted = plan_id.removeprefix("p-").lower()
        if len(wanted) >= 8:
            for run in self._store.runs(self._cell, limit=PASSES_SEARCHED):
                document = _planned(run)
                if str(document.get("hash", "")).startswith(wanted):
                    return document
        raise ConfigurationError(
            f"the record of cell {self._cell} knows no plan {plan_id!r}", todo="`stackmend plan` shows its id: p-…"
        )


def _planned(run: Run) -> Mapping[str, Any]:
    document = run.summary.get("plan")
    return document if isinstance(document, Mapping) else {}


@cache
def this_program() -> str:
    """The version, and a digest of the code that judges the world."""
    try:
        number = version("stackmend")
    except PackageNotFoundError:
        number = "unknown"
    root = Path(__file__).parent
    content = hashlib.sha256()
    for path in sorted(path for stage in JUDGING for path in (root / stage).rglob("*.py")):
        content.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes())
    return f"{number} with rules {content.hexdigest()[:12]}"
