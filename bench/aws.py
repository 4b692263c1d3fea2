"""AWS for a measurement: moto in a process of its own, and in front of it a server that answers from memory.

``python -m bench.aws moto TENANTS STATE`` seeds a world, writes its state to the file STATE and serves it.
``python -m bench.aws replay UPSTREAM`` asks upstream the first time it sees a request and answers from memory after
that, each answer a set time after its request, so that the server is not what is measured. Both print their port.
What a caller asks for is told by its method, address, target header and body; who signs it tells the account.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

CONTROL = b"/__bench__/"
_CREDENTIAL = re.compile(rb"Credential=([^/]+)/\d+/[^/]+/([^/]+)/")
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
_MOVES_ON = {"GenerateCredentialReport"}
"""What is asked again until its answer is another: an answer from memory would be asked for ever."""
_HOP = {b"host", b"connection", b"content-length", b"expect", b"accept-encoding"}
_THROTTLED = {
    "ec2": (
        503,
        "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slower</Message></Error></Errors></Response>",
    ),
    "json": (400, '{"__type":"ThrottlingException","message":"Rate exceeded"}'),
    "xml": (
        400,
        "<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>",
    ),
    "s3": (503, "<Error><Code>SlowDown</Code><Message>slower</Message></Error>"),
}


class Replay:
    """Answers from memory, counts calls, and lets the accounts it is told to wait."""

    def __init__(self, upstream: int) -> None:
        self._upstream = upstream
        self._memory: dict[tuple[bytes, ...], bytes] = {}
        self._forwarding = ThreadPoolExecutor(8)
        self.latency = 0.0
        self.calls: Counter[str] = Counter()
        self.throttled: Counter[str] = Counter()
        self._rates: dict[str, float] = {}
        self._tokens: dict[tuple[str, str], tuple[float, float]] = {}
        self.late_seconds = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until it is closed."""
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                began = time.perf_counter()
                first, *lines = head[:-4].split(b"\r\n")
                method, path, _ = first.split(b" ", 2)
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(b":") for line in lines)}
                if headers.get(b"expect"):
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                length = int(headers.get(b"content-length", 0))
                body = await reader.readexactly(length) if length else b""
                if path.startswith(CONTROL):
                    writer.write(_response(200, "application/json", self._control(path, body)))
                else:
                    answer = await self._answer(method, path, headers, body)
                    left = self.latency - (time.perf_counter() - began)
                    await asyncio.sleep(max(0.0, left))
                    self.late_seconds += max(0.0, -left)
                    writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, method: bytes, path: bytes, headers: dict[bytes, bytes], body: bytes) -> bytes:
        signed = _CREDENTIAL.search(headers.get(b"authorization", b""))
        account, service = (signed[1].decode(), signed[2].decode()) if signed else ("", "")
        target = headers.get(b"x-amz-target", b"")
        action = _action(method, path, target, body)
        self.calls[f"{account} {service}:{action}"] += 1
        if self._is_throttled(account, service):
            self.throttled[account] += 1
            sort = "json" if target else service if service in ("ec2", "s3") else "xml"
            status, text = _THROTTLED[sort]
            return _response(status, "application/x-amz-json-1.1" if target else "text/xml", text.encode())
        key = (method, path, service.encode(), target, body)
        answer = self._memory.get(key)
        if answer is None or action in _MOVES_ON:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._forwarding, self._forward, method, path, headers, body)
            self._memory[key] = answer
        return answer

    def _is_throttled(self, account: str, service: str) -> bool:
        """A token bucket for each throttled account and service: ``rate`` calls a second, a burst of twice that."""
        rate = self._rates.get(account)
        if rate is None or service == "sts":
            return False
        now = time.monotonic()
        tokens, at = self._tokens.get((account, service), (2 * rate, now))
        tokens = min(2 * rate, tokens + (now - at) * rate)
        self._tokens[account, service] = (max(0.0, tokens - 1), now)
        return tokens < 1

    def _forward(self, method: bytes, path: bytes, headers: dict[bytes, bytes], body: bytes) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self._upstream, timeout=600)
        kept = {k.decode(): v.decode() for k, v in headers.items() if k not in _HOP}
        connection.request(method.decode(), path.decode(), body=body, headers=kept)
        got = connection.getresponse()
        content = got.read()
        connection.close()
        return _response(got.status, got.getheader("Content-Type", "text/xml"), content, head=method == b"HEAD")

    def _control(self, path: bytes, body: bytes) -> bytes:
        asked: dict[str, Any] = json.loads(body) if body else {}
        if path.endswith(b"reset"):
            self.calls.clear()
            self.throttled.clear()
            self._tokens.clear()
            self.late_seconds = 0.0
        self.latency = float(asked.get("latency", self.latency))
        self._rates = asked.get("rates", self._rates)
        told = {"calls": dict(self.calls), "throttled": dict(self.throttled), "late_seconds": self.late_seconds}
        return json.dumps(told).encode()


