"""OpenRouter's activity as CSV: a row for each generation, without prompts and answers.

https://openrouter.ai/docs/guides/guides/activity-export (2026-11-29). Times are in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from briggs.types.any_json import text
from briggs.wires.logs.base import (
    LogFormat,
    LoggedCall,
    create_answer,
    create_usage,
    drop_none,
    has_members,
    keep_texts,
    pick,
    read_count,
    read_ms,
    read_number,
)


def _read(row: dict[str, Any]) -> Iterator[LoggedCall]:
    id, model = text(pick(row, "generation_id")), text(pick(row, "model_permaslug"))
    if id is None:
        raise ValueError("the row has no generation_id")
    begin = read_ms(pick(row, "created_at"))
    duration_ms = read_number(pick(row, "generation_time_ms"))
    is_left = row.get("cancelled") in ("true", "True", True)
    reason = text(pick(row, "finish_reason_normalized", "finish_reason_raw"))
    is_failed = is_left or reason == "error"
    answer = create_answer(
        id=id,
        model=model or "unknown",
        created_ms=begin,
        message={},
        finish_reason=reason,
        usage=create_usage(
            prompt=read_count(row.get("tokens_prompt")),
            completion=read_count(row.get("tokens_completion")),
            cached=read_count(row.get("tokens_cached")),
            reasoning=read_count(row.get("tokens_reasoning")),
            cost=read_number(row.get("cost_total")),
        ),
    )
    if is_left:
        answer["choices"] = []
    user = text(pick(row, "user"))
    yield drop_none(
        {
            "source_id": f"openrouter:{id}",
            "status": "failed" if is_failed else "finished",
            "kind": "chat",
            "created_at_ms": begin,
            "duration": None if duration_ms is None else duration_ms / 1000,
            "request": {
                "model": f"openrouter/{model or 'unknown'}",
                "stream": row.get("streamed") in ("true", "True", True),
                **({"user": user} if user else {}),
            },
            "response": answer,
            "is_made": True,
            "failure_kind": "hang_up" if is_left else "error" if is_failed else None,
            "metadata": keep_texts(
                {name: row.get(name) for name in ("provider_name", "app_name", "api_key_name")}
            ),
        }
    )


OPENROUTER = LogFormat(
    "openrouter", lambda row: has_members(row, "generation_id", "model_permaslug"), _read
)
