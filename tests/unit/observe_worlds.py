"""Declared resources written by hand, as the state would hold them, and an AWS that answers from a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from reconciler.model import Declared, DeclaredResource, Urn, Value
from reconciler.observe.reads import Answer, Failed, Read, Rows

REGION = "eu-central-1"
ACCOUNT = "123456789012"
CELL = "dev"


def urn(type_: str, name: str) -> Urn:
    return Urn(f"urn:pulumi:{CELL}::stackmend::{type_}::{name}")


def resource(type_: str, name: str, id_: str, inputs: Mapping[str, Value]) -> DeclaredResource:
    return DeclaredResource(urn(type_, name), type_, name, id_, inputs, programmed=frozenset(inputs), tenant="acme")


def declared(*resources: DeclaredResource, **changes: Any) -> Declared:
    facts: dict[str, Any] = {"cell": CELL, "project": "stackmend", "account": ACCOUNT, "region": REGION}
    return Declared(**{**facts, **changes}, resources={r.urn: r for r in resources})


def tags(name: str) -> dict[str, Value]:
    return {"Name": name, "stackmend:cell": CELL, "stackmend:tenant": "acme"}


def failed(reason: str = "ec2:X for *: AccessDenied: no") -> Failed:
    return Failed(reason)


def rows(*found: Mapping[str, Any]) -> Rows:
    return Rows(found)


class Table:
    """Answers reads by ``operation target`` or ``operation``; whatever it does not know is an empty list."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[Read] = []

    def __call__(self, reads: Iterable[Read]) -> Mapping[Read, Answer]:
        wanted = list(reads)
        self.asked += wanted
        return {read: self._answer(read) for read in wanted}

    def _answer(self, read: Read) -> Answer:
        for key in (f"{read.operation} {read.target}", read.operation if read.target == "*" else ""):
            if key in self.answers:
                return self.answers[key]
        return Rows(())
