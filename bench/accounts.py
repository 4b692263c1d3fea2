"""Two accounts looked at at the same time in one process: ``python -m bench.accounts STATE TENANT NAME…``.

Each name is a credential of its own, which is what the server tells accounts by. Prints the seconds of each as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

import botocore.session

from bench.names import ACCOUNT, CELL
from reconciler.declare.state import parse
from reconciler.observe.clients import Clients
from reconciler.observe.observe import observe


def main(state: str, tenant: str, *names: str) -> None:
    declared = parse(json.loads(Path(state).read_bytes()), cell=CELL)
    only = {urn for urn, resource in declared.resources.items() if resource.tenant == tenant}
    seconds: dict[str, float] = {}

    def look(name: str) -> None:
        session = botocore.session.Session()
        session.set_credentials(name, "testing")
        clients = Clients(declared.region, ACCOUNT, session=session)
        observe(declared, clients, only=only)  # makes the clients, which takes longer than the look
        began = time.monotonic()
        observe(declared, clients, only=only)
        seconds[name] = round(time.monotonic() - began, 2)

    threads = [threading.Thread(target=look, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(seconds))


if __name__ == "__main__":
    main(*sys.argv[1:])
