"""The compliance rules: every module here that exports ``RULE`` is one, and nothing else has to know about it."""

from __future__ import annotations

import importlib
import pkgutil

from reconciler.detect.rule import Rule

RULES: tuple[Rule, ...] = tuple(
    importlib.import_module(f"{__name__}.{module.name}").RULE
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name)
)
