"""What a pass that died left behind, put right before anything new begins.

In this order: the engine's lock (``unlock``), then the operations it left open in the state (``adopt``), then the
intents without an end (``conclude_open``), a half-done rollout among them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.act.aws_writes import AwsCallFailed
from reconciler.act.locks import Died, Holder, Lock, locks, release
from reconciler.act.needed import still_needed
from reconciler.act.process import end_session, session_members
from reconciler.act.settle import settle, unsettled
from reconciler.act.strategies.quarantine import resume
from reconciler.act.surge import Surge
from reconciler.act.tools import StateDocument, Tools
from reconciler.errors import EngineLocked, LeaseLost, StackmendError
from reconciler.model import ROLLOUTS, DeclaredResource, Outcome, Repair, Status, Urn
from reconciler.ports import OpenIntent

_GROWING = ROLLOUTS | {"quarantine"}
"""Strategies that ask for servers beyond a group's size for a while."""


@dataclass(frozen=True, slots=True)
class _Left:
    """What a repair that was cut off has left behind, in words, and whether nothing is left to do."""

    words: str
    done: bool = False


@dataclass(frozen=True, slots=True)
class Adopted:
    """What ``adopt`` did: whether the state changed, and what is still open."""

    changed: bool
    unsettled: frozenset[Urn]


def unlock(
    directory: Path | None,
    *,
    patience: float,
    poll: float,
    now: Callable[[], datetime],
    clock: Callable[[], float],
    wait: Callable[[float], None],
    died: Died,
) -> tuple[str, ...]:
    """Free the stack of the locks of our own engines that died. Returns what was removed, in words.

    A lock whose process lives may be the engine of a pass that died: it is waited for, up to ``patience`` seconds.
    Raises EngineLocked for a lock that is still held then, or of which nobody can tell from here whether its process
    lives (another host or container, an update that somebody else began): those are never removed here.
    ``directory`` is None for a backend that keeps no lock files; the engine itself reports a lock there.
    """
    if directory is None:
        return ()
    started = clock()
    removed: list[str] = []
    while True:
        held = []
        for lock in locks(directory, now=now(), died=died):
            if lock.holder in (Holder.DEAD, Holder.GARBAGE):
                _clear(lock)
                removed.append(lock.words)
            else:
                held.append(lock)
        if not held:
            return tuple(removed)
        elsewhere = any(lock.holder is Holder.ELSEWHERE for lock in held)
        if elsewhere or clock() - started > patience:
            todo = "wait for it; if nobody runs it any more: pulumi cancel"
            words = "; ".join(lock.words for lock in held)
            raise EngineLocked("another update holds the stack's lock", where=str(directory), why=words, todo=todo)
        wait(poll)


def _clear(lock: Lock) -> None:
    """A dead engine's plugins may still be writing: they end before its lock does.

    A number is not given out again while its session has members. If a process has it now, that is another session.
    """
    if lock.holder is Holder.DEAD and lock.pid not in session_members(lock.pid):
        end_session(lock.pid)
    release(lock)


def adopt(engine: StateDocument, located: Mapping[Urn, str | None], ensure_held: Callable[[], None]) -> Adopted:
    """Settle what the state still has open; see ``settle`` for ``located``. Raises LeaseLost, EngineError."""
    before = engine.export()
    after = settle(before, located)
    changed = after != before
    if changed:
        ensure_held()
        engine.import_(after)
    return Adopted(changed, unsettled(after))


def conclude_open(intents: Sequence[OpenIntent], tools: Tools) -> tuple[Outcome, ...]:
    """Look at what each open intent left behind, put a half-done rollout right, and conclude it as interrupted.

    One that cannot be judged now stays open. Raises LeaseLost.
    """
    outcomes = []
    for intent in intents:
        repair = intent.repair
        left = _left_behind(repair, tools)
        if left is None:
            continue
        reason = f"the process died while it was under way; {left.words}"
        if repair.strategy in _GROWING and any(r.size is None for r in _declared(repair, tools)):
            # What its size was before is not known, and whoever sizes the group now sees the larger one.
            reason += "; others size the group, which may be larger by what had been asked for"
        outcome = Outcome(
            repair_id=repair.id,
            strategy=repair.strategy,
            urns=repair.urns,
            status=Status.INTERRUPTED,
            seconds=0.0,
            reason=reason,
            tenant=repair.tenant,
            finding_ids=repair.finding_ids,
        )
        tools.journal.conclude(intent.number, outcome, finished=left.done)
        outcomes.append(outcome)
    return tuple(outcomes)


def _declared(repair: Repair, tools: Tools) -> list[DeclaredResource]:
    return [tools.declared.resources[u] for u in repair.urns if u in tools.declared.resources]


def _left_behind(repair: Repair, tools: Tools) -> _Left | None:
    """What the repair left, after a half-done rollout was put right; None if it cannot be told now."""
    if not repair.urns:
        # An orphan's removal: there is nothing declared whose look could tell what became of it.
        what = ", ".join(repair.members) or "what it concerned"
        return _Left(f"nobody declares {what}, and the next look shows whether it is still there")
    known = [r.urn for r in _declared(repair, tools)]
    if not known:
        return _Left("what it concerned is no longer declared")
    try:
        if repair.strategy in ROLLOUTS and (trouble := _right_size(repair, tools)):
            return _Left(trouble)
        if repair.strategy == "quarantine" and (trouble := resume(repair, tools)):
            return _Left(f"the isolation could not be finished: {trouble}")
        ending = still_needed(repair, tools.look(known))
    except LeaseLost:
        raise
    except StackmendError:
        return None
    if ending is None:
        return _Left("what it was to repair is still wrong")
    return None if ending.status is Status.REFUSED else _Left("what it was to repair is healed", done=True)


def _right_size(repair: Repair, tools: Tools) -> str:
    """Take out the server that a rollout had asked for and not yet given back. Empty if all is well."""
    surge = Surge(repair, tools)
    size = surge.declared_size
    if size is None or surge.base <= size:
        return ""
    # A rollout adds one server at a time, an image refresh a batch; more are not their doing.
    surge.asked = min(tools.pace.batch, len(repair.members)) if repair.strategy == "refresh-image" else 1
    surge.base = size
    try:
        return "" if surge.give_back() else f"the fleet is still {surge.surplus} too large, and none may leave"
    except AwsCallFailed as error:
        return f"the fleet may still be {surge.surplus} too large: {error}"
