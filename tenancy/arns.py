"""The two kinds of ARN that a person writes into the configuration, and what must be true of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

_CERTIFICATE = re.compile(
    r"arn:([a-z-]+):acm:([a-z0-9-]+):([0-9]{12}):certificate/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)
_TOPIC = re.compile(r"arn:([a-z-]+):sns:([a-z0-9-]+):([0-9]{12}):[A-Za-z0-9_-]{1,256}")


@dataclass(frozen=True, slots=True)
class Arn:
    """The parts of an ARN that the configuration is checked by."""

    partition: str
    region: str
    account: str


def certificate(text: str) -> Arn:
    """The ACM certificate that ``text`` names. Raises ValueError if it is not the ARN of one."""
    return _parsed(_CERTIFICATE, text, "an ACM certificate")


def topic(text: str) -> Arn:
    """The SNS topic that ``text`` names. Raises ValueError if it is not the ARN of one.

    FIFO topics are refused: they take no alarms.
    """
    return _parsed(_TOPIC, text, "a standard SNS topic")


def _parsed(pattern: re.Pattern[str], text: str, what: str) -> Arn:
    match = pattern.fullmatch(text)
    if match is None:
        raise ValueError(f"is not the ARN of {what}")
    return Arn(*match.groups())


def partition_of(region: str) -> str:
    """The ARN partition of a region (AWS China is not supported: other endpoints, other service principals)."""
    return "aws-us-gov" if region.startswith("us-gov-") else "aws"
