"""The one place where a write is allowed or refused: a botocore hook that every client of this product carries.

It sits where botocore still has the call's parameters and has sent nothing, so what it refuses never leaves the
process. A read needs no leave. Anything else needs a permit, held by the repair in progress in this very thread or
task, that names the operation and every resource the call names. A dry run holds no permit: it cannot write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

from botocore.model import OperationModel

from reconciler.errors import WriteRefused

HOOK = "before-parameter-build"
"""The last event that botocore emits with the parameters as the caller gave them; presigning emits it as well."""

_READ = re.compile(r"(BatchGet|Describe|Get|Head|List|Lookup|Search)(?=[A-Z])")

_CREDENTIALS = re.compile(r"(Batch)?Get\w*(Credentials|Token|SecretValue|Password(?!Policy)|AccessDetails|Presigned)")
"""Reads by name that hand out access or secrets."""

_CONTENT = frozenset(
    {
        "cognito-identity:GetId",
        "dynamodb:BatchGetItem",
        "dynamodb:GetItem",
        "dynamodbstreams:GetRecords",
        "ec2:GetConsoleOutput",
        "ec2:GetConsoleScreenshot",
        "kinesis:GetRecords",
        "lambda:GetFunction",
        "logs:GetLogEvents",
        "logs:GetLogRecord",
        "logs:GetQueryResults",
        "s3:ListObjects",
        "s3:ListObjectsV2",
        "s3:ListObjectVersions",
    }
)
"""Reads by name that answer with the tenants' own data, or that write after all. Nothing here needs them.

Operations that stream their answer (``s3:GetObject``) are refused without being listed.
"""

_SIGN_IN = frozenset(
    {
        "signin:CreateOAuth2Token",
        "sso-oidc:CreateToken",
        "sso:GetRoleCredentials",
        "sts:AssumeRole",
        "sts:AssumeRoleWithSAML",
        "sts:AssumeRoleWithWebIdentity",
    }
)
"""What botocore's own credential providers call, through clients that carry the guard like all others."""

_QUEUE = frozenset({"sqs:DeleteMessageBatch", "sqs:ReceiveMessage"})
"""What the client of the event queue may do to that queue."""

_ANYWHERE = re.compile(r"arn:[\w-]+:\S+|[a-z][a-z-]*-(?:[0-9a-f]{17}|[0-9a-f]{8})")
"""What is a resource identifier wherever it stands: an ARN, or an id of EC2's form."""

_IDENTIFYING = re.compile(r"\w*(Ids?|IDs?|Arns?|ARNs?|Names?|Bucket)|ids?|arns?|names?|bucket")
"""Parameters whose text names a resource, whatever its form: ``KeyId``, ``AutoScalingGroupName``, ``Targets[].Id``."""


_TOLD = re.compile(r"(\w+\[\]\.)?Tags\[\]\.Value|IpPermissions\[\]\..*")
"""Parameters that say something of the resource which is written, such as whose it is: they may name others."""

Objection: TypeAlias = Callable[[str], str]
"""Why an identifier must not be named by a write; empty if it may."""


@dataclass(frozen=True, slots=True)
class WritePermit:
    """What one repair may do: ``operations`` as ``service:Operation``, ``resources`` as ids, names and ARNs."""

    repair_id: str
    operations: frozenset[str]
    resources: frozenset[str]
    objection: Objection
    """What else speaks against naming a resource; the declaration knows more than whoever opens the permit."""


_active: ContextVar[WritePermit | None] = ContextVar("stackmend_write_permit", default=None)


@contextmanager
def permit(
    repair_id: str, *, operations: Collection[str], resources: Collection[str], objection: Objection
) -> Iterator[WritePermit]:
    """Allow these writes to these resources, within the ``with`` block and in this thread or task only.

    ``operations`` are exact (``autoscaling:SetInstanceHealth``); ``resources`` are all the identifiers that the calls
    will name, and ``objection`` may still refuse one. Empty means none, never all. Permits do not nest: raises
    WriteRefused if one is already active.
    """
    if (held := _active.get()) is not None:
        raise WriteRefused(
            f"repair {repair_id} asked for a write permit", why=f"repair {held.repair_id} holds one in the same context"
        )
    granted = WritePermit(repair_id, frozenset(operations), frozenset(resources), objection)
    token = _active.set(granted)
    try:
        yield granted
    finally:
        _active.reset(token)


def is_read(operation: OperationModel, params: Mapping[str, Any]) -> bool:
    """Whether this call can only look, and looks at configuration, not at secrets or at tenants' data."""
    name = f"{operation.service_model.service_name}:{operation.name}"
    if name in _SIGN_IN:
        return True
    return (
        _READ.match(operation.name) is not None
        and _CREDENTIALS.match(operation.name) is None
        and name not in _CONTENT
        and not operation.has_streaming_output
        and not operation.has_event_stream_output
        and not params.get("WithDecryption")
    )


def identifiers(operation: OperationModel, params: Mapping[str, Any]) -> dict[str, str]:
    """The resources that a call names: identifier to the parameter that holds it."""
    return {text: path for path, text in _named(operation, params)}


def _named(operation: OperationModel, params: Mapping[str, Any]) -> list[tuple[str, str]]:
    tokens = set(operation.idempotent_members)
    return list(_strings({k: v for k, v in params.items() if k not in tokens}))


def check(params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
    """The botocore handler. Raises WriteRefused for a call that is neither a read nor permitted."""
    if is_read(model, params):
        return
    name = f"{model.service_model.service_name}:{model.name}"
    held = _active.get()
    if held is None:
        raise _refusal(name, "it is not a read, and no repair is in progress here")
    if name not in held.operations:
        raise _refusal(name, f"repair {held.repair_id} may not do that")
    named = _named(model, params)
    if not named:
        raise _refusal(name, f"it names no resource, so repair {held.repair_id} cannot own what it would change")
    for path, text in named:
        if text not in held.resources:
            raise _refusal(name, f"{path} is {text}, which repair {held.repair_id} does not own")
        if not _TOLD.fullmatch(path) and (why := held.objection(text)):
            raise _refusal(name, f"{path} is {text}, and repair {held.repair_id} may not write that: {why}")


def only_queue(url: str) -> Callable[..., None]:
    """The botocore handler of the one client that is for an SQS queue: it receives and deletes there, nothing else.

    Messages are nobody's infrastructure, so these calls need no repair in progress.
    """

    def check_queue(params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
        name = f"{model.service_model.service_name}:{model.name}"
        if name in _SIGN_IN or (name in _QUEUE and params.get("QueueUrl") == url):
            return
        raise _refusal(name, f"this client may only receive from and delete in the queue {url}")

    return check_queue


def _refusal(name: str, why: str) -> WriteRefused:
    return WriteRefused("the call was refused; nothing was sent", where=name, why=why)


def _strings(value: Any, path: str = "", identifying: bool = False) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        if value and (identifying or _ANYWHERE.fullmatch(value)):
            yield path, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _strings(part, f"{path}.{name}" if path else name, _IDENTIFYING.fullmatch(name) is not None)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _strings(part, f"{path}[]", identifying)
