"""What load balancers, target groups and listeners have in common: attributes as key and value, and tags by ARN."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.model import DeclaredResource, Unreadable, Value
from reconciler.observe.aws._common import Part, TagDecoder, call, live_tags, pairs, tag_index, unreadable, vanished
from reconciler.observe.reads import Answers, More, Read, Row, Rows

TAG_INDEX = tag_index("elasticloadbalancing")
TAG_PERMISSIONS = ("elasticloadbalancing:DescribeTags", "tag:GetResources")


def tags_of(arn: str) -> Read:
    return call("elbv2", "describe_tags", "TagDescriptions", target=arn, ResourceArns=[arn])


def _tags_for(arn: str) -> TagDecoder:
    def decode(rows: tuple[Row, ...]) -> Mapping[str, str] | None:
        return next((pairs(row.get("Tags", ())) for row in rows if row.get("ResourceArn") == arn), None)

    return decode


def elb_tags(declared: DeclaredResource, answers: Answers, arn: str) -> Part:
    return live_tags(declared, answers, arn=arn, index=TAG_INDEX, direct=tags_of(arn), decode=_tags_for(arn))


# --- attributes --------------------------------------------------------------------------------------------


def flag(value: str) -> Value:
    return value == "true"


def number(value: str) -> Value:
    return int(value)


def same(value: str) -> Value:
    return value


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute key of Elastic Load Balancing, the dotted Pulumi path it becomes, and its decoding."""

    key: str
    path: str
    decode: Callable[[str], Value] = same

    @property
    def top(self) -> str:
        return self.path.partition(".")[0]


def attribute_properties(
    declared: DeclaredResource, answers: Answers, read: Read, table: Sequence[Attribute]
) -> dict[str, Value] | More:
    """The properties that ``read`` (a list of ``{Key, Value}``) answers, one property for each top-level name.

    AWS leaves out attributes that a load balancer of this type does not have, but the provider fills in the defaults
    of all types. Such a default is left as declared, as the provider's own read does; what the program set itself
    and AWS does not answer is unreadable.
    """
    answer = answers.get(read)
    if isinstance(answer, More):
        return answer
    tops = dict.fromkeys(attribute.top for attribute in table)
    if not isinstance(answer, Rows):
        return unreadable(tops, vanished(answer))
    live = {row["Key"]: str(row.get("Value", "")) for row in answer.rows}
    if not live:
        return unreadable(tops, f"{read.operation} answered no attributes at all")
    found: dict[str, Value] = {}
    nested: dict[str, dict[str, Value]] = {}
    for attribute in table:
        if attribute.key not in live:
            continue
        value = _decoded(attribute, live[attribute.key])
        top, _, rest = attribute.path.partition(".")
        if rest:
            nested.setdefault(top, {})[rest] = value
        else:
            found[top] = value
    for top in tops:
        if top in declared.inputs and top not in found and top not in nested:
            reason = f"{read.operation} did not answer it"
            found[top] = Unreadable(reason) if top in declared.programmed else declared.inputs[top]
    return {**found, **nested}


def _decoded(attribute: Attribute, raw: str) -> Value:
    try:
        return attribute.decode(raw)
    except ValueError:
        return Unreadable(f"attribute {attribute.key} is {raw!r}")
