"""The tables of the settings, one class each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from reconciler.schedules import FindingKind
from reconciler.settings.amounts import Amount, Count, Flag, Limit, Percent, Seconds, Share
from tenancy.tiers import TIERS, Tier


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
    """More findings of one tenant than this, first seen within the cool-down, are a storm."""
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
    unfinished_limit: Count = Field(default=5, ge=2, le=100)
    """A repair that was cut off, or refused, so often in a row in the window is left to a person."""
    fight_limit: Count = Field(default=3, ge=1, le=100)
    """What was healed so often in the window, and set back or deleted each time, is left to a person."""
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
    pass_seconds: Seconds = Field(default=1800, ge=0, le=86_400)
    """How long a pass may have been acting when another server is replaced; 0 is no limit."""


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
