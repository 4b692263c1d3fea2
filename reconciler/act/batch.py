"""Declarative repairs, together: one preview and one update for all, smaller groups only where that is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TypeVar

from reconciler.act.needed import still_needed
from reconciler.act.process import EngineStopped
from reconciler.act.safety import refuse_unless
from reconciler.act.steps import EnginePlan, EngineRun
from reconciler.act.strategies import STRATEGIES
from reconciler.act.strategies.oversize import give_surplus_back, refuse_shrinking
from reconciler.act.tools import Ending, Interrupted, Tools
from reconciler.errors import EngineError, EngineLocked, LeaseLost, RepairRefused, StackmendError, TenantPaused
from reconciler.model import Repair, Status, Urn

Result = tuple[Repair, Ending]
_T = TypeVar("_T")


def repair_together(
    repairs: Sequence[Repair], tools: Tools, unhindered: Callable[[Repair], bool], *, dry_run: bool
) -> Iterator[Result]:
    """Yield every repair with its ending, as soon as it is known.

    ``unhindered`` says whether what a repair waits for has not failed meanwhile; it is asked whenever a group is
    broken up, since in one update the engine keeps the order by itself.
    """
    ready = []
    for repair in repairs:
        ending = None if dry_run else _prepared(repair, tools)
        if ending:
            yield repair, ending
        else:
            ready.append(repair)
    try:
        recorded = tools.engine.recorded({u for r in ready for u in r.urns}) if ready else frozenset()
    except EngineStopped:
        raise
    except StackmendError as error:
        yield from ((r, Ending(Status.NOT_HEALED, str(error))) for r in ready)
        return
    # With a target that its state does not hold the engine refreshes nothing, so those go apart.
    new = [r for r in ready if not recorded.issuperset(r.urns)]
    for group in (new, [r for r in ready if r not in set(new)]):
        for part in _apart(group) if tools.apart else [group]:
            yield from _attempt(part, tools, unhindered, dry_run=dry_run)


def _prepared(repair: Repair, tools: Tools) -> Ending | None:
    prepare = STRATEGIES[repair.strategy].prepare
    return None if prepare is None else _tried(partial(prepare, repair, tools))


def _given_back(repairs: Sequence[Repair], plan: EnginePlan, tools: Tools) -> tuple[bool, dict[Repair, Ending]]:
    """Whether servers left groups that the engine would make smaller, and the repairs for which they could not."""
    told = {r: _tried(partial(give_surplus_back, plan, r, tools)) for r in repairs}
    return True in told.values(), {r: ending for r, ending in told.items() if isinstance(ending, Ending)}


def _tried(work: Callable[[], _T]) -> _T | Ending:
    """What comes before an update; an ending if it cannot be done."""
    try:
        return work()
    except (LeaseLost, Interrupted):
        raise
    except RepairRefused as error:
        return Ending(Status.REFUSED, str(error))
    except StackmendError as error:
        return Ending(Status.NOT_HEALED, str(error))


def _attempt(
    repairs: Sequence[Repair],
    tools: Tools,
    unhindered: Callable[[Repair], bool],
    *,
    dry_run: bool,
    sized: bool = False,
) -> Iterator[Result]:
    """``sized``: whether what is too large has been brought down to its size."""
    going = []
    for repair in repairs:
        if unhindered(repair):
            going.append(repair)
        else:
            yield repair, Ending(Status.REFUSED, "it needs a repair that was not healed")
    if not going:
        return
    targets = tuple(dict.fromkeys(u for r in going for u in r.urns))
    given, stuck = False, dict[Repair, Ending]()
    try:
        plan = _previewed(going, targets, tools)
        if not (dry_run or sized):
            given, stuck = _given_back(going, plan, tools)
        if not (dry_run or given or stuck):
            refuse_shrinking(plan, tools)
            tools.journal.ensure_held(_named(going))
    except (LeaseLost, Interrupted, EngineStopped):
        raise
    except TenantPaused as error:
        # The others go on without the paused one, with a preview of their own.
        groups = _by_tenant(going)
        if len(groups) > 1:
            for group in groups:
                yield from _attempt(group, tools, unhindered, dry_run=dry_run)
        else:
            yield from ((r, Ending(Status.REFUSED, str(error))) for r in going)
        return
    except EngineLocked as error:
        yield from ((r, Ending(Status.REFUSED, str(error))) for r in going)
        return
    except (RepairRefused, EngineError) as error:
        groups = _smaller(going)
        if len(groups) > 1:
            for group in groups:
                yield from _attempt(group, tools, unhindered, dry_run=dry_run)
            return
        status = Status.REFUSED if isinstance(error, RepairRefused) else Status.NOT_HEALED
        yield from ((r, Ending(status, str(error))) for r in going)
        return
    except StackmendError as error:
        # Such as a state that cannot be read: no smaller group fares better, and what else the pass does goes on.
        yield from ((r, Ending(Status.NOT_HEALED, str(error))) for r in going)
        return
    if given or stuck:
        # What the engine saw is no longer so.
        yield from stuck.items()
        rest = [r for r in going if r not in stuck]
        yield from _attempt(rest, tools, unhindered, dry_run=dry_run, sized=True)
        return
    if dry_run:
        yield from ((r, Ending(Status.DRY_RUN, _would(r, plan))) for r in going)
        return
    yield from _update(going, targets, plan, tools)


def _previewed(repairs: Sequence[Repair], targets: tuple[Urn, ...], tools: Tools) -> EnginePlan:
    for repair in repairs:
        tools.progress(repair, "asking the engine for its plan")
    replaced = tuple(u for u in targets if any(u in r.replaces for r in repairs))
    if replaced:
        plan = tools.engine.preview(targets, _tenants(repairs), replace=replaced)
    else:
        plan = tools.engine.preview(targets, _tenants(repairs))
    refuse_unless(plan, repairs, tools.declared, tools.kinds)
    return plan


def _update(repairs: Sequence[Repair], targets: tuple[Urn, ...], plan: EnginePlan, tools: Tools) -> Iterator[Result]:
    run = EngineRun(())
    trouble = ""
    try:
        for repair in repairs:
            tools.progress(repair, f"the engine updates: {_would(repair, plan)}")
        run = tools.engine.up(targets, plan, _tenants(repairs))
    except (LeaseLost, Interrupted, EngineStopped):
        raise
    except (RepairRefused, EngineLocked) as error:
        # Nothing was written: the tenant has no session to write under, or somebody else holds the stack's lock.
        yield from ((r, Ending(Status.REFUSED, str(error))) for r in repairs)
        return
    except StackmendError as error:
        # What the engine did before it failed is not known: only a look tells.
        trouble = str(error)
    # Where nothing was to be written, the update has at most put the state right: one look decides about that.
    idle = [r for r in repairs if not any(step.urn in r.urns for step in plan.writes)]
    yield from _unchanged(idle, tools)
    active = [r for r in repairs if r not in idle]
    unhealed = tools.verify(active) if active else {}
    for repair in active:
        if (why := unhealed.get(repair.id)) is None:
            yield repair, Ending(Status.HEALED)
            continue
        # Whatever failed elsewhere (the program, a provider) is the reason only if nothing of the repair's own did.
        own = {u: run.failed[u] for u in repair.urns if u in run.failed} or run.failed
        failed = "; ".join(f"{u.rsplit('::', 1)[-1]}: {words}" for u, words in own.items())
        yield repair, Ending(Status.NOT_HEALED, failed or trouble or why)


def _unchanged(repairs: Sequence[Repair], tools: Tools) -> Iterator[Result]:
    """Repairs for which the engine had nothing to write: healed by what was prepared or by its refresh of the state, or
    beyond what it can see. One look decides: nothing is under way that could still heal them."""
    if not repairs:
        return
    try:
        findings = tools.look({u for r in repairs for u in r.urns})
    except LeaseLost:
        raise
    except StackmendError as error:
        yield from ((r, Ending(Status.NOT_HEALED, f"it cannot be seen: {error}")) for r in repairs)
        return
    for repair in repairs:
        ending = still_needed(repair, findings)
        if ending is not None and ending.status is Status.HEALED:
            yield repair, Ending(Status.HEALED)
        else:
            why = ending.reason if ending else f"the engine sees nothing to change: {repair.reason}"
            yield repair, Ending(Status.NOT_HEALED, why)


def _apart(repairs: Sequence[Repair]) -> list[list[Repair]]:
    """By tenant: one update is made under one identity."""
    ordered = sorted(repairs, key=lambda r: r.tenant or "")
    return [list(group) for _, group in groupby(ordered, key=lambda r: r.tenant or "")]


def _smaller(repairs: Sequence[Repair]) -> list[list[Repair]]:
    """By tenant, or one by one if they are all of one tenant; dependencies keep their place."""
    groups = _by_tenant(repairs)
    return groups if len(groups) > 1 else [[r] for r in repairs]


def _by_tenant(repairs: Sequence[Repair]) -> list[list[Repair]]:
    def tenant(repair: Repair) -> str:
        return repair.tenant or ""

    return [list(group) for _, group in groupby(sorted(repairs, key=tenant), key=tenant)]


def _named(repairs: Sequence[Repair]) -> frozenset[str]:
    return frozenset(r.tenant for r in repairs if r.tenant is not None)


def _tenants(repairs: Sequence[Repair]) -> frozenset[str] | None:
    """The tenants concerned; None, which is all, if a repair concerns what no tenant owns."""
    names = {r.tenant for r in repairs}
    return None if None in names else frozenset(n for n in names if n is not None)


def _would(repair: Repair, plan: EnginePlan) -> str:
    return "; ".join(str(s) for s in plan.writes if s.urn in repair.urns) or "nothing to change"
