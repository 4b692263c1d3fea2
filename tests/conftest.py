"""How every test runs: property-based tests judge what is computed, never how fast this machine computes it."""

from __future__ import annotations

import os
from functools import cache

import botocore.session
from botocore.loaders import Loader
from hypothesis import HealthCheck, settings

# Continuous integration repeats the same examples, so that a change is judged by itself; elsewhere they are new ones.
settings.register_profile(
    "stackmend", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI"))
)
settings.load_profile("stackmend")

_shared = cache(botocore.session.create_loader)


def _loader(search_path_string: str | None = None) -> Loader:
    """One for all sessions of this process: each would read AWS's service models anew, which takes longer than a test.

    boto3 adds its own folder to the loader of every session.
    """
    loader = _shared(search_path_string)
    loader.search_paths[:] = dict.fromkeys(loader.search_paths)
    return loader


botocore.session.create_loader = _loader
