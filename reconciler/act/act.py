"""Carry out a plan: every repair is intended durably, checked again, done, verified and concluded exactly once.

An interruption (this process is told to stop, the lease is lost, the cell is paused) leaves the intents of repairs
that may have written open: the next pass looks at what they left behind before it concludes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from reconciler.act import wellbeing
from reconciler.act.batch import repair_together
from reconciler.act.needed import still_needed
from reconciler.act.noting import NotingWriter
from reconciler.act.process import EngineStopped
from reconciler.act.strategies import STRATEGIES
from reconciler.act.tools import Ending, Interrupted, Tools
from reconciler.act.turns import declarative, next_turn
from reconciler.act.undo import undo
from reconciler.errors import LeaseLost, RepairRefused, StackmendError, TenantPaused
from reconciler.model import ESCALATE, HEALED_BY_ITSELF, ROLLOUTS, Deadline, Finding, Outcome, Plan, Repair, Status, Urn

_STOPPING = (LeaseLost, Interrupted, EngineStopped)
_LETS_ON = frozenset({Status.HEALED, Status.DRY_RUN, Status.CONTINUES})
"""How a repair ended for which others wait that may now begin: of one that goes on, this pass's part is done."""
_MAY_HAVE_WRITTEN = frozenset({Status.HEALED, Status.NOT_HEALED, Status.ROLLED_BACK, Status.CONTINUES})


def act(plan: Plan, tools: Tools, *, dry_run: bool = False) -> tuple[Outcome, ...]:
    """Carry out ``plan``; one outcome for each of its repairs, in the order they ended.

    A dry run goes as far as the engine's preview and writes neither to AWS nor to the journal. Raises StoreError if
    the journal cannot be written; whatever else goes wrong is an outcome. An error of this program itself concludes
    its repair and is raised.
    """
    work = _Work(tools, dry_run, plan.deadlines)
    waiting = list(plan.repairs)
    try:
        while waiting:
            turn = next_turn(waiting, work.ended)
            waiting = [r for r in waiting if r not in set(turn)]
            work.do(turn)
    except _STOPPING as error:
        done = {o.repair_id for o in work.outcomes}
        work.abandon([r for r in plan.repairs if r.id not in done], str(error))
    return tuple(work.outcomes)


def _worse_off(ending: Ending, why: str, kept: str, now: str) -> Ending:
    """What is told of a repair whose tenant is worse off: ``kept`` says why it was not taken back, if it was not, and
    ``now`` how the tenant is since it was."""
    did = "it healed what it was for" if ending.status is Status.HEALED else f"{ending.status.value}: {ending.reason}"
    told = f"{did}, but the tenant is worse off since: {why}"
    stop = "the tenant's repairs are paused"
    if kept:
        return replace(ending, status=Status.NOT_HEALED, reason=f"{told}; it was not taken back: {kept}; {stop}")
    back = f"what it changed was brought back as it was found, and the tenant {now}"
    return replace(ending, status=Status.ROLLED_BACK, reason=f"{told}; {back}; {stop}")


@dataclass(frozen=True, slots=True)
class _Open:
    number: int | None
    started: float


