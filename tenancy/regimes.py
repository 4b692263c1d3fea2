"""Which rules a tenant is under, and what each demands of its infrastructure, with the source of the demand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Regime(StrEnum):
    PCI_DSS = "pci-dss"
    HIPAA = "hipaa"
    GDPR = "gdpr"
    SOC2 = "soc2"


@dataclass(frozen=True, slots=True)
class Demands:
    """What one regime demands."""

    log_retention_days: int
    """Days that logs are kept, a value CloudWatch Logs accepts."""
    source: str
    """Where the demand is written, or, if no figure is written anywhere, why this one was chosen."""


LOG_RETENTION_CHOICES_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)
"""The values of ``retentionInDays`` that the CloudWatch Logs operation PutRetentionPolicy accepts."""

REGIMES: Mapping[Regime, Demands] = MappingProxyType(
    {
        Regime.PCI_DSS: Demands(
            log_retention_days=400,
            source="PCI DSS v4.0.1 requirement 10.5.1: at least 12 months, which can have 366 days, so 365 is short.",
        ),
        Regime.HIPAA: Demands(
            log_retention_days=2192,
            source="45 CFR 164.316(b)(2)(i): 6 years, at most 2192 days, for documentation. Logs have no figure; this"
            " product keeps them as long.",
        ),
        Regime.GDPR: Demands(
            log_retention_days=90,
            source="GDPR Article 5(1)(e): no longer than necessary; no figure. 90 days is this product's choice.",
        ),
        Regime.SOC2: Demands(
            log_retention_days=400,
            source="AICPA trust services criterion CC7.2: no figure. 400 days is this product's choice: an audit"
            " period of 12 months is still there at its end.",
        ),
    }
)


def log_retention_days(regimes: Collection[Regime]) -> int:
    """The longest retention that any of the regimes demands.

    The longest wins: GDPR Article 5(1)(e) allows what a purpose needs, and evidence for another regime is a purpose.
    Whether it has a legal basis (Article 6) is for the tenant's controller to say.
    Raises ValueError without a regime.
    """
    return max(REGIMES[regime].log_retention_days for regime in regimes)
