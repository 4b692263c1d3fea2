"""Fixtures that the tests of the record, and of what reads it, share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.record.store import Store
from tests.unit.record_worlds import Time, open_store


@pytest.fixture
def time() -> Time:
    """The clock of ``store``, moved by the test."""
    return Time()


@pytest.fixture
def store(tmp_path: Path, time: Time) -> Iterator[Store]:
    """A new store, closed afterwards."""
    with open_store(tmp_path, time) as opened:
        yield opened
