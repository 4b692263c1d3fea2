"""Queues and their policies. The id of both is the queue's URL."""

from __future__ import annotations

from typing import Any

from sandbox.provider.aws import found
from sandbox.provider.diff import document
from sandbox.provider.table import Call, Kind, Name, tagger
from sandbox.provider.values import Properties

GONE = {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"}
NUMBERS = {
    "delaySeconds": "DelaySeconds",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}
TEXTS = {"kmsMasterKeyId": "KmsMasterKeyId", "redrivePolicy": "RedrivePolicy"}
BOOLEANS = {"sqsManagedSseEnabled": "SqsManagedSseEnabled"}
ATTRIBUTES = {**NUMBERS, **TEXTS, **BOOLEANS}
UNSET = {"delaySeconds": "0", "kmsMasterKeyId": "", "receiveWaitTimeSeconds": "0"}
"""How SQS is told that an attribute is no longer set."""

tags = tagger(
    lambda call, put: call.aws("sqs").tag_queue(QueueUrl=call.id, Tags=put),
    lambda call, gone: call.aws("sqs").untag_queue(QueueUrl=call.id, TagKeys=gone),
)


def create_queue(call: Call) -> str:
    params: dict[str, Any] = {"tags": call.new["tagsAll"]} if call.new["tagsAll"] else {}
    answer = call.aws("sqs").create_queue(QueueName=call.new["name"], Attributes=_attributes(call), **params)
    return str(answer["QueueUrl"])


def set_attributes(call: Call) -> None:
    unset = {ATTRIBUTES[name]: value for name, value in UNSET.items() if call.old.get(name) and not call.new.get(name)}
    call.aws("sqs").set_queue_attributes(QueueUrl=call.id, Attributes={**_attributes(call), **unset})


def _attributes(call: Call) -> dict[str, str]:
    """The declared attributes as SQS wants them, which is all as text."""
    given = {theirs: call.new[ours] for ours, theirs in ATTRIBUTES.items() if call.new.get(ours) is not None}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


def _read(call: Call) -> dict[str, str] | None:
    answer = found(GONE, call.aws("sqs").get_queue_attributes, QueueUrl=call.id, AttributeNames=["All"])
    return answer["Attributes"] if answer else None


def read_queue(call: Call) -> Properties | None:
    attributes = _read(call)
    if attributes is None:
        return None
    return {
        "arn": attributes["QueueArn"],
        "name": attributes["QueueArn"].rpartition(":")[2],
        "namePrefix": "",
        "url": call.id,
        "fifoQueue": False,
        "policy": attributes.get("Policy", ""),
        **{ours: int(attributes.get(theirs, 0)) for ours, theirs in NUMBERS.items()},
        **{ours: attributes.get(theirs, "") for ours, theirs in TEXTS.items()},
        **{ours: attributes.get(theirs) == "true" for ours, theirs in BOOLEANS.items()},
        "tags": call.aws("sqs").list_queue_tags(QueueUrl=call.id).get("Tags", {}),
    }


def delete_queue(call: Call) -> None:
    found(GONE, call.aws("sqs").delete_queue, QueueUrl=call.id)


def put_policy(call: Call) -> str:
    url = str(call.new["queueUrl"])
    call.aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": call.new["policy"]})
    return url


def read_policy(call: Call) -> Properties | None:
    attributes = _read(call)
    policy = attributes.get("Policy") if attributes else None
    return {"queueUrl": call.id, "policy": policy} if policy else None


def delete_policy(call: Call) -> None:
    """An empty policy is none."""
    found(GONE, call.aws("sqs").set_queue_attributes, QueueUrl=call.id, Attributes={"Policy": ""})


KINDS = (
    Kind(
        type="aws:sqs/queue:Queue",
        create=create_queue,
        read=read_queue,
        delete=delete_queue,
        update=dict.fromkeys(ATTRIBUTES, set_attributes),
        fixed=frozenset({"name"}),
        defaults={"maxMessageSize": 262_144, "messageRetentionSeconds": 345_600, "visibilityTimeoutSeconds": 30},
        name=Name(longest=80),
        tags=tags,
        outputs=("arn", "url"),
        emptied=frozenset(UNSET),
        canonical={"redrivePolicy": document},
    ),
    Kind(
        type="aws:sqs/queuePolicy:QueuePolicy",
        create=put_policy,
        read=read_policy,
        delete=delete_policy,
        update={"policy": put_policy},
        fixed=frozenset({"queueUrl"}),
        outputs=(),
        canonical={"policy": document},
        delete_first=True,
    ),
)
