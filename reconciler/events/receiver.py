"""Takes messages from the queue in a thread of its own, and deletes them when they are dealt with.

The queue may be slow, denied or gone: that is logged when it begins and when it ends, and never stops the service,
whose passes by the clock see what no message tells.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import structlog
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from reconciler.events.inbox import Inbox

log = structlog.get_logger(__name__)

LONG_POLL_SECONDS = 20
"""SQS's longest."""
AT_ONCE = 10
"""SQS's most messages a call."""
HIDDEN_SECONDS = 900
"""How long a message stays hidden while it waits for its look; then it comes again, to whoever receives."""
GONE = frozenset({"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"})
FAILURES = (ClientError, BotoCoreError, ResponseParserError, OSError)


class QueueClient(Protocol):
    """The few calls that this module makes, with the names that boto3's SQS client gives them."""

    def receive_message(self, **params: Any) -> Mapping[str, Any]: ...

    def delete_message_batch(self, **params: Any) -> Mapping[str, Any]: ...


class Receiver:
    """Feeds an inbox from one queue, until stopped."""

    def __init__(
        self, client: QueueClient, url: str, inbox: Inbox, *, poll_seconds: int = LONG_POLL_SECONDS, pause: float = 1.0
    ) -> None:
        self._client, self._url, self._inbox = client, url, inbox
        self._poll, self._pause = poll_seconds, pause
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failures = 0
        self._lost = False

    def start(self) -> None:
        # A daemon: a poll in progress does not hold up the end, and what it may still receive comes again.
        self._thread = threading.Thread(target=self._run, name="events", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No more messages are taken in; a poll in progress is not waited for."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            if self._inbox.full:
                self._stop.wait(self._pause)
                continue
            try:
                answered = self.poll()
            except Exception as error:  # noqa: BLE001 - nobody would start this thread again
                self._failed(error)
                answered = False
            if not answered:
                self._stop.wait(min(60.0, self._pause * 2 ** min(self._failures - 1, 6)))

    def poll(self) -> bool:
        """Receive once. Returns whether the queue answered."""
        try:
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=AT_ONCE,
                WaitTimeSeconds=self._poll,
                VisibilityTimeout=HIDDEN_SECONDS,
            )
        except FAILURES as error:
            self._failed(error)
            return False
        if self._stop.is_set():
            return True
        self._answered()
        ahead = _ahead(answer)
        useless: Counter[str] = Counter()
        receipts = []
        for message in answer.get("Messages") or ():
            receipt = message.get("ReceiptHandle", "")
            if why := self._inbox.take_in(message.get("Body", ""), receipt, ahead=ahead):
                useless[why] += 1
                receipts.append(receipt)
        if useless:
            # One line a poll, of fixed words: what somebody puts into a message is never logged.
            write = log.warning if any(why.startswith("poison") for why in useless) else log.debug
            write("messages that need no look", messages=dict(useless))
        self.delete(receipts)
        return True

    def delete(self, receipts: Collection[str]) -> None:
        """Delete messages that were dealt with; one that cannot be deleted comes again and is known as a duplicate."""
        wanted = list(dict.fromkeys(receipts))
        for start in range(0, len(wanted), AT_ONCE):
            part = wanted[start : start + AT_ONCE]
            entries = [{"Id": str(i), "ReceiptHandle": receipt} for i, receipt in enumerate(part)]
            try:
                answer = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            except FAILURES as error:
                log.warning("messages could not be deleted; they will come again", messages=len(part), error=str(error))
                continue
            if failed := answer.get("Failed"):
                log.warning("messages could not be deleted; they will come again", messages=len(failed))

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._lost |= isinstance(error, ClientError) and error.response.get("Error", {}).get("Code") in GONE
        if self._failures == 1:
            # The words of an error that is not the queue's might quote a message.
            words = str(error) if isinstance(error, FAILURES) else type(error).__name__
            log.warning("the event queue does not answer; passes go on by the clock", error=words)

    def _answered(self) -> None:
        if self._failures:
            log.info("the event queue answers again", failed_polls=self._failures)
        if self._lost:
            self._inbox.ask_for_everything("the event queue was gone, and events with it")
        self._failures, self._lost = 0, False


def _ahead(answer: Mapping[str, Any]) -> timedelta:
    """How much AWS's clock is ahead of this machine's, to the second, by the date of the answer."""
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date", "")
    try:
        theirs = parsedate_to_datetime(date)
    except ValueError:
        return timedelta()
    return theirs - datetime.now(UTC) if theirs.tzinfo is not None else timedelta()
