"""Langfuse's observations: the files of its exports, rows of its API, and downloads of traces.

https://langfuse.com/docs/api-and-data-platform/features/blob-storage-export-fields (2026-11-29).
Exports to storage have names such as `trace_id`. The API and the pages have `traceId`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from briggs.types import json
from briggs.types.any_json import list_objects, members, text
from briggs.wires.logs.base import (
    LogFormat,
    LoggedCall,
    NotACall,
    create_answer,
    create_usage,
    drop_none,
    find_answer,
    keep_texts,
    pick,
    read_count,
    read_json,
    read_ms,
    read_number,
    read_span,
    read_texts,
)


def _read(row: dict[str, Any]) -> Iterator[LoggedCall]:
    kind = text(row.get("type")) or ""
    if kind.upper() != "GENERATION":
        raise NotACall(f"of the type {kind[:40] or 'unknown'}")
    id = text(row.get("id"))
    if id is None:
        raise ValueError("the row has no id")
    trace = text(pick(row, "trace_id", "traceId"))
    begin = read_ms(pick(row, "start_time", "startTime"))
    end = read_ms(pick(row, "end_time", "endTime"))
    is_failed = row.get("level") == "ERROR"
    answer, is_made = _read_response(row, id=id, begin=begin)
    named = {"name": row.get("name"), "trace_id": trace, "environment": row.get("environment")}
    yield drop_none(
        {
            "source_id": f"langfuse:{id}",
            "status": "failed" if is_failed else "finished",
            "kind": "chat",
            "created_at_ms": begin,
            "duration": read_span(begin, end),
            "request": _read_request(row),
            "response": answer,
            "is_made": is_made,
            "failure_kind": "error" if is_failed else None,
            "failure_reason": text(pick(row, "status_message", "statusMessage")),
            "session_id": text(pick(row, "session_id", "sessionId")) or trace,
            "tags": read_texts(pick(row, "tags", "trace_tags", "traceTags")),
            "metadata": keep_texts({**members(read_json(row.get("metadata"))), **named}),
        }
    )


def _find_model(row: Mapping[str, Any]) -> str:
    return text(pick(row, "provided_model_name", "providedModelName", "model")) or "unknown"


def _read_request(row: Mapping[str, Any]) -> dict[str, Any]:
    given = read_json(row.get("input"))
    settings = members(read_json(pick(row, "model_parameters", "modelParameters")))
    user = text(pick(row, "user_id", "userId"))
    request = {
        "model": _find_model(row),
        **settings,
        **({"user": user} if user else {}),
    }
    if isinstance(given, dict) and isinstance(given.get("messages"), list):
        return {**request, **given}
    if isinstance(given, dict) and "role" in given:
        given = [given]
    if messages := list_objects(given):
        return {**request, "messages": messages}
    if given in (None, "", [], {}):
        return request
    said = given if isinstance(given, str) else _write(given)
    return {**request, "messages": [{"role": "user", "content": said}]}


def _read_response(
    row: Mapping[str, Any], *, id: str, begin: float | None
) -> tuple[dict[str, Any] | None, bool]:
    """The answer, and whether it is made of the row's parts."""
    said, usage = read_json(row.get("output")), _read_usage(row)
    if (whole := find_answer(said, usage)) is not None:
        return whole, False
    if said in (None, "", [], {}) and usage is None:
        return None, False
    made = create_answer(
        id=id,
        model=_find_model(row),
        created_ms=begin,
        message=_read_message(said),
        finish_reason=None,
        usage=usage,
    )
    return made, True


def _read_message(said: Any) -> dict[str, Any]:
    """An answer as a message. Applications log it as a text, a message, or a list of those."""
    if isinstance(said, list) and (messages := list_objects(said)):
        said = messages[-1]
    if isinstance(said, dict) and ("content" in said or "tool_calls" in said):
        return {**said, "role": "assistant"}
    if said in (None, ""):
        return {}
    return {"content": said if isinstance(said, str) else _write(said)}


_COUNTS = ("promptTokens", "completionTokens", "totalTokens", "inputTokens", "outputTokens")
"""The counts that older rows of the API have beside the others."""


def _read_usage(row: Mapping[str, Any]) -> dict[str, Any] | None:
    counts = {
        **{name: row.get(name) for name in _COUNTS},
        **members(read_json(row.get("usage"))),
        **members(read_json(pick(row, "usage_details", "usageDetails"))),
    }
    costs = members(read_json(pick(row, "cost_details", "costDetails")))
    cost = pick(row, "total_cost", "totalCost", "calculatedTotalCost")
    return create_usage(
        prompt=read_count(pick(counts, "input", "promptTokens", "inputTokens")),
        completion=read_count(pick(counts, "output", "completionTokens", "outputTokens")),
        total=read_count(pick(counts, "total", "totalTokens")),
        cached=read_count(pick(counts, "input_cached_tokens", "cache_read_input_tokens")),
        reasoning=read_count(pick(counts, "output_reasoning_tokens", "reasoning_tokens")),
        cost=read_number(costs.get("total") if cost is None else cost),
    )


def _write(value: Any) -> str:
    return json.encode(value).decode("utf-8", "surrogatepass")


def _recognises(row: Mapping[str, Any]) -> bool:
    is_traced = "trace_id" in row or "traceId" in row
    return is_traced and "type" in row and ("start_time" in row or "startTime" in row)


LANGFUSE = LogFormat("langfuse", _recognises, _read)
