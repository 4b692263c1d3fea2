"""The receiver on a real queue: what it takes in, what it deletes, and what it does while the queue is away."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from reconciler.errors import WriteRefused
from reconciler.events.inbox import Inbox
from reconciler.events.receiver import Receiver
from reconciler.observe.clients import queue_client
from tests.moto_server import serving
from tests.unit.events_worlds import ACCOUNT, REGION, api_call, resolver
from tests.unit.observe_server import ENVIRONMENT


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serving() as url:
        yield url


@pytest.fixture
def sqs(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    return boto3.client("sqs", region_name=REGION)


class Queue:
    """A queue with a dead-letter queue behind it, and a receiver of it that does not wait."""

    def __init__(self, sqs: Any, name: str) -> None:
        self.sqs, self.name = sqs, name
        self.url = f"{sqs.meta.endpoint_url}/{ACCOUNT}/{name}"
        self.create()
        self.inbox = Inbox(settle_seconds=0)
        self.inbox.know(resolver())
        self.receiver = Receiver(queue_client(self.url, REGION), self.url, self.inbox, poll_seconds=0, pause=0.01)

    def create(self) -> None:
        self.sqs.create_queue(QueueName=self.name)

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self) -> int:
        """Messages in the queue, hidden ones included."""
        kinds = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=kinds)["Attributes"]
        return sum(int(found[kind]) for kind in kinds)

    def reappear(self, receipts: Any) -> None:
        for receipt in receipts:
            self.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=0)


@pytest.fixture
def queue(sqs: Any, request: pytest.FixtureRequest) -> Queue:
    return Queue(sqs, re.sub(r"\W", "-", request.node.name)[:80])


def test_a_change_is_deleted_after_its_look_and_not_before(queue: Queue) -> None:
    """A message stays in the queue until the look that deals with it is done."""
    queue.send(json.dumps(api_call()))
    assert queue.receiver.poll()
    batch = queue.inbox.take()
    assert len(batch.receipts) == 1
    assert queue.left() == 1
    queue.receiver.delete(batch.receipts)
    assert queue.left() == 0


def test_poison_is_deleted_at_once_and_its_content_is_not_logged(queue: Queue) -> None:
    """Messages of any wrong form are counted and deleted, the log holds nothing of them, good ones go on (T11, T13)."""
    evil = "\x1b[31mroot\npassword=hunter2"
    bodies = [
        "{",
        "[" * 50_000,
        '"x"',
        "[]",
        json.dumps({"detail": {"x": "evil", "note": "hunter2"}}),
        json.dumps(evil),
    ]
    for body in [*bodies, json.dumps(api_call())]:
        queue.send(body)
    with capture_logs() as logs:
        assert queue.receiver.poll()
    assert queue.left() == 1
    assert queue.inbox.counts == {
        "poison: not JSON": 1,
        "poison: nests too deep": 1,
        "poison: not an event": 4,
        "taken": 1,
    }
    assert [line["event"] for line in logs] == ["messages that need no look"]
    assert "hunter2" not in str(logs)
    assert len(queue.inbox.take().receipts) == 1


def test_events_of_others_are_deleted(queue: Queue) -> None:
    """Another account's or region's events, reads, and things not declared are not left in the queue."""
    for event in (
        {**api_call(), "account": "210987654321"},
        {**api_call(), "region": "ap-south-1"},
        api_call(readOnly=True),
        api_call(parameters={"groupId": "sg-unknown"}),
    ):
        queue.send(json.dumps(event))
    queue.receiver.poll()
    assert queue.left() == 0
    assert queue.inbox.due() is None


def test_a_message_that_comes_again_is_deleted_as_well(queue: Queue) -> None:
    """A message that reappears after its look is no second look, and is deleted in the end (F51)."""
    queue.send(json.dumps(api_call()))
    queue.receiver.poll()
    first = queue.inbox.take()
    queue.inbox.done(first)
    queue.reappear(first.receipts)
    queue.receiver.poll()
    assert queue.inbox.counts["duplicate"] == 1
    assert queue.inbox.due() is None
    assert queue.left() == 0


def test_a_message_of_a_process_that_died_comes_to_the_next(queue: Queue) -> None:
    """What was received and never dealt with is received again by another process (F24)."""
    queue.send(json.dumps(api_call()))
    queue.receiver.poll()
    queue.reappear(queue.inbox.take().receipts)
    other = Inbox(settle_seconds=0)
    other.know(resolver())
    Receiver(queue_client(queue.url, REGION), queue.url, other, poll_seconds=0).poll()
    assert len(other.take().receipts) == 1


def test_a_queue_that_was_gone_means_a_look_at_everything(queue: Queue) -> None:
    """While the queue is gone that is said once; when it is back everything is looked at once (F50)."""
    queue.sqs.delete_queue(QueueUrl=queue.url)
    with capture_logs() as logs:
        assert [queue.receiver.poll() for _ in range(3)] == [False] * 3
        queue.create()
        assert queue.receiver.poll()
    assert [line["event"] for line in logs] == [
        "the event queue does not answer; passes go on by the clock",
        "the event queue answers again",
    ]
    assert queue.inbox.take().whole == "the event queue was gone, and events with it"
    queue.send(json.dumps(api_call()))
    queue.receiver.poll()
    assert queue.inbox.due() == 0


def test_an_endpoint_that_does_not_answer_loses_nothing(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection refused is no reason for a look at everything: the messages wait in the queue (F50)."""
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        receiver = Receiver(queue_client(queue.url, REGION), queue.url, queue.inbox, poll_seconds=0)
    assert not receiver.poll()
    receiver.delete(["r"])
    assert queue.inbox.due() is None


