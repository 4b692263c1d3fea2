"""AWS in a process of its own: moto behind a door that counts every call and breaks the ones it is told to.

Run as ``python -m sandbox.server --port 0 --state-dir DIR``; DIR/server.json then holds the port and the process id.
Requests under ``/__sandbox__/`` control it and are never counted; ``sandbox.control`` is their client.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from typing import Any

os.environ.setdefault("S3_IGNORE_SUBDOMAIN_BUCKETNAME", "true")  # read by moto when imported: bucket names are in paths

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.exceptions import NotFound
from werkzeug.serving import ThreadedWSGIServer

from sandbox import moto_fixes, pages
from sandbox.injection import Rule, Rules
from sandbox.trail import Trail
from sandbox.wire import ERRORS, Call, Response, error_response, read_call, without_param

CONTROL = "/__sandbox__/"
ACCOUNT = "123456789012"
POLL_SECONDS = 0.05
"""Between two looks into a queue for somebody who polls it."""
JSON = (("Content-Type", "application/json"),)
MALFORMED = {"json": b'{"Items": [{"Id": ', "ec2": b"<Response><items", "query": b"<Response><Res", "rest-xml": b"<Res"}


class Dropped(ConnectionError):
    """The connection is to be closed without an answer."""


class Recorder:
    """Counts of all calls by actor, and the write calls in order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, str, bool]] = Counter()
        self._writes: list[dict[str, Any]] = []

    def began(self, call: Call) -> dict[str, Any]:
        """Count a call. A write's entry is completed with its ``status`` when it has one."""
        entry: dict[str, Any] = {
            "sequence": 0,
            "service": call.service,
            "action": call.action,
            "params": call.params,
            "actor": call.actor,
            "status": 0,
            "healthy": {},
        }
        with self._lock:
            self._counts[call.actor, f"{call.service}:{call.action}", call.writes] += 1
            if call.writes:
                entry["sequence"] = len(self._writes) + 1
                self._writes.append(entry)
        return entry

    def report(self) -> dict[str, Any]:
        with self._lock:
            counts = [{"actor": a, "call": c, "writes": w, "count": n} for (a, c, w), n in sorted(self._counts.items())]
            return {"counts": counts, "writes": list(self._writes)}

    def reset(self) -> None:
        with self._lock:
            self._counts.clear()
            self._writes.clear()


