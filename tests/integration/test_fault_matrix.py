"""Every read that a look makes, times every way in which AWS can answer it badly: nothing is misjudged.

Looks at a whole cell, and narrow ones at one of its tenants. The reads come from the server's own log of one look, so
that a new one cannot be forgotten here. Rows of the programme: F01, F02, F03, F05, F06, F07, F10, F15, F16, F18, F19,
F21 (a connection held open in silence), F23, and the invariant I06.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator

import pytest
import stamina

from reconciler.model import Fleet, Member, Presence, Unreadable, Urn, Verdict
from reconciler.observe.clients import AccountUnverified
from sandbox.lifecycle import Sandbox
from tests.integration.fault_matrix import ATTEMPTS, EFFECTS, Cell, Judged

pytestmark = pytest.mark.engine

IDENTITY = "sts:GetCallerIdentity"
LIES = ("not-found", "truncate", "empty")
"""Effects that look like a truthful answer."""
LISTINGS_ONLY = ("truncate", "repeat-token", "empty")
"""Effects that leave an answer without a list as it is."""


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Two tenants, deployed once by the real engine."""
    sandbox = Sandbox("dev", home=tmp_path_factory.mktemp("matrix"))
    with pytest.MonkeyPatch.context() as patch, stamina.set_testing(True, attempts=ATTEMPTS, cap=True):
        try:
            sandbox.up(2)
            for name, value in sandbox.environment().items():
                if name.startswith("AWS_"):
                    patch.setitem(os.environ, name, value)
            yield sandbox
        finally:
            sandbox.down()


@pytest.fixture(scope="module")
def cell(deployed: Sandbox) -> Cell:
    """Looks at all of it."""
    return Cell(deployed)


@pytest.fixture(scope="module")
def narrow(deployed: Sandbox) -> Cell:
    """Looks at one of its tenants."""
    return Cell(deployed, "acme-bank")


@pytest.fixture(scope="module")
def clean(cell: Cell) -> Judged:
    """The look with nothing broken."""
    return cell.whole()


@pytest.fixture(scope="module")
def calls(cell: Cell) -> tuple[str, ...]:
    return tuple(call for call in cell.calls() if call != IDENTITY)


@pytest.fixture(scope="module")
def concerned(cell: Cell) -> dict[str, frozenset[Urn]]:
    return dict(cell.concerned())


