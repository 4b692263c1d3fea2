"""Whether a bucket of this name is in the account: what the bucket's observer and its configurations' both ask."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.observe.aws._common import call
from reconciler.observe.reads import Answers, Failed, Missing, More, Read, Row

LISTING = call("s3", "list_buckets", "Buckets")
PERMISSIONS = ("s3:ListAllMyBuckets", "s3:ListBucket")
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,255}")
"""What botocore asks for; the oldest buckets of us-east-1 have longer and stranger names than are given today."""


def is_name(text: str) -> bool:
    """Whether a bucket can have this name: no other is asked for, since botocore takes it for a mistake in the code."""
    return _NAME.fullmatch(text) is not None


def _head(bucket: str) -> Read:
    # A HEAD answer has no body, so its error code is the bare status.
    return call("s3", "head_bucket", absent=("404", "NoSuchBucket"), target=bucket, Bucket=bucket)


def bucket_row(name: str, answers: Answers) -> Row | Missing | Failed | More:
    """The bucket's row in the account's own listing.

    Bucket names are global: a bucket that answers but is not listed may be another account's, taken over after
    ours was deleted. That is neither presence nor absence.
    """
    if not is_name(name):
        return Failed(f"no bucket can have the name {name!a:.80}")
    row = answers.find(LISTING, "Name", name, direct=_head(name))
    if isinstance(row, Mapping) and row.get("Name") != name:
        return Failed(f"bucket {name} answers, but the account's complete listing does not have it")
    return row
