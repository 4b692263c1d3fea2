"""The operator's settings: an optional TOML file, overridden by ``STACKMEND_*`` variables, checked before all else.

A setting that cannot be used stops the program with the file, the key, the value and what is allowed; there is no
setting whose absence makes the product bolder.
"""

from reconciler.settings.amounts import Amount
from reconciler.settings.loading import load
from reconciler.settings.settings import Settings
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
    ProbeTarget,
    Quarantine,
    Retry,
    Rollout,
    Sessions,
    StrategyRow,
    Verify,
)

__all__ = [
    "Amount",
    "Approvals",
    "AttributionSettings",
    "Breaker",
    "Budget",
    "EventSettings",
    "Flap",
    "Health",
    "Orphans",
    "Probe",
    "ProbeTarget",
    "Quarantine",
    "Retry",
    "Rollout",
    "Sessions",
    "Settings",
    "StrategyRow",
    "Verify",
    "load",
]
