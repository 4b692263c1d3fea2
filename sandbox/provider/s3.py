"""Buckets and the resources that configure them, whose id is the bucket's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.provider.aws import found, refuse_others, tag_list, tag_map
from sandbox.provider.diff import document, reference
from sandbox.provider.table import Call, Change, Kind, Name, deleter
from sandbox.provider.values import Properties

NO_BUCKET = {"NoSuchBucket", "404"}
BLOCKS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")


def create_bucket(call: Call) -> str:
    name, region = call.new["bucket"], call.aws.region
    # us-east-1 is the one region that S3 does not let you name.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    call.aws("s3").create_bucket(Bucket=name, **place)
    return str(name)


def set_tags(call: Call) -> None:
    """S3 sets tags only as a whole."""
    s3, wanted = call.aws("s3"), tag_list(call.new["tagsAll"])
    if wanted:
        s3.put_bucket_tagging(Bucket=call.id, Tagging={"TagSet": wanted})
    else:
        s3.delete_bucket_tagging(Bucket=call.id)


def read_bucket(call: Call) -> Properties | None:
    s3, region = call.aws("s3"), call.aws.region
    if found(NO_BUCKET, s3.head_bucket, Bucket=call.id) is None:
        return None
    tagging = found({"NoSuchTagSet"}, s3.get_bucket_tagging, Bucket=call.id)
    return {
        "arn": f"arn:aws:s3:::{call.id}",
        "bucket": call.id,
        "bucketPrefix": "",
        "bucketRegion": region,
        "bucketDomainName": f"{call.id}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{call.id}.s3.{region}.amazonaws.com",
        "tags": tag_map(tagging["TagSet"] if tagging else ()),
    }


def delete_bucket(call: Call) -> None:
    s3 = call.aws("s3")
    if call.old.get("forceDestroy"):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=call.id):
            for one in [*page.get("Versions", ()), *page.get("DeleteMarkers", ())]:
                s3.delete_object(Bucket=call.id, Key=one["Key"], VersionId=one["VersionId"])
    found(NO_BUCKET, s3.delete_bucket, Bucket=call.id)


def put_versioning(call: Call) -> None:
    wanted = call.new["versioningConfiguration"]
    config = {"Status": wanted["status"], **({"MFADelete": wanted["mfaDelete"]} if wanted.get("mfaDelete") else {})}
    call.aws("s3").put_bucket_versioning(Bucket=call.new["bucket"], VersioningConfiguration=config)


def read_versioning(call: Call) -> Properties | None:
    answer = found(NO_BUCKET, call.aws("s3").get_bucket_versioning, Bucket=call.id)
    if answer is None:
        return None
    # A bucket that was never versioned answers no status; the official provider calls that Disabled.
    config = {"status": answer.get("Status", "Disabled"), "mfaDelete": answer.get("MFADelete", "")}
    return {"bucket": call.id, "versioningConfiguration": config, "expectedBucketOwner": "", "mfa": None}


def suspend_versioning(call: Call) -> None:
    put = call.aws("s3").put_bucket_versioning
    found(NO_BUCKET, put, Bucket=call.id, VersioningConfiguration={"Status": "Suspended"})


def put_encryption(call: Call) -> None:
    rules = []
    for rule in call.new["rules"]:
        default = rule.get("applyServerSideEncryptionByDefault") or {}
        refuse_others(rule, ("applyServerSideEncryptionByDefault", "bucketKeyEnabled"), "an encryption rule")
        refuse_others(default, ("sseAlgorithm", "kmsMasterKeyId"), "applyServerSideEncryptionByDefault")
        apply = {"SSEAlgorithm": default.get("sseAlgorithm"), "KMSMasterKeyID": default.get("kmsMasterKeyId")}
        apply = {"ApplyServerSideEncryptionByDefault": {key: value for key, value in apply.items() if value}}
        rules.append({**apply, "BucketKeyEnabled": bool(rule.get("bucketKeyEnabled"))})
    config = {"Rules": rules}
    call.aws("s3").put_bucket_encryption(Bucket=call.new["bucket"], ServerSideEncryptionConfiguration=config)


def read_encryption(call: Call) -> Properties | None:
    absent = NO_BUCKET | {"ServerSideEncryptionConfigurationNotFoundError"}
    answer = found(absent, call.aws("s3").get_bucket_encryption, Bucket=call.id)
    if answer is None:
        return None
    rules = []
    for rule in answer["ServerSideEncryptionConfiguration"]["Rules"]:
        default = rule.get("ApplyServerSideEncryptionByDefault", {})
        apply = {"sseAlgorithm": default.get("SSEAlgorithm"), "kmsMasterKeyId": default.get("KMSMasterKeyID", "")}
        rules.append({"applyServerSideEncryptionByDefault": apply, "bucketKeyEnabled": rule.get("BucketKeyEnabled")})
    return {"bucket": call.id, "rules": rules, "expectedBucketOwner": ""}


def put_access_block(call: Call) -> None:
    config = {name[0].upper() + name[1:]: bool(call.new.get(name)) for name in BLOCKS}
    call.aws("s3").put_public_access_block(Bucket=call.new["bucket"], PublicAccessBlockConfiguration=config)


def read_access_block(call: Call) -> Properties | None:
    absent = NO_BUCKET | {"NoSuchPublicAccessBlockConfiguration"}
    answer = found(absent, call.aws("s3").get_public_access_block, Bucket=call.id)
    if answer is None:
        return None
    config = answer["PublicAccessBlockConfiguration"]
    return {"bucket": call.id, **{name: config.get(name[0].upper() + name[1:], False) for name in BLOCKS}}


def put_policy(call: Call) -> None:
    call.aws("s3").put_bucket_policy(Bucket=call.new["bucket"], Policy=call.new["policy"])


def read_policy(call: Call) -> Properties | None:
    answer = found(NO_BUCKET | {"NoSuchBucketPolicy"}, call.aws("s3").get_bucket_policy, Bucket=call.id)
    return {"bucket": call.id, "policy": answer["Policy"]} if answer else None


def sidecar(
    token: str,
    put: Change,
    read: Callable[[Call], Properties | None],
    delete: Change,
    changeable: tuple[str, ...],
    **more: Any,
) -> Kind:
    """A resource that configures one aspect of a bucket: creating and changing it is the same call."""

    def create(call: Call) -> str:
        put(call)
        return str(call.new["bucket"])

    return Kind(
        type=token,
        create=create,
        read=read,
        delete=delete,
        update=dict.fromkeys(changeable, put),
        fixed=frozenset({"bucket"}),
        outputs=(),
        delete_first=True,
        **more,
    )


KINDS = (
    Kind(
        type="aws:s3/bucket:Bucket",
        create=create_bucket,
        settle=(set_tags,),
        read=read_bucket,
        delete=delete_bucket,
        fixed=frozenset({"bucket"}),
        echoed=frozenset({"forceDestroy"}),
        name=Name(property="bucket", longest=63, lower=True),
        tags=set_tags,
        outputs=("arn", "bucketDomainName", "bucketRegionalDomainName", "bucketRegion"),
    ),
    sidecar(
        "aws:s3/bucketVersioning:BucketVersioning",
        put_versioning,
        read_versioning,
        suspend_versioning,
        ("versioningConfiguration",),
        canonical={"versioningConfiguration.mfaDelete": lambda value: None if value == "Disabled" else value},
    ),
    sidecar(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        put_encryption,
        read_encryption,
        deleter("s3", "delete_bucket_encryption", "Bucket", *NO_BUCKET),
        ("rules",),
        canonical={"rules[].applyServerSideEncryptionByDefault.kmsMasterKeyId": reference},
    ),
    sidecar(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        put_access_block,
        read_access_block,
        deleter("s3", "delete_public_access_block", "Bucket", *NO_BUCKET),
        BLOCKS,
        emptied=frozenset(BLOCKS),
    ),
    sidecar(
        "aws:s3/bucketPolicy:BucketPolicy",
        put_policy,
        read_policy,
        deleter("s3", "delete_bucket_policy", "Bucket", *NO_BUCKET),
        ("policy",),
        canonical={"policy": document},
    ),
)
