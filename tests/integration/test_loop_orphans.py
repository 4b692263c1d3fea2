"""What an interrupted update left behind, on the real engine: shown, then removed where that is allowed, or adopted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from reconciler.model import Status
from tests.integration.loop import GOLD, SILVER, Cell, assert_clean, by_status, wrong

pytestmark = pytest.mark.engine


@pytest.fixture(autouse=True)
def _at_once(cell: Cell) -> Iterator[None]:
    """Nobody has to wait here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACKMEND_ORPHANS__MINIMUM_AGE_SECONDS", "0")
        yield


def test_an_orphan_is_shown_and_removed_where_that_is_allowed(cell: Cell) -> None:
    """T01 I09: by default a person is told; with leave it is deleted by one call that names it, and all else stays."""
    before = cell.census()
    orphan = cell.strike("leave-orphan", GOLD)
    cell.control.reset()
    (told,) = cell.repair().outcomes
    assert (told.strategy, told.status) == ("escalate", Status.ESCALATED)
    assert orphan in told.reason
    assert cell.control.calls().writes == {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STACKMEND_ORPHANS__REMOVE", "true")
        (removed,) = cell.repair().outcomes
        assert (removed.strategy, removed.status, removed.tenant) == ("remove", Status.HEALED, GOLD)
        assert cell.control.calls().writes == {"ec2:DeleteSecurityGroup": 1}
        assert cell.repair().outcomes == ()
    assert cell.census() == before
    assert_clean(cell.scan())
    cell.record().assert_whole()


def test_what_was_made_for_a_missing_resource_is_adopted(cell: Cell) -> None:
    """I10: the declared group is gone and its orphan is there: it is taken over with its rules set and its users
    pointed at it, nothing is created, and the whole program finds nothing to change."""
    before = cell.census()
    orphan = cell.strike("leave-orphan", SILVER)
    scan = cell.scan()
    group = next(r for r in scan.declared.resources.values() if r.name == f"{SILVER}-server-sg")
    cell.client("ec2").delete_security_group(GroupId=group.id)
    cell.control.reset()
    done = cell.repair()
    assert by_status(done.outcomes)["adopt", "healed"] == 1, [o.reason for o in done.outcomes]
    assert "ec2:CreateSecurityGroup" not in cell.control.calls().writes
    after = cell.repair()
    assert wrong(after.scan) == [] or after.outcomes
    last = cell.scan()
    assert_clean(last)
    assert last.declared.resources[group.urn].id == orphan
    assert cell.census() == before
    assert cell.engine_agrees()
