"""How every test runs: property-based tests judge what is computed, never how fast this machine computes it."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Continuous integration repeats the same examples, so that a change is judged by itself; elsewhere they are new ones.
settings.register_profile(
    "stackmend", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("stackmend")
