"""Hand-made AWS answers for the observers' tests: no network, every answer replaceable by a failure."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from reconciler.detect.diff import differences
from reconciler.model import DeclaredResource, ObservedResource, Presence, Unreadable, Urn, Value
from reconciler.observe.dialogue import ROUNDS
from reconciler.observe.reads import Answer, Answers, Failed, Missing, More, Observer, Read, Rows, Sight

ACCOUNT = "123456789012"
REGION = "eu-central-1"

DENIED = Failed("AccessDenied: not authorized")
THROTTLED = Failed("ThrottlingException: gave up after 8 tries")
GENERIC = frozenset(
    {"AccessDenied", "AccessDeniedException", "NotFound", "ResourceNotFound", "Throttling", "NoSuchKey"}
)
"""Codes that say nothing of the thing asked for."""

TAGS = {"Name": "acme-x", "stackmend:cell": "dev", "stackmend:tenant": "acme"}


def rows(*found: Mapping[str, Any]) -> Rows:
    return Rows(found)


def pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def marks(*tagged: tuple[str, Mapping[str, str]]) -> Rows:
    """What the tag index answers."""
    return Rows(tuple({"ResourceARN": arn, "Tags": pairs(tags)} for arn, tags in tagged))


def resource(
    type_: str, id_: str, inputs: Mapping[str, Any], *, programmed: Collection[str] = (), name: str = "acme-x"
) -> DeclaredResource:
    urn = Urn(f"urn:pulumi:dev::stackmend::{type_}::{name}")
    return DeclaredResource(urn, type_, name, id_, inputs, frozenset(programmed))


class World:
    """Answers by ``operation`` or, more exactly, ``operation target``. A question it does not know fails the test."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = answers
        self.asked: list[Read] = []

    def but(self, **changed: Answer) -> World:
        return World({**self.answers, **changed})

    def told(self, changed: Mapping[str, Answer]) -> World:
        return World({**self.answers, **changed})

    def answer(self, read: Read) -> Answer:
        self.asked.append(read)
        for key in (f"{read.operation} {read.target}", read.operation):
            if key in self.answers:
                return self.answers[key]
        raise AssertionError(f"nothing is known of {read}")

    def see(self, observer: Observer, declared: DeclaredResource) -> Sight:
        known = {read: self.answer(read) for read in observer.reads(declared)}
        for _ in range(ROUNDS):
            sight = observer.see(declared, Answers(known))
            if not isinstance(sight, More):
                return sight
            known |= self._more(sight, known)
        raise AssertionError(f"it kept asking: {sight}")

    def properties(self, observer: Observer, declared: DeclaredResource) -> Mapping[str, Value]:
        sight = self.see(observer, declared)
        assert isinstance(sight, Mapping), sight
        return sight

    def drift(self, observer: Observer, declared: DeclaredResource) -> list[str]:
        """The declared properties that are not as declared, or not known to be."""
        seen = ObservedResource(declared.urn, Presence.PRESENT, self.properties(observer, declared))
        return [difference.property for difference in differences(observer.kind, declared, seen)]

    def locate(
        self, observer: Observer, declared: DeclaredResource, claimed: Collection[str] = ()
    ) -> str | Missing | Failed:
        assert observer.locate is not None
        known: dict[Read, Answer] = {}
        for _ in range(ROUNDS):
            found = observer.locate(declared, Answers(known, claimed=claimed))
            if not isinstance(found, More):
                return found
            known |= self._more(found, known)
        raise AssertionError(f"it kept asking: {found}")

    def owned(self, observer: Observer, declared: DeclaredResource) -> dict[str, Mapping[str, str]]:
        assert observer.owned is not None
        known = {read: self.answer(read) for read in observer.reads(declared)}
        while True:
            answers = Answers(known)
            found = {one.id: one.tags for one in observer.owned(answers)}
            if not answers.unanswered:
                return found
            known |= self._more(More(tuple(answers.unanswered)), known)

    def _more(self, more: More, known: Mapping[Read, Answer]) -> dict[Read, Answer]:
        assert more.reads, "a question without a read would be asked for ever"
        assert not known.keys() & set(more.reads), "the same question was asked twice"
        return {read: self.answer(read) for read in more.reads}


def unreadable(properties: Mapping[str, Value]) -> set[str]:
    return {name for name, value in properties.items() if isinstance(value, Unreadable)}


# --- the SDK's own names -----------------------------------------------------------------------------------


def sdk_properties(token: str) -> set[str]:
    """The property names of a type, read from the SDK's source without importing it."""
    package = importlib.util.find_spec("pulumi_aws")
    assert package is not None
    assert package.origin is not None
    module, _, name = token.split(":", 1)[1].partition(":")
    folder, _, leaf = module.partition("/")
    snake = re.sub(r"(?<!^)([A-Z])", r"_\1", leaf).lower()
    path = Path(package.origin).parent / folder / f"{snake}.py"
    classes = (node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef))
    state = next(node for node in classes if node.name == f"_{name}State")
    return {_pulumi_name(node) for node in state.body if isinstance(node, ast.FunctionDef)} - {"__init__"}


def _pulumi_name(getter: ast.FunctionDef) -> str:
    for decorator in getter.decorator_list:
        if isinstance(decorator, ast.Call):
            for keyword in decorator.keywords:
                if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                    return str(keyword.value.value)
    return getter.name


def named_in(observer: Observer) -> set[str]:
    """The top-level properties that an observer's kind speaks of."""
    kind = observer.kind
    paths = kind.unordered | kind.documents | kind.write_only | kind.contradicted | kind.references
    return {re.split(r"[.\[]", path)[0] for path in paths}
