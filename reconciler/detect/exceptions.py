"""Accepted findings as data: who accepts what, why, and until when. An accepted finding is shown, never hidden."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from reconciler.errors import ConfigurationError
from reconciler.model import AcceptedBy, Finding, Verdict

Words = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=500)]


_NOBODYS = "urn:pulumi:\0::\0::\0::\0"
"""No resource has this URN, so a pattern that matches it is one that matches everything."""


def _literal(value: str) -> str:
    if "*" in value or "?" in value:
        raise ValueError("takes one exact value; only urn takes wildcards")
    return value


Exact = Annotated[Words, AfterValidator(_literal)]


class AcceptedException(BaseModel):
    """Accepts the failing findings that match every selector given, until ``expires``.

    ``rule``, ``type``, ``tenant``, ``property`` and ``resource_id`` are exact; ``urn`` may hold ``*`` and ``?``.
    Without any selector it matches nothing: an empty set never means everything (B20). To accept everything of a
    rule or tenant, name that rule or tenant; a pattern that is all wildcards needs ``any_urn: true`` beside it (B21).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Exact | None = None
    type: Exact | None = None
    tenant: Exact | None = None
    property: Exact | None = None
    resource_id: Exact | None = None
    urn: Words | None = None
    any_urn: bool = False
    owner: Words
    reason: Words
    expires: AwareDatetime

    @model_validator(mode="after")
    def _wildcards_are_meant(self) -> AcceptedException:
        if self.urn is not None and fnmatchcase(_NOBODYS, self.urn) and not self.any_urn:
            raise ValueError("urn matches everything; name what is accepted, or set any_urn: true if that is meant")
        return self

    def matches(self, finding: Finding) -> bool:
        selectors = (self.rule, self.type, self.tenant, self.property, self.resource_id)
        values = (finding.rule, finding.type, finding.tenant, finding.property, finding.resource_id)
        if self.urn is None and all(s is None for s in selectors):
            return False
        exact = all(s is None or s == v for s, v in zip(selectors, values, strict=True))
        return exact and (self.urn is None or fnmatchcase(finding.urn, self.urn))


_LIST = TypeAdapter(tuple[AcceptedException, ...])


def parse(raw: Any, *, where: str) -> tuple[AcceptedException, ...]:
    """The exceptions in a parsed configuration value (a list of mappings).

    ``where`` is the file, for people. Raises ConfigurationError naming every value that is not allowed, and why.
    """
    try:
        return _LIST.validate_python(raw)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in e['loc']) or 'exceptions'}: {ascii(e['input'])[:60]}: {e['msg']}"
            for e in error.errors(include_url=False)
        ]
        raise ConfigurationError(
            "the accepted exceptions cannot be used", where=where, why="\n  ".join(problems), todo="nothing was changed"
        ) from error


def accept(findings: Iterable[Finding], exceptions: Sequence[AcceptedException], now: datetime) -> tuple[Finding, ...]:
    """The findings, with ``accepted`` set on the failing ones that a live exception covers.

    Where several do, the one that lasts longest is named. ``now`` is timezone-aware.
    """
    live = sorted((e for e in exceptions if e.expires > now), key=lambda e: e.expires, reverse=True)
    return tuple(_accepted(f, live) for f in findings)


def _accepted(finding: Finding, live: Sequence[AcceptedException]) -> Finding:
    if finding.verdict is not Verdict.FAIL:
        return finding
    by = next((e for e in live if e.matches(finding)), None)
    return finding if by is None else replace(finding, accepted=AcceptedBy(by.owner, by.reason, by.expires))
