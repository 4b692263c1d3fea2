"""The cell's queue of change events: what the reconciler looks at within seconds, instead of at its next pass."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
from pulumi_aws import cloudwatch, sqs

from tenancy import events, tags


@dataclass(frozen=True, slots=True)
class ChangeEventsArgs:
    """What a ChangeEvents is made of."""

    cell: str
    owner: str
    retention_seconds: int = 3600
    """How long a message waits. A pass over everything finds what older ones tell of."""
    visibility_timeout_seconds: int = 900
    """How long a message that was received is hidden: longer than a pass takes, or it would be handled twice."""
    receives: int = 10
    """After so many that ended in no deletion, a message goes to the dead-letter queue."""
    dead_letter_retention_seconds: int = 1_209_600
    """14 days, the longest that SQS offers: what is in there is for a person, who may be on holiday."""


class ChangeEvents(pulumi.ComponentResource):
    """An EventBridge rule that lets through what tells of a change, and the encrypted queue that it fills.

    It belongs to the cell and to no tenant. The queues' names are fixed: a queue that was deleted comes back under the
    URL that the reconciler's settings hold.
    """

    queue_url: pulumi.Output[str]
    queue_arn: pulumi.Output[str]

    def __init__(self, name: str, args: ChangeEventsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("stackmend:index:ChangeEvents", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        dead_letters = sqs.Queue(
            f"{name}-dead-letters",
            name=f"stackmend-dead-events-{args.cell}",
            message_retention_seconds=args.dead_letter_retention_seconds,
            sqs_managed_sse_enabled=True,
            tags=tags.of_cell(cell=args.cell, owner=args.owner, name=f"{name}-dead-letters"),
            opts=child,
        )
        queue = sqs.Queue(
            f"{name}-queue",
            name=f"stackmend-events-{args.cell}",
            message_retention_seconds=args.retention_seconds,
            visibility_timeout_seconds=args.visibility_timeout_seconds,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": args.receives}
            ),
            sqs_managed_sse_enabled=True,
            tags=tags.of_cell(cell=args.cell, owner=args.owner, name=f"{name}-queue"),
            opts=child,
        )
        rule = cloudwatch.EventRule(
            f"{name}-rule",
            name=f"stackmend-events-{args.cell}",
            description=f"Changes in {args.cell} for stackmend",
            event_pattern=events.pattern(),
            # Said although it is the default: what nobody declares is not set back when somebody changes it.
            state="ENABLED",
            tags=tags.of_cell(cell=args.cell, owner=args.owner, name=f"{name}-rule"),
            opts=child,
        )
        policy = sqs.QueuePolicy(
            f"{name}-queue-policy", queue_url=queue.url, policy=queue_policy(queue.arn, rule.arn), opts=child
        )
        cloudwatch.EventTarget(
            f"{name}-target",
            rule=rule.name,
            target_id="queue",
            arn=queue.arn,
            # Without leave to send, events would be lost until it is given.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )
        self.queue_url, self.queue_arn = queue.url, queue.arn
        self.register_outputs({"queueUrl": self.queue_url, "queueArn": self.queue_arn})


def queue_policy(queue_arn: pulumi.Input[str], rule_arn: pulumi.Input[str]) -> pulumi.Output[str]:
    """Queue policy: EventBridge sends for this rule, nobody else by this policy, and nothing goes without TLS.

    The version must be this one: with an older one the provider waits for ever (its documentation of ``sqs.Queue``).
    """
    return pulumi.Output.json_dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "EventsOfTheRule",
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": queue_arn,
                    "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
                },
                {
                    "Sid": "OnlyOverTls",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "sqs:*",
                    "Resource": queue_arn,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
            ],
        }
    )
