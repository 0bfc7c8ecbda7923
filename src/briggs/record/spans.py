"""Sends a span of every call to a collector, in a thread of its own. It never holds a call up.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

from briggs.settings import OtelSettings
from briggs.storage.redactor import Redactor
from briggs.types.completions import Completion
from briggs.wires.otel.attributes import fit, name_operation, write_attributes

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

logger = logging.getLogger("briggs")


class _Queued(NamedTuple):
    completion: Completion
    redactor: Redactor | None
    size: int
    """In bytes."""


QUEUED_MAX = 10_000
QUEUED_BYTES_MAX = 64 * 1024 * 1024
_BATCH = 500
_BATCH_BYTES = 4 * 1024 * 1024
"""A collector takes 20 MB at once, by default."""
_WAIT_S = 2.0
_FLUSH_S = 5.0


def open_spans(
    settings: OtelSettings | None, environment: Mapping[str, str]
) -> SpanExporter | None:
    """Start to export, if the file says so."""
    if settings is None:
        return None
    return SpanExporter(
        settings, headers=_read_headers(environment.get(settings.headers_variable or "", ""))
    )


class SpanExporter:
    """The calls whose spans wait to be sent. If too many wait, the newest are left out."""

    def __init__(self, settings: OtelSettings, *, headers: Mapping[str, str]) -> None:
        from opentelemetry.exporter.otlp.proto.http import Compression
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource

        self.dropped = 0
        """Spans that were not sent, because too many waited or the collector refused them."""
        self._messages = settings.messages
        self._resource = Resource({"service.name": settings.service_name})
        self._exporter: Any = OTLPSpanExporter(
            f"{settings.endpoint.rstrip('/')}/v1/traces",
            headers=headers,
            compression=Compression.Gzip,
        )
        self._queue: deque[_Queued] = deque()
        self._queued_bytes = 0
        self._wakes = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def take(self, completion: Completion, *, redactor: Redactor | None) -> None:
        """Send the span of a call that has ended, soon. Its record does not change any more.

        What is redacted in the record is redacted in the span.
        """
        size = _count(completion)
        if len(self._queue) >= QUEUED_MAX or self._queued_bytes + size > QUEUED_BYTES_MAX:
            self.dropped += 1
            return
        with self._wakes:
            self._queue.append(_Queued(completion, redactor, size))
            self._queued_bytes += size
            if self._is_batch_full():
                self._wakes.notify()

    def close(self) -> None:
        """Send what waits, for a few seconds at most."""
        with self._wakes:
            self._is_closed = True
            self._wakes.notify()
        self._thread.join(_FLUSH_S)
        self._exporter.shutdown()

    def _run(self) -> None:
        while True:
            with self._wakes:
                if not (self._is_closed or self._is_batch_full()):
                    self._wakes.wait(_WAIT_S)
                batch = self._pop_batch()
                is_last = self._is_closed and not self._queue
            if batch:
                self._send(batch)
            if is_last:
                return

    def _is_batch_full(self) -> bool:
        return len(self._queue) >= _BATCH or self._queued_bytes >= _BATCH_BYTES

    def _pop_batch(self) -> list[_Queued]:
        """The next spans to send together."""
        batch: list[_Queued] = []
        size = 0
        while self._queue and len(batch) < _BATCH and size < _BATCH_BYTES:
            batch.append(self._queue.popleft())
            size += batch[-1].size
        self._queued_bytes -= size
        return batch

    def _send(self, batch: Sequence[_Queued]) -> None:
        from opentelemetry.sdk.trace.export import SpanExportResult

        try:
            result = self._exporter.export([self._write(each) for each in batch])
        except Exception:
            logger.exception("Spans could not be written. This is a defect of Briggs")
            result = SpanExportResult.FAILURE
        if result is not SpanExportResult.SUCCESS:
            self.dropped += len(batch)

    def _write(self, queued: _Queued) -> ReadableSpan:
        completion, redactor, _ = queued
        recorded = completion if redactor is None else redactor.redact(completion)
        return write_span(recorded, self._resource, messages=self._messages)


def write_span(completion: Completion, resource: Any, *, messages: bool) -> ReadableSpan:
    """The span of a call. It belongs to its caller's trace, if the caller named one."""
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
    from opentelemetry.trace.status import Status, StatusCode

    digits = completion.id.replace("-", "")
    trace_id = int(completion.call_site.get("trace_id") or digits, 16)
    parent = completion.call_site.get("parent_span_id")
    flags = TraceFlags(TraceFlags.SAMPLED)
    has_failed = completion.status == "failed"
    began_ns = completion.created_at * 1000
    return ReadableSpan(
        fit(f"{name_operation(completion)} {completion.model}".strip()),
        context=SpanContext(trace_id, int(digits[-16:], 16), False, flags),
        parent=SpanContext(trace_id, int(parent, 16), True, flags) if parent else None,
        resource=resource,
        attributes=write_attributes(completion, messages=messages),
        kind=SpanKind.CLIENT,
        status=Status(StatusCode.ERROR, fit(completion.failure_reason)) if has_failed else Status(),
        start_time=began_ns,
        end_time=began_ns + int((completion.duration_ms or 0) * 1_000_000),
        instrumentation_scope=InstrumentationScope("briggs"),
    )


def _count(completion: Completion) -> int:
    bodies = (completion.request, completion.response, completion.received)
    return sum(len(body) for body in bodies if body)


def _read_headers(listed: str) -> dict[str, str]:
    """Headers from a variable, as `name=value,name=value` like OpenTelemetry's own."""
    pairs = (pair.partition("=") for pair in listed.split(",") if "=" in pair)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}
