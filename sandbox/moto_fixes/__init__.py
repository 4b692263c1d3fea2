"""Where moto answers otherwise than AWS in ways that decide whether healing works, made to answer as AWS does.

One module per service; ``docs/sandbox.md`` tells what differs.
"""

from __future__ import annotations

from sandbox.moto_fixes import autoscaling, ec2, elbv2, messaging
from sandbox.moto_fixes.autoscaling import healthy_servers, run_health_checks

__all__ = ["apply", "healthy_servers", "run_health_checks"]


def apply() -> None:
    """Put the corrections into moto's classes, for the life of this process."""
    for module in (autoscaling, ec2, elbv2, messaging):
        for owner, name, correction in module.CORRECTIONS:
            setattr(owner, name, correction)
