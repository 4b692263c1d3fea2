"""JSON documents compared by meaning, since AWS stores a policy but gives it back in its own spelling.

Equalities of the IAM policy language (AWS, "IAM JSON policy elements reference"): one value equals a list of that one
value; the order of statements, actions, resources, principals and condition values says nothing; action names and
condition keys ignore case; an account id as principal is that account's root; ``"Principal": "*"`` is ``{"AWS": "*"}``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reconciler.model import Value

_ROOT = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):root")
_DEFAULT_VERSION = "2008-10-17"


def parse(value: Value) -> Any | None:
    """The JSON object or array that ``value`` spells or is; None if it is neither."""
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        # Not JSON, or nested deeper than any document AWS accepts: compared as the text it is.
        return None


def canonical(document: Any) -> str:
    """One spelling for all documents of the same meaning; only a policy's lists lose their order."""
    if is_policy(document):
        document = _policy(document)
    return json.dumps(document, sort_keys=True, default=str)


def is_policy(document: Any) -> bool:
    """Whether a parsed document is one of the IAM policy language."""
    return isinstance(document, Mapping) and "Statement" in document


def as_list(value: Any) -> list[Any]:
    """A value that the policy language lets stand for a list of itself."""
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else [value]


def statements(document: Any) -> tuple[Mapping[str, Any], ...]:
    """The statements of a parsed policy."""
    if not isinstance(document, Mapping):
        return ()
    return tuple(s for s in as_list(document.get("Statement", ())) if isinstance(s, Mapping))


def _policy(document: Mapping[str, Any]) -> dict[str, Any]:
    parts = [_statement(s) if isinstance(s, Mapping) else s for s in as_list(document["Statement"])]
    return {
        "Version": _DEFAULT_VERSION,
        **{k: v for k, v in document.items() if v not in ("", None)},
        "Statement": sorted(parts, key=lambda s: json.dumps(s, sort_keys=True, default=str)),
    }


def _statement(statement: Mapping[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in statement.items():
        if key in ("Action", "NotAction"):
            result[key] = _texts(value, str.lower)
        elif key in ("Resource", "NotResource"):
            result[key] = _texts(value)
        elif key in ("Principal", "NotPrincipal"):
            named = value if isinstance(value, Mapping) else {"AWS": value}
            result[key] = {k: _texts(v, _principal) for k, v in named.items()}
        elif key == "Condition" and isinstance(value, Mapping):
            result[key] = {operator: _tests(tests) for operator, tests in value.items()}
        elif value not in ("", None):
            result[key] = value
    return result


def _tests(tests: Any) -> Any:
    return {k.lower(): _texts(v) for k, v in tests.items()} if isinstance(tests, Mapping) else tests


def _texts(value: Any, change: Callable[[str], str] = str) -> list[str]:
    """Sorted and without repetition; the policy language also lets ``false`` and ``80`` stand for their texts."""
    return sorted({change(v if isinstance(v, str) else json.dumps(v, sort_keys=True)) for v in as_list(value)})


def _principal(name: str) -> str:
    root = _ROOT.fullmatch(name)
    return root.group(1) if root else name
