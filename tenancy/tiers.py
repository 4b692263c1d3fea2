"""How critical a tenant is, and what that changes: the one place where a tier gets its numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Tier(StrEnum):
    GOLD = "gold"
    SILVER = "silver"
    BRONZE = "bronze"


@dataclass(frozen=True, slots=True)
class TierPolicy:
    """What a tier means in numbers. These are this product's own choices, not limits of AWS."""

    healthy_floor_percent: int
    """Of the desired servers, how many per cent must stay healthy while something is repaired."""
    health_check_grace_seconds: int
    """How long a new server may take before a failing health check counts against it."""
    drain_seconds: int
    """How long a server that leaves may finish the requests it already has."""
    p99_latency_seconds: float
    """The alarm threshold for the slowest one per cent of responses."""
    server_errors_per_minute: int
    """The alarm threshold for 5xx responses of the servers."""


TIERS: Mapping[Tier, TierPolicy] = MappingProxyType(
    {
        Tier.GOLD: TierPolicy(
            healthy_floor_percent=100,
            health_check_grace_seconds=120,
            drain_seconds=120,
            p99_latency_seconds=1.0,
            server_errors_per_minute=5,
        ),
        Tier.SILVER: TierPolicy(
            healthy_floor_percent=75,
            health_check_grace_seconds=180,
            drain_seconds=60,
            p99_latency_seconds=2.0,
            server_errors_per_minute=20,
        ),
        Tier.BRONZE: TierPolicy(
            healthy_floor_percent=50,
            health_check_grace_seconds=300,
            drain_seconds=30,
            p99_latency_seconds=5.0,
            server_errors_per_minute=50,
        ),
    }
)