class Application:
    """Answers one request at a time from moto; holds, counts and distorts as many at once as there are."""

    def __init__(self) -> None:
        moto_fixes.apply()
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._moto_lock = threading.Lock()  # moto's dictionaries are not made for concurrent change
        self.recorder = Recorder()
        self.rules = Rules()
        self._trail = Trail(ACCOUNT)

    def answer(self, environ: dict[str, Any]) -> Response:
        """The response to a request. Raises Dropped if it gets none."""
        body: bytes = environ["wsgi.input"].read()
        if environ["PATH_INFO"].startswith(CONTROL):
            return self._control(environ["REQUEST_METHOD"], environ["PATH_INFO"].removeprefix(CONTROL), body)
        call = read_call(environ, body)
        entry = self.recorder.began(call)
        rule = self.rules.take(call)
        try:
            response = self._ask(call, environ, body) if rule is None else self._break(rule, call, environ, body)
        finally:
            if call.writes:
                with self._moto_lock:
                    entry["healthy"] = moto_fixes.healthy_servers()
        entry["status"] = response.status
        return response

    def _ask(self, call: Call, environ: dict[str, Any], body: bytes) -> Response:
        """The answer of this AWS, undistorted, and on record."""
        if (call.service, call.action) == ("cloudtrail", "LookupEvents"):
            return self._trail.lookup(call, environ)
        if (call.service, call.action) == ("sqs", "ReceiveMessage"):
            return self._receive(environ, body)
        response = self._ask_moto(environ, body)
        with self._moto_lock:
            self._trail.record(call, environ, response.status)
        return response

    def _receive(self, environ: dict[str, Any], body: bytes) -> Response:
        """A long poll that lets others be served while it waits; moto's own would hold them all up."""
        asked = json.loads(body or b"{}")
        deadline = time.monotonic() + float(asked.pop("WaitTimeSeconds", 0))
        body = json.dumps({**asked, "WaitTimeSeconds": 0}).encode()
        while True:
            response = self._ask_moto(environ, body)
            empty = response.status == HTTPStatus.OK and not json.loads(response.body or b"{}").get("Messages")
            if not empty or time.monotonic() >= deadline:
                return response
            time.sleep(POLL_SECONDS)

    def _ask_moto(self, environ: dict[str, Any], body: bytes) -> Response:
        environ = {**environ, "wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: Any = None) -> None:
            started.append((status, headers))

        with self._moto_lock:
            chunks: Iterable[bytes] = self._moto(environ, start_response)
            content = b"".join(chunks)
        status, headers = started[-1]
        return Response(int(status.split()[0]), tuple(headers), content)

    def _break(self, rule: Rule, call: Call, environ: dict[str, Any], body: bytes) -> Response:
        if rule.effect == "delay":
            rule.cleared.wait(rule.seconds)
            return self._ask(call, environ, body)
        if rule.effect == "repeat-token" and (listing := pages.listing(call.service, call.action)):
            for token in listing.input_tokens:
                body, environ["QUERY_STRING"] = without_param(call, token, body, environ.get("QUERY_STRING", ""))
        if rule.performed or rule.effect in ("truncate", "empty", "repeat-token"):
            response = self._ask(call, environ, body)
        match rule.effect:
            case "timeout":
                rule.cleared.wait(rule.seconds)
                raise Dropped
            case "reset":
                raise Dropped
            case "malformed":
                return Response(200, (("Content-Type", "text/xml"),), MALFORMED[call.protocol])
            case "truncate" | "empty" | "repeat-token" if response.status != HTTPStatus.OK:
                return response
            case "truncate":
                return Response(200, response.headers, pages.cut(call, response.body))
            case "empty":
                return Response(200, response.headers, pages.emptied(call, response.body))
            case "repeat-token":
                return Response(200, response.headers, pages.repeated(call, response.body))
            case "error":
                return error_response(call, rule.status, rule.code, rule.message)
        status, code = ERRORS[rule.effect][call.protocol]
        return error_response(call, status, code, rule.message)

    def _control(self, method: str, name: str, body: bytes) -> Response:
        fields: dict[str, Any] = json.loads(body) if body else {}
        match method, name:
            case "GET", "health":
                answer: Any = {"pid": os.getpid()}
            case "GET", "calls":
                answer = self.recorder.report()
            case "POST", "reset":
                self.recorder.reset()
                answer = {}
            case "GET", "faults":
                answer = self.rules.describe()
            case "POST", "faults":
                try:
                    answer = {"id": self.rules.add(Rule(**fields))}
                except (TypeError, ValueError) as e:
                    return Response(400, JSON, json.dumps({"error": str(e)}).encode())
            case "DELETE", "faults":
                self.rules.clear(fields.get("ids"))
                answer = {}
            case "POST", "health-checks":
                with self._moto_lock:
                    account, region = fields.get("account", ACCOUNT), fields.get("region", "us-east-1")
                    answer = {"replaced": moto_fixes.run_health_checks(account, region)}
            case _:
                return Response(404, JSON, json.dumps({"error": f"no {method} {CONTROL}{name}"}).encode())
        return Response(200, JSON, json.dumps(answer).encode())


class Handler(MotoRequestHandler):
    """Keeps connections open between requests, which werkzeug's own handler does not, and can cut one off."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Server

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        environ = self.make_environ()
        if not environ.get("wsgi.input_terminated"):
            environ["wsgi.input"] = io.BytesIO(self.rfile.read(int(environ.get("CONTENT_LENGTH") or 0)))
        try:
            response = self.server.application.answer(environ)
        except Dropped:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self.send_response(response.status)
        for name, value in response.headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "date", "server"):
                self.send_header(name, value)
        length = next((v for n, v in response.headers if n.lower() == "content-length"), "0")
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing: the recorder knows every call."""


class Server(ThreadedWSGIServer):
    """Listens on the loopback interface only."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int) -> None:
        self.application = Application()
        super().__init__("127.0.0.1", port, NotFound(), Handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    parser.add_argument("--state-dir", type=Path, required=True, help="where server.json is written once it listens")
    arguments = parser.parse_args()
    server = Server(arguments.port)
    arguments.state_dir.mkdir(parents=True, exist_ok=True)
    announced = arguments.state_dir / "server.json"
    draft = announced.with_suffix(".new")
    draft.write_text(json.dumps({"port": server.port, "pid": os.getpid()}))
    draft.rename(announced)
    print(f"listening on 127.0.0.1:{server.port}", file=sys.stderr, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
