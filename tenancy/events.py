"""Which of AWS's events tell of a change: the program has them sent to a queue, and the reconciler understands them."""

from __future__ import annotations

import json

API_CALL = "AWS API Call via CloudTrail"

SOURCES = (
    "aws.autoscaling",
    "aws.ec2",
    "aws.elasticloadbalancing",
    "aws.iam",
    "aws.kms",
    "aws.logs",
    "aws.monitoring",
    "aws.s3",
)
"""The services whose API calls may change something of a tenant, by EventBridge's names."""

CHANGES = (
    ("aws.ec2", "EC2 Instance State-change Notification"),
    ("aws.cloudwatch", "CloudWatch Alarm State Change"),
    ("aws.autoscaling", "EC2 Instance Launch Successful"),
    ("aws.autoscaling", "EC2 Instance Launch Unsuccessful"),
    ("aws.autoscaling", "EC2 Instance Terminate Successful"),
    ("aws.autoscaling", "EC2 Instance Terminate Unsuccessful"),
)
"""Source and type of the events, besides API calls, that tell of a change of something declared."""


def pattern() -> str:
    """The EventBridge pattern, a JSON document, that lets these events through and no others.

    Grammar: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
    """
    calls = {"detail-type": [API_CALL], "source": list(SOURCES)}
    return json.dumps({"$or": [calls, {"detail-type": [kind for _, kind in CHANGES]}]}, separators=(",", ":"))
