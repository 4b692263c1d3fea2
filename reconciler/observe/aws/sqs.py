"""How queues and their policies are seen: settings only, never a message.

One call answers all settings of one queue, and there is no bulk form; the listing has nothing but addresses, so it is
read only where a queue is said to be gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from reconciler.model import DeclaredResource, ResourceKind, Unreadable, Value
from reconciler.observe.aws._common import call, json_text, live_tags, tag_index, text
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Read, Row, Rows, Sight

LISTING = call("sqs", "list_queues", "QueueUrls[].{QueueUrl: @} || `[]`")
"""AWS leaves the list out when there are no queues."""

TAG_INDEX = tag_index("sqs")

_GONE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
"""The same in the older protocol's words, in which the newer one still answers, and in its own."""

_TEXTS = {
    "deduplicationScope": "DeduplicationScope",
    "fifoThroughputLimit": "FifoThroughputLimit",
    "kmsMasterKeyId": "KmsMasterKeyId",
}
_NUMBERS = {
    "delaySeconds": "DelaySeconds",
    "kmsDataKeyReusePeriodSeconds": "KmsDataKeyReusePeriodSeconds",
    "maxMessageSize": "MaximumMessageSize",
    "messageRetentionSeconds": "MessageRetentionPeriod",
    "receiveWaitTimeSeconds": "ReceiveMessageWaitTimeSeconds",
    "visibilityTimeoutSeconds": "VisibilityTimeout",
}
_BOOLEANS = {
    "contentBasedDeduplication": "ContentBasedDeduplication",
    "fifoQueue": "FifoQueue",
    "sqsManagedSseEnabled": "SqsManagedSseEnabled",
}
_DOCUMENTS = {
    "policy": "Policy",
    "redriveAllowPolicy": "RedriveAllowPolicy",
    "redrivePolicy": "RedrivePolicy",
}

PERMISSIONS = ("sqs:GetQueueAttributes", "sqs:ListQueues")


def _attributes(url: str, *names: str) -> Read:
    return call("sqs", "get_queue_attributes", absent=_GONE, target=url, QueueUrl=url, AttributeNames=[*names])


def _find(url: str, answers: Answers, *names: str) -> Row | Missing | Failed | More:
    """The attributes of a queue. An answer without its ARN, which is always asked for, is not a whole one."""
    row = answers.one(_attributes(url, *names))
    if isinstance(row, Missing):
        return _unless_listed(row, "/".join(url.rsplit("/", 2)[1:]), answers)
    if not isinstance(row, Mapping):
        return row
    found = row.get("Attributes")
    if not isinstance(found, Mapping) or not found.get("QueueArn"):
        return Failed(f"sqs:GetQueueAttributes did not answer for {url}")
    return found


def _unless_listed(gone: Missing, name: str, answers: Answers) -> Missing | Failed | More:
    """What a direct read says is gone, if the complete listing lacks it too, under whatever host."""
    listed = answers.get(LISTING)
    if not isinstance(listed, Rows):
        return listed
    if any(row["QueueUrl"].endswith(f"/{name}") for row in listed.rows):
        return Failed(f"sqs:ListQueues still lists what is said to be gone ({gone.how})")
    return gone


# --- queues ------------------------------------------------------------------------------------------------


def _see(declared: DeclaredResource, answers: Answers) -> Sight:
    url = declared.id
    row = _find(url, answers, "All")
    if not isinstance(row, Mapping):
        return row
    tags = live_tags(
        declared,
        answers,
        arn=row["QueueArn"],
        index=TAG_INDEX,
        direct=call("sqs", "list_queue_tags", target=url, QueueUrl=url),
        # Untagged queues have no map of tags in the answer.
        decode=lambda rows: rows[0].get("Tags", {}) if rows else None,
    )
    if isinstance(tags, More):
        return tags
    found: dict[str, Value] = {name: row.get(key) for name, key in _TEXTS.items()}
    found |= {name: _number(row.get(key)) for name, key in _NUMBERS.items()}
    found |= {name: row.get(key) == "true" for name, key in _BOOLEANS.items()}
    found |= {name: json_text(row[key]) if row.get(key) else None for name, key in _DOCUMENTS.items()}
    for name in ("redriveAllowPolicy", "redrivePolicy"):
        wanted = declared.inputs.get(name)
        if found[name] and wanted is not None and _meaning(found[name]) == _meaning(wanted):
            found[name] = wanted
    return {"name": row["QueueArn"].rpartition(":")[2], **found, **tags}


