"""What every service module needs of AWS: clients, absence, tags, and the spelling of names."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from sandbox.provider.errors import ProviderError


class Clients:
    """boto3 clients of one region, made when first asked for: a client takes longer to make than a call."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._session: Any = None

    def __call__(self, service: str) -> Any:
        with self._lock:  # making clients is not thread-safe, using them is
            if service not in self._clients:
                self._clients[service] = self._make(service)
            return self._clients[service]

    def _make(self, service: str) -> Any:
        import boto3
        from botocore.config import Config

        if self._session is None:
            self._session = boto3.Session(region_name=self.region)
        config = Config(
            user_agent_extra="stackmend-provider",
            max_pool_connections=32,
            retries={"mode": "standard", "max_attempts": 4},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return self._session.client(service, config=config)


def found(codes: Collection[str], operation: Callable[..., Any], **params: Any) -> Any | None:
    """The answer of an operation, or None if AWS says by one of these codes that the thing does not exist.

    Every other error is raised as AWS words it (botocore.exceptions.ClientError).
    """
    try:
        return operation(**params)
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in codes:
            return None
        raise


def first(codes: Collection[str], operation: Callable[..., Any], listing: str, **params: Any) -> Any | None:
    """The first element of the answer's ``listing``; None if there is none, or AWS says so by one of these codes."""
    answer = found(codes, operation, **params)
    return answer[listing][0] if answer and answer[listing] else None


def refuse_others(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise ProviderError if a nested property is given that a module does not handle: none is dropped silently."""
    if strange := set(given) - {"__defaults", *known}:
        raise ProviderError(f"the stand-in provider knows no {min(strange)} of {where}")


def tag_list(tags: Mapping[str, str] | None, key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    return [{key: k, value: v} for k, v in (tags or {}).items()]


def tag_map(tags: Collection[Mapping[str, str]] | None, key: str = "Key", value: str = "Value") -> dict[str, str]:
    """Tags by key, without those that AWS itself sets."""
    return {tag[key]: tag[value] for tag in tags or () if not tag[key].startswith("aws:")}


def pascal(value: Any) -> Any:
    """Pulumi's spelling of names to AWS's (``httpTokens`` to ``HttpTokens``), at every level; drops ``__defaults``."""
    if isinstance(value, Mapping):
        return {k[:1].upper() + k[1:]: pascal(v) for k, v in value.items() if k != "__defaults" and v is not None}
    return [pascal(v) for v in value] if isinstance(value, list) else value


def camel(value: Any) -> Any:
    """AWS's spelling of names to Pulumi's, at every level."""
    if isinstance(value, Mapping):
        return {k[:1].lower() + k[1:]: camel(v) for k, v in value.items()}
    return [camel(v) for v in value] if isinstance(value, list) else value
