"""The lease: never two holders, never a write after losing it, whatever the clocks and processes do."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.errors import LeaseLost, StoreError
from reconciler.record.journal import IntentOpen, Journal, open_intents
from reconciler.record.lease import Lease, LeaseHeld
from reconciler.record.ledger import entries
from reconciler.record.process import Process, is_dead, this_process
from reconciler.record.store import Store
from tests.unit.record_worlds import Time, open_store, repair

ELSEWHERE = Process("other-host", 4711)
"""A process of which nothing can be known from here."""


def acquire(store: Store, process: Process = ELSEWHERE, seconds: float = 60) -> Lease:
    return Lease.acquire(store, "dev", seconds=seconds, actor="ci", process=process)


def test_a_held_cell_names_its_holder(store: Store) -> None:
    """A second reconciler is refused and told who holds the cell and until when; other cells are free."""
    acquire(store)
    with pytest.raises(LeaseHeld, match=r"process 4711 on other-host until 2026-03-01T00:16:40"):
        acquire(store)
    Lease.acquire(store, "prod", seconds=60, actor="ci").ensure_held()


def test_a_lease_that_ran_out_can_be_taken(store: Store, time: Time) -> None:
    """Once the time is over another reconciler gets the cell under a higher number, and the first one notices."""
    first = acquire(store)
    time.passed += 60
    second = acquire(store)
    assert second.token == first.token + 1
    second.ensure_held()
    with pytest.raises(LeaseLost):
        first.ensure_held()


def test_the_number_grows_after_a_release_too(store: Store) -> None:
    """I05: a released lease is free at once, and its number is never given out again."""
    tokens = []
    for _ in range(3):
        lease = acquire(store)
        tokens.append(lease.token)
        lease.release()
        lease.release()
        with pytest.raises(LeaseLost):
            lease.ensure_held()
    assert tokens == [1, 2, 3]


def test_a_stopped_process_stops_by_itself(store: Store, time: Time) -> None:
    """F27, F30: a holder that slept past its lease writes nothing more, even if nobody took the lease meanwhile."""
    lease = acquire(store)
    time.passed += 59
    with pytest.raises(LeaseLost, match="lost"):
        lease.ensure_held()
    with pytest.raises(LeaseLost):
        lease.renew()
    with pytest.raises(LeaseLost):
        Journal(lease, run_id="r1", actor="ci").intend(repair("urn:a"))
    assert open_intents(store, "dev") == ()


def test_renewing_holds_on(store: Store, time: Time) -> None:
    """A lease renewed in time lasts, and nobody else gets it."""
    lease = acquire(store)
    for _ in range(10):
        time.passed += 45
        lease.renew()
        with pytest.raises(LeaseHeld):
            acquire(store)
    lease.ensure_held()


def test_the_holder_gives_up_before_others_may_take_over(store: Store, time: Time) -> None:
    """Between the holder's own end and the others' beginning lies a gap in which nobody holds the cell."""
    lease = acquire(store)
    time.passed += 50
    with pytest.raises(LeaseLost):
        lease.ensure_held()
    with pytest.raises(LeaseHeld):
        acquire(store)


@pytest.mark.parametrize("jump", [3600.0, -3600.0])
def test_the_holders_wall_clock_may_jump(store: Store, time: Time, jump: float) -> None:
    """F36, F37: a jump of the holder's wall clock neither shortens its lease nor lets it overstay."""
    lease = acquire(store)
    time.wall_offset = jump
    time.passed += 40
    lease.ensure_held()
    lease.renew()
    time.wall_offset = 0
    time.passed += 40
    lease.ensure_held()
    with pytest.raises(LeaseHeld):
        acquire(store)
    time.wall_offset = jump
    time.passed += 10
    with pytest.raises(LeaseLost):
        lease.ensure_held()


