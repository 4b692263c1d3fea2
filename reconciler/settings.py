"""The operator's settings: an optional TOML file, overridden by ``STACKMEND_*`` variables, checked before all else.

A setting that cannot be used stops the program with the file, the key, the value and what is allowed; there is no
setting whose absence makes the product bolder.
"""

from __future__ import annotations

import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, SettingsConfigDict, SettingsError

from reconciler.errors import ConfigurationError
from reconciler.schedules import FindingKind, FreezeEntry, ModeEntry, WindowEntry
from tenancy.tiers import TIERS, Tier

FILE = "stackmend.toml"
PREFIX = "STACKMEND_"
LARGEST_FILE_BYTES = 1_000_000

_PERCENTAGE = re.compile(r"(\d+(?:\.\d+)?)\s*%")


@dataclass(frozen=True, slots=True)
class Amount:
    """How much of something: ``count`` things, or a ``share`` (0 to 1) of what there is; exactly one is set."""

    count: int | None = None
    share: float | None = None


def _amount(value: object) -> Amount:
    if isinstance(value, Amount):
        return value
    match = _PERCENTAGE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match:
        percent = float(match[1])
        if 0 < percent <= 100:
            return Amount(share=percent / 100)
    else:
        whole = int(value) if isinstance(value, str) and value.strip().isdecimal() else value
        if isinstance(whole, int) and not isinstance(whole, bool) and 1 <= whole <= 1_000_000:
            return Amount(count=whole)
    raise ValueError(
        "allowed are a whole number from 1 to 1000000, or a percentage above 0 % and up to 100 %, as in '10%'"
    )


def _share(value: object) -> object:
    """A share may be written as a percentage; a number is taken as it is."""
    match = _PERCENTAGE.fullmatch(value.strip()) if isinstance(value, str) else None
    return float(match[1]) / 100 if match else _number(value)


