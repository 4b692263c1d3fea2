"""Log groups."""

from __future__ import annotations

from typing import Any

from sandbox.provider.aws import found
from sandbox.provider.table import Call, Kind, Name, tagger
from sandbox.provider.values import Properties

tags = tagger(
    lambda call, put: call.aws("logs").tag_resource(resourceArn=call.old["arn"], tags=put),
    lambda call, gone: call.aws("logs").untag_resource(resourceArn=call.old["arn"], tagKeys=gone),
)


def create(call: Call) -> str:
    names = ("kmsKeyId", "logGroupClass")
    params: dict[str, Any] = {name: call.new[name] for name in names if call.new.get(name)}
    if call.new["tagsAll"]:
        params["tags"] = call.new["tagsAll"]
    call.aws("logs").create_log_group(logGroupName=call.new["name"], **params)
    return str(call.new["name"])


def set_retention(call: Call) -> None:
    """Zero days mean for ever, which is the absence of a policy."""
    logs, days = call.aws("logs"), call.new.get("retentionInDays")
    if days:
        logs.put_retention_policy(logGroupName=call.id, retentionInDays=days)
    else:
        logs.delete_retention_policy(logGroupName=call.id)


def set_key(call: Call) -> None:
    logs, key = call.aws("logs"), call.new.get("kmsKeyId")
    if key:
        logs.associate_kms_key(logGroupName=call.id, kmsKeyId=key)
    else:
        logs.disassociate_kms_key(logGroupName=call.id)


def read(call: Call) -> Properties | None:
    logs = call.aws("logs")
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=call.id):
        for group in page["logGroups"]:
            if group["logGroupName"] == call.id:
                arn = group["arn"].removesuffix(":*")
                return {
                    "arn": arn,
                    "name": call.id,
                    "namePrefix": "",
                    "kmsKeyId": group.get("kmsKeyId", ""),
                    "retentionInDays": group.get("retentionInDays", 0),
                    "logGroupClass": group.get("logGroupClass", "STANDARD"),
                    "tags": dict(logs.list_tags_for_resource(resourceArn=arn).get("tags", {})),
                }
    return None


def delete(call: Call) -> None:
    if not call.old.get("skipDestroy"):
        found({"ResourceNotFoundException"}, call.aws("logs").delete_log_group, logGroupName=call.id)


KINDS = (
    Kind(
        type="aws:cloudwatch/logGroup:LogGroup",
        create=create,
        settle=(set_retention,),
        read=read,
        delete=delete,
        update={"retentionInDays": set_retention, "kmsKeyId": set_key},
        fixed=frozenset({"name", "logGroupClass"}),
        echoed=frozenset({"skipDestroy"}),
        name=Name(longest=512),
        tags=tags,
        emptied=frozenset({"retentionInDays", "kmsKeyId"}),
    ),
)
