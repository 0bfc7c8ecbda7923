"""LiteLLM's spend logs: rows of `GET /spend/logs`, or of the table `LiteLLM_SpendLogs` as CSV.

https://github.com/BerriAI/litellm/blob/main/schema.prisma (2026-11-29). Prompts and answers are
there only with `store_prompts_in_spend_logs`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from briggs.types.any_json import list_objects, members, text
from briggs.wires.logs.base import (
    LogFormat,
    LoggedCall,
    NotACall,
    create_answer,
    create_usage,
    drop_none,
    find_answer,
    has_members,
    keep_texts,
    pick,
    read_count,
    read_json,
    read_ms,
    read_number,
    read_span,
    read_texts,
)

_CALLS = ("completion", "acompletion", "")


def _read(row: dict[str, Any]) -> Iterator[LoggedCall]:
    kind = text(row.get("call_type")) or ""
    if kind not in _CALLS:
        raise NotACall(f"of the type {kind[:40]}")
    id = text(pick(row, "request_id"))
    if id is None:
        raise ValueError("the row has no request_id")
    begin, end = read_ms(pick(row, "startTime")), read_ms(pick(row, "endTime"))
    details = members(read_json(row.get("metadata")))
    is_failed = "failure" in (row.get("status"), details.get("status"))
    problem = members(details.get("error_information"))
    duration_ms = read_number(pick(row, "request_duration_ms"))
    answer, is_made = (None, False) if is_failed else _read_response(row, id=id, begin=begin)
    yield drop_none(
        {
            "source_id": f"litellm:{id}",
            "status": "failed" if is_failed else "finished",
            "kind": "chat",
            "created_at_ms": begin,
            "duration": read_span(begin, end) if duration_ms is None else duration_ms / 1000,
            "request": _read_request(row),
            "response": answer,
            "is_made": is_made,
            "failure_kind": (text(pick(problem, "error_class", "error_code")) or "error")
            if is_failed
            else None,
            "failure_reason": text(problem.get("error_message")) if is_failed else None,
            "session_id": text(pick(row, "session_id")),
            "tags": read_texts(row.get("request_tags")),
            "metadata": keep_texts({name: row.get(name) for name in ("team_id", "api_base")}),
        }
    )


def _read_request(row: Mapping[str, Any]) -> dict[str, Any]:
    asked = members(read_json(row.get("proxy_server_request")))
    if "messages" not in asked:
        messages = list_objects(read_json(row.get("messages")))
        asked = {**asked, **({"messages": messages} if messages else {})}
    named = {"model": pick(row, "model_group", "model") or "unknown"}
    user = text(pick(row, "end_user"))
    return {**named, **asked, **({"user": user} if user and "user" not in asked else {})}


def _read_response(
    row: Mapping[str, Any], *, id: str, begin: float | None
) -> tuple[dict[str, Any], bool]:
    """The answer, and whether it is made of the row's figures."""
    usage = create_usage(
        prompt=read_count(row.get("prompt_tokens")),
        completion=read_count(row.get("completion_tokens")),
        total=read_count(row.get("total_tokens")),
        # A price that LiteLLM does not know is 0.
        cost=read_number(row.get("spend")) or None,
    )
    if (whole := find_answer(read_json(row.get("response")), usage)) is not None:
        return whole, False
    model = text(pick(row, "model")) or "unknown"
    made = create_answer(
        id=id, model=model, created_ms=begin, message={}, finish_reason=None, usage=usage
    )
    return made, True


LITELLM = LogFormat(
    "litellm", lambda row: has_members(row, "request_id", "call_type", "spend"), _read
)
