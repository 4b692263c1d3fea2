"""One call to one service: guarded, built, signed, sent and parsed, in a fraction of what botocore's client takes.

The order is botocore's own, and so are the events that others hook into: the guard sees every call's real parameters
before anything is built, and ``before-send`` stands where the request leaves. Calls that are in any way unusual
(another signature, a body that streams, a bucket of another region) are made by the botocore client, which carries the
same guard.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from botocore import UNSIGNED, xform_name
from botocore.exceptions import ClientError, HTTPClientError
from botocore.hooks import first_non_none_response
from botocore.model import OperationModel
from botocore.parsers import ResponseParserError, create_parser
from botocore.serialize import create_serializer
from botocore.utils import percent_encode_sequence
from urllib3.exceptions import HTTPError

from reconciler.observe.wire.parse import Body, body_parser
from reconciler.observe.wire.send import Request, Sender
from reconciler.observe.wire.sign import Signer

_PROTOCOLS = frozenset({"ec2", "json", "query", "rest-xml"})
_SIGNATURES = frozenset({"v4", "s3v4", "s3"})
_ELSEWHERE = frozenset({301, 302, 307, 400})
"""Statuses by which S3 may say that a bucket is in another region; botocore knows how to follow."""

_PLAIN_BUCKET = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(?<!-s3alias)")
"""Names that S3's endpoint rules treat alike: no dots, and none of the double hyphens that mark other sorts."""
_ANY_BUCKET = "{bucket}"
_ERROR = re.compile(rb"\s*(<\?xml[^>]*>)?\s*<Error[\s>]")


@dataclass(frozen=True, slots=True)
class _Operation:
    name: str
    method: str
    """boto3's name of it."""
    model: OperationModel
    parse: Body | None
    """None if only botocore's client can make this call."""
    places: tuple[str, ...]
    """The parameters that decide which endpoint it goes to."""
    steady: tuple[tuple[str, Any], ...]
    """What else decides that, the same for every call."""


