"""Whether the application on a sandbox server answers its health check: AWS's interface has no call to break that.

A tag on the instance says it, or on the image it was launched from: both halves of the sandbox agree on it here.
"""

from __future__ import annotations

from collections.abc import Mapping

TAG = "sandbox:application"
CAPACITY = "sandbox:capacity"
"""On an image, with the name of a zone: there is no room in it for another server of that image."""
BALANCER = "sandbox:balancer"
"""On a load balancer, with ``failed``: AWS could not set it up."""

STATES: Mapping[str, tuple[str, str, str]] = {
    "down": ("unhealthy", "Target.Timeout", "Request timed out"),
    "failing": ("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [500]"),
    "starting": ("initial", "Elb.InitialHealthChecking", "Initial health checks in progress"),
}
"""Target state, reason and description of a running server, by the value of its tag; any other value is healthy."""
