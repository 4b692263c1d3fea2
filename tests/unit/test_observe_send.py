"""What leaves the process and comes back: kept connections, answers of every form, TLS, and who does the rest."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.util import wait_for_read

from reconciler.observe.wire.send import Request, Response, Sender
from tests.unit.observe_worlds import REGION
from tests.unit.probe_worlds import Authority, authority, closed_port, site, status

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HANG_UP, SILENT = b"", b"silent"


class Peer:
    """Answers each request on any connection with the next script line, as bytes on the wire."""

    def __init__(self, *script: bytes | tuple[bytes, ...]) -> None:
        self.script = list(script)
        self.requests: list[bytes] = []
        self.connections: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._over = threading.Event()
        self.hung_up = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # a client that gave up
            while request := _request(connection):
                self.requests.append(request)
                line = self.script.pop(0) if self.script else OK
                if line == SILENT:
                    self._over.wait()
                pieces = line if isinstance(line, tuple) else (line,)
                for piece in pieces:
                    connection.sendall(piece)
                if HANG_UP in pieces:
                    break
        self.hung_up.set()

    def close(self) -> None:
        self._over.set()
        self._listening.close()
        for connection in self.connections:
            connection.close()


def _request(connection: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = connection.recv(65536)
        if not piece:
            return b""
        got += piece
    head, _, body = got.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            while len(body) < int(line.partition(b":")[2]):
                body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def peer(*script: bytes | tuple[bytes, ...]) -> Iterator[Peer]:
    running = Peer(*script)
    try:
        yield running
    finally:
        running.close()


def sender(url: str, *, verify: Any = None, **config: Any) -> Sender:
    core = botocore.session.Session()
    core.set_credentials("testing", "testing")
    settings = Config(**{"connect_timeout": 5, "read_timeout": 5, **config})
    return Sender(core.create_client("sts", REGION, endpoint_url=url, verify=verify, config=settings))


def get(through: Sender, url: str, path: str = "/") -> Response:
    found: Response = through.send(Request("GET", url + path, {"X-A": "b"}, None))
    return found


# --- connections -------------------------------------------------------------------------------------------


def test_a_connection_is_used_again() -> None:
    """Three calls, one after the other, share one connection; each is a whole request with its own target and host."""
    with peer() as there:
        through = sender(there.url)
        assert [get(through, there.url, path).content for path in ("/a?b=c", "", "/d")] == [b"ok"] * 3
        assert len(there.connections) == 1
        host = there.url.removeprefix("http://").encode()
        head = b"GET /a?b=c HTTP/1.1\r\nHost: " + host + b"\r\nAccept-Encoding: identity\r\nX-A: b\r\n\r\n"
        assert there.requests[0] == head
        assert there.requests[1].startswith(b"GET / HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "last",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_a_connection_that_ends_is_not_used_again(last: bytes) -> None:
    """A server that says that it closes, or that is too old to keep anything open, gets a new connection each time."""
    with peer(last, last) as there:
        through = sender(there.url)
        assert [get(through, there.url).content for _ in range(2)] == [b"ok"] * 2
        assert len(there.connections) == 2


def test_an_answer_to_no_question_is_nobodys() -> None:
    """F16 I06: what a server sends without having been asked is not taken for the answer to the next question."""
    with peer() as there:
        through = sender(there.url)
        get(through, there.url)
        there.connections[0].sendall(OK.replace(b"ok", b"no"))
        (waiting,) = through._idle[there.url]
        assert wait_for_read(waiting, timeout=5)
        assert get(through, there.url).content == b"ok"
        assert len(there.connections) == 2


def test_a_connection_that_was_closed_meanwhile_is_replaced() -> None:
    """F18: a server that closed a waiting connection costs no call."""
    with peer((OK, HANG_UP)) as there:
        through = sender(there.url)
        get(through, there.url)
        assert there.hung_up.wait(5)
        assert get(through, there.url).content == b"ok"
        assert len(there.connections) == 2


def test_no_more_connections_wait_than_are_allowed() -> None:
    """What many threads opened at once is closed again beyond the pool's size."""
    with peer() as there:
        through = sender(there.url, max_pool_connections=1)
        threads = [threading.Thread(target=get, args=(through, there.url)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(through._waiting) == 1


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[Peer]:
    """A server that every host's name leads to."""
    real = socket.create_connection
    with peer() as there:
        port = int(there.url.rpartition(":")[2])
        monkeypatch.setattr(socket, "create_connection", lambda _, seconds: real(("127.0.0.1", port), seconds))
        yield there


def test_the_connections_that_wait_are_bounded_over_all_hosts(everywhere: Peer) -> None:
    """Hundreds of buckets, each a host of its own, leave no more sockets open than the pool may hold, the latest."""
    through = sender(everywhere.url, max_pool_connections=8)
    urls = [f"http://bucket-{i}.example.invalid" for i in range(200)]
    assert [get(through, url).content for url in urls] == [b"ok"] * 200
    assert len(through._waiting) == 8
    assert sum(one.fileno() >= 0 for idle in through._idle.values() for one in idle) == 8
    for url in urls[-8:]:
        assert get(through, url).content == b"ok"
    assert len(everywhere.connections) == 200


def test_a_connection_that_was_closed_to_make_room_is_replaced(everywhere: Peer) -> None:
    """The one that waited longest gives way, and its host is asked over a new one."""
    through = sender(everywhere.url, max_pool_connections=2)
    first, second, third = (f"http://bucket-{i}.example.invalid" for i in range(3))
    for url in (first, second, first, third, first, second):
        assert get(through, url).content == b"ok"
    assert len(everywhere.connections) == 4


def test_threads_do_not_share_a_connection(everywhere: Peer) -> None:
    """With room for few, many threads and hosts get every answer whole, and none from a socket closed meanwhile."""
    through = sender(everywhere.url, max_pool_connections=3)
    found: list[bytes] = []

    def ask(start: int) -> None:
        for i in range(50):
            found.append(get(through, f"http://bucket-{(start + i) % 5}.example.invalid").content)

    threads = [threading.Thread(target=ask, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [b"ok"] * 400
    assert len(through._waiting) <= 3


def test_a_long_request_goes_out_whole() -> None:
    """A body larger than the socket's buffers is sent to its last byte."""
    body = bytes(range(256)) * 65536
    with peer() as there:
        request = Request("POST", there.url, {"Content-Length": str(len(body))}, body)
        assert sender(there.url).send(request).content == b"ok"
        assert there.requests[0].endswith(b"\r\n\r\n" + body)


# --- answers -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        tuple(OK[i : i + 1] for i in range(len(OK))),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n\r\nok", HANG_UP),
    ],
    ids=["at once", "byte by byte", "in chunks", "until the connection ends"],
)
def test_an_answer_is_whole_whatever_its_form(answer: bytes | tuple[bytes, ...]) -> None:
    """A length, chunks or the connection's end: what HTTP allows is read to the last byte."""
    with peer(answer) as there:
        assert get(sender(there.url), there.url).content == b"ok"


def test_headers_and_status_are_told() -> None:
    """Names are in lower case, and what stands there twice is one value."""
    with peer(b"HTTP/1.1 503 Slow Down\r\nX-Amz-Id: 1\r\nVia: a\r\nVia: b\r\nContent-Length: 0\r\n\r\n") as there:
        found = get(sender(there.url), there.url)
    assert (found.status_code, found.content) == (503, b"")
    assert found.headers == {"x-amz-id": "1", "via": "a, b", "content-length": "0"}


@pytest.mark.parametrize(
    "answer",
    [
        HANG_UP,
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", HANG_UP),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", HANG_UP),
        (b"HTTP/1.1 200 OK\r\n", HANG_UP),
        (b"HTTP/1.1 200 OK\r\nServer: a\r\nContent-Type: text/xml\r\n", HANG_UP),
        b"SSH-2.0-OpenSSH\r\n\r\n",
        OK + OK,
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    ],
    ids=[
        "nothing",
        "cut",
        "cut chunks",
        "no head",
        "half a head",
        "no HTTP",
        "two answers",
        "an interim answer",
        "two lengths",
    ],
)
def test_what_is_no_whole_answer_is_none(answer: bytes | tuple[bytes, ...]) -> None:
    """F16 F18 I06: a cut, foreign or ambiguous answer is a failed read that may be tried again, never half a one."""
    with peer(answer) as there, pytest.raises(ConnectionClosedError):
        get(sender(there.url), there.url)


def test_silence_ends() -> None:
    """F17: a server that says nothing is given up after the time that botocore is set to."""
    with peer(SILENT) as there, pytest.raises(ReadTimeoutError):
        get(sender(there.url, read_timeout=0.05), there.url)


def test_where_nobody_listens() -> None:
    """F05: a refused connection is told apart from one that broke."""
    url = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(EndpointConnectionError):
        get(sender(url), url)


@pytest.mark.parametrize(("path", "value"), [("/", "a\r\nX-Evil: 1"), ("/", "a\nb"), ("/a b", "a")])
def test_a_request_is_one_request(path: str, value: str) -> None:
    """Whatever stands in a header or an address cannot become a second header or request: nothing is sent."""
    with peer() as there:
        with pytest.raises(HTTPClientError, match="line break"):
            sender(there.url).send(Request("GET", there.url + path, {"X-A": value}, None))
        assert there.requests == []


# --- TLS, and what is left to botocore ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(tmp_path_factory.mktemp("authority"))


def test_tls_is_verified(trusted: Authority) -> None:
    """A server whose certificate is trusted and names it is asked; one that nobody vouches for, or another, is not."""
    mine, others = trusted.issue("127.0.0.1"), trusted.issue("example.com")
    with site(status(200), mine) as there:
        url = f"https://127.0.0.1:{there.port}"
        assert get(sender(url, verify=str(trusted.file)), url).content == b"ok"
        with pytest.raises(SSLError):
            get(sender(url), url)
    with site(status(200), others) as there:
        url = f"https://127.0.0.1:{there.port}"
        with pytest.raises(SSLError):
            get(sender(url, verify=str(trusted.file)), url)
        assert there.asked == []


def test_a_bundle_of_authorities_that_is_none_is_named(trusted: Authority) -> None:
    """A mistyped ``AWS_CA_BUNDLE`` is told as such, not as an endpoint that cannot be reached."""
    with site(status(200), trusted.issue("127.0.0.1")) as there:
        url = f"https://127.0.0.1:{there.port}"
        with pytest.raises(SSLError, match=r"the authorities in /no/such\.pem cannot be read"):
            get(sender(url, verify="/no/such.pem"), url)


def test_a_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the environment names a proxy, botocore sends through it, and nothing goes past it."""
    with peer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "")
        url = "http://sts.example.invalid"
        assert get(sender(url), url).content == b"ok"
        assert proxy.requests[0].startswith(b"GET http://sts.example.invalid/ HTTP/1.1\r\n")


@pytest.mark.parametrize("how", [{"verify": False}, {"client_cert": "mine.pem"}])
def test_what_is_unusual_is_left_to_botocore(how: dict[str, Any]) -> None:
    """Without verification, or with a client's certificate, botocore's own session sends."""
    url = "https://127.0.0.1:1"
    assert not sender(url, **how)._is_plain("https", url)
    assert sender(url)._is_plain("https", url)