class _Work:
    """What is under way and what has ended."""

    def __init__(self, tools: Tools, dry_run: bool, deadlines: Mapping[str, Deadline]) -> None:
        self.writer = NotingWriter(tools.aws)
        self.tools = replace(tools, aws=self.writer, noted=self.writer.note)
        self.dry_run, self.deadlines = dry_run, deadlines
        self.open: dict[Repair, _Open] = {}
        self.outcomes: list[Outcome] = []
        self.ended: dict[str, Status] = {}
        self.stopped: dict[str | None, str] = {}
        """Tenants that a repair has made worse, with the reason: nothing more is done to them."""
        self.unfit: dict[str, set[tuple[Urn, ...]]] = defaultdict(set)
        """The fleets whose new servers did not become healthy, by the template or image they were made from."""
        self.seen: Sequence[Finding] = ()
        """What the look right before this turn's writes has shown."""

    def do(self, turn: Sequence[Repair]) -> None:
        endings: list[tuple[Repair, Ending]] = []
        try:
            for repair in turn:
                self.begin(repair)
            ready = self.checked(turn)
            writing = {r.tenant for r in ready if STRATEGIES[r.strategy].writes and not self.dry_run}
            # An alarm that is set right may ring for what was there all along: that is not the repair's doing.
            alarms = {u for r in ready for u in r.urns if self.type_of(u) == wellbeing.ALARM}
            before = wellbeing.of(writing, self.tools, without=alarms)
            batch = [r for r in ready if declarative(r)]
            if batch:
                for repair, told in repair_together(batch, self.tools, self.healthy, dry_run=self.dry_run):
                    ending = self.honest(repair, told)
                    if ending.status in _MAY_HAVE_WRITTEN:
                        endings.append((repair, ending))
                        # It is not concluded yet, but what needs it must know.
                        self.ended[repair.id] = ending.status
                    else:
                        self.end(repair, ending)
            for repair in ready:
                if repair not in batch:
                    try:
                        endings.append((repair, self.honest(repair, self.by_itself(repair))))
                    except TenantPaused as error:
                        # It may have written: its intent stays open until its tenant goes on.
                        self.abandon([repair], str(error))
                        self.ended[repair.id] = Status.INTERRUPTED
            for repair, ending in self.no_worse(before, endings):
                self.end(repair, ending)
        except _STOPPING:
            raise
        except Exception as error:
            # A fault of this program: its repairs are concluded, and it is not hidden.
            for repair, ending in endings:
                if repair in self.open:
                    self.end(repair, ending)
            for repair in list(self.open):
                self.end(repair, Ending(Status.NOT_HEALED, f"unexpected {type(error).__name__}: {error}"))
            raise

    def honest(self, repair: Repair, ending: Ending) -> Ending:
        """The ending; of a repair that was refused only after it had written, as the failure that it is."""
        if ending.status is not Status.REFUSED or repair.id not in self.writer.permitted:
            return ending
        return replace(ending, status=Status.NOT_HEALED, reason=f"{ending.reason}; part of it was done before")

    def no_worse(
        self, before: wellbeing.Wellbeing, endings: Sequence[tuple[Repair, Ending]]
    ) -> Sequence[tuple[Repair, Ending]]:
        """The endings, with those of tenants that are worse off than before the turn as failures.

        Also where a repair failed: an update that is half done hurts soonest. What was done is taken back where that
        is right (``undo``). Either way the tenant's repairs stop here, until a person has looked.
        """
        written = [(r, ending) for r, ending in endings if ending.status in _MAY_HAVE_WRITTEN]
        if not written or not (before.serving or before.verdicts):
            return endings
        concerned = {r.tenant for r, _ in written}
        found = {t: why for t, why in wellbeing.worse(before, self.tools).items() if t in concerned}
        kept: dict[str | None, str] = {}
        for tenant, why in found.items():
            self.stopped[tenant] = why
            try:
                kept[tenant] = self.taken_back([r for r, _ in written if r.tenant == tenant])
            finally:
                if self.tools.pause is not None:
                    self.tools.pause(tenant, f"it is worse off since a repair: {why}")
        now = wellbeing.again(before, self.tools) if not all(kept.values()) else {}
        return [
            (r, _worse_off(ending, found[r.tenant], kept[r.tenant], now.get(r.tenant or "", "")))
            if r.tenant in found and (r, ending) in written
            else (r, ending)
            for r, ending in endings
        ]

    def taken_back(self, repairs: Sequence[Repair]) -> str:
        """Take back all that was done to one tenant; why not, if it is not."""
        try:
            undo(repairs, self.seen, self.tools)
        except _STOPPING:
            raise
        except StackmendError as error:
            return str(error)
        return ""

    def type_of(self, urn: Urn) -> str:
        resource = self.tools.declared.resources.get(urn)
        return resource.type if resource else ""

    def begin(self, repair: Repair) -> None:
        self.open[repair] = _Open(None, self.tools.clock())
        if self.dry_run:
            return
        if why := self.stop(repair):
            self.end(repair, Ending(Status.REFUSED, why))
            return
        if repair.strategy == ESCALATE and self.tools.journal.told(repair):
            return
        try:
            number = self.tools.journal.intend(repair)
        except RepairRefused as error:
            self.end(repair, Ending(Status.REFUSED, str(error)))
        else:
            self.open[repair] = _Open(number, self.tools.clock())

    def stop(self, repair: Repair) -> str:
        """Why a repair that was planned may not begin any more; empty if it may. What is under way is not cut off."""
        if why := self.stopped.get(repair.tenant):
            return f"the tenant's repairs are paused: {why}"
        deadline = self.deadlines.get(repair.id)
        if deadline is not None and self.tools.now() >= deadline.at:
            return deadline.reason
        for made_from in repair.replacement:
            if (fleets := len(self.unfit[made_from])) >= self.tools.unfit_limit:
                return f"new servers from {made_from} did not become healthy in {fleets} fleets of this pass"
        return ""

    def checked(self, turn: Sequence[Repair]) -> list[Repair]:
        """The repairs that may go on: known, not waiting for one that failed, and with findings that still hold."""
        ready = []
        for repair in [r for r in turn if r in self.open]:
            if ending := self.hindrance(repair):
                self.end(repair, ending)
            else:
                ready.append(repair)
        writing = [r for r in ready if STRATEGIES[r.strategy].writes]
        if not writing:
            return ready
        try:
            findings = self.seen = self.tools.look({u for r in writing for u in r.urns})
        except _STOPPING:
            raise
        except StackmendError as error:
            for repair in writing:
                self.end(repair, Ending(Status.REFUSED, f"nothing was written, since nothing could be seen: {error}"))
            return [r for r in ready if r not in writing]
        for repair in writing:
            if ending := still_needed(repair, findings):
                self.end(repair, ending)
        return [r for r in ready if r in self.open]

    def hindrance(self, repair: Repair) -> Ending | None:
        if repair.strategy not in STRATEGIES:
            return Ending(Status.REFUSED, f"there is no strategy '{repair.strategy}'")
        if unsettled := self.tools.unsettled.intersection(repair.urns):
            names = ", ".join(sorted(u.rsplit("::", 1)[-1] for u in unsettled))
            return Ending(Status.REFUSED, f"a create of {names} was cut off and nobody knows yet whether it exists")
        together = {r.id for r in self.open if declarative(r)} if declarative(repair) else set()
        for other in repair.after:
            status = self.ended.get(other)
            if status not in _LETS_ON and (status is not None or other not in together):
                told = status.value if status else "not done"
                return Ending(Status.REFUSED, f"it needs repair {other}, which was {told}")
        return None

    def by_itself(self, repair: Repair) -> Ending:
        """Run a strategy that does not go through the engine, and verify it."""
        strategy = STRATEGIES[repair.strategy]
        if strategy.run is None:
            raise TypeError(f"strategy {strategy.name} neither runs nor asks the engine")
        try:
            if self.dry_run:
                told = strategy.preview(repair, self.tools) if strategy.preview else repair.reason
                return Ending(Status.DRY_RUN, f"would {told}" if strategy.preview else told)
            ending = strategy.run(repair, self.tools)
            if ending.status is not Status.HEALED:
                return ending
            why = self.tools.verify([repair]).get(repair.id)
        except (*_STOPPING, TenantPaused):
            raise
        except RepairRefused as error:
            return Ending(Status.REFUSED, str(error))
        except StackmendError as error:
            return Ending(Status.NOT_HEALED, str(error))
        return Ending(Status.NOT_HEALED, why) if why else ending

    def healthy(self, repair: Repair) -> bool:
        """Whether everything a repair needs has been healed, as far as it has ended."""
        return all(self.ended.get(i, Status.HEALED) in _LETS_ON for i in repair.after)

    def end(self, repair: Repair, ending: Ending) -> None:
        """Conclude a repair. It counts as concluded only once the journal has it."""
        begun = self.open[repair]
        outcome = self._outcome(repair, ending, self.tools.clock() - begun.started)
        if begun.number is not None:
            self.tools.journal.conclude(begun.number, outcome)
        del self.open[repair]
        for made_from in repair.replacement:
            if ending.bad_image:
                self.unfit[made_from].add(repair.urns)
            elif repair.strategy in ROLLOUTS and ending.status in _LETS_ON and ending.reason != HEALED_BY_ITSELF:
                self.unfit[made_from].clear()
        self.outcomes.append(outcome)
        self.ended[repair.id] = ending.status
        self.tools.progress(repair, f"{ending.status.value}: {ending.reason}" if ending.reason else ending.status.value)

    def abandon(self, repairs: Iterable[Repair], reason: str) -> None:
        """Report what an interruption cut off. Its intents stay open for the next pass to look at."""
        for repair in repairs:
            begun = self.open.pop(repair, None)
            seconds = self.tools.clock() - begun.started if begun else 0.0
            self.outcomes.append(self._outcome(repair, Ending(Status.INTERRUPTED, reason), seconds))

    def _outcome(self, repair: Repair, ending: Ending, seconds: float) -> Outcome:
        return Outcome(
            repair_id=repair.id,
            strategy=repair.strategy,
            urns=repair.urns,
            status=ending.status,
            seconds=round(seconds, 3),
            reason=ending.reason,
            tenant=repair.tenant,
            finding_ids=repair.finding_ids,
            bad_image=ending.bad_image,
        )
