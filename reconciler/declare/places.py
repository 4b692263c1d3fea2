"""Where a stack's resources are, and what their AWS providers say of all of them.

What has its own word is believed first: the input ``region`` (provider version 7), then the resource's provider, then
the ARN. The cell's own place is that of the provider that the program uses without naming it: ``aws:region`` in the
stack's configuration ends up there. Only where that provider says nothing does what most resources say decide.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model import NO_TAGS, IgnoredTags, Urn

PROVIDER = "pulumi:providers:aws"

_GLOBAL = (
    "aws:budgets/",
    "aws:cloudfront/",
    "aws:costexplorer/",
    "aws:globalaccelerator/",
    "aws:iam/",
    "aws:organizations/",
    "aws:route53/",
    "aws:shield/",
    "aws:waf/",
)
"""Services without regions: whatever region their provider has, there is one of each in an account."""

_ARN = re.compile(r"arn:[^:]+:[^:]*:([^:]*):(\d{12})?:")
_ACCOUNT = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True)
class Place:
    """Region and account; either is empty if it is not known."""

    region: str = ""
    account: str = ""


@dataclass(frozen=True, slots=True)
class Provider:
    """An AWS provider of the stack."""

    place: Place = Place()
    default: bool = False
    """Whether the engine made it up for resources that name none."""
    ignored_tags: IgnoredTags = NO_TAGS


class Places:
    """The places of one state's resources. ``by_urn`` holds what is live in it."""

    def __init__(self, by_urn: Mapping[Urn, Mapping[str, Any]]) -> None:
        self._resources = [raw for raw in by_urn.values() if raw["type"].startswith("aws:")]
        self._providers = {urn: _provider(urn, raw) for urn, raw in by_urn.items() if raw["type"] == PROVIDER}

    def provider(self, raw: Mapping[str, Any]) -> Provider:
        """The provider of a resource; one that says nothing if it is not an AWS provider of this state."""
        return self._providers.get(Urn((raw.get("provider") or "").rpartition("::")[0]), _NONE)

    def of(self, raw: Mapping[str, Any], provider: Provider) -> Place:
        """Where a resource is."""
        if not raw["type"].startswith("aws:"):
            return _NONE.place
        arn = _arn(raw)
        account = (arn[2] if arn else None) or provider.place.account
        region = _text(raw, "inputs", "region")
        if not region and not raw["type"].startswith(_GLOBAL):
            region = provider.place.region or (arn[1] if arn else "")
        return Place(region, account)

    def cell(self) -> Place:
        """Where the cell is: what its default provider says, or else what most of its resources do."""
        return Place(self._region(), self._account())

    def _region(self) -> str:
        default: Counter[str] = Counter()
        said: Counter[str] = Counter()
        made: Counter[str] = Counter()
        for raw in self._resources:
            provider, own = self.provider(raw), _text(raw, "inputs", "region")
            filled = "" if "region" in (raw.get("propertyDependencies") or ()) else own
            if provider.default and (found := provider.place.region or filled):
                default[found] += 1
            said[own or provider.place.region] += 1
            arn = _arn(raw)
            made[_text(raw, "outputs", "region") or (arn[1] if arn else "")] += 1
        alone = Counter(p.place.region for p in self._providers.values())
        return _most(default) or _most(said) or _most(alone) or _most(made)

    def _account(self) -> str:
        """An ARN of an API holds no account, but the one that it is called by does."""
        owners = Counter(p.place.account for raw in self._resources if (p := self.provider(raw)).default)
        made: Counter[str] = Counter()
        for raw in self._resources:
            owner, arn = _text(raw, "outputs", "ownerId"), _arn(raw)
            made[(arn[2] if arn else None) or (owner if _ACCOUNT.fullmatch(owner) else "")] += 1
        return _most(owners) or _most(made)


def _most(votes: Counter[str]) -> str:
    return next((said for said, _ in votes.most_common() if said), "")


def _text(raw: Mapping[str, Any], part: str, name: str) -> str:
    found = (raw.get(part) or {}).get(name)
    return found if isinstance(found, str) else ""


def _arn(raw: Mapping[str, Any]) -> re.Match[str] | None:
    """A resource's own ARN with region and account; an input of that name is the ARN of something else."""
    if "arn" in (raw.get("inputs") or ()):
        return None
    called = _ARN.match(_text(raw, "outputs", "executionArn"))
    return called or _ARN.match(_text(raw, "outputs", "arn"))


def _provider(urn: Urn, raw: Mapping[str, Any]) -> Provider:
    inputs = raw.get("inputs") or {}
    return Provider(
        Place(_text(raw, "inputs", "region"), _account_of(inputs)),
        default=urn.rsplit("::", 1)[-1].startswith("default"),
        ignored_tags=_ignored_tags(_opened(inputs.get("ignoreTags"))),
    )


def _account_of(inputs: Mapping[str, Any]) -> str:
    """The account of the last role that a provider takes on, or the only one that it may work in."""
    roles = _opened(inputs.get("assumeRoles")) or _opened(inputs.get("assumeRole"))
    last = roles[-1] if isinstance(roles, list) and roles else roles
    arn = last.get("roleArn") if isinstance(last, Mapping) else None
    if isinstance(arn, str) and (found := _ARN.match(arn)) is not None:
        return found[2] or ""
    allowed = _opened(inputs.get("allowedAccountIds"))
    only = str(allowed[0]) if isinstance(allowed, list) and len(allowed) == 1 else ""
    return only if _ACCOUNT.fullmatch(only) else ""


def _ignored_tags(said: Any) -> IgnoredTags:
    if not isinstance(said, Mapping):
        return NO_TAGS
    return IgnoredTags(frozenset(_texts(said.get("keys"))), tuple(sorted(_texts(said.get("keyPrefixes")))))


def _texts(found: Any) -> Iterable[str]:
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _opened(value: Any) -> Any:
    """The engine keeps what is no text in a provider's configuration as JSON in a text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


_NONE = Provider()
