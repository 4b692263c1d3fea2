"""Logs: no secret in them, and no line that somebody else wrote."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from reconciler import log
from reconciler.log import printable, scrub
from reconciler.model import Secret, Unreadable

ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SESSION_TOKEN = "IQoJ" + "b3JpZ2luX2VjEJr" * 8


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    yield
    structlog.reset_defaults()


def logged(as_json: bool, event: str, **values: Any) -> str:
    stream = io.StringIO()
    log.configure(json=as_json, stream=stream)
    structlog.get_logger().warning(event, **values)
    return stream.getvalue()


@pytest.mark.parametrize("as_json", [True, False])
def test_no_secret_in_any_line(as_json: bool) -> None:
    """I13: keys, tokens, passphrases and secret values are masked in texts, in nested values and in tracebacks."""
    try:
        raise ValueError(f"request signed with {SECRET_KEY} refused")
    except ValueError:
        line = logged(
            as_json,
            f"using {ACCESS_KEY}",
            exc_info=True,
            token=SESSION_TOKEN,
            nested={"passphrase": "hunter2", "list": [f"aws_secret_access_key={SECRET_KEY}"]},
            secret=Secret(),
            url="https://b.s3.amazonaws.com/k?X-Amz-Signature=0123abcd&X-Amz-Security-Token=qwerty",
        )
    found = [s for s in (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN, "hunter2", "0123abcd", "qwerty") if s in line]
    assert found == []
    assert "ValueError" in line


@pytest.mark.parametrize("variable", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PULUMI_CONFIG_PASSPHRASE"])
def test_this_process_own_secrets_are_known_by_value(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """I13: what this process holds as a secret is masked wherever it turns up, whatever it looks like."""
    monkeypatch.setenv(variable, "correct horse battery")
    assert scrub("it said: correct horse battery!") == "it said: [secret]!"


@pytest.mark.parametrize(
    ("value", "scrubbed"),
    [
        ({"httpTokens": "required"}, {"httpTokens": "required"}),
        ({"nextToken": 5, "password": None, "secret": False}, {"nextToken": 5, "password": None, "secret": False}),
        (
            {"MasterUserPassword": ["a"], "db_password": {"x": 1}},
            {"MasterUserPassword": "[secret]"} | {"db_password": "[secret]"},
        ),
        ("aws:ec2/securityGroupIngressRuleAttachments2:X", "aws:ec2/securityGroupIngressRuleAttachments2:X"),
        ("sha1 " + "0123456789abcdef" * 2 + "01234567", "sha1 " + "0123456789abcdef" * 2 + "01234567"),
        (
            "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab",
            "arn:aws:kms:eu-west-1:123456789012:key/1234abcd-12ab",
        ),
        ("postgresql://admin:pw@host/db", "postgresql://[secret]@host/db"),
        ("password: 'x y' z", "password: [secret] z"),
        ("password='x y", "password=[secret] y"),
        (r"{\"password\": \"x y\", \"z\": 1}", r"{\"password\": [secret], \"z\": 1}"),
        ((1, 2.5, True, None, Unreadable("why")), [1, 2.5, True, None, "[unknown: why]"]),
        (frozenset({"b", "a"}), ["a", "b"]),
        (f"-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- {ACCESS_KEY}", "[secret] [secret]"),
    ],
)
def test_what_is_masked_and_what_is_not(value: object, scrubbed: object) -> None:
    """Names, hashes, ARNs and settings that only sound like secrets stay readable."""
    assert scrub(value) == scrubbed


@pytest.mark.parametrize("as_json", [True, False])
def test_nobody_can_write_a_line_of_their_own(as_json: bool) -> None:
    """T11, B44: line breaks and escapes in values and names do not make a second line nor move the cursor."""
    hostile = "x\r\n2026-01-01 [info] all is well\x1b[2K\u2028\u202e"
    line = logged(as_json, hostile, tag=hostile, nested={hostile: [hostile]})
    assert line.endswith("\n")
    assert "\n" not in line[:-1]
    assert line[:-1].isprintable()


def test_json_lines_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``STACKMEND_LOG=json`` each line is an object with level, moment and values."""
    monkeypatch.setenv("STACKMEND_LOG", "json")
    stream = io.StringIO()
    log.configure(stream=stream)
    structlog.get_logger().info("scanned", cell="dev", count=3)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"], line["cell"], line["count"]) == ("scanned", "info", "dev", 3)
    assert line["timestamp"].endswith("Z")


def test_the_level_is_respected() -> None:
    """What is below the level is not written."""
    stream = io.StringIO()
    log.configure(json=True, level="warning", stream=stream)
    structlog.get_logger().info("scanned")
    assert stream.getvalue() == ""


@given(st.text())
def test_printable_text_is_printable(text: str) -> None:
    """T11, B31: whatever the text, nothing in the result is obeyed or hidden, and printable text is left alone."""
    shown = printable(text)
    assert all(c.isprintable() or c.isspace() for c in shown)
    assert not set(shown) & set("\x1b\r\n\u202e\u200b\u2028")
    assert printable(shown) == shown


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(JSON)
def test_scrubbing_twice_changes_nothing_more(value: object) -> None:
    """What is scrubbed is JSON and stays as it is when scrubbed again, on the way from the store to a log."""
    once = scrub(value)
    json.dumps(once)
    assert scrub(once) == once
