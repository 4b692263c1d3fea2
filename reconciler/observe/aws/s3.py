"""How buckets are seen, and the observers of S3. Only configuration is read, never an object."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from reconciler.model import DeclaredResource, ResourceKind, Unreadable, Value
from reconciler.observe.aws._common import Part, call, live_tags, tag_index, tagged, text, together
from reconciler.observe.aws.s3_configurations import ENCRYPTION, POLICY, PUBLIC_ACCESS_BLOCK, VERSIONING
from reconciler.observe.aws.s3_listing import LISTING, PERMISSIONS, bucket_row
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Owned, Read, Row, Rows, Sight

TAG_INDEX = tag_index("s3")


def _object_lock(bucket: str) -> Read:
    absent = ("ObjectLockConfigurationNotFoundError",)
    return call("s3", "get_object_lock_configuration", absent=absent, target=bucket, Bucket=bucket)


def _see(declared: DeclaredResource, answers: Answers) -> Sight:
    name = declared.id
    row = bucket_row(name, answers)
    if not isinstance(row, Mapping):
        return row
    direct = call("s3", "get_bucket_tagging", "TagSet", absent=("NoSuchTagSet",), target=name, Bucket=name)
    tags = live_tags(
        declared, answers, arn=_arn(row, answers), index=TAG_INDEX, direct=direct, untagged_is_missing=True
    )
    lock = _lock(name, answers) if "objectLockEnabled" in declared.inputs else {}
    inline = _inline(declared, answers)
    if isinstance(tags, More) or isinstance(lock, More) or isinstance(inline, More):
        return together(tags, lock, inline)
    return {"bucket": name, **lock, **inline, **tags}


def _versioning(seen: Mapping[str, Value]) -> Value:
    said = seen["versioningConfiguration"]
    return isinstance(said, Mapping) and {
        "enabled": said.get("status") == "Enabled",
        "mfaDelete": said.get("mfaDelete") == "Enabled",
    }


def _encryption(seen: Mapping[str, Value]) -> Value:
    rules = seen["rules"]
    return {"rule": rules[0]} if isinstance(rules, list) and rules else None


_INLINE: Mapping[str, tuple[Observer, Callable[[Mapping[str, Value]], Value]]] = {
    "serverSideEncryptionConfiguration": (ENCRYPTION, _encryption),
    "versioning": (VERSIONING, _versioning),
}
"""Inputs of a bucket that are also resources of their own, which know how to be seen; asked only where declared."""


def _inline(declared: DeclaredResource, answers: Answers) -> Part:
    asked: list[More] = []
    found: dict[str, Value] = {}
    for name, (observer, as_input) in _INLINE.items():
        if name not in declared.inputs:
            continue
        seen = observer.see(declared, answers)
        if isinstance(seen, More):
            asked.append(seen)
        elif isinstance(seen, Failed):
            found[name] = Unreadable(seen.reason)
        else:
            found[name] = None if isinstance(seen, Missing) else as_input(seen)
    return together(*asked) if asked else found


def _inline_reads(declared: DeclaredResource) -> Iterable[Read]:
    for name, (observer, _) in _INLINE.items():
        if name in declared.inputs:
            yield from observer.reads(declared)


def _lock(name: str, answers: Answers) -> dict[str, Value] | More:
    """Object lock is chosen when a bucket is made, so it is asked for only where it is declared."""
    answer = answers.one(_object_lock(name))
    if isinstance(answer, More):
        return answer
    if isinstance(answer, Failed):
        return {"objectLockEnabled": Unreadable(answer.reason)}
    configuration = {} if isinstance(answer, Missing) else answer.get("ObjectLockConfiguration", {})
    return {"objectLockEnabled": configuration.get("ObjectLockEnabled") == "Enabled"}


def _arn(row: Row, answers: Answers) -> str:
    """The bucket's ARN, in the partition that the tag index shows."""
    marks = answers.get(TAG_INDEX)
    partition = marks.rows[0]["ResourceARN"].split(":")[1] if isinstance(marks, Rows) and marks.rows else "aws"
    return str(row.get("BucketArn") or f"arn:{partition}:s3:::{row['Name']}")


def _locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "bucket")
    if name is None:
        return Failed("the bucket's name is not known")
    row = bucket_row(name, answers)
    return name if isinstance(row, Mapping) else row


def _owned(answers: Answers) -> Iterable[Owned]:
    found = tagged(answers, TAG_INDEX, LISTING, lambda row: _arn(row, answers))
    return (Owned(str(row["Name"]), owned.tags) for row, owned in found)


BUCKET = Observer(
    kind=ResourceKind(
        "aws:s3/bucket:Bucket",
        stateful=True,
        documents=frozenset({"policy", "website.routingRules"}),
        write_only=frozenset({"bucketPrefix", "forceDestroy"}),
        # Older providers fill it in for every bucket, and reading it costs a call for each.
        contradicted=frozenset({"acl"}),
    ),
    reads=lambda declared: (LISTING, TAG_INDEX, *_inline_reads(declared)) if declared.id else (LISTING,),
    see=_see,
    permissions=(
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetEncryptionConfiguration",
        *PERMISSIONS,
        "tag:GetResources",
    ),
    locate=_locate,
    owned=_owned,
)

OBSERVERS: tuple[Observer, ...] = (BUCKET, VERSIONING, ENCRYPTION, PUBLIC_ACCESS_BLOCK, POLICY)
