"""The configuration of one cell, typed and checked before anything acts on it.

It is read in two places that must agree: inside the program, from the engine, and before any engine starts, from the
file. Both end in ``CellConfig``; whatever is wrong is a ``ConfigurationError``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import combinations
from pathlib import Path
from typing import Any

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from stacks import source
from stacks.source import Place
from tenancy import arns
from tenancy.errors import ConfigurationError, Problem
from tenancy.tenant import Size, Tenant, refuse

PROJECT = "stackmend"

_KEYS = {
    "region": "aws:region",
    "owner": f"{PROJECT}:owner",
    "alarm_topic_arn": f"{PROJECT}:alarm_topic_arn",
    "events": f"{PROJECT}:events",
    "tenants": f"{PROJECT}:tenants",
}
"""Fields of CellConfig by their keys in the file."""

_PROVIDER_KEYS = frozenset({"aws:allowedAccountIds", "aws:assumeRoles", "aws:profile"})
"""Settings of the AWS provider that choose or check credentials; anything else of it would change resources unseen."""

_ENGINE_KEYS = frozenset({"config", "encryptionsalt", "secretsprovider", "encryptedkey", "environment"})
"""Top-level keys that the Pulumi CLI writes itself."""

_FILE_NAME = re.compile(r"Pulumi\.(.+)\.yaml", re.DOTALL)
_CELL = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_REGION = re.compile(r"(us|eu|ap|sa|ca|me|af|il|mx)(-gov)?-(central|north|south|(north|south)?(east|west))-[1-9]")

_REASONS = {
    "missing": "is missing",
    "extra_forbidden": "is an unknown key",
    "bool_type": "is neither true nor false",
    "string_type": "is not text",
    "string_pattern_mismatch": "is not of this form",
    "int_type": "is not a whole number",
    "greater_than_equal": "is too small",
    "less_than_equal": "is too large",
    "enum": "is none of them",
    "model_type": "is not a mapping",
    "model_attributes_type": "is not a mapping",
    "tuple_type": "is not a list",
    "frozen_set_type": "is not a list",
}
"""Pydantic's error types in the words of somebody who edits YAML."""

_NESTED: Mapping[str, type[BaseModel]] = {"tenants": Tenant, "size": Size}

_KEYS_ALLOWED = ", ".join([*_KEYS.values(), *sorted(_PROVIDER_KEYS)])
MAX_TENANTS = 25
"""More belong into another cell: time to deploy and to repair grows with the cell."""

CELL_ALLOWED = "2 to 30 of a-z, 0-9 and single dashes, starting with a letter, as in prod-eu-1"


