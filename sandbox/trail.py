"""What CloudTrail and EventBridge make of the calls that this AWS answers: a record of each write, kept and sent.

Every write that succeeded is one record, in the documented form. ``LookupEvents`` answers from them, and each is sent,
as EventBridge would, to each queue of its region whose name begins with ``stackmend-events``. On AWS both take a while
(events seconds to minutes, look-ups up to a quarter of an hour); here they are there at once.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from moto.sqs.models import sqs_backends

from sandbox.wire import JSON_ANSWER, Call, Response

QUEUES = "stackmend-events"
"""What the names of the queues begin with that get every event."""
KEPT = 5_000
SILENT = frozenset({"sqs", "events", "sts", "cloudtrail"})
"""Services whose calls are not recorded: those that carry the records themselves."""

SOURCES = {"elbv2": "elasticloadbalancing", "cloudwatch": "monitoring", "s3control": "s3"}
"""The name of a service in records, where it is not boto3's."""

WHO = {"engine": "assumed-role/deployer/pulumi", "reconciler": "assumed-role/stackmend/reconciler"}


class Trail:
    """The records of one account, newest last."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._records: deque[dict[str, Any]] = deque(maxlen=KEPT)

    def record(self, call: Call, environ: Mapping[str, Any], status: int) -> None:
        """Keep and send a record of a call, if it was a write and succeeded. Called while moto is not in use."""
        if not call.writes or call.service in SILENT or status >= 400:
            return
        record = self._record(call, environ)
        with self._lock:
            self._records.append(record)
        self._send(record)

    def lookup(self, call: Call, environ: Mapping[str, Any]) -> Response:
        """The answer to LookupEvents in one region, by resource name and time only; one page."""
        asked = json.loads(call.params or "{}")
        names = [
            a["AttributeValue"] for a in asked.get("LookupAttributes") or () if a["AttributeKey"] == "ResourceName"
        ]
        begin, end = asked.get("StartTime", 0.0), asked.get("EndTime", float("inf"))
        with self._lock:
            newest_first = list(reversed(self._records))
        found = []
        for record in newest_first:
            at = datetime.fromisoformat(record["eventTime"]).timestamp()
            text = json.dumps([record["requestParameters"], record["resources"]])
            here = record["awsRegion"] == _region(environ)
            if here and int(begin) <= at <= end and all(name in text for name in names):
                found.append(
                    {
                        "EventId": record["eventID"],
                        "EventName": record["eventName"],
                        "ReadOnly": "false",
                        "EventTime": at,
                        "EventSource": record["eventSource"],
                        "Username": record["userIdentity"]["arn"].rpartition("/")[2],
                        "Resources": [{"ResourceName": name} for name in names],
                        "CloudTrailEvent": json.dumps(record),
                    }
                )
        return Response(200, JSON_ANSWER, json.dumps({"Events": found[: asked.get("MaxResults", 50)]}).encode())

    def _record(self, call: Call, environ: Mapping[str, Any]) -> dict[str, Any]:
        service = SOURCES.get(call.service, call.service)
        agent = environ.get("HTTP_USER_AGENT", "")
        marked = re.search(r"sandbox-actor/(\w+)", agent)
        who = WHO.get(call.actor) or f"user/{marked[1] if marked else 'somebody'}"
        kind = "AssumedRole" if who.startswith("assumed-role") else "IAMUser"
        return {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": kind,
                "arn": f"arn:aws:{'sts' if kind == 'AssumedRole' else 'iam'}::{self._account}:{who}",
                "accountId": self._account,
            },
            "eventTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "eventSource": f"{service}.amazonaws.com",
            "eventName": call.action,
            "awsRegion": _region(environ),
            "sourceIPAddress": environ.get("REMOTE_ADDR", "127.0.0.1"),
            "userAgent": agent,
            "requestParameters": _parameters(call),
            "responseElements": None,
            "resources": [],
            "requestID": str(uuid.uuid4()),
            "eventID": str(uuid.uuid4()),
            "readOnly": False,
            "eventType": "AwsApiCall",
            "managementEvent": True,
            "recipientAccountId": self._account,
            "eventCategory": "Management",
        }

    def _send(self, record: Mapping[str, Any]) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "AWS API Call via CloudTrail",
            "source": f"aws.{record['eventSource'].partition('.')[0]}",
            "account": self._account,
            "time": record["eventTime"],
            "region": record["awsRegion"],
            "resources": [],
            "detail": record,
        }
        backend = sqs_backends[self._account][record["awsRegion"]]
        for name, queue in backend.queues.items():
            if name.startswith(QUEUES) and len(queue._messages) < KEPT:
                backend.send_message(name, json.dumps(event))


def _region(environ: Mapping[str, Any]) -> str:
    scope = re.search(r"Credential=[^/]+/\d+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return scope[1] if scope else "us-east-1"


def _parameters(call: Call) -> dict[str, Any]:
    """The request's parameters as CloudTrail shows them, roughly: names begin with a small letter, lists are lists."""
    if call.protocol == "json":
        given = json.loads(call.params or "{}")
        return {name[:1].lower() + name[1:]: value for name, value in given.items()}
    if call.protocol == "rest-xml":
        path = call.params.partition("\n")[0].partition(" ")[2].partition("?")[0]
        bucket, _, key = path.strip("/").partition("/")
        return {"bucketName": bucket, "key": key} if key else {"bucketName": bucket}
    pairs = dict(parse_qsl(call.params, keep_blank_values=True))
    return {name[:1].lower() + name[1:]: value for name, value in pairs.items() if name not in ("Action", "Version")}
