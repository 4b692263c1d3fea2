"""The sandbox server's control channel, for tests and demonstrations: what was called, and what is to fail."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Write:
    """One call that was not a read. ``status`` is the HTTP status it got, 0 if it got none."""

    sequence: int
    service: str
    action: str
    params: str
    actor: str
    status: int
    healthy: dict[str, int]
    """Servers in service that answer the load balancer, by auto scaling group, right after the call."""

    @property
    def call(self) -> str:
        return f"{self.service}:{self.action}"

    def names(self, resource: str) -> bool:
        """Whether the call's parameters contain a resource's id, name or ARN."""
        return resource in self.params


@dataclass(frozen=True, slots=True)
class Calls:
    """How often each ``service:Action`` was called."""

    reads: dict[str, int]
    writes: dict[str, int]

    @property
    def total(self) -> int:
        return sum(self.reads.values()) + sum(self.writes.values())


class Control:
    """Talks to a running sandbox server. ``url`` is its endpoint, ``http://127.0.0.1:PORT``.

    Raises OSError if nothing listens there.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80

    def health(self) -> int:
        """The server's process id."""
        return int(self._request("GET", "health")["pid"])

    def calls(self, actor: str | None = None) -> Calls:
        """Calls since the last reset, by anybody or by ``engine``, ``reconciler`` or ``other``."""
        reads: dict[str, int] = {}
        writes: dict[str, int] = {}
        for row in self._request("GET", "calls")["counts"]:
            if actor in (None, row["actor"]):
                counts = writes if row["writes"] else reads
                counts[row["call"]] = counts.get(row["call"], 0) + row["count"]
        return Calls(reads, writes)

    def writes(self, actor: str | None = None) -> tuple[Write, ...]:
        """Write calls since the last reset, in order."""
        rows = (Write(**row) for row in self._request("GET", "calls")["writes"])
        return tuple(w for w in rows if actor in (None, w.actor))

    def reset(self) -> None:
        """Forget all calls so far."""
        self._request("POST", "reset")

    def inject(
        self,
        effect: str,
        service: str = "*",
        action: str = "*",
        *,
        match: str = "",
        actor: str = "*",
        times: int | None = None,
        skip: int = 0,
        seconds: float = 30.0,
        status: int = 400,
        code: str = "ValidationError",
        message: str = "injected by the sandbox",
        performed: bool = False,
    ) -> int:
        """Make matching calls fail; returns the rule's number. ``sandbox.injection.Rule`` says what each field means.

        Raises ValueError for an effect that does not exist.
        """
        rule = {
            "effect": effect,
            "service": service,
            "action": action,
            "match": match,
            "actor": actor,
            "times": times,
            "skip": skip,
            "seconds": seconds,
            "status": status,
            "code": code,
            "message": message,
            "performed": performed,
        }
        return int(self._request("POST", "faults", rule)["id"])

    def faults(self) -> tuple[dict[str, Any], ...]:
        """The rules in force, with how often each was hit."""
        return tuple(self._request("GET", "faults"))

    def clear(self, ids: Iterable[int] | None = None) -> None:
        """Drop all rules or the named ones; calls they hold go on."""
        self._request("DELETE", "faults", {} if ids is None else {"ids": list(ids)})

    def run_health_checks(self) -> tuple[str, ...]:
        """Let Auto Scaling check its members once, as AWS does every minute; returns the instances it replaced."""
        return tuple(self._request("POST", "health-checks")["replaced"])

    def _request(self, method: str, name: str, body: dict[str, Any] | None = None) -> Any:
        connection = HTTPConnection(self._host, self._port, timeout=10)
        try:
            connection.request(method, f"/__sandbox__/{name}", None if body is None else json.dumps(body))
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise ValueError(f"the sandbox server refused {method} {name}: {answer['error']}")
        return answer
