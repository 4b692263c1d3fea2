"""Settings whose restoring takes something away for good, however right the declaration is.

A log group that keeps more than was declared may be under a legal hold: once it is set back to its declaration, AWS
deletes what is older. Such a repair waits for a person. Raising what is kept, or switching it on, takes nothing away.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from reconciler.model import Urn, Value

Less: TypeAlias = Callable[[Value, Value], str]
"""What is lost if a property that is (second) becomes as declared (first), in words that both always give alike; empty
if nothing is. What cannot be read could be more than is declared."""


def _shorter(*, forever: tuple[Value, ...] = ()) -> Less:
    """A time or number; ``forever`` are the values that mean no end."""

    def amount(value: Value) -> float | None:
        if value in forever:
            return math.inf
        try:
            return float(value) if isinstance(value, int | float | str) else None
        except ValueError:
            return None

    def less(declared: Value, observed: Value) -> str:
        want, have = amount(declared), amount(observed)
        if want is not None and have is not None and want >= have:
            return ""
        told = "what is not known" if have is None else "no end" if have == math.inf else f"{have:g}"
        return f"{'what is not known' if want is None else f'{want:g}'} instead of {told}"

    return less


def _switched_off(declared: Value, observed: Value) -> str:
    return "off instead of on" if _on(observed) and not _on(declared) else ""


def _switched_on(declared: Value, observed: Value) -> str:
    return "on instead of off" if _on(declared) and not _on(observed) else ""


def _on(value: Value) -> bool:
    return isinstance(value, Mapping) and (value.get("status") == "Enabled" or value.get("enabled") is True)


def _expiring(declared: Value, observed: Value) -> str:
    """A rule that expires objects or versions, and is not there exactly so."""
    new = _expirations(declared) - _expirations(observed)
    return f"{len(new)} of its rules expire objects and are not there like that" if new else ""


def _expirations(rules: Value) -> set[str]:
    if not isinstance(rules, Sequence) or isinstance(rules, str):
        return set()
    found = [r for r in rules if isinstance(r, Mapping)]
    return {
        json.dumps(_said(r), sort_keys=True, default=str)
        for r in found
        if (r.get("expiration") or r.get("noncurrentVersionExpiration"))
        and (r.get("status") == "Enabled" or r.get("enabled") is True)
    }


def _said(value: Value) -> Value:
    """The value without what is empty in it: a provider spells out what a program leaves out."""
    if isinstance(value, Mapping):
        parts = {k: _said(v) for k, v in value.items() if k != "__defaults"}
        return {k: v for k, v in parts.items() if v not in (None, "", (), [], {}, 0, False)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_said(v) for v in value]
    return value


@dataclass(frozen=True, slots=True)
class Keeping:
    """A property that says how long, or whether, something is kept."""

    type: str
    property: str
    less: Less
    effect: str
    """What AWS then does."""
    source: str


_BACKUPS = "AWS deletes the automated backups that are older"
_RDS = "https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_WorkingWithAutomatedBackups.BackupRetention.html"

KEEPING: tuple[Keeping, ...] = (
    Keeping(
        "aws:cloudwatch/logGroup:LogGroup",
        "retentionInDays",
        # The provider writes 0 for events that never expire.
        _shorter(forever=(0, None)),
        "CloudWatch deletes the log events that are older",
        "https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html",
    ),
    Keeping(
        "aws:sqs/queue:Queue",
        "messageRetentionSeconds",
        _shorter(),
        "SQS deletes the messages that are older",
        "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html",
    ),
    Keeping(
        "aws:s3/bucketVersioning:BucketVersioning",
        "versioningConfiguration",
        _switched_off,
        "S3 keeps no version of what is overwritten from then on",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html",
    ),
    Keeping(
        "aws:s3/bucket:Bucket",
        "versioning",
        _switched_off,
        "S3 keeps no version of what is overwritten from then on",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/AddingObjectstoVersionSuspendedBuckets.html",
    ),
    Keeping(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        "rules",
        _expiring,
        "S3 deletes the objects or versions that they expire",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-expire-general-considerations.html",
    ),
    Keeping(
        "aws:s3/bucket:Bucket",
        "lifecycleRules",
        _expiring,
        "S3 deletes the objects or versions that they expire",
        "https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-expire-general-considerations.html",
    ),
    Keeping("aws:rds/instance:Instance", "backupRetentionPeriod", _shorter(), _BACKUPS, _RDS),
    Keeping("aws:rds/cluster:Cluster", "backupRetentionPeriod", _shorter(), _BACKUPS, _RDS),
    Keeping(
        "aws:dynamodb/table:Table",
        "pointInTimeRecovery",
        _switched_off,
        "DynamoDB forgets every moment that could be restored until now",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/PointInTimeRecovery_Howitworks.html",
    ),
    Keeping(
        "aws:dynamodb/table:Table",
        "ttl",
        _switched_on,
        "DynamoDB deletes the items that have expired",
        "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html",
    ),
    Keeping(
        "aws:kinesis/stream:Stream",
        "retentionPeriod",
        _shorter(),
        "Kinesis takes away the records that are older",
        "https://docs.aws.amazon.com/streams/latest/dev/kinesis-extended-retention.html",
    ),
)


@dataclass(frozen=True, slots=True)
class Loss:
    """One property of one resource that, as declared, keeps less than is kept now."""

    urn: Urn
    keeping: Keeping
    less: str

    @property
    def key(self) -> str:
        """The same for the same loss, whoever saw it; an approval covers no other."""
        return f"{self.urn} {self.keeping.property}: {self.less}"

    def __str__(self) -> str:
        name = self.urn.rsplit("::", 1)[-1]
        return f"{self.keeping.property} of {name} would be {self.less}, and {self.keeping.effect}, for good"


def losses(urn: Urn, type_: str, declared: Mapping[str, Value], observed: Mapping[str, Value]) -> Iterator[Loss]:
    """What setting these properties as ``declared`` takes away; only those in ``declared`` are set."""
    for keeping in KEEPING:
        if keeping.type == type_ and keeping.property in declared:
            less = keeping.less(declared[keeping.property], observed.get(keeping.property))
            if less:
                yield Loss(urn, keeping, less)
