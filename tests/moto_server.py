"""A moto server inside the tests' own process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.request import Request, urlopen

from moto.server import ThreadedMotoServer


@contextmanager
def serving() -> Iterator[str]:
    """The address of a moto server on a free port of this machine, with nothing in it.

    It keeps its world in this process, where the server of another test may have left one.
    """
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        empty(endpoint)
        yield endpoint
    finally:
        server.stop()


def empty(endpoint: str) -> None:
    """Forget everything that the server holds."""
    urlopen(Request(f"{endpoint}/moto-api/reset", method="POST")).close()  # noqa: S310 - a server of our own
