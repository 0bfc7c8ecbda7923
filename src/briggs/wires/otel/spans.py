"""Reads exports of spans: OTLP in protobuf or in JSON.

https://opentelemetry.io/docs/specs/otlp/ (1.10)
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import integer, list_objects, members, text
from briggs.types.encodings import refuse_json
from briggs.types.errors import InvalidRequest

_TRACE_ID = re.compile(r"(?!0{32})[0-9a-f]{32}")
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-f]{16}")
_FAILED = 2
"""`STATUS_CODE_ERROR`."""
_NANOSECONDS_MAX = 2**63


class SpanEvent(msgspec.Struct, frozen=True):
    """Something that happened during a span."""

    name: str
    attributes: Mapping[str, Any]


class TraceSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run, from its begin to its end."""

    trace_id: str
    """32 digits in base 16, or what came in their place."""
    span_id: str
    """16 digits in base 16, or what came in their place."""
    parent_id: str | None
    name: str
    began_ns: int
    """Unix time in nanoseconds; 0 if it is not known."""
    ended_ns: int
    has_failed: bool
    failure: str
    """What the status says of the failure."""
    attributes: Mapping[str, Any]
    events: list[SpanEvent]
    scope: str
    """The library that made the span."""
    resource: Mapping[str, Any]
    """What describes the program that made it, such as `service.name`."""

    @property
    def is_named(self) -> bool:
        """Whether its ids are valid, so that it can be told from all others."""
        return bool(_TRACE_ID.fullmatch(self.trace_id) and _SPAN_ID.fullmatch(self.span_id))


def read_spans(body: bytes, *, is_json: bool) -> list[TraceSpan]:
    """The spans of an `ExportTraceServiceRequest`. Raises `InvalidRequest`."""
    return list(_read_json(body) if is_json else _read_protobuf(body))


def _read_json(body: bytes) -> Iterator[TraceSpan]:
    try:
        value = json.decode(body)
    except msgspec.DecodeError as error:
        raise refuse_json(body, error) from error
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be an ExportTraceServiceRequest: a JSON object.")
    for of in list_objects(value.get("resourceSpans")):
        resource = _read_pairs(members(of.get("resource")).get("attributes"))
        for group in list_objects(of.get("scopeSpans")):
            scope = text(members(group.get("scope")).get("name")) or ""
            for span in list_objects(group.get("spans")):
                yield _read_span(span, scope=scope, resource=resource)


def _read_span(span: dict[str, Any], *, scope: str, resource: Mapping[str, Any]) -> TraceSpan:
    status = members(span.get("status"))
    return TraceSpan(
        trace_id=(text(span.get("traceId")) or "").lower(),
        span_id=(text(span.get("spanId")) or "").lower(),
        parent_id=(text(span.get("parentSpanId")) or "").lower() or None,
        name=text(span.get("name")) or "",
        began_ns=_read_integer(span.get("startTimeUnixNano")),
        ended_ns=_read_integer(span.get("endTimeUnixNano")),
        has_failed=status.get("code") == _FAILED,
        failure=text(status.get("message")) or "",
        attributes=_read_pairs(span.get("attributes")),
        events=[
            SpanEvent(text(event.get("name")) or "", _read_pairs(event.get("attributes")))
            for event in list_objects(span.get("events"))
        ],
        scope=scope,
        resource=resource,
    )


def _read_pairs(pairs: Any) -> dict[str, Any]:
    return {
        pair["key"]: _read_any(members(pair.get("value")))
        for pair in list_objects(pairs)
        if isinstance(pair.get("key"), str)
    }


def _read_any(value: Mapping[str, Any]) -> Any:
    """An `AnyValue`. Whole numbers may come as texts, since JavaScript's are too small."""
    match value:
        case (
            {"stringValue": str(it)}
            | {"boolValue": bool(it)}
            | {"doubleValue": int(it) | float(it)}
        ):
            return it
        case {"intValue": it}:
            return _read_integer(it)
        case {"arrayValue": it}:
            return [_read_any(each) for each in list_objects(members(it).get("values"))]
        case {"kvlistValue": it}:
            return _read_pairs(members(it).get("values"))
        case {"bytesValue": it}:
            return it
    return None


def _read_integer(value: Any) -> int:
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value, re.ASCII):
        value = int(value)
    number = integer(value) or 0
    return number if -_NANOSECONDS_MAX <= number < _NANOSECONDS_MAX else 0


def _read_protobuf(body: bytes) -> Iterator[TraceSpan]:
    # Many servers never get a span, so the library is loaded with the first.
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    try:
        export = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise InvalidRequest(
            "The body is not an ExportTraceServiceRequest in protobuf. For JSON, send "
            "'Content-Type: application/json'."
        ) from error
    for of in export.resource_spans:
        resource = _list_pairs(of.resource.attributes)
        for group in of.scope_spans:
            for span in group.spans:
                yield TraceSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex() or None,
                    name=span.name,
                    began_ns=_read_integer(span.start_time_unix_nano),
                    ended_ns=_read_integer(span.end_time_unix_nano),
                    has_failed=span.status.code == _FAILED,
                    failure=span.status.message,
                    attributes=_list_pairs(span.attributes),
                    events=[
                        SpanEvent(event.name, _list_pairs(event.attributes))
                        for event in span.events
                    ],
                    scope=group.scope.name,
                    resource=resource,
                )


def _list_pairs(pairs: Any) -> dict[str, Any]:
    return {pair.key: _convert(pair.value) for pair in pairs}


def _convert(value: Any) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_convert(each) for each in value.array_value.values]
        case "kvlist_value":
            return _list_pairs(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case name:
            return getattr(value, name)
