"""What may leave this process as text: no secret, and no character that a terminal or a log reader would obey.

``scrub`` and ``printable`` are used wherever text is kept or shown; ``configure`` puts both in front of every log line.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from reconciler.model import Secret, Unreadable

MASK = "[secret]"

_SECRET_KEYS = frozenset({"secret", "token", "authorization", "credentials", "plaintext", "ciphertext"})
_SECRET_ENDINGS = (
    "password",
    "passwd",
    "passphrase",
    "secretkey",
    "secretaccesskey",
    "sessiontoken",
    "accesstoken",
    "authtoken",
    "securitytoken",
    "apikey",
    "privatekey",
    "clientsecret",
    "secretstring",
)
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PULUMI_ACCESS_TOKEN", "PULUMI_CONFIG_PASSPHRASE")
_SHORTEST_LITERAL = 12
"""A shorter value of a secret variable is not searched for: it could be an ordinary word of any message."""

_PATTERNS = (
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), MASK),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL), MASK),
    (re.compile(r"\b(?:FwoG|IQoJ)[A-Za-z0-9+/=]{60,}"), MASK),
    (re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"), MASK),
    (re.compile(r"(?i)\b(X-Amz-(?:Signature|Security-Token|Credential)=)[^&\s]+"), rf"\1{MASK}"),
    (
        re.compile(
            r"(?i)((?:password|passwd|passphrase|secret_?(?:access_?)?key|session_?token|access_?token|api_?key|"
            r"private_?key)\\?[\"']?\s*[=:]\s*)(?:\\?\"[^\"]*\"|'[^']*'|\\?[\"']?[^\s\"',;&}]+)"
        ),
        rf"\1{MASK}",
    ),
)
_SECRET_ACCESS_KEY = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=]|:[A-Z])")
"""Followed by a colon and a capital letter it is the middle of a type token (``aws:ec2/launchTemplate:Launch…``)."""


def scrub(value: Any) -> Any:
    """The value as JSON-like data without secrets: ``Secret`` and whatever looks like a credential become a mask.

    Mappings are judged by key as well as by content; numbers and booleans are never secrets.
    """
    if isinstance(value, str):
        return _scrub_text(value)
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, Unreadable):
        return _scrub_text(str(value))
    if isinstance(value, Mapping):
        return {
            _scrub_text(str(key)): MASK if _is_secret(str(key), item) else scrub(item) for key, item in value.items()
        }
    if isinstance(value, set | frozenset):
        return sorted((scrub(item) for item in value), key=str)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [scrub(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _scrub_text(str(value))


def _is_secret(key: str, value: Any) -> bool:
    if value is None or isinstance(value, bool | int | float) or value == "":
        return False
    plain = re.sub(r"[^a-z]", "", key.lower())
    return plain in _SECRET_KEYS or plain.endswith(_SECRET_ENDINGS)


def _scrub_text(text: str) -> str:
    for variable in _SECRET_VARIABLES:
        secret = os.environ.get(variable, "")
        if len(secret) >= _SHORTEST_LITERAL:
            text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return _SECRET_ACCESS_KEY.sub(_mask_if_random, text)


def _mask_if_random(match: re.Match[str]) -> str:
    """Secret access keys mix cases and digits; a hash in hex and a path of words, both common here, do not."""
    text = match.group()
    mixed = any(c.isupper() for c in text) and any(c.islower() for c in text) and any(c.isdigit() for c in text)
    return MASK if mixed else text


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with every character that a terminal would obey or hide written out (``\x1b``, ``\u202e``).

    Control characters, line breaks, direction marks, zero-width and unassigned characters; ``keep`` names exceptions.
    """
    return "".join(c if c in keep or not _is_unsafe(c) else _escaped(c) for c in text)


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")


def configure(*, json: bool | None = None, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Send log lines to ``stream`` (standard error), as JSON if asked or if ``STACKMEND_LOG=json``."""
    as_json = os.environ.get("STACKMEND_LOG", "") == "json" if json is None else json
    stream = stream or sys.stderr
    renderer: Any = structlog.processors.JSONRenderer()
    if not as_json:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _safe,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )


def _safe(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Scrub first, so that no escape splits a secret in two; a traceback keeps its line breaks, nothing else does."""
    scrubbed: dict[str, Any] = scrub(dict(event))
    return {key: _printable(item, keep="\n" if key == "exception" else "") for key, item in scrubbed.items()}


def _printable(value: Any, *, keep: str = "") -> Any:
    if isinstance(value, str):
        return printable(value, keep=keep)
    if isinstance(value, dict):
        return {printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value