def _action(method: bytes, path: bytes, target: bytes, body: bytes) -> str:
    if target:
        return target.rpartition(b".")[2].decode()
    if found := _ACTION.search(body[:8192]):
        return found[1].decode()
    return f"{method.decode()} {path.partition(b'?')[2].partition(b'=')[0].decode()}"


def _response(status: int, kind: str, body: bytes, *, head: bool = False) -> bytes:
    reason = http.client.responses.get(status, "Unknown")
    start = f"HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return start.encode() + (b"" if head else body)


def _as_on_aws() -> None:
    """Where moto would make everybody call more often than AWS does: cut listings, short pages, listeners untagged."""
    from moto.core.resource_tagging import TaggedResource
    from moto.ec2.responses.launch_templates import LaunchTemplates
    from moto.elbv2.models import ELBv2Backend
    from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

    number: Any = LaunchTemplates._get_int_param
    pages: Any = ResourceGroupsTaggingAPIBackend.get_resources
    tagged: Any = ELBv2Backend.iter_tagged_resources

    def any_number(self: Any, name: str, default: int | None = None) -> Any:
        return 1_000_000 if name == "MaxResults" else number(self, name, default)

    def by_resources(self: Any, *positional: Any, **named: Any) -> Any:
        return pages(self, *positional, **{**named, "tags_per_page": 1_000_000})

    def with_listeners(self: Any) -> Iterator[Any]:
        yield from tagged(self)
        for arn in (arn for balancer in self.load_balancers.values() for arn in balancer.listeners):
            tags = self.tagging_service.get_tag_dict_for_resource(arn)
            yield TaggedResource(arn, tags, "elasticloadbalancing:listener")

    patches: tuple[tuple[type, str, Any], ...] = (
        (LaunchTemplates, "_get_int_param", any_number),
        (ResourceGroupsTaggingAPIBackend, "get_resources", by_resources),
        (ELBv2Backend, "iter_tagged_resources", with_listeners),
    )
    for owner, name, patch in patches:
        setattr(owner, name, patch)


async def replay(upstream: int) -> None:
    server = await asyncio.start_server(Replay(upstream).serve, "127.0.0.1", 0, limit=1 << 24, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def moto(tenants: int, state: Path) -> None:
    credentials = dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), "testing")
    os.environ |= {"S3_IGNORE_SUBDOMAIN_BUCKETNAME": "true", **credentials}
    from cryptography.hazmat.primitives.asymmetric import rsa
    from moto import mock_aws
    from moto.server import ThreadedMotoServer

    from bench import world
    from sandbox import moto_fixes

    moto_fixes.apply()
    # Every KMS key would cost moto a new pair, and nothing here encrypts.
    pair = rsa.generate_private_key(65537, 2048)
    vars(rsa)["generate_private_key"] = lambda *_, **__: pair
    # Seeded in this process and without a network; never stopped, since the server answers from the same memory.
    mock_aws().start()
    _as_on_aws()
    state.write_text(json.dumps(world.build(tenants)), "utf-8")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    print(port, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["moto", tenants, state]:
            moto(int(tenants), Path(state))
        case ["replay", upstream]:
            asyncio.run(replay(int(upstream)))
        case _:
            raise SystemExit(__doc__)