def test_a_wrong_clock_elsewhere_cannot_make_two_writers(store: Store, time: Time) -> None:
    """F36, I05: a machine an hour ahead takes the lease early, and the first holder can write nothing from then on."""
    first = acquire(store)
    journal = Journal(first, run_id="r1", actor="ci")
    time.wall_offset = 3600
    acquire(store)
    time.wall_offset = 0
    with pytest.raises(LeaseLost):
        first.ensure_held()
    with pytest.raises(LeaseLost):
        journal.intend(repair("urn:a"))
    with pytest.raises(LeaseLost):
        first.renew()
    first.release()
    with pytest.raises(LeaseHeld):
        acquire(store)


OPERATIONS = st.sampled_from(["acquire", "renew", "release", "intend", "sleep", "long sleep", "ahead", "behind"])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), OPERATIONS), max_size=25))
def test_never_two_holders(steps: list[tuple[int, str]]) -> None:
    """I01, I05, F36, F37: three machines with clocks that jump: at most one holds, and only it ever writes."""
    with tempfile.TemporaryDirectory() as folder:
        times = [Time() for _ in range(3)]
        stores = [open_store(Path(folder), time) for time in times]
        leases: list[Lease | None] = [None, None, None]
        tokens: list[int] = []
        for number, (who, operation) in enumerate(steps):
            lease = leases[who]
            if operation == "acquire":
                with suppress(LeaseHeld):
                    leases[who] = acquire(stores[who], replace(ELSEWHERE, pid=who))
                    tokens.append(_token(leases[who]))
            elif operation in {"ahead", "behind"}:
                times[who].wall_offset += 3600 if operation == "ahead" else -3600
            elif operation.endswith("sleep"):
                for time in times:
                    time.passed += 70 if operation == "long sleep" else 20
            elif lease is not None and operation == "renew":
                with suppress(LeaseLost):
                    lease.renew()
            elif lease is not None and operation == "release":
                lease.release()
            elif lease is not None:
                held = _holds(lease)
                with suppress(LeaseLost):
                    Journal(lease, run_id="r", actor="ci").intend(repair(f"urn:{number}"))
                    assert held
                    assert lease.token == max(tokens)
            assert sum(lease is not None and _holds(lease) for lease in leases) <= 1
        assert tokens == sorted(set(tokens))
        for store in stores:
            store.close()


def _holds(lease: Lease) -> bool:
    try:
        lease.ensure_held()
    except LeaseLost:
        return False
    return True


def _token(lease: Lease | None) -> int:
    assert lease is not None
    return lease.token


