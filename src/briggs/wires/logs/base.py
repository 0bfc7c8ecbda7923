"""What the readers of log files share: times, JSON in cells, and answers made of their parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from briggs.types import json
from briggs.types.any_json import integer, members, number, text

LoggedCall = dict[str, Any]
"""The body of a report: `request`, `response`, `status`, `created_at_ms` and so on."""


class NotACall(Exception):
    """A row that is no chat completion, and what it is. It is left out, and is no mistake."""


class LogFormat(NamedTuple):
    """A format of files: how it is recognised, and how a row becomes calls."""

    name: str
    recognises: Callable[[Mapping[str, Any]], bool]
    """Whether a row, or the header of a table, is in this format."""
    read: Callable[[dict[str, Any]], Iterable[LoggedCall]]
    """Raises `NotACall`, and `ValueError` for a row that is wrong."""


def pick(row: Mapping[str, Any], *names: str) -> Any:
    """The first of these members that is there. Empty texts, as in CSV, are not there."""
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def read_json(value: Any) -> Any:
    """A value that may be JSON in a text, as in the cells of CSV."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
        return value
    try:
        return json.decode(value)
    except msgspec.DecodeError:
        return value


def read_number(value: Any) -> float | None:
    """A number, or a number in a text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return number(value)


def read_count(value: Any) -> int | None:
    """A whole number, or one in a text."""
    found = read_number(value)
    return integer(value) if found is None or found != int(found) else int(found)


def read_ms(value: Any) -> float | None:
    """A time as Unix milliseconds: ISO 8601, with UTC as the default zone. Raises `ValueError`."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"the time {str(value)[:40]} is not a text such as 2026-11-23T14:00:00Z")
    try:
        moment = datetime.fromisoformat(value.strip())
    except ValueError as error:
        raise ValueError(f"the time {value[:40]!r} is not like 2026-11-23T14:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000


def read_span(begin: float | None, end: float | None) -> float | None:
    """The seconds between two times in milliseconds."""
    return None if begin is None or end is None else max(0.0, end - begin) / 1000


def find_answer(value: Any, usage: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A chat completion that a row has whole, with the usage that the row adds."""
    if isinstance(value, dict) and isinstance(value.get("choices"), list):
        return {**value, "usage": {**(usage or {}), **members(value.get("usage"))}}
    return None


def create_answer(
    *,
    id: str,
    model: str,
    created_ms: float | None,
    message: Mapping[str, Any],
    finish_reason: str | None,
    usage: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """A chat completion, for a row that has its parts. What it does not have is null.

    A call with such an answer says `is_made`, because no rule applies to what we put together.

    Without a time it is of now, like the record that is made of it.
    """
    choice = {
        "index": 0,
        "finish_reason": finish_reason or ("tool_calls" if message.get("tool_calls") else "stop"),
        "logprobs": None,
        "message": {"role": "assistant", "content": None, "refusal": None, **message},
    }
    return {
        "id": id,
        "object": "chat.completion",
        "created": int(time.time() if created_ms is None else created_ms / 1000),
        "model": model,
        "choices": [choice],
        **({"usage": usage} if usage else {}),
    }


def create_usage(
    *,
    prompt: int | None,
    completion: int | None,
    total: int | None = None,
    cached: int | None = None,
    reasoning: int | None = None,
    cost: float | None = None,
) -> dict[str, Any] | None:
    """Counts as OpenAI writes them, with the cost as OpenRouter does. None if nothing is known."""
    if prompt is None and completion is None:
        return None
    prompt, completion = prompt or 0, completion or 0
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion if total is None else total,
    }
    if cached is not None:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    if reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    if cost:
        usage["cost"] = cost
    return usage


def read_texts(value: Any) -> list[str]:
    """The texts of a list, which may be JSON in a text, or words with commas."""
    value = read_json(value)
    if isinstance(value, str):
        value = [each.strip() for each in value.split(",")]
    return [each for each in value if text(each)] if isinstance(value, list) else []


def keep_texts(values: Mapping[str, Any]) -> dict[str, str]:
    """Metadata: the members that are texts."""
    return {name: value for name, value in values.items() if isinstance(value, str) and value}


def drop_none(call: Mapping[str, Any]) -> LoggedCall:
    """A call without the members that are not known."""
    return {name: value for name, value in call.items() if value not in (None, [], {})}


def has_members(row: Mapping[str, Any], *names: str) -> bool:
    """Whether a row has all of these members."""
    return all(name in row for name in names)


def error_of(value: Any) -> Mapping[str, Any]:
    """An error's object, which some files wrap in `error`."""
    found = members(value)
    return members(found.get("error")) or found
