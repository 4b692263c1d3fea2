"""Which AWS call an HTTP request is, and how AWS words an error in that call's protocol.

The sandbox counts, refuses and distorts calls by service and action, under the names that boto3 uses for them. REST
requests carry no action, so it is found in botocore's own service model rather than in a table kept here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from urllib.parse import parse_qsl, unquote, urlencode
from xml.sax.saxutils import escape

import botocore.session
from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, ServiceModel

CLIENT_NAMES = {"elasticloadbalancing": "elbv2", "monitoring": "cloudwatch", "tagging": "resourcegroupstaggingapi"}
"""boto3's client name, where the name in the request's signature is another."""

READS = re.compile(r"(Describe|List|Get|Head|BatchGet|Lookup|Search|Filter|Simulate|Select|Assume|Decode|Validate)")
"""Actions that change nothing. Any other counts as a write, so that a forgotten name errs on the loud side."""

REQUEST_ID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Call:
    """One AWS call as it came over the wire."""

    service: str
    """boto3's client name, such as ``elbv2``."""
    action: str
    """The operation, such as ``DescribeListeners``."""
    protocol: str
    """``ec2``, ``query``, ``json`` or ``rest-xml``."""
    params: str
    """The decoded parameters as text: every resource the call names can be found in it."""
    actor: str
    """Who called, by its User-Agent: ``engine``, ``reconciler`` or ``other``."""

    @property
    def writes(self) -> bool:
        return READS.match(self.action) is None


def read_call(environ: Mapping[str, str], body: bytes) -> Call:
    """The call that a WSGI request makes. A request nobody can name gets the action ``?``, which counts as a write."""
    scope = re.search(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    signing_name = scope.group(1) if scope else "s3"
    service = CLIENT_NAMES.get(signing_name, signing_name)
    path, query = environ.get("PATH_INFO", "/"), environ.get("QUERY_STRING", "")
    if service == "s3" and path.startswith("/v20180820/"):
        service = "s3control"
    text = body.decode("utf-8", "replace")
    actor = read_actor(environ.get("HTTP_USER_AGENT", ""))
    if target := environ.get("HTTP_X_AMZ_TARGET"):
        return Call(service, target.rpartition(".")[2], "json", text, actor)
    if "x-www-form-urlencoded" in environ.get("CONTENT_TYPE", ""):
        pairs = parse_qsl(text, keep_blank_values=True)
        params = "&".join(f"{name}={value}" for name, value in pairs)
        return Call(service, dict(pairs).get("Action", "?"), "ec2" if service == "ec2" else "query", params, actor)
    params = unquote(f"{environ.get('REQUEST_METHOD')} {path}{'?' + query if query else ''}\n{text}")
    return Call(service, _rest_action(service, environ, path, query), "rest-xml", params, actor)


def read_actor(user_agent: str) -> str:
    """Who a User-Agent belongs to. The engine's provider and the reconciler both put a mark of their own into it."""
    marks = user_agent.lower()
    if "pulumi" in marks or "stackmend-provider" in marks:
        return "engine"
    return "reconciler" if "stackmend" in marks else "other"


@cache
def service_model(service: str) -> ServiceModel | None:
    """botocore's model of a service, or None if it has none by that name."""
    try:
        return botocore.session.get_session().get_service_model(service)
    except UnknownServiceError:
        return None


def _rest_action(service: str, environ: Mapping[str, str], path: str, query: str) -> str:
    """The operation whose method, path and required query and headers fit best, as the service model lists them."""
    asked = dict(parse_qsl(query, keep_blank_values=True))
    segments = [s for s in path.split("/") if s]
    best, best_weight = "?", -1
    for operation, method, template, needed in _rest_operations(service):
        if method != environ.get("REQUEST_METHOD") or not _fits(template, segments):
            continue
        present = [_present(kind, name, value, asked, environ) for kind, name, value in needed]
        if all(present) and len(present) > best_weight:
            best, best_weight = operation, len(present)
    return best


Needs = tuple[tuple[str, str, str], ...]


@cache
def _rest_operations(service: str) -> tuple[tuple[str, str, tuple[str, ...], Needs], ...]:
    model = service_model(service)
    if model is None:
        return ()
    operations = [model.operation_model(name) for name in model.operation_names]
    return tuple(_rest_operation(o) for o in sorted(operations, key=lambda o: (o.deprecated, o.name)))


def _rest_operation(operation: OperationModel) -> tuple[str, str, tuple[str, ...], Needs]:
    uri, _, query = str(operation.http["requestUri"]).partition("?")
    needs = [("querystring", name, value) for name, value in parse_qsl(query, keep_blank_values=True)]
    if (shape := operation.input_shape) is not None:
        for member in shape.required_members:
            place = shape.members[member].serialization
            if place.get("location") in ("querystring", "header"):
                needs.append((place["location"], place["name"], ""))
    return operation.name, operation.http["method"], tuple(s for s in uri.split("/") if s), tuple(needs)


def _fits(template: tuple[str, ...], segments: list[str]) -> bool:
    greedy = bool(template) and template[-1].endswith("+}")
    if len(segments) < len(template) or (len(segments) > len(template) and not greedy):
        return False
    return all(t.startswith("{") or t == s for t, s in zip(template, segments, strict=False))


def _present(kind: str, name: str, value: str, asked: Mapping[str, str], environ: Mapping[str, str]) -> bool:
    if kind == "header":
        return f"HTTP_{name.upper().replace('-', '_')}" in environ
    return name in asked and (not value or asked[name] == value)


# --- errors ------------------------------------------------------------------------------------------------

ERRORS: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "access-denied": {
        "ec2": (403, "UnauthorizedOperation"),
        "query": (403, "AccessDenied"),
        "json": (400, "AccessDeniedException"),
        "rest-xml": (403, "AccessDenied"),
    },
    "throttle": {
        "ec2": (503, "RequestLimitExceeded"),
        "query": (400, "Throttling"),
        "json": (400, "ThrottlingException"),
        "rest-xml": (503, "SlowDown"),
    },
    "internal-error": {
        "ec2": (500, "InternalError"),
        "query": (500, "InternalFailure"),
        "json": (500, "InternalServerError"),
        "rest-xml": (500, "InternalError"),
    },
    "unavailable": {
        "ec2": (503, "Unavailable"),
        "query": (503, "ServiceUnavailable"),
        "json": (503, "ServiceUnavailableException"),
        "rest-xml": (503, "ServiceUnavailable"),
    },
    "not-found": {
        "ec2": (400, "InvalidID.NotFound"),
        "query": (404, "NoSuchEntity"),
        "json": (400, "ResourceNotFoundException"),
        "rest-xml": (404, "NoSuchBucket"),
    },
    "expired-token": {
        "ec2": (400, "RequestExpired"),
        "query": (403, "ExpiredToken"),
        "json": (400, "ExpiredTokenException"),
        "rest-xml": (400, "ExpiredToken"),
    },
}
"""HTTP status and code of each kind of error, by protocol, as the services' own "Common Errors" pages give them."""


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response, complete."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


