"""AWS clients of one account and region: made when first needed, each behind the guard, none retrying on its own.

A call is retried here and nowhere else, so that one place knows how often AWS is asked and slows down when it says so.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Any

import boto3
import botocore.session
import stamina
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError, NoRegionError
from botocore.parsers import ResponseParserError

from reconciler.errors import ConfigurationError, StackmendError, WrongAccount
from reconciler.observe import guard
from reconciler.observe.credentials import credentials_of
from reconciler.observe.pace import Limiter
from reconciler.observe.refusals import is_passing, is_throttled
from reconciler.observe.wire import Wire

CONNECT_SECONDS = 5
READ_SECONDS = 30
ATTEMPTS, THROTTLED_ATTEMPTS = 5, 10
"""Calls made before a fault on AWS's side or of the network is believed; and before throttling is."""


class AccountUnverified(StackmendError):
    """STS did not say whose credentials these are. Nothing was read."""


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
        connections: int = 128,
    ) -> None:
        self.region = region
        self.account = account
        self.connections = connections
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
        self._wires: dict[str, Wire] = {}
        self._limiters: dict[str, Limiter] = {}
        self._pagings: dict[tuple[str, str], Mapping[str, Any] | None] = {}

    @property
    def calls(self) -> int:
        """Calls made so far, retries and pages included."""
        return sum(limiter.begun for limiter in self._limiters.copy().values())

    def client(self, service: str) -> Any:
        """The client of a service. Its calls are guarded, but retried and counted only through ``call``."""
        with self._lock:  # boto3 sessions are not safe to share between threads while they make a client
            if service not in self._clients:
                credentials_of(self._core)
                self._clients[service] = self._session.client(service, config=self._config)  # type: ignore[call-overload]
            return self._clients[service]

    def wire(self, service: str) -> Wire:
        """The lean way to a service. Its calls are guarded, but retried and counted only through ``call``."""
        found = self._wires.get(service)
        if found is None:
            client = self.client(service)
            with self._lock:
                found = self._wires.setdefault(service, Wire(client, credentials_of(self._core)))
        return found

    def call(self, service: str, operation: str, params: Mapping[str, Any], *, deadline: float) -> dict[str, Any]:
        """One API call, tried again with growing, jittered pauses while AWS is throttling, broken or out of reach.

        ``deadline`` is in monotonic seconds. Raises ClientError for AWS's own refusals, BotoCoreError, TimeoutError
        at the deadline, and ResponseParserError for an answer that cannot be understood.
        """
        wire, limiter = self.wire(service), self.limiter(service)
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("out of time before it was asked")

        def once() -> dict[str, Any]:
            with limiter.slot(deadline):
                return wire.call(operation, params)

        try:
            return once()
        except (ClientError, BotoCoreError) as error:
            if not is_passing(error):
                raise
            first: Exception | None = error
        broken = 0

        def again(error: Exception) -> bool:
            nonlocal broken
            broken += not is_throttled(error)
            return is_passing(error) and broken < ATTEMPTS

        # The machinery of retries costs more than a call, so it starts when the first try has failed, as its first.
        for attempt in stamina.retry_context(on=again, attempts=THROTTLED_ATTEMPTS, timeout=left, wait_initial=0.2):
            with attempt:
                if first is not None:
                    failed, first = first, None
                    raise failed
                return once()
        raise AssertionError("retries end with an answer or an error")  # pragma: no cover

    def paging(self, service: str, operation: str) -> Mapping[str, Any] | None:
        """botocore's own description of an operation's pages; None if it knows none."""
        name = self.wire(service).name(operation)
        if (service, name) not in self._pagings:
            try:
                with self._lock:
                    model = self._core.get_paginator_model(service)
                self._pagings[service, name] = model.get_paginator(name)
            except (BotoCoreError, ValueError):
                self._pagings[service, name] = None
        return self._pagings[service, name]

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

    def limiter(self, service: str) -> Limiter:
        """What paces the calls to a service of this account."""
        found = self._limiters.get(service)
        return found if found is not None else self._limiters.setdefault(service, Limiter())


def queue_client(url: str, region: str | None) -> Any:
    """A boto3 SQS client that can do nothing but receive from and delete in one queue.

    ``region`` is used where the URL names none. Raises ConfigurationError if there is no region at all, or the
    credentials' provider fails.
    """
    named = re.match(r"https?://(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.", url)
    core = botocore.session.Session()
    session = boto3.Session(botocore_session=core, region_name=(named[1] or named[2]) if named else region)
    session.events.register_last(guard.HOOK, guard.only_queue(url), unique_id="stackmend-queue")
    config = Config(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        user_agent_extra="stackmend",
    )
    try:
        credentials_of(core)
        return session.client("sqs", config=config)
    except CredentialRetrievalError as error:
        raise ConfigurationError("there are no credentials for the event queue", why=str(error)) from error
    except NoRegionError as error:
        raise ConfigurationError("the region of the event queue is not known", todo="Set region.") from error
