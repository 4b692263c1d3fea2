"""Which repairs may have written to AWS, noted where each of them asks for leave to."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from reconciler.model import Repair
from reconciler.ports import AwsWriter


class NotingWriter:
    """``AwsWriter``, which notes the repairs that were permitted a write."""

    def __init__(self, writer: AwsWriter) -> None:
        self._writer = writer
        self.permitted: set[str] = set()

    def note(self, repair: Repair) -> None:
        self.permitted.add(repair.id)

    def client(self, service: str) -> Any:
        return self._writer.client(service)

    @contextmanager
    def permit(self, repair: Repair, *, operations: Collection[str], resources: Collection[str]) -> Iterator[object]:
        with self._writer.permit(repair, operations=operations, resources=resources) as granted:
            self.note(repair)
            yield granted
