"""Records the calls of models that spans tell of, each once however often its span comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from msgspec import UNSET

from briggs.record.posts import CREATED_MAX_US
from briggs.record.tell import Posted, tell
from briggs.storage import Store
from briggs.types.any_json import text
from briggs.wires.otel.call import TracedCall, is_call, read_call
from briggs.wires.otel.spans import TraceSpan

_AT_ONCE = 100
_LONG_MS = 366 * 86_400_000
_SERVICE = "service.name"


class Traced(NamedTuple):
    """The span of a call, with what it tells."""

    span: TraceSpan
    call: TracedCall


def list_calls(spans: Sequence[TraceSpan]) -> list[Traced]:
    """The calls of models among some spans, each once.

    Two libraries may watch the same call. Then the span counts that has the messages, or else the
    one inside of the other.
    """
    traced = [Traced(span, read_call(span)) for span in spans if span.is_named and is_call(span)]
    by_answer: dict[str, list[Traced]] = {}
    for each in traced:
        if each.call.response_id:
            by_answer.setdefault(each.call.response_id, []).append(each)
    covered = {
        one.span.span_id
        for same in by_answer.values()
        for one in same
        for other in same[:_AT_ONCE]
        if _covers(other, one)
    }
    return [each for each in traced if each.span.span_id not in covered]


def find_id(span: TraceSpan, *, organization_id: str) -> str:
    """The id of the completion of a span: always the same, and sorted by time like all ids."""
    named = f"{organization_id}\0{span.trace_id}\0{span.span_id}".encode()
    digits = blake2b(named, digest_size=10).hexdigest()
    time = f"{max(span.began_ns, 0) // 1_000_000 % 2**48:012x}"
    return f"{time[:8]}-{time[8:]}-7{digits[:3]}-8{digits[3:6]}-{digits[6:18]}"


async def record_calls(
    traced: Sequence[Traced], *, organization_id: str, key_id: str, store: Store
) -> None:
    """Record calls. Raises `StoreUnavailable`."""
    for begin in range(0, len(traced), _AT_ONCE):
        await asyncio.gather(
            *(
                tell(
                    find_id(each.span, organization_id=organization_id),
                    _write_post(each, organization_id=organization_id, key_id=key_id),
                    store=store,
                )
                for each in traced[begin : begin + _AT_ONCE]
            )
        )


def _covers(one: Traced, other: Traced) -> bool:
    """Whether the span `one` tells of the same call as `other`, and tells more."""
    outer, inner = one.span, other.span
    if outer.scope == inner.scope:
        return False
    if outer.began_ns > inner.began_ns or outer.ended_ns < inner.ended_ns:
        outer, inner = inner, outer
    if outer.began_ns > inner.began_ns or outer.ended_ns < inner.ended_ns:
        return False
    if one.call.has_messages != other.call.has_messages:
        return one.call.has_messages
    return one.span is inner


def _write_post(traced: Traced, *, organization_id: str, key_id: str) -> Posted:
    span, call = traced
    service = text(span.resource.get(_SERVICE))
    duration_ms = (span.ended_ns - span.began_ns) / 1_000_000
    created_at = span.began_ns // 1000
    session_id = call.session_id or (span.trace_id if span.parent_id else None)
    return Posted(
        organization_id=organization_id,
        key_id=key_id,
        status="failed" if span.has_failed else "finished",
        provider=call.provider or UNSET,
        request=call.request,
        response=UNSET if call.response is None else call.response,
        duration_ms=duration_ms if 0 <= duration_ms <= _LONG_MS else UNSET,
        created_at=created_at if 0 < created_at <= CREATED_MAX_US else UNSET,
        session_id=session_id or UNSET,
        tags=call.tags,
        metadata={_SERVICE: service} if service else {},
        call_site={
            "trace_id": span.trace_id,
            "span_id": span.span_id,
            **({"parent_span_id": span.parent_id} if span.parent_id else {}),
            "span": span.name,
            "scope": span.scope,
        },
        failure_kind=call.failure_kind or UNSET,
        failure_reason=call.failure_reason or UNSET,
        is_retold=True,
    )