def _meaning(document: Value) -> Value:
    """What a redrive document says, however it is spelled: its count may be a text, and its queues have no order."""
    try:
        said = json.loads(document) if isinstance(document, str) else document
    except (ValueError, RecursionError):
        return document
    if not isinstance(said, Mapping):
        return document
    meant = dict(said)
    queues, count = meant.get("sourceQueueArns"), str(meant.get("maxReceiveCount", "")).removesuffix(".0")
    if isinstance(queues, list | tuple):
        meant["sourceQueueArns"] = sorted(map(str, queues))
    if count.isdecimal():
        meant["maxReceiveCount"] = int(count)
    return meant


def _number(value: str | None) -> Value:
    if value is None:
        return None
    return int(value) if value.isdecimal() else Unreadable("the answer is not a number")


# --- their policies ----------------------------------------------------------------------------------------


def _find_policy(url: str, answers: Answers) -> Row | Missing | Failed | More:
    """The attributes of a queue that has a policy.

    AWS has no error for a queue without one, so two different whole answers must lack it.
    """
    for names in (("All",), ("Policy", "QueueArn")):
        row = _find(url, answers, *names)
        if not isinstance(row, Mapping) or row.get("Policy"):
            return row
    return Missing(f"sqs:GetQueueAttributes answers no policy for {url}")


def _see_policy(declared: DeclaredResource, answers: Answers) -> Sight:
    row = _find_policy(declared.id, answers)
    return {"queueUrl": declared.id, "policy": json_text(row["Policy"])} if isinstance(row, Mapping) else row


# --- what was cut off --------------------------------------------------------------------------------------


def _locate_queue(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    """By name: before it is made nobody knows its address."""
    name = text(declared, "name")
    if name is None:
        return Failed("the queue's name is not known")
    row = answers.one(call("sqs", "get_queue_url", absent=_GONE, target=name, QueueName=name))
    if isinstance(row, Mapping):
        return str(row["QueueUrl"]) if row.get("QueueUrl") else Failed(f"sqs:GetQueueUrl did not answer for {name}")
    return _unless_listed(row, name, answers) if isinstance(row, Missing) else row


def _locate_policy(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    url = text(declared, "queueUrl")
    if url is None:
        return Failed("the queue's address is not known")
    row = _find_policy(url, answers)
    return url if isinstance(row, Mapping) else row


OBSERVERS: tuple[Observer, ...] = (
    Observer(
        # Not stateful, although messages are data: only a queue that is gone is made anew, which has none left, and
        # the next ones need a place. What would replace a queue that is there (its name, its kind) nobody can change.
        kind=ResourceKind(
            "aws:sqs/queue:Queue",
            documents=frozenset(_DOCUMENTS),
            write_only=frozenset({"namePrefix"}),
            references=frozenset({"kmsMasterKeyId"}),
        ),
        reads=lambda declared: (_attributes(declared.id, "All"), TAG_INDEX) if declared.id else (),
        see=_see,
        permissions=(*PERMISSIONS, "sqs:GetQueueUrl", "sqs:ListQueueTags", "tag:GetResources"),
        locate=_locate_queue,
    ),
    Observer(
        kind=ResourceKind("aws:sqs/queuePolicy:QueuePolicy", documents=frozenset({"policy"})),
        reads=lambda declared: (_attributes(declared.id, "All"),) if declared.id else (),
        see=_see_policy,
        permissions=PERMISSIONS,
        locate=_locate_policy,
    ),
)
