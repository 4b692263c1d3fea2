"""All settings as one frozen value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from reconciler.schedules import FreezeEntry, ModeEntry, WindowEntry
from reconciler.settings.amounts import Count, Seconds
from reconciler.settings.tables import (
    Approvals,
    AttributionSettings,
    Breaker,
    Budget,
    EventSettings,
    Flap,
    Health,
    Orphans,
    Probe,
    Quarantine,
    Retry,
    Rollout,
    Sessions,
    StrategyRow,
    Verify,
)

PREFIX = "STACKMEND_"


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
    concurrency: Count = Field(default=128, ge=1, le=256)
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