def test_many_at_once_and_one_wins(tmp_path: Path) -> None:
    """Eight reconcilers that ask at the same moment: exactly one gets the cell."""
    barrier = threading.Barrier(8)
    won: list[int] = []
    errors: list[Exception] = []

    def compete() -> None:
        try:
            with open_store(tmp_path) as store:
                barrier.wait()
                with suppress(LeaseHeld):
                    won.append(acquire(store).token)
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            errors.append(error)

    open_store(tmp_path).close()
    threads = [threading.Thread(target=compete) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (won, errors) == ([1], [])


needs_proc = pytest.mark.skipif(not this_process().boot, reason="only Linux tells whether a process is dead")


@needs_proc
def test_a_dead_process_of_this_machine_frees_its_lease(store: Store) -> None:
    """F24, C01: a reconciler killed on this machine does not keep the next one waiting, and the ledger says why."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = _of(child.pid)
    acquire(store, process)
    with pytest.raises(LeaseHeld):
        acquire(store)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_dead(process), "a zombie is dead too"
    child.communicate()
    assert is_dead(process)
    assert acquire(store).token == 2
    assert "its process is dead" in entries(store)[-1].payload


def _of(pid: int) -> Process:
    stat = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return replace(this_process(), pid=pid, started=stat[19])


@needs_proc
def test_a_living_holder_keeps_its_lease(store: Store) -> None:
    """This very process is alive, so nobody takes its lease before the time is over."""
    acquire(store, this_process())
    with pytest.raises(LeaseHeld):
        acquire(store)


@needs_proc
@pytest.mark.parametrize(
    ("changes", "dead"),
    [
        ({"started": "1"}, True),
        ({"pid": 2**30}, True),
        ({"pid": 2**30, "boot": "another start of the machine"}, False),
        ({"pid": 2**30, "namespace": "pid:[another container]"}, False),
        ({"pid": 2**30, "boot": ""}, False),
        ({"pid": 2**30, "started": ""}, False),
        ({"host": "renamed"}, False),
    ],
)
def test_dead_is_only_what_this_kernel_knows_to_be_dead(changes: dict[str, object], dead: bool) -> None:
    """A number used again is another process; another machine, boot or container could hide a living one."""
    assert is_dead(replace(this_process(), **changes)) is dead  # type: ignore[arg-type]


def run_keeper(lease: Lease, steps: list[Callable[[], None]]) -> int:
    """Run the background renewal with the waiting replaced by ``steps``; returns how often it waited."""
    waited = 0

    def stopped_within(_seconds: float) -> bool:
        nonlocal waited
        waited += 1
        if not steps:
            return True
        steps.pop(0)()
        return False

    lease._keep(stopped_within)
    return waited


def test_the_background_renewal_keeps_the_lease(store: Store, time: Time) -> None:
    """Renewed in the background, a lease outlasts its own length many times."""
    lease = acquire(store)

    def pass_time() -> None:
        time.passed += 15

    run_keeper(lease, [pass_time] * 20)
    lease.ensure_held()


def test_the_background_renewal_survives_a_short_outage(
    store: Store, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F22: a store that cannot be reached for a moment costs nothing; one that stays away costs the lease."""
    lease = acquire(store)
    outages = iter([True, True, False, True, True, True, True])
    renew = lease.renew

    def flaky() -> None:
        time.passed += 15
        if next(outages):
            raise StoreError("unreachable")
        renew()

    monkeypatch.setattr(lease, "renew", flaky)
    run_keeper(lease, [lambda: None] * 3)
    lease.ensure_held()
    run_keeper(lease, [lambda: None] * 4)
    with pytest.raises(LeaseLost, match="lost"):
        lease.ensure_held()


def test_the_background_renewal_ends_when_the_lease_is_lost(store: Store, time: Time) -> None:
    """Once the lease is lost nothing tries to get it back behind the repair's back."""
    lease = acquire(store)

    def oversleep() -> None:
        time.passed += 100

    assert run_keeper(lease, [oversleep, oversleep, oversleep]) == 1


def test_kept_starts_and_ends_its_thread(store: Store) -> None:
    """The renewal thread lives exactly as long as the block."""
    lease = acquire(store)
    with lease.kept():
        assert "lease-dev" in {thread.name for thread in threading.enumerate()}
    assert "lease-dev" not in {thread.name for thread in threading.enumerate()}


def test_the_ledger_tells_every_change_of_hands(store: Store, time: Time) -> None:
    """Acquisition, take-over and release are entries with the lease's number; renewals are not."""
    acquire(store)
    time.passed += 100
    second = acquire(store)
    second.renew()
    second.release()
    assert [(e.event, '"number":1' in e.payload) for e in entries(store)] == [
        ("lease acquired", True),
        ("lease acquired", False),
        ("lease released", False),
    ]


def test_an_intent_held_up_past_the_lease_is_not_acted_on(
    store: Store, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F27: if the lease runs out while the intent is being written, the intent stays open and the caller must stop."""
    lease = acquire(store)
    check = lease.check

    def slow(connection: object) -> None:
        check(connection)  # type: ignore[arg-type]
        time.passed += 30

    monkeypatch.setattr(lease, "check", slow)
    with pytest.raises(LeaseLost):
        Journal(lease, run_id="r1", actor="ci").intend(repair("urn:a"))
    assert len(open_intents(store, "dev")) == 1
    time.passed += 60
    successor = Journal(acquire(store), run_id="r2", actor="ci")
    with pytest.raises(IntentOpen):
        successor.intend(repair("urn:a"))
