"""Requests over kept connections, with botocore's settings of timeouts, sockets and TLS; answers parsed by llhttp.

botocore sends through urllib3, which takes longer than all else that a small call costs. Where it does more than send,
through a proxy, with a client's certificate or without verifying the server's, it is left to it.
"""

from __future__ import annotations

import socket
import ssl
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import (
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import URLLib3Session, create_urllib3_context, get_cert_path
from httptools import HttpParserError, HttpResponseParser
from urllib3.util import wait_for_read, wait_for_write

from reconciler.observe.wire.sign import PORTS, host

_PIECE = 1 << 16


class Request:
    """What the connection, and whoever hooks into ``before-send``, needs of a request."""

    __slots__ = ("body", "context", "headers", "method", "stream_output", "url")

    def __init__(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> None:
        self.method, self.url, self.headers, self.body = method, url, headers, body
        self.stream_output = False
        self.context: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer, by botocore's names; the headers' names are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes


class Sender:
    """Sends what a botocore ``client`` would send, and raises what it would raise. Safe to share between threads."""

    def __init__(self, client: Any) -> None:
        self._session = client._endpoint.http_session
        config = client.meta.config
        self._connect_seconds, self._read_seconds = config.connect_timeout, config.read_timeout
        self._most = config.max_pool_connections
        self._waiting: OrderedDict[socket.socket, bool] = OrderedDict()
        """All that wait for use, the longest first. Who takes one out has it to itself: that is one step in CPython."""
        self._idle: dict[str, list[socket.socket]] = {}
        """Those of each place, the latest last, and some that were closed since to make room for others."""
        self._direct: dict[str, bool] = {}
        self._tls: ssl.SSLContext | None = None
        weakref.finalize(self, _close, self._waiting)

    def send(self, request: Request) -> Any:
        """Raises botocore's exceptions for a connection that fails; a status is an answer."""
        scheme, netloc, path, query, _ = urlsplit(request.url)
        place = f"{scheme}://{netloc}"
        direct = self._direct.get(place)
        if direct is None:
            direct = self._direct[place] = self._is_plain(scheme, request.url)
        if not direct:
            return self._session.send(request)
        message = _message(request, host(scheme, netloc), f"{path or '/'}?{query}" if query else path or "/")
        idle = self._idle.setdefault(place, [])
        connection = self._kept(idle) or self._opened(scheme, netloc, request.url)
        try:
            _send(connection, message, self._read_seconds)
            response, reusable = _answer(connection, self._read_seconds)
        except (HttpParserError, OSError) as error:
            connection.close()
            raise _in_botocores_words(error, request) from error
        except BaseException:
            connection.close()
            raise
        if reusable:
            self._keep(connection, idle)
        else:
            connection.close()
        return response

    def _is_plain(self, scheme: str, url: str) -> bool:
        session = self._session
        usual: bool = type(session) is URLLib3Session
        return (
            usual
            and (scheme == "http" or (scheme == "https" and bool(session._verify)))
            and session._cert_file is None
            and session._proxy_config.proxy_url_for(url) is None
        )

    def _keep(self, connection: socket.socket, idle: list[socket.socket]) -> None:
        """Each bucket of S3 is a place of its own, so what may wait is bounded over all places."""
        self._waiting[connection] = True  # first: what stands in ``idle`` alone is taken for closed
        idle.append(connection)
        while len(self._waiting) > self._most:
            try:
                longest, _ = self._waiting.popitem(last=False)
            except KeyError:  # other threads were quicker
                return
            longest.close()

    def _kept(self, idle: list[socket.socket]) -> socket.socket | None:
        """A connection that waits for use.

        If there is something to read from one that was asked nothing, it was closed, or holds an answer to no question
        of ours: it would be taken for the answer to the next.
        """
        while idle:
            try:
                connection = idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if not self._waiting.pop(connection, False):
                continue
            if not wait_for_read(connection, timeout=0.0):
                return connection
            connection.close()
        return None

    def _opened(self, scheme: str, netloc: str, url: str) -> socket.socket:
        parts = urlsplit(f"//{netloc}")
        name, port = parts.hostname or "", parts.port or PORTS[scheme]
        connection = None
        try:
            connection = socket.create_connection((name, port), self._connect_seconds)
            for option in ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *self._session._socket_options):
                connection.setsockopt(*option)
            if scheme == "https":
                connection = self._context().wrap_socket(connection, server_hostname=name)
            connection.setblocking(False)
        except OSError as error:
            if connection is not None:
                connection.close()
            match error:
                case ssl.SSLError():
                    raise SSLError(endpoint_url=url, error=error) from error
                case TimeoutError():
                    raise ConnectTimeoutError(endpoint_url=url, error=error) from error
            raise EndpointConnectionError(endpoint_url=url, error=error) from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            context: ssl.SSLContext = create_urllib3_context()
            bundle = get_cert_path(self._session._verify)
            try:
                context.load_verify_locations(bundle)
            except OSError as error:
                raise ssl.SSLError(f"the authorities in {bundle} cannot be read: {error}") from error
            context.verify_mode, context.check_hostname = ssl.CERT_REQUIRED, True
            self._tls = context
        return self._tls


class _Heard:
    """What a parser hears of one answer."""

    __slots__ = ("body", "headed", "headers", "whole")

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body: list[bytes] = []
        self.headed = self.whole = False
        """Whether all headers have come, and whether all of it has."""

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        self.headed = True

    def on_body(self, part: bytes) -> None:
        self.body.append(part)

    def on_message_begin(self) -> None:
        if self.whole:
            raise ValueError("there is more than one answer")

    def on_message_complete(self) -> None:
        self.whole = True

    def response(self, parser: HttpResponseParser) -> Response:
        return Response(parser.get_status_code(), self.headers, b"".join(self.body))


def _message(request: Request, named: str, target: str) -> bytes:
    """The request as it goes out, head and body in one piece. Raises HTTPClientError for what would be another one."""
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {named}", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    head = "\r\n".join(lines)
    breaks = len(lines) - 1
    if head.count("\n") != breaks or head.count("\r") != breaks or " " in target:
        raise HTTPClientError(error=ValueError("a header holds a line break, or the address a space"))
    return f"{head}\r\n\r\n".encode() + (request.body or b"")


def _send(connection: socket.socket, message: bytes, seconds: float) -> None:
    """All of the message. Raises TimeoutError when the other side takes nothing for so many seconds."""
    left = memoryview(message)
    while left:
        try:
            left = left[connection.send(left) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            if not wait_for_write(connection, timeout=seconds):
                raise TimeoutError("the request was not taken") from None


def _answer(connection: socket.socket, seconds: float) -> tuple[Response, bool]:
    """The next answer, and whether another one may be asked for.

    Each turn of the interpreter's lock costs a thread among many more than the call that gives it away, so the socket
    does not block, and is waited for only when it has nothing. Raises TimeoutError when nothing comes for so many
    seconds, and OSError if the connection ends before the answer does.
    """
    heard = _Heard()
    parser = HttpResponseParser(heard)
    empty = True
    while not heard.whole:
        if empty and not wait_for_read(connection, timeout=seconds):
            raise TimeoutError("no answer came")
        try:
            piece = connection.recv(_PIECE)
        except (BlockingIOError, ssl.SSLWantReadError):
            empty = True
            continue
        empty = False
        if piece:
            parser.feed_data(piece)
        elif not heard.headed or {"content-length", "transfer-encoding"} & heard.headers.keys():
            raise ConnectionResetError("the connection was closed before the answer was whole")
        else:  # an answer without a length ends with its connection
            return heard.response(parser), False
    # The parser itself knows only while it says that the answer is whole.
    kept = parser.get_http_version() == "1.1" and "close" not in heard.headers.get("connection", "").lower()
    return heard.response(parser), kept


def _in_botocores_words(error: Exception, request: Request) -> Exception:
    match error:
        case ssl.SSLError():
            return SSLError(endpoint_url=request.url, error=error)
        case TimeoutError():
            return ReadTimeoutError(endpoint_url=request.url, error=error)
    return ConnectionClosedError(endpoint_url=request.url, request=request, error=error)


def _close(waiting: Iterable[socket.socket]) -> None:
    for connection in waiting:
        connection.close()
