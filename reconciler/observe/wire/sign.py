"""Signature Version 4 for requests that are a value: the derived key is kept for a day, the rest is one hash chain.

The same bytes as ``botocore.auth`` makes, which a test holds; that module rebuilds the key and several dictionaries
for every request. Source: AWS Signature Version 4 for API requests, IAM User Guide.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote, urlsplit

from botocore.utils import normalize_url_path

_ALGORITHM = "AWS4-HMAC-SHA256"
PORTS = {"http": 80, "https": 443}


class Credentials(Protocol):
    """botocore's frozen credentials."""

    @property
    def access_key(self) -> str | None: ...
    @property
    def secret_key(self) -> str | None: ...
    @property
    def token(self) -> str | None: ...


class Signer:
    """Signs for one service in one region. Safe to share between threads: at worst a key is derived twice."""

    def __init__(self, service: str, region: str, *, s3: bool) -> None:
        self._service, self._region, self._s3 = service, region, s3
        self._key: tuple[str, str, bytes] = ("", "", b"")

    def headers(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, who: Credentials, at: datetime
    ) -> dict[str, str]:
        """``headers`` and those that sign them. ``at`` is in UTC."""
        parts = urlsplit(url)
        stamp = at.strftime("%Y%m%dT%H%M%SZ")
        digest = sha256(body).hexdigest()
        signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        signed["host"] = host(parts.scheme, parts.netloc)
        added = {"X-Amz-Date": stamp}
        if self._s3:
            added["X-Amz-Content-SHA256"] = digest
        if who.token:
            added["X-Amz-Security-Token"] = who.token
        signed.update((name.lower(), value) for name, value in added.items())
        signed.pop("user-agent", None)
        names = sorted(signed)
        path = parts.path or "/" if self._s3 else quote(normalize_url_path(parts.path), safe="/~")
        query = "&".join(f"{key}={value}" for key, value in sorted(_pairs(parts.query)))
        lines = "".join(f"{name}:{signed[name]}\n" for name in names)
        list_ = ";".join(names)
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{list_}\n{digest}"
        scope = f"{stamp[:8]}/{self._region}/{self._service}/aws4_request"
        text = f"{_ALGORITHM}\n{stamp}\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
        signature = _hmac(self._derived(stamp[:8], str(who.secret_key)), text.encode()).hex()
        credential = f"{who.access_key}/{scope}"
        return {
            **headers,
            **added,
            "Authorization": f"{_ALGORITHM} Credential={credential}, SignedHeaders={list_}, Signature={signature}",
        }

    def _derived(self, day: str, secret: str) -> bytes:
        kept_day, kept_secret, key = self._key
        if (kept_day, kept_secret) != (day, secret):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = _hmac(key, part.encode())
            self._key = (day, secret, key)
        return key


def _hmac(key: bytes, message: bytes) -> bytes:
    # hmac.digest lets other threads in for each of these microseconds, and waits until it is its turn again.
    return hmac.new(key, message, "sha256").digest()


def host(scheme: str, netloc: str) -> str:
    """What the header ``Host`` says, and is signed to say."""
    return netloc.rpartition("@")[2].removesuffix(f":{PORTS[scheme]}")


def _pairs(query: str) -> list[tuple[str, str]]:
    found = (pair.partition("=") for pair in query.split("&") if pair)
    return [(key, value) for key, _, value in found]