def _number(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError("allowed is a number, not true or false")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("allowed is a finite number")
    return value


def _flag(value: object) -> object:
    """True or false, as a word from the environment as well; nothing else is taken for one of them (B12)."""
    words = {"true": True, "false": False}
    return words.get(value, value) if isinstance(value, str) else value


Flag = Annotated[bool, BeforeValidator(_flag), Field(strict=True)]
Count = Annotated[int, BeforeValidator(_number)]
Seconds = Annotated[float, BeforeValidator(_number)]
Share = Annotated[float, BeforeValidator(_share), Field(gt=0, le=1)]
Limit = Annotated[Amount, NoDecode, BeforeValidator(_amount)]
Percent = Annotated[float, BeforeValidator(_number), Field(ge=0, le=100)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Budget(_Table):
    """``[budget]``: resources that one pass may touch; a replaced server counts as one."""

    overall: Limit = Field(default=Amount(share=0.20), validation_alias="global")
    tenant: Limit = Amount(share=0.20)
    tier: Mapping[Tier, Limit] = Field(default_factory=dict)
    """Of all resources of a tier's tenants."""
    kind: Mapping[FindingKind, Limit] = Field(default_factory=dict)
    """Of the cell's resources, for repairs of one kind of finding."""
    hour: Limit = Amount(share=1.0)
    """Of the cell's resources, within any hour, over all passes."""
    repairs: Count = Field(default=50, ge=1, le=10_000)
    """Repairs in one pass."""
    zones: Count = Field(default=1, ge=1, le=10)
    """Zones of one tenant in which one pass replaces failed servers."""


class Breaker(_Table):
    """``[breaker]``: above this share of failing resources nothing is repaired and a person decides."""

    share: Share = 0.20
    minimum: Count = Field(default=5, ge=1, le=10_000)
    """Fewer failing resources than this never open the breaker."""
    fleet_share: Share = 0.50
    """Above this share of failing servers of one fleet, none of them is replaced."""
    missing_share: Share = 0.10
    """As ``share``, of resources that are gone."""
    missing_minimum: Count = Field(default=5, ge=1, le=10_000)
    repair_share: Share = 0.50
    """Above this share of failing repairs in the flap window, nothing is repaired."""
    repair_minimum: Count = Field(default=5, ge=1, le=10_000)
    storm_findings: Count = Field(default=100, ge=1, le=1_000_000)
    """More new findings of one tenant than this in one pass are a storm."""
    cooldown_seconds: Seconds = Field(default=300, ge=0, le=86_400)
    """How long after a storm, or after a breaker was open, nothing is repaired there."""
    acknowledged_seconds: Seconds = Field(default=3600, ge=60, le=7 * 86_400)
    """How long an acknowledgement holds if it does not say."""


class Flap(_Table):
    """``[flap]``: repairs of one resource in a window, after which a person looks at it."""

    limit: Count = Field(default=3, ge=1, le=100)
    window_seconds: Seconds = Field(default=3600, ge=60, le=30 * 86_400)
    same_failure_limit: Count = Field(default=2, ge=1, le=100)
    """A repair that failed the same way this often in the window is not tried again."""

    @model_validator(mode="after")
    def _failures_fit(self) -> Flap:
        if self.same_failure_limit > self.limit:
            raise ValueError(f"same_failure_limit must not exceed limit, which is {self.limit}")
        return self


class Retry(_Table):
    """``[retry]``: when a repair is tried again, and when no more."""

    backoff_seconds: Seconds = Field(default=60, ge=0, le=86_400)
    """After the first failure; doubled with each further one."""
    backoff_longest_seconds: Seconds = Field(default=3600, ge=0, le=7 * 86_400)
    fight_limit: Count = Field(default=3, ge=1, le=100)
    """A property that was healed so often in the window and set back each time is left to a person."""
    fight_window_seconds: Seconds = Field(default=86_400, ge=60, le=30 * 86_400)

    @model_validator(mode="after")
    def _grows(self) -> Retry:
        if self.backoff_longest_seconds < self.backoff_seconds:
            least = f"{self.backoff_seconds:g}"
            raise ValueError(f"backoff_longest_seconds must not be below backoff_seconds, which is {least}")
        return self


class Approvals(_Table):
    """``[approval]``: a person's consent to a plan."""

    expires_seconds: Seconds = Field(default=3600, ge=60, le=7 * 86_400)
    """How long an approval holds if it does not say."""


class Verify(_Table):
    """``[verify]``: how long a repair may take to prove itself."""

    timeout_seconds: Seconds = Field(default=600, ge=1, le=86_400)
    poll_seconds: Seconds = Field(default=5, gt=0, le=3600)

    @model_validator(mode="after")
    def _polls_in_time(self) -> Verify:
        if self.poll_seconds > self.timeout_seconds:
            raise ValueError(f"poll_seconds must not exceed timeout_seconds, which is {self.timeout_seconds:g}")
        return self


class Health(_Table):
    """``[health]``: how sure one must be that a server has failed."""

    hold_down_seconds: Seconds = Field(default=60, ge=0, le=86_400)
    """How long a single sign against a server must last before it is replaced; two signs need no waiting."""


class Orphans(_Table):
    """``[orphans]``: what interrupted updates of this cell left behind."""

    remove: Flag = False
    """Whether they are removed; otherwise a person is told that they could be."""
    minimum_age_seconds: Seconds = Field(default=3600, ge=0, le=30 * 86_400)
    """How long one must have been seen before it is removed."""


class ProbeTarget(_Table):
    """``[probe.targets.PATTERN]``: how the endpoints of the tenants whose names fit are asked."""

    scheme: Literal["https", "http"] = "https"
    port: Count | None = Field(default=None, ge=1, le=65_535)
    path: str = Field(default="/", pattern=r"^/[!-~]{0,1000}$")
    host: str = Field(default="", pattern=r"^([A-Za-z0-9_.:-]{1,253})?$")
    """Where the endpoint is; otherwise the DNS name that AWS gave the declared load balancer."""
    server_name: str = Field(default="", pattern=r"^([A-Za-z0-9_.-]{1,253})?$")
    """The name in the request and in the certificate; otherwise the host."""
    expected: tuple[Annotated[int, Field(ge=100, le=599)], ...] = Field(default=(200,), min_length=1)
    private: Flag = False


class Probe(_Table):
    """``[probe]``: asking tenants' endpoints whether they answer; nobody is asked without a target."""

    samples: Count = Field(default=3, ge=2, le=20)
    interval_seconds: Seconds = Field(default=0.5, ge=0, le=60)
    deadline_seconds: Seconds = Field(default=5, ge=0.1, le=60)
    ca_file: Path | None = None
    targets: Mapping[str, ProbeTarget] = Field(default_factory=dict)
    """By tenant or pattern (``acme-*``); a tenant's own name comes first, then the first pattern that fits."""


class Rollout(_Table):
    """``[rollout]``: replacing the servers of a fleet."""

    bake_seconds: Seconds = Field(default=60, ge=0, le=86_400)
    """How long a new server must stay healthy before the old one leaves."""
    floor_percent: Mapping[str, Percent] = Field(
        default_factory=lambda: {tier.value: policy.healthy_floor_percent for tier, policy in TIERS.items()}
    )
    """Healthy servers that a fleet never goes below, in percent of the desired number, by tier."""
    batch: Count = Field(default=1, ge=1, le=100)
    """Servers that refresh-image replaces at a time, once the first one has proven the image."""
    remember_hours: Seconds = Field(default=24, ge=1, le=30 * 24)
    """How long a template version whose servers did not become healthy is not rolled out again."""


class StrategyRow(_Table):
    """``[[strategies]]``: which strategy answers faults of a kind, on some types, of tenants of a tier."""

    strategy: str = Field(min_length=1, max_length=100)
    type: str = Field(default="*", min_length=1, max_length=200)
    """A type token, or a pattern over them such as ``aws:ec2/*``."""
    kind: str = "*"
    tier: str = "*"

    @model_validator(mode="after")
    def _tier_exists(self) -> StrategyRow:
        if self.tier != "*" and self.tier not in (known := [t.value for t in TIERS]):
            raise ValueError(f"there is no tier {self.tier!r}: allowed are *, {', '.join(known)}")
        return self


class Quarantine(_Table):
    """``[quarantine]``: servers that are isolated because they were compromised."""

    keep_hours: Seconds = Field(default=72, ge=1, le=365 * 24)
    """How long an isolated server is kept for whoever investigates, before a later pass terminates it."""


class Sessions(_Table):
    """``[sessions]``: roles to act under, one for each tenant. Without a pattern there is one identity for all."""

    role_arn_pattern: str | None = Field(
        default=None, pattern=r"^arn:[a-z-]+:iam::\d{12}:role/[A-Za-z0-9+=,.@_/-]*\{tenant\}[A-Za-z0-9+=,.@_/-]*$"
    )
    """ARN of a tenant's role, with ``{tenant}`` in it."""
    external_id: str = Field(default="stackmend/{cell}/{tenant}", min_length=2, max_length=500)
    """What the role's trust policy asks for; ``{cell}`` and ``{tenant}`` are filled in."""
    seconds: Count = Field(default=900, ge=900, le=43_200)
    """How long the credentials of a session last."""


class EventSettings(_Table):
    """``[events]``: a queue of change events that starts small passes between those by the clock."""

    queue_url: str = Field(default="", pattern=r"^(https?://[^\s/@]+/\d{12}/[A-Za-z0-9_-]{1,80})?$")
    """The URL of an SQS queue that EventBridge fills; empty for none."""
    settle_seconds: Seconds = Field(default=0.5, ge=0, le=60)
    """How long the first event of a burst waits for the others."""
    most: Count = Field(default=1000, ge=1, le=100_000)
    """Changes that may wait at once; above it everything is looked at."""


class AttributionSettings(_Table):
    """``[attribution]``: whether CloudTrail is asked who changed what drifted."""

    enabled: bool = True
    calls: Count = Field(default=5, ge=1, le=100)
    """Resources that one pass asks about."""
    seconds: Seconds = Field(default=3, gt=0, le=60)
    """How long one pass may ask."""


class Settings(BaseSettings):
    """All settings; frozen. ``load`` reads the file too, the constructor only the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid")

    cell: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")
    """The Pulumi stack, which is the unit of locking and leasing."""
    project_dir: Path = Path()
    """The folder of ``Pulumi.yaml``."""
    config_file: Path | None = None
    """Stack configuration handed to the engine instead of the project's own."""
    exceptions_file: Path | None = None
    """Accepted findings."""
    account: str | None = Field(default=None, pattern=r"^\d{12}$")
    """The AWS account; otherwise the one in the stack's state."""
    region: str | None = Field(default=None, pattern=r"^[a-z]{2}(-[a-z]+)+-\d$")
    store_url: str = Field(default="", repr=False)
    """SQLAlchemy URL of the record, by default ``sqlite:///.stackmend/<cell>.db``; may hold a password."""
    checkpoint_key: Path | None = None
    """Private key that signs checkpoints of the ledger; otherwise made beside the store."""
    lease_seconds: Seconds = Field(default=60, ge=5, le=3600)
    interval_seconds: Seconds = Field(default=300, ge=1, le=86_400)
    """From the start of one pass of the service to the start of the next."""
    concurrency: Count = Field(default=16, ge=1, le=256)
    """AWS reads at the same time."""
    fresh_seconds: Seconds = Field(default=60, ge=0, le=3600)
    """A resource created less than this ago is not called missing: AWS may not show it everywhere yet."""
    refresh_timeout_seconds: Seconds = Field(default=300, ge=10, le=86_400)
    """How long the engine may take to look at the types that have no observer."""
    budget: Budget = Budget()
    breaker: Breaker = Breaker()
    flap: Flap = Flap()
    retry: Retry = Retry()
    approval: Approvals = Approvals()
    modes: tuple[ModeEntry, ...] = ()
    """What may be done without asking; where several fit, the most restrictive one counts."""
    windows: tuple[WindowEntry, ...] = ()
    """When what they select may be repaired; what none selects may be at any time."""
    freezes: tuple[FreezeEntry, ...] = ()
    """When what they select may not be repaired."""
    verify: Verify = Verify()
    rollout: Rollout = Rollout()
    quarantine: Quarantine = Quarantine()
    sessions: Sessions = Sessions()
    strategies: tuple[StrategyRow, ...] = ()
    """Rows before those of the strategy table."""
    health: Health = Health()
    probe: Probe = Probe()
    orphans: Orphans = Orphans()
    events: EventSettings = EventSettings()
    attribution: AttributionSettings = AttributionSettings()

    @model_validator(mode="before")
    @classmethod
    def _store_of_the_cell(cls, given: dict[str, Any]) -> dict[str, Any]:
        return {"store_url": f"sqlite:///.stackmend/{given.get('cell')}.db", **given}


def load(**overrides: Any) -> Settings:
    """The settings of this process: ``overrides`` (the command line), then the environment, then the file.

    The file is ``STACKMEND_SETTINGS``, or ``stackmend.toml`` in the working directory if there is one. Relative paths
    in it are relative to its folder. Raises ConfigurationError.
    """
    named = os.environ.get(f"{PREFIX}SETTINGS")
    path = Path(named) if named else Path(FILE)
    in_file = _read(path) if named or path.exists() else {}
    try:
        in_environment = EnvSettingsSource(Settings)()
    except SettingsError as error:
        raise ConfigurationError(f"an environment variable cannot be read: {error}", where=PREFIX + "*") from error
    given = {key: value for key, value in overrides.items() if value is not None}
    merged = _merge(_merge(_beside(path, in_file), in_environment), given)
    try:
        return Settings(**merged)
    except ValidationError as error:
        raise _explained(error, path, in_environment, given) from error


def _read(path: Path) -> dict[str, Any]:
    where = str(path)
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= LARGEST_FILE_BYTES else b""
    except OSError as error:
        raise ConfigurationError(f"cannot be read: {error.strerror}", where=where) from error
    if size > LARGEST_FILE_BYTES:
        raise ConfigurationError(f"is {size} bytes, allowed are {LARGEST_FILE_BYTES}", where=where)
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigurationError(
            f"byte {raw[error.start]:#04x} is not UTF-8", where=f"{where}, line {line}", todo="Save the file as UTF-8."
        ) from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"is not TOML: {error}", where=where) from error


def _beside(path: Path, in_file: Mapping[str, Any]) -> dict[str, Any]:
    """The file's content with its relative paths made relative to its own folder."""
    paths = ("project_dir", "config_file", "exceptions_file", "checkpoint_key")
    found = {
        key: str(path.parent / value) if key in paths and isinstance(value, str) else value
        for key, value in in_file.items()
    }
    probe = found.get("probe")
    if isinstance(probe, Mapping) and isinstance(probe.get("ca_file"), str):
        found["probe"] = {**probe, "ca_file": str(path.parent / probe["ca_file"])}
    return found


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def _explained(
    error: ValidationError,
    path: Path,
    in_environment: Mapping[str, Any],
    given: Mapping[str, Any],
) -> ConfigurationError:
    """One paragraph a line for every setting that is wrong, each with the place it came from."""
    problems = []
    for problem in error.errors(include_url=False):
        keys = [str(part) for part in problem["loc"]]
        dotted = ".".join(keys)
        if _holds(given, keys):
            source = "command line"
        elif _holds(in_environment, keys):
            source = PREFIX + "__".join(keys).upper()
        else:
            source = str(path)
        if problem["type"] == "missing":
            problems.append(f"{dotted} is not set: set it in {path} or as {PREFIX}{'__'.join(keys).upper()}")
        elif problem["type"] == "extra_forbidden":
            problems.append(f"{source}: {dotted} is not a setting; allowed are {', '.join(_known(keys[:-1]))}")
        else:
            reason = problem["msg"].removeprefix("Value error, ")
            shown = "" if keys == ["store_url"] else f" = {problem['input']!r}"
            problems.append(f"{source}: {dotted}{shown}: {reason}")
    return ConfigurationError("; ".join(problems), where="settings", todo="Nothing was changed. See docs/settings.md.")


def _holds(source: Mapping[str, Any], keys: list[str]) -> bool:
    here: Any = source
    for key in keys:
        if isinstance(here, list) and key.isdecimal() and int(key) < len(here):
            here = here[int(key)]
        elif isinstance(here, Mapping) and key in here:
            here = here[key]
        else:
            return False
    return bool(keys)


def _known(table: list[str]) -> list[str]:
    """The settings of a table, as they are written."""
    model: type[BaseModel] = Settings
    for key in [key for key in table if not key.isdecimal()]:
        if key not in model.model_fields:
            return []
        annotation = model.model_fields[key].annotation
        if get_origin(annotation) is tuple:
            annotation = get_args(annotation)[0]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        model = annotation
    return sorted(str(info.validation_alias or name) for name, info in model.model_fields.items())