@pytest.fixture(scope="module")
def doubts(cell: Cell, calls: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs of an operation and one that is asked only because the first answers empty lists."""
    pairs = ((first, again) for first in calls for again in sorted(cell.asked_when_empty(first) - set(calls)))
    return tuple(pairs)


def complaints(clean: Judged, now: Judged, allowed: Collection[Urn]) -> list[str]:
    """All that is wrong with a judgement: nothing may fail, and only ``allowed`` may be unknown, with a reason."""
    told: list[str] = []
    before = {(f.urn, f.id): f.verdict for f in clean.findings}
    after = {(f.urn, f.id): f.verdict for f in now.findings}
    told += [f"FAIL: {f.rule} {f.urn}: {f.message}" for f in now.findings if f.verdict is Verdict.FAIL]
    told += [f"ABSENT: {o.urn}" for o in now.observed.resources.values() if o.presence is Presence.ABSENT]
    told += [f"planned: {r.strategy} {r.urns}" for r in now.plan.repairs]
    told += [f"stray: {s}" for s in now.observed.strays]
    unknown = {f.urn for f in now.findings if f.verdict is Verdict.UNKNOWN}
    told += [f"unknown for no reason: {urn}" for urn in unknown - set(allowed)]
    told += [
        f"says no reason: {f}"
        for f in now.findings
        if f.verdict is Verdict.UNKNOWN and (not f.message.rpartition("known")[2].strip(" :") or "crashed" in f.message)
    ]
    told += [f"new: {key}" for key in after.keys() - before.keys() if after[key] is not Verdict.UNKNOWN]
    told += [f"gone: {key}" for key in before.keys() - after.keys() if key[0] not in unknown]
    changed = (key for key in before.keys() & after.keys() if before[key] is not after[key])
    told += [f"changed: {key}" for key in changed if after[key] is not Verdict.UNKNOWN]
    for group, fleet in now.observed.fleets.items():
        was = clean.observed.fleets[group]
        if isinstance(fleet, Fleet) and isinstance(was, Fleet) and not _same(was, fleet):
            told.append(f"fleet: {fleet}")
    return told


def _same(was: Fleet, fleet: Fleet) -> bool:
    """Whether two looks at a fleet agree in all that could be read."""

    def agree(one: Member, other: Member) -> bool:
        pairs = ((one.state, other.state), (one.target, other.target), (one.outdated, other.outdated))
        return one.instance_id == other.instance_id and all(isinstance(b, Unreadable) or a == b for a, b in pairs)

    sizes = (was.desired, was.minimum, was.maximum) == (fleet.desired, fleet.minimum, fleet.maximum)
    return sizes and len(was.members) == len(fleet.members) and all(map(agree, was.members, fleet.members))


def test_the_cell_is_in_order(clean: Judged, calls: tuple[str, ...], doubts: tuple[tuple[str, str], ...]) -> None:
    """With nothing broken everything passes, so that whatever fails later is a false verdict; all services are read."""
    assert {f.verdict for f in clean.findings} == {Verdict.PASS}
    assert [*clean.plan.repairs, *clean.observed.failed, *clean.observed.strays] == []
    services = {call.partition(":")[0] for call in calls}
    assert services >= {"autoscaling", "cloudwatch", "ec2", "elbv2", "iam", "kms", "logs", "s3"}
    assert len(calls) >= 30
    assert {again for _, again in doubts} >= {"autoscaling:DescribeTags", "iam:GetRole", "s3:HeadBucket"}


@pytest.mark.parametrize("effect", EFFECTS)
def test_no_broken_read_is_misjudged(
    effect: str, cell: Cell, clean: Judged, calls: tuple[str, ...], concerned: dict[str, frozenset[Urn]]
) -> None:
    """I06 F01 F02 F03 F05 F06 F07 F10 F15 F16 F18 F19 F23: an operation that always answers so costs knowledge only."""
    found = {call: complaints(clean, cell.broken(call, effect), concerned.get(call, ())) for call in calls}
    assert {call: told for call, told in found.items() if told} == {}


@pytest.mark.parametrize("effect", EFFECTS)
def test_no_broken_narrow_read_is_misjudged(effect: str, narrow: Cell) -> None:
    """I06 F01 F02 F03 F05 F06 F07 F10 F15 F16 F18 F19 F23: the same of the narrowed listings of one tenant's look."""
    clean, concerned = narrow.whole(), narrow.concerned()
    found = {call: complaints(clean, narrow.broken(call, effect), concerned[call]) for call in narrow.narrowed}
    assert len(found) >= 10
    assert {call: told for call, told in found.items() if told} == {}


@pytest.mark.parametrize("effect", EFFECTS)
def test_a_whole_look_agrees(
    effect: str, cell: Cell, clean: Judged, calls: tuple[str, ...], concerned: dict[str, frozenset[Urn]]
) -> None:
    """I06: with every read really made, one operation for each effect, the verdicts are those of the quick look."""
    call = calls[EFFECTS.index(effect) * 3 % len(calls)]
    with cell.faults(call, effect):
        whole = cell.whole()
    assert complaints(clean, whole, concerned.get(call, ())) == []
    quick = cell.broken(call, effect)
    assert {(f.id, f.verdict) for f in whole.findings} == {(f.id, f.verdict) for f in quick.findings}


@pytest.mark.parametrize("effect", [effect for effect in EFFECTS if effect not in LIES])
def test_no_broken_second_look_is_misjudged(
    effect: str,
    cell: Cell,
    clean: Judged,
    concerned: dict[str, frozenset[Urn]],
    doubts: tuple[tuple[str, str], ...],
) -> None:
    """I06 F10 F15: an empty listing makes observers ask again, elsewhere; that question going wrong proves nothing.

    Two operations that both lie, in the same sense, are left out: that is what a real absence looks like.
    """
    found = {
        (first, again): complaints(clean, cell.broken(again, effect, first), concerned.get(first, ()))
        for first, again in doubts
    }
    assert {pair: told for pair, told in found.items() if told} == {}


@pytest.mark.parametrize("effect", EFFECTS)
def test_nothing_is_read_of_an_account_nobody_vouches_for(effect: str, cell: Cell, clean: Judged) -> None:
    """F10 F11: without STS's word whose credentials these are there is no look at all."""
    with cell.faults(IDENTITY, effect):
        if effect in LISTINGS_ONLY:
            assert complaints(clean, cell.whole(), ()) == []
        else:
            with pytest.raises(AccountUnverified):
                cell.whole()
