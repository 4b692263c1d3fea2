"""Faults of the tenant's bucket."""

from __future__ import annotations

from sandbox.faults.fault import Actor, Fault
from sandbox.faults.victim import Victim


def unblock_bucket(victim: Victim) -> str:
    bucket = _bucket(victim)
    victim.s3.delete_public_access_block(Bucket=bucket)
    return bucket


def change_encryption(victim: Victim) -> str:
    bucket = _bucket(victim)
    victim.s3.put_bucket_encryption(
        Bucket=bucket,
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
    )
    return bucket


def suspend_versioning(victim: Victim) -> str:
    bucket = _bucket(victim)
    victim.s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    return bucket


def drop_tls_policy(victim: Victim) -> str:
    bucket = _bucket(victim)
    victim.s3.delete_bucket_policy(Bucket=bucket)
    return bucket


def _bucket(victim: Victim) -> str:
    return victim.id("s3", "data")


FAULTS = (
    Fault(
        "unblock-bucket",
        "nothing keeps the bucket from being made public any more",
        Actor.INTRUDER,
        "storage",
        ("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",),
        unblock_bucket,
    ),
    Fault(
        "change-encryption",
        "new objects are no longer encrypted with the tenant's own key",
        Actor.OPERATOR,
        "storage",
        ("aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",),
        change_encryption,
    ),
    Fault(
        "suspend-versioning",
        "overwritten and deleted objects are lost",
        Actor.INTRUDER,
        "storage",
        ("aws:s3/bucketVersioning:BucketVersioning",),
        suspend_versioning,
    ),
    Fault(
        "drop-tls-policy",
        "the bucket may be read and written without TLS",
        Actor.OPERATOR,
        "storage",
        ("aws:s3/bucketPolicy:BucketPolicy",),
        drop_tls_policy,
    ),
)
