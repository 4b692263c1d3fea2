"""What tiers and regimes mean, and that ownership tags say the same when read as when written."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tenancy import tags
from tenancy.regimes import LOG_RETENTION_CHOICES_DAYS, REGIMES, Regime, log_retention_days
from tenancy.tiers import TIERS, Tier
from tests.unit.test_tenancy_tenant import tenant

SOME_REGIMES = st.frozensets(st.sampled_from(Regime), min_size=1)


def test_every_tier_has_a_policy_and_a_better_tier_is_never_worse() -> None:
    """Gold keeps more servers healthy than silver, silver more than bronze, and notices slowness and errors sooner."""
    assert set(TIERS) == set(Tier)
    ordered = [TIERS[tier] for tier in (Tier.GOLD, Tier.SILVER, Tier.BRONZE)]
    for better, worse in pairwise(ordered):
        assert better.healthy_floor_percent > worse.healthy_floor_percent
        assert better.p99_latency_seconds < worse.p99_latency_seconds
        assert better.server_errors_per_minute < worse.server_errors_per_minute
        assert better.drain_seconds > worse.drain_seconds


def test_every_regime_demands_a_retention_that_aws_offers() -> None:
    """Each regime has demands with a source, and CloudWatch Logs accepts the days."""
    assert set(REGIMES) == set(Regime)
    for demands in REGIMES.values():
        assert demands.log_retention_days in LOG_RETENTION_CHOICES_DAYS
        assert demands.source


def test_a_year_and_six_years_are_counted_with_their_leap_days() -> None:
    """PCI DSS's 12 months fit with a 29 February in them, HIPAA's 6 years with two (F38)."""
    assert log_retention_days([Regime.PCI_DSS]) >= 366
    assert log_retention_days([Regime.HIPAA]) >= 6 * 365 + 2


@given(SOME_REGIMES, SOME_REGIMES)
def test_another_regime_never_shortens_retention(some: frozenset[Regime], more: frozenset[Regime]) -> None:
    """The retention of several regimes is one that one of them demands, and never less than any demands."""
    together = log_retention_days(some | more)
    assert together == max(log_retention_days(some), log_retention_days(more))


@given(st.sampled_from(Tier), SOME_REGIMES)
def test_tags_say_what_was_configured(tier: Tier, regimes: frozenset[Regime]) -> None:
    """Reading the tags of a resource gives back cell, tenant, tier, regimes and owner."""
    owned = tags.read(
        tags.build(tenant(tier=tier, regimes=regimes), cell="prod-eu-1", owner="platform team", name="acme-vpc")
    )
    assert owned == tags.Ownership("prod-eu-1", "acme", tier.value, frozenset(map(str, regimes)), "platform team")


@given(st.sampled_from(tags.OWNERSHIP))
def test_half_a_claim_is_no_claim(missing: str) -> None:
    """Without any one of the ownership tags a resource belongs to nobody."""
    complete = tags.build(tenant(), cell="dev", owner="platform", name="acme-vpc")
    assert tags.read({key: value for key, value in complete.items() if key != missing}) is None


@given(SOME_REGIMES)
def test_tag_values_are_ones_that_aws_takes(regimes: frozenset[Regime]) -> None:
    """Values hold letters, digits, spaces and + - = . _ : / @ only, at most 256 of them (B47)."""
    for value in tags.build(
        tenant(tier=Tier.GOLD, regimes=regimes), cell="dev", owner="platform", name="acme-vpc"
    ).values():
        assert len(value) <= 256
        assert all(letter.isalnum() or letter in " +-=._:/@" for letter in value)
