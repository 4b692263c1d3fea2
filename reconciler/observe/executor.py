"""Makes the reads: many at once, all pages of each, and every way to fail turned into an answer that says so."""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, DataNotFoundError, NoRegionError, ParamValidationError
from botocore.parsers import ResponseParserError

from reconciler.observe.clients import Clients, code_of, status_of
from reconciler.observe.pagination import IncompleteAnswer, follow, page_size
from reconciler.observe.reads import Answer, Failed, Missing, Read, Rows

DEADLINE_SECONDS = 120.0

_BUGS = (ParamValidationError, DataNotFoundError, NoRegionError)
"""botocore's words for a read that was written down wrongly: these are raised, since no AWS can answer them."""


def run(
    reads: Iterable[Read], clients: Clients, *, concurrency: int = 64, deadline_seconds: float = DEADLINE_SECONDS
) -> dict[Read, Answer]:
    """Answer each distinct read once, in the order asked; what is not answered in time is Failed.

    Only a bug raises: a read whose parameters or names the API does not have.
    """
    wanted = tuple(dict.fromkeys(reads))
    if not wanted:
        return {}
    deadline = time.monotonic() + deadline_seconds
    with ThreadPoolExecutor(min(concurrency, len(wanted)), thread_name_prefix="read") as pool:
        answers = pool.map(partial(_answer, clients=clients, deadline=deadline), wanted)
        return dict(zip(wanted, answers, strict=True))


def _answer(read: Read, clients: Clients, deadline: float) -> Answer:
    name = f"{read.service}:{clients.wire(read.service).name(read.operation)}"
    paging = clients.paging(read.service, read.operation)
    params = {key: thaw(value) for key, value in read.params}
    if read.result:
        params |= page_size(name, paging, params)
    call = partial(clients.call, read.service, read.operation, deadline=deadline)
    try:
        return Rows(follow(call, params, result=read.result, paging=paging))
    except _BUGS:
        raise
    except ClientError as error:
        code, message = code_of(error), error.response.get("Error", {}).get("Message", "")
        said = f"{name} for {read.target}: {code}: {message}"
        return Missing(said) if code in read.absent and status_of(error) < 500 else Failed(said)
    except (BotoCoreError, ResponseParserError, IncompleteAnswer, TimeoutError) as error:
        return Failed(f"{name} for {read.target}: {type(error).__name__}: {error}")


def thaw(value: Any) -> Any:
    """A hashable parameter as botocore wants it: pairs of a name and a value are a structure, other tuples lists."""
    if not isinstance(value, tuple):
        return value
    if value and all(isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str) for part in value):
        return {key: thaw(part) for key, part in value}
    return [thaw(part) for part in value]
