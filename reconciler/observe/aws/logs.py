"""How log groups are seen: their settings, never what is logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model import DeclaredResource, ResourceKind
from reconciler.observe.aws._common import call, live_tags, tag_index, tagged, text
from reconciler.observe.reads import Answers, Failed, Missing, More, Observer, Owned, Read, Row, Rows, Sight

LISTING = call("logs", "describe_log_groups", "logGroups")
TAG_INDEX = tag_index("logs")


def by_prefix(name: str) -> Read:
    return call("logs", "describe_log_groups", "logGroups", target=name, logGroupNamePrefix=name)


def _streams(name: str) -> Read:
    # Asked only for its error: of all reads by name, this one says ResourceNotFoundException for a missing group.
    absent = ("ResourceNotFoundException",)
    return call("logs", "describe_log_streams", absent=absent, target=name, logGroupName=name, limit=1)


def _find(name: str, answers: Answers) -> Row | Missing | Failed | More:
    """The log group of exactly this name.

    AWS has no direct read of a log group that would fail for a missing one: a search by prefix answers 200 and
    nothing. So absence needs three agreeing answers: listing, search, and the error of its streams.
    """
    row: Row | Missing | Failed | More = answers.find(LISTING, "logGroupName", name, direct=by_prefix(name))
    if isinstance(row, More | Failed) or (isinstance(row, Mapping) and row["logGroupName"] == name):
        return row
    search = answers.get(by_prefix(name))
    if not isinstance(search, Rows):
        return search
    found = next((group for group in search.rows if group["logGroupName"] == name), None)
    if found is not None:
        return found
    streams = answers.one(_streams(name))
    return Failed(f"log group {name} answers, but no listing has it") if isinstance(streams, Mapping) else streams


def _arn(row: Row) -> str:
    return str(row.get("logGroupArn") or row["arn"]).removesuffix(":*")


def _see(declared: DeclaredResource, answers: Answers) -> Sight:
    row = _find(declared.id, answers)
    if not isinstance(row, Mapping):
        return row
    arn = _arn(row)
    tags = live_tags(
        declared,
        answers,
        arn=arn,
        index=TAG_INDEX,
        direct=call("logs", "list_tags_for_resource", target=arn, resourceArn=arn),
        decode=lambda rows: rows[0].get("tags") if rows else None,
    )
    if isinstance(tags, More):
        return tags
    return {
        "name": row["logGroupName"],
        # No retention in the answer: nothing ever expires, which the provider writes as 0.
        "retentionInDays": row.get("retentionInDays", 0),
        "kmsKeyId": row.get("kmsKeyId"),
        "logGroupClass": row.get("logGroupClass"),
        "deletionProtectionEnabled": row.get("deletionProtectionEnabled", False),
        **tags,
    }


def _locate(declared: DeclaredResource, answers: Answers) -> str | Missing | Failed | More:
    name = text(declared, "name")
    if name is None:
        return Failed("the log group's name is not known")
    row = _find(name, answers)
    return name if isinstance(row, Mapping) else row


def _owned(answers: Answers) -> Iterable[Owned]:
    return (Owned(str(row["logGroupName"]), owned.tags) for row, owned in tagged(answers, TAG_INDEX, LISTING, _arn))


OBSERVERS: tuple[Observer, ...] = (
    Observer(
        kind=ResourceKind(
            "aws:cloudwatch/logGroup:LogGroup",
            stateful=True,
            write_only=frozenset({"namePrefix", "skipDestroy"}),
            references=frozenset({"kmsKeyId"}),
        ),
        reads=lambda declared: (LISTING, TAG_INDEX) if declared.id else (LISTING,),
        see=_see,
        permissions=(
            "logs:DescribeLogGroups",
            "logs:DescribeLogStreams",
            "logs:ListTagsForResource",
            "tag:GetResources",
        ),
        locate=_locate,
        owned=_owned,
    ),
)