class CellConfig(BaseModel):
    """What one cell is: where, whose, whom to alarm, whether changes are told, and its tenants. Frozen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: str = Field(description=CELL_ALLOWED)
    region: str = Field(description="an AWS region such as eu-central-1 (not in China)")
    owner: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@+-]{0,62}$",
        description="1 to 63 letters, digits, spaces and . _ @ + -, starting with a letter or digit",
    )
    alarm_topic_arn: str = Field(
        description="the ARN of a standard SNS topic in the cell's region, arn:aws:sns:REGION:ACCOUNT:NAME"
    )
    events: bool = Field(
        default=False,
        strict=True,
        description="true or false, the default: whether it has a queue of change events",
    )
    tenants: tuple[Tenant, ...] = Field(description=f"a list of 1 to {MAX_TENANTS} tenants")

    @property
    def for_development(self) -> bool:
        """Whether this cell may be lost: images need not be pinned, and nothing is protected from deletion."""
        return self.cell == "dev" or self.cell.startswith("dev-")

    @field_validator("cell")
    @classmethod
    def _usable_cell(cls, cell: str) -> str:
        if not (2 <= len(cell) <= 30 and _CELL.fullmatch(cell)):
            raise refuse("is not a cell name")
        return cell

    @field_validator("region")
    @classmethod
    def _is_region(cls, region: str) -> str:
        if not _REGION.fullmatch(region):
            raise refuse("is not an AWS region")
        return region

    @field_validator("alarm_topic_arn")
    @classmethod
    def _is_topic(cls, text: str) -> str:
        try:
            arns.topic(text)
        except ValueError as error:
            raise refuse(str(error)) from None
        return text

    @field_validator("events", mode="before")
    @classmethod
    def _as_the_engine_writes_it(cls, value: Any) -> Any:
        # To the engine every setting is text, and it puts quotes around this one when it writes the file.
        return value == "true" if value in ("true", "false") else value

    @field_validator("tenants")
    @classmethod
    def _fit_one_cell(cls, tenants: tuple[Tenant, ...]) -> tuple[Tenant, ...]:
        if not tenants:
            raise refuse("is empty")
        if len(tenants) > MAX_TENANTS:
            raise refuse(f"has {len(tenants)} tenants")
        return tenants

    @model_validator(mode="after")
    def _arns_fit(self) -> CellConfig:
        self._fits(arns.topic(self.alarm_topic_arn), ("alarm_topic_arn",))
        accounts: set[str] = set()
        for index, tenant in enumerate(self.tenants):
            certificate = arns.certificate(tenant.certificate_arn)
            place = ("tenants", index, "certificate_arn")
            self._fits(certificate, place)
            accounts.add(certificate.account)
            if len(accounts) > 1:
                raise refuse("belongs to another account than the certificates before it", place)
        return self

    def _fits(self, arn: arns.Arn, place: Place) -> None:
        if arn.region != self.region:
            raise refuse(f"is not in the cell's region {self.region}", place)
        if arn.partition != arns.partition_of(self.region):
            raise refuse(f"is of the partition {arn.partition}, which {self.region} is not in", place)

    @model_validator(mode="after")
    def _tenants_apart(self) -> CellConfig:
        for (first, one), (second, other) in combinations(enumerate(self.tenants), 2):
            if one.name == other.name:
                raise refuse(f"is the name of tenants[{first}] too", ("tenants", second, "name"))
            if one.cidr.overlaps(other.cidr):
                raise refuse(f"overlaps {one.cidr} of tenants[{first}] {one.name}", ("tenants", second, "cidr"))
        return self

    @model_validator(mode="after")
    def _images_pinned(self) -> CellConfig:
        for index, tenant in enumerate(self.tenants):
            if tenant.image_id is None and not self.for_development:
                raise refuse(
                    f"is missing, and the cell {self.cell} is not for development", ("tenants", index, "image_id")
                )
        return self


def load_file(path: Path) -> CellConfig:
    """The configuration in ``Pulumi.<cell>.yaml``, before any engine starts. Reads only.

    Raises ConfigurationError with every problem found in the file.
    """
    name = _FILE_NAME.fullmatch(path.name)
    if name is None:
        raise _whole_file(str(path), None, "is not named like a stack configuration file", "Pulumi.<cell>.yaml")
    found = source.read(path)
    if not isinstance(found.values, dict):
        what = "is empty" if found.values is None else "is not a mapping"
        raise _whole_file(found.file, found.line(()), what, "a mapping with the key config")
    problems = [
        Problem(found.file, found.line((key,)), key, value, "is an unknown key", ", ".join(sorted(_ENGINE_KEYS)))
        for key, value in found.values.items()
        if key not in _ENGINE_KEYS
    ]
    config = found.values.get("config")
    if not isinstance(config, dict):
        problems.append(
            Problem(found.file, found.line(("config",)), "config", config, "is not a mapping", f"keys {_KEYS_ALLOWED}")
        )
        raise ConfigurationError(problems)
    problems += _unknown_keys(config, found)
    fields = {field: config[key] for field, key in _KEYS.items() if key in config}
    return _validated(name[1], fields, found, problems)


def from_engine() -> CellConfig:
    """The configuration of the running program's stack, from the engine. Raises ConfigurationError."""
    ours, aws = pulumi.Config(PROJECT), pulumi.Config("aws")
    fields: dict[str, Any] = {"region": aws.get("region"), "owner": ours.get("owner")}
    fields["alarm_topic_arn"] = ours.get("alarm_topic_arn")
    fields["events"] = ours.get("events")
    try:
        fields["tenants"] = ours.get_object("tenants")
    except pulumi.ConfigTypeError:
        fields["tenants"] = ours.get("tenants")
    set_fields = {field: value for field, value in fields.items() if value is not None}
    return _validated(pulumi.get_stack(), set_fields, None, _unknown_keys(pulumi.runtime.get_config_env(), None))


def _unknown_keys(keys: Mapping[str, Any], found: source.Source | None) -> list[Problem]:
    return [
        Problem(
            found.file if found else "",
            found.line(("config", key)) if found else None,
            f"config.{key}",
            value,
            "is an unknown key",
            _KEYS_ALLOWED,
        )
        for key, value in keys.items()
        if key not in _KEYS.values() and key not in _PROVIDER_KEYS and not key.startswith("pulumi:")
    ]


def _validated(
    cell: str, fields: Mapping[str, Any], found: source.Source | None, problems: Iterable[Problem]
) -> CellConfig:
    problems, values = list(problems), {"cell": cell, **fields}
    try:
        config = CellConfig.model_validate(values)
    except ValidationError as error:
        problems += [_problem(details, values, found) for details in error.errors()]
    if problems:
        raise ConfigurationError(problems)
    return config


def _problem(details: Mapping[str, Any], values: Mapping[str, Any], found: source.Source | None) -> Problem:
    """A pydantic error as a problem of the file: its place, its line, and what the field's description allows."""
    context = details.get("ctx", {})
    place: Place = (*details["loc"], *context.get("at", ()))
    in_file: Place = ("config", _KEYS.get(str(place[0]), str(place[0])), *place[1:])
    reason = context.get("reason") or _REASONS.get(details["type"], f"is refused: {details['msg']}")
    return Problem(
        file=found.file if found else "",
        line=found.line(in_file) if found else None,
        path=_dotted(place),
        value=_value_at(values, place),
        reason=reason,
        allowed=_allowed(place),
    )


def _dotted(place: Place) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")


def _value_at(values: Any, place: Place) -> Any:
    for part in place:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return None
    return values


def _allowed(place: Place) -> str:
    """The description of the field at ``place``; for an unknown key, the keys there are."""
    model: type[BaseModel] = CellConfig
    allowed = ""
    for part in place:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(str(part))
        if field is None:
            return f"keys {', '.join(model.model_fields)}"
        allowed = field.description or ""
        model = _NESTED.get(str(part), model)
    return allowed


def _whole_file(file: str, line: int | None, reason: str, allowed: str) -> ConfigurationError:
    return ConfigurationError([Problem(file, line, "", None, reason, allowed)])
