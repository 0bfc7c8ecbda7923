"""`POST /v1/traces`: takes spans, and records the calls of models in them.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from briggs.api.answers import find_store, read_body
from briggs.feedback.evaluations import record_evaluations
from briggs.record.traces import Traced, list_calls, record_calls
from briggs.types import json
from briggs.types.envelope import check_size
from briggs.types.errors import BriggsError, InvalidRequest
from briggs.wires.otel.spans import TraceSpan, read_spans

_JSON = "application/json"
_PROTOBUF = "application/x-protobuf"
_SPANS_MAX = 50_000
_VALUES_MAX = 2_000_000
"""In JSON. They are decoded within a tenth of a second, in which nothing else runs."""
_SHOWN_MAX = 3


async def create_traces(request: Request) -> Response:
    """Record an export. What it holds beside calls and evaluations is left out."""
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    try:
        if content_type not in (_JSON, _PROTOBUF):
            raise InvalidRequest(
                f"Send spans as {_PROTOBUF} or {_JSON}: set the exporter's protocol to "
                "'http/protobuf'."
            )
        body = await read_body(request)
        spans, calls = await asyncio.to_thread(_read, body, is_json=content_type == _JSON)
        key = request.state.key
        store = find_store(request)
        await record_calls(calls, organization_id=key.organization_id, key_id=key.id, store=store)
        refused = await record_evaluations(spans, organization_id=key.organization_id, store=store)
    except BriggsError as error:
        return _answer_error(error, is_json=content_type == _JSON)
    unnamed = sum(not span.is_named for span in spans)
    if unnamed:
        refused.insert(0, f"{unnamed} spans have no valid trace id and span id.")
    return _answer(unnamed, refused, is_json=content_type == _JSON)


def _read(body: bytes, *, is_json: bool) -> tuple[list[TraceSpan], list[Traced]]:
    if is_json:
        check_size(body, values_max=_VALUES_MAX)
    spans = read_spans(body, is_json=is_json)
    if len(spans) > _SPANS_MAX:
        raise InvalidRequest(f"An export has at most {_SPANS_MAX:,} spans: send smaller batches.")
    return spans, list_calls(spans)


def _answer(rejected: int, reasons: list[str], *, is_json: bool) -> Response:
    """Accept the export, all or in part. A message without rejected spans is a warning."""
    shown = " ".join(reasons[:_SHOWN_MAX])
    if len(reasons) > _SHOWN_MAX:
        shown += f" And {len(reasons) - _SHOWN_MAX} more."
    if is_json:
        partial = {"rejectedSpans": str(rejected), "errorMessage": shown}
        return Response(
            json.encode({"partialSuccess": partial} if reasons else {}), media_type=_JSON
        )
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTracePartialSuccess,
        ExportTraceServiceResponse,
    )

    answer = ExportTraceServiceResponse()
    if reasons:
        answer.partial_success.CopyFrom(
            ExportTracePartialSuccess(rejected_spans=rejected, error_message=shown)
        )
    return Response(answer.SerializeToString(), media_type=_PROTOBUF)


def _answer_error(error: BriggsError, *, is_json: bool) -> Response:
    """An error as a `google.rpc.Status`."""
    headers = dict(error.headers)
    if is_json:
        body = json.encode({"message": error.message})
        return Response(body, error.http_status, headers, media_type=_JSON)
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess

    # A Status has its message in the same field, the second.
    body = ExportTracePartialSuccess(error_message=error.message).SerializeToString()
    return Response(body, error.http_status, headers, media_type=_PROTOBUF)