JSON_ANSWER = (("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", REQUEST_ID))
"""The headers of an answer in the JSON protocol."""


def error_response(call: Call, status: int, code: str, message: str) -> Response:
    """An error as the call's protocol words it."""
    text, content_type = _error_body(call, code, message), "text/xml"
    if call.protocol == "json":
        content_type = "application/x-amz-json-1.1"
    if call.action.startswith("Head"):  # HTTP allows no body here: S3 answers a bare status
        text = ""
    return Response(status, (("Content-Type", content_type), ("x-amzn-RequestId", REQUEST_ID)), text.encode())


def _error_body(call: Call, code: str, message: str) -> str:
    if call.protocol == "json":
        return json.dumps({"__type": code, "message": message})
    error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if call.protocol == "ec2":
        return f"<Response><Errors><Error>{error}</Error></Errors><RequestID>{REQUEST_ID}</RequestID></Response>"
    if call.protocol == "query":
        error = f"<Error><Type>Sender</Type>{error}</Error>"
        return f"<ErrorResponse>{error}<RequestId>{REQUEST_ID}</RequestId></ErrorResponse>"
    return f'<?xml version="1.0" encoding="UTF-8"?><Error>{error}<RequestId>{REQUEST_ID}</RequestId></Error>'


def without_param(call: Call, name: str, body: bytes, query: str) -> tuple[bytes, str]:
    """The request's body and query string without one top-level parameter."""
    if call.protocol == "json":
        fields = {k: v for k, v in json.loads(body or b"{}").items() if k != name}
        return json.dumps(fields).encode(), query
    if call.protocol == "rest-xml":
        return body, urlencode([(k, v) for k, v in parse_qsl(query, keep_blank_values=True) if k != name])
    pairs = parse_qsl(body.decode(), keep_blank_values=True)
    return urlencode([(k, v) for k, v in pairs if k != name]).encode(), query