def test_the_thread_wakes_the_service_and_stops_without_being_waited_for(queue: Queue) -> None:
    """A message that comes while the thread runs wakes the service; a stopped receiver takes in nothing more."""
    woken = threading.Event()
    queue.inbox.wake = woken.set
    queue.receiver.start()
    queue.send(json.dumps(api_call()))
    assert woken.wait(30)
    queue.receiver.stop()
    assert len(queue.inbox.take(everything=True).receipts) == 1


def test_the_thread_outlives_any_error() -> None:
    """What nobody foresaw costs a poll, not the thread, and its words, which may quote a message, are not logged."""
    polls, again = [RuntimeError("hunter2")], threading.Event()

    class Client:
        def receive_message(self, **_: Any) -> dict[str, Any]:
            if polls:
                raise polls.pop()
            receiver.stop()
            again.set()
            return {}

        def delete_message_batch(self, **_: Any) -> dict[str, Any]:
            return {}

    receiver = Receiver(Client(), "", Inbox(settle_seconds=0), pause=0.01)
    with capture_logs() as logs:
        receiver.start()
        assert again.wait(10)
    assert [line["event"] for line in logs] == ["the event queue does not answer; passes go on by the clock"]
    assert logs[0]["error"] == "RuntimeError"


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("receive_message", {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/another"}),
        ("delete_message_batch", {"QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/x", "Entries": []}),
        ("send_message", {"QueueUrl": "own", "MessageBody": "x"}),
        ("purge_queue", {"QueueUrl": "own"}),
        ("delete_queue", {"QueueUrl": "own"}),
        ("set_queue_attributes", {"QueueUrl": "own", "Attributes": {}}),
        ("change_message_visibility", {"QueueUrl": "own", "ReceiptHandle": "r", "VisibilityTimeout": 0}),
        ("list_queues", {}),
        ("create_queue", {"QueueName": "x"}),
    ],
)
def test_the_queue_s_client_does_nothing_else(queue: Queue, operation: str, params: dict[str, Any]) -> None:
    """Any call but receiving from and deleting in exactly that queue is refused before it is sent."""
    if params.get("QueueUrl") == "own":
        params = {**params, "QueueUrl": queue.url}
    with pytest.raises(WriteRefused):
        getattr(queue_client(queue.url, REGION), operation)(**params)


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://ap-south-1.queue.amazonaws.com/123456789012/q", "ap-south-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
        ("https://vpce-1.sqs.example.internal/123456789012/q", REGION),
    ],
)
def test_the_queue_s_region_is_in_its_address(sqs: Any, url: str, region: str) -> None:
    """The client works in the queue's region, or the cell's where the address names none."""
    assert queue_client(url, REGION).meta.region_name == region
