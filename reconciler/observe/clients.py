"""AWS clients of one account and region: made when first needed, each behind the guard, none retrying on its own.

A call is retried here and nowhere else, so that one place knows how often AWS is asked and slows down when it says so.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import boto3
import botocore.session
import stamina
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError, NoRegionError
from botocore.parsers import ResponseParserError

from reconciler.errors import ConfigurationError, StackmendError, WrongAccount
from reconciler.observe import guard

CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS = 8
MOST_AT_ONCE = 16
"""Calls to one service under way at once while AWS does not throttle."""

_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_PASSING = _THROTTLED | {"InternalError", "InternalFailure", "RequestTimeout", "RequestTimeoutException"}


class AccountUnverified(StackmendError):
    """STS did not say whose credentials these are. Nothing was read."""


class Limiter:
    """How many calls to one service are under way: halved when AWS throttles, one more after as many good answers.

    The same rule as TCP's congestion control; it finds the account's own limit, which others use up as well.
    """

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._most = most
        self._allowed = float(most)
        self._busy = 0
        self._changed = threading.Condition()

    @property
    def allowed(self) -> int:
        return int(self._allowed)

    @contextmanager
    def slot(self, deadline: float) -> Iterator[None]:
        """Wait for a place. Raises TimeoutError at ``deadline`` (monotonic seconds)."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._busy < self.allowed, deadline - time.monotonic()):
                raise TimeoutError("out of time while waiting for a place among the calls to the service")
            self._busy += 1
        throttled = False
        try:
            yield
        except ClientError as error:
            throttled = code_of(error) in _THROTTLED
            raise
        finally:
            self._leave(throttled=throttled)

    def _leave(self, *, throttled: bool) -> None:
        with self._changed:
            self._busy -= 1
            grown = self._allowed + 1 / self._allowed
            self._allowed = max(1.0, self._allowed / 2) if throttled else min(float(self._most), grown)
            self._changed.notify_all()


class Clients:
    """Guarded boto3 clients for ``account`` in ``region``. Safe to share between threads.

    Credentials and endpoints come from the standard AWS environment, or from ``profile``, or from a botocore
    ``session`` that nobody else uses.
    """

    def __init__(
        self,
        region: str,
        account: str,
        *,
        profile: str | None = None,
        session: botocore.session.Session | None = None,
        connections: int = 32,
    ) -> None:
        self.region = region
        self.account = account
        self._core = session or botocore.session.Session(profile=profile)
        self._session = boto3.Session(botocore_session=self._core, region_name=region)
        # On the session, so that clients which botocore makes for credentials carry the guard too.
        self._session.events.register_last(guard.HOOK, guard.check, unique_id="stackmend-guard")
        self._config = Config(
            retries={"total_max_attempts": 1, "mode": "standard"},
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            max_pool_connections=connections,
            tcp_keepalive=True,
            user_agent_extra="stackmend",
        )
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._limiters: dict[str, Limiter] = {}
        self._calls = 0

    @property
    def calls(self) -> int:
        """Calls made so far, retries and pages included."""
        return self._calls

    def client(self, service: str) -> Any:
        """The client of a service. Its calls are guarded, but retried and counted only through ``call``."""
        with self._lock:  # boto3 sessions are not safe to share between threads while they make a client
            if service not in self._clients:
                self._clients[service] = self._session.client(service, config=self._config)  # type: ignore[call-overload]
            return self._clients[service]

    def call(self, service: str, operation: str, params: Mapping[str, Any], *, deadline: float) -> dict[str, Any]:
        """One API call, tried again with growing, jittered pauses while AWS is throttling, broken or out of reach.

        ``deadline`` is in monotonic seconds. Raises ClientError for AWS's own refusals, BotoCoreError, TimeoutError
        at the deadline, and ResponseParserError for an answer that cannot be understood.
        """
        method = getattr(self.client(service), xform_name(operation))
        limiter = self._limiter(service)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time before it was asked")
        for attempt in stamina.retry_context(on=is_passing, attempts=ATTEMPTS, timeout=left, wait_initial=0.2):
            with attempt, limiter.slot(deadline):
                self._count()
                try:
                    answer: dict[str, Any] = method(**params)
                except (ValueError, LookupError) as error:
                    # botocore's parsers let these out for values that are not what the API's model promises.
                    raise ResponseParserError(f"{type(error).__name__}: {error}") from error
                if answer.keys() <= {"ResponseMetadata"} and self._speaks_json(service):
                    # botocore takes a body that is no JSON for an error's message, and drops it.
                    raise ResponseParserError("the answer is not JSON, or holds nothing")
        return answer

    def paging(self, service: str, operation: str) -> Mapping[str, Any] | None:
        """botocore's own description of an operation's pages; None if it knows none."""
        name = self.client(service).meta.method_to_api_mapping[xform_name(operation)]
        try:
            with self._lock:
                model = self._core.get_paginator_model(service)
            config: Mapping[str, Any] = model.get_paginator(name)
        except (BotoCoreError, ValueError):
            return None
        return config

    def verify_account(self, *, deadline_seconds: float = 30) -> None:
        """Raise WrongAccount unless the credentials belong to the declared account, AccountUnverified if STS fails."""
        try:
            identity = self.call("sts", "get_caller_identity", {}, deadline=time.monotonic() + deadline_seconds)
        except (ClientError, BotoCoreError, ResponseParserError, TimeoutError) as error:
            raise AccountUnverified(
                "STS did not say whose credentials these are; nothing was read",
                where=self.region,
                why=f"{type(error).__name__}: {error}",
                todo="Check the credentials and the network, then run again.",
            ) from error
        if (found := identity.get("Account")) != self.account:
            raise WrongAccount(
                f"the credentials belong to account {found}, the stack to account {self.account}; nothing was read",
                where=self.region,
                todo=f"Use credentials of account {self.account}.",
            )

    def _speaks_json(self, service: str) -> bool:
        return "json" in str(self.client(service).meta.service_model.metadata["protocol"])

    def _limiter(self, service: str) -> Limiter:
        with self._lock:
            return self._limiters.setdefault(service, Limiter())

    def _count(self) -> None:
        with self._lock:
            self._calls += 1


def queue_client(url: str, region: str | None) -> Any:
    """A boto3 SQS client that can do nothing but receive from and delete in one queue.

    ``region`` is used where the URL names none. Raises ConfigurationError if there is no region at all.
    """
    named = re.match(r"https?://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.", url)
    session = boto3.Session(
        botocore_session=botocore.session.Session(), region_name=(named[1] or named[2]) if named else region
    )
    session.events.register_last(guard.HOOK, guard.only_queue(url), unique_id="stackmend-queue")
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        user_agent_extra="stackmend",
    )
    try:
        return session.client("sqs", config=config)
    except NoRegionError as error:
        raise ConfigurationError("the region of the event queue is not known", todo="Set region.") from error


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    """HTTP status; 0 if there was none."""
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def is_passing(error: Exception) -> bool:
    """Whether asking again may help: throttling, a fault on AWS's side, or the network."""
    if isinstance(error, ClientError):
        return code_of(error) in _PASSING or status_of(error) >= 500
    return isinstance(error, HTTPClientError | ConnectionError)