class Wire:
    """Calls one service through a botocore ``client``. Safe to share between threads."""

    def __init__(self, client: Any, credentials: Any) -> None:
        self._client, self._credentials = client, credentials
        model = client.meta.service_model
        self._service_id: str = model.service_id.hyphenize()
        self._protocol = str(model.resolved_protocol)
        self._s3 = model.service_name == "s3"
        self._sender = Sender(client)
        self._agent = {"User-Agent": client.meta.config.user_agent}
        self._operations: dict[str, _Operation] = {}
        self._endpoints: dict[tuple[Any, ...], tuple[str, dict[str, str], Signer] | None] = {}
        self._signers: dict[tuple[str, str], Signer] = {}
        if self._protocol in _PROTOCOLS:
            self._serializer = create_serializer(self._protocol)
            self._errors = create_parser(self._protocol)

    def name(self, operation: str) -> str:
        """The API's name of an operation. Raises KeyError if there is none."""
        return self._operation(operation).name

    def call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """One call. Raises as the client's method does, and ResponseParserError for what cannot be understood."""
        known = self._operation(operation)
        if known.parse is None or self._credentials is None:
            return self._whole(known, params)
        context = self._context(known.model)
        events = self._client.meta.events
        event = f"{self._service_id}.{known.name}"
        events.emit(f"before-parameter-build.{event}", params=params, model=known.model, context=context)
        place = self._place(known, params, context)
        if place is None:
            return self._whole(known, params)
        request = self._built(known, params, place)
        response = first_non_none_response(events.emit(f"before-send.{event}", request=request))
        if response is None:
            response = self._sender.send(request)
        try:
            body: bytes = response.content
        except (HTTPError, OSError) as error:
            raise HTTPClientError(error=error) from error
        status = int(response.status_code)
        if self._s3 and status == 200 and _says_error(body):
            status = 500
        if status < 300:
            return self._parsed(known, body)
        if self._s3 and status in _ELSEWHERE and "Bucket" in params:
            self._endpoints[self._key(known, params)] = None
            return self._whole(known, params)
        headers = response.headers
        answer = {"status_code": status, "headers": headers, "body": body, "context": {"operation_name": known.name}}
        shape: Any = known.model.output_shape
        raise ClientError(self._errors.parse(answer, shape), known.name)

    # --- parts ---------------------------------------------------------------------------------------------

    def _operation(self, operation: str) -> _Operation:
        found = self._operations.get(operation)
        if found is None:
            name = self._client.meta.method_to_api_mapping[xform_name(operation)]
            found = self._operations[operation] = self._described(name)
        return found

    def _described(self, name: str) -> _Operation:
        model = self._client.meta.service_model.operation_model(name)
        config = self._client.meta.config
        plain = (
            self._protocol in _PROTOCOLS
            and config.signature_version is not UNSIGNED
            and self._client._request_signer.signature_version in _SIGNATURES
            and model.auth_type is None
            and not model.unsigned_payload
            and not (model.has_streaming_input or model.has_streaming_output or model.has_event_stream_output)
            and not model.operation_context_parameters
            and not model.endpoint
            and model.http.get("method") in ("GET", "POST")
            and not config.auth_scheme_preference
            and self._client._ruleset_resolver is not None
        )
        return _Operation(
            name,
            xform_name(name),
            model,
            body_parser(model) if plain else None,
            tuple(one.member_name for one in model.context_parameters),
            tuple((one.name, one.value) for one in model.static_context_parameters),
        )

    def _whole(self, known: _Operation, params: Mapping[str, Any]) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, known.method)(**params)
        except (ValueError, LookupError) as error:
            # botocore's parsers let these out for values that are not what the API's model promises.
            raise ResponseParserError(f"{type(error).__name__}: {error}") from error
        if answer.keys() <= {"ResponseMetadata"} and self._protocol == "json":
            # botocore takes a body that is no JSON for an error's message, and drops it.
            raise ResponseParserError("the answer is not JSON, or holds nothing")
        return {name: value for name, value in answer.items() if name != "ResponseMetadata"}

    def _context(self, model: OperationModel) -> dict[str, Any]:
        meta = self._client.meta
        return {
            "client_region": meta.region_name,
            "client_config": meta.config,
            "has_streaming_input": False,
            "auth_type": model.resolved_auth_type,
            "unsigned_payload": None,
            "auth_options": meta.service_model.metadata.get("auth"),
        }

    def _key(self, known: _Operation, params: Mapping[str, Any]) -> tuple[Any, ...]:
        return (known.steady, *((name, params.get(name)) for name in known.places))

    def _place(
        self, known: _Operation, params: Mapping[str, Any], context: dict[str, Any]
    ) -> tuple[str, dict[str, str], Signer] | None:
        """Endpoint, its headers and who signs for it; None if only botocore can."""
        key = self._key(known, params)
        if key in self._endpoints:
            return self._endpoints[key]
        bucket = params.get("Bucket") if self._s3 and known.places == ("Bucket",) else None
        if isinstance(bucket, str) and _PLAIN_BUCKET.fullmatch(bucket):
            return self._place_of_bucket(bucket, known, params, context)
        place = self._endpoints[key] = self._resolved(known, params, context)
        return place

    def _place_of_bucket(
        self, bucket: str, known: _Operation, params: Mapping[str, Any], context: dict[str, Any]
    ) -> tuple[str, dict[str, str], Signer] | None:
        """botocore's rules take longer than the call; buckets with plain names differ in their names only."""
        key = (known.steady, "any bucket with a plain name")
        if key not in self._endpoints:
            place = self._resolved(known, params, context)
            if place is None or place[0].count(bucket) != 1:
                return place
            self._endpoints[key] = (place[0].replace(bucket, _ANY_BUCKET), *place[1:])
        kept = self._endpoints[key]
        return kept and (kept[0].replace(_ANY_BUCKET, bucket), *kept[1:])

    def _resolved(
        self, known: _Operation, params: Mapping[str, Any], context: dict[str, Any]
    ) -> tuple[str, dict[str, str], Signer] | None:
        client = self._client
        endpoint = client._ruleset_resolver.construct_endpoint(known.model, dict(params), context)
        signing, region = client._request_signer.signing_name, client._request_signer.region_name
        schemes = endpoint.properties.get("authSchemes")
        if schemes is not None:
            kind, chosen = client._ruleset_resolver.auth_schemes_to_signing_ctx(schemes)
            if kind not in _SIGNATURES:
                return None
            signing, region = chosen.get("signing_name", signing), chosen.get("region", region)
        signer = self._signers.setdefault((signing, region), Signer(signing, region, s3=self._s3))
        return endpoint.url.rstrip("/"), dict(endpoint.headers), signer

    def _built(
        self, known: _Operation, params: Mapping[str, Any], place: tuple[str, dict[str, str], Signer]
    ) -> Request:
        made = self._serializer.serialize_to_request(params, known.model)
        endpoint, extra, signer = place
        path, query = made["url_path"], made["query_string"]
        url = _joined(endpoint, path)
        if query:
            url += ("&" if "?" in url else "?") + percent_encode_sequence(query)
        data = made["body"]
        if isinstance(data, dict):
            data = urlencode(data, doseq=True)
        body: bytes = data.encode() if isinstance(data, str) else bytes(data or b"")
        headers = {**self._agent, **made["headers"], **extra}
        signed = signer.headers(
            made["method"], url, headers, body, self._credentials.get_frozen_credentials(), datetime.now(UTC)
        )
        if made["method"] == "POST":
            signed["Content-Length"] = str(len(body))
        return Request(made["method"], url, signed, body or None)

    def _parsed(self, known: _Operation, body: bytes) -> dict[str, Any]:
        assert known.parse is not None  # noqa: S101 - the caller looked
        try:
            return known.parse(body)
        except (ValueError, LookupError, TypeError) as error:
            raise ResponseParserError(f"{type(error).__name__}: {error}") from error


def _joined(endpoint: str, path: str) -> str:
    """botocore's rule: an endpoint may hold a path, such as a bucket's, and a request's own may be a mere query."""
    if "/" in endpoint.partition("://")[2]:
        return endpoint if path == "/" else endpoint + path
    return endpoint + (path if path.startswith("/") else f"/{path}")


def _says_error(body: bytes) -> bool:
    """S3 may begin an answer with 200 and find only then that it fails; its body then is an error's."""
    return _ERROR.match(body) is not None
