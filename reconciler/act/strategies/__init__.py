"""The registry of strategies: one module each, found by its ``STRATEGY``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from reconciler.act.strategies import (
    adopt,
    dispose,
    escalate,
    quarantine,
    reapply,
    recreate,
    redeploy,
    refresh_image,
    remove,
    restore,
    rollout,
)
from reconciler.act.strategies.base import Strategy

STRATEGIES: Mapping[str, Strategy] = MappingProxyType(
    {
        module.STRATEGY.name: module.STRATEGY
        for module in (
            reapply,
            recreate,
            restore,
            redeploy,
            rollout,
            refresh_image,
            quarantine,
            dispose,
            adopt,
            remove,
            escalate,
        )
    }
)
