"""Whether a bucket of this name is in the account: what the bucket's observer and its configurations' both ask."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.observe.aws._common import call
from reconciler.observe.reads import Answers, Failed, Missing, More, Read, Row

LISTING = call("s3", "list_buckets", "Buckets")
PERMISSIONS = ("s3:ListAllMyBuckets", "s3:ListBucket")


def _head(bucket: str) -> Read:
    # A HEAD answer has no body, so its error code is the bare status.
    return call("s3", "head_bucket", absent=("404", "NoSuchBucket"), target=bucket, Bucket=bucket)


def bucket_row(name: str, answers: Answers) -> Row | Missing | Failed | More:
    """The bucket's row in the account's own listing.

    Bucket names are global: a bucket that answers but is not listed may be another account's, taken over after
    ours was deleted. That is neither presence nor absence.
    """
    row = answers.find(LISTING, "Name", name, direct=_head(name))
    if isinstance(row, Mapping) and row.get("Name") != name:
        return Failed(f"bucket {name} answers, but the account's complete listing does not have it")
    return row
