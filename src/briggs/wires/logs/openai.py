"""OpenAI's files: the output of batches, and what models are fine-tuned with.

https://platform.openai.com/docs/api-reference/batch/request-output
https://platform.openai.com/docs/api-reference/fine-tuning/chat-input (2026-11-29)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members, text
from briggs.wires.logs.base import (
    LogFormat,
    LoggedCall,
    NotACall,
    create_answer,
    drop_none,
    error_of,
)

_REQUEST = "request_of_batch"
"""The member for the line of the batch's input, which `add_request` adds."""

_CHAT = "/v1/chat/completions"


def read_name(line: bytes) -> str | None:
    """The name that a line of a batch's input gives its request. None if it is no such line."""
    try:
        return msgspec.json.decode(line, type=_Asked).custom_id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


class _Asked(msgspec.Struct):
    custom_id: str


def add_request(row: dict[str, Any], find: Callable[[str], bytes | None]) -> None:
    """Add to a row of a batch's output what was asked. Raises `ValueError` if it is not found."""
    name = text(row.get("custom_id")) or ""
    line = find(name)
    if line is None:
        raise ValueError(f"--requests has no line with the custom_id {name[:60]!r}")
    row[_REQUEST] = json.decode(line)


def _read_batch(row: dict[str, Any]) -> Iterator[LoggedCall]:
    custom_id = text(row.get("custom_id"))
    asked = members(row.get(_REQUEST))
    if "response" not in row and "error" not in row:
        raise ValueError(
            "this is the input of a batch: import its output, and name this file with --requests"
        )
    if asked.get("url", _CHAT) != _CHAT:
        raise NotACall(f"for {str(asked['url'])[:40]}")
    answer = members(row.get("response"))
    body = members(answer.get("body"))
    status = answer.get("status_code")
    is_failed = row.get("error") is not None or status != 200
    if not is_failed and body.get("object", "chat.completion") != "chat.completion":
        raise NotACall(f"of the type {str(body['object'])[:40]}")
    problem = error_of(row.get("error") or body)
    id = text(row.get("id")) or text(answer.get("request_id")) or custom_id
    if id is None:
        raise ValueError("the row has neither an id nor a custom_id")
    created = body.get("created")
    yield drop_none(
        {
            "source_id": f"openai-batch:{id}",
            "status": "failed" if is_failed else "finished",
            "kind": "chat",
            "created_at_ms": created * 1000 if isinstance(created, int) else None,
            "request": members(asked.get("body")) or {"model": body.get("model", "unknown")},
            "response": None if is_failed else body,
            "failure_kind": (text(problem.get("code")) or text(problem.get("type")) or "error")
            if is_failed
            else None,
            "failure_reason": text(problem.get("message")) if is_failed else None,
            "metadata": {"custom_id": custom_id} if custom_id else None,
        }
    )


def _read_fine_tuning(row: dict[str, Any]) -> Iterator[LoggedCall]:
    if "preferred_output" in row:
        yield from _read_preference(row)
        return
    messages = list_objects(row.get("messages"))
    if not messages or messages[-1].get("role") != "assistant":
        raise ValueError("the last message is not the assistant's")
    yield _create_call(row, messages[:-1], messages[-1])


def _read_preference(row: Mapping[str, Any]) -> Iterator[LoggedCall]:
    given = members(row.get("input"))
    messages = list_objects(given.get("messages"))
    outputs = [list_objects(row.get(f"{name}preferred_output")) for name in ("", "non_")]
    if not messages or not all(outputs):
        raise ValueError("the row has no messages, or no preferred_output and non_preferred_output")
    preferred, other = (_create_call(given, messages, output[-1]) for output in outputs)
    yield {**preferred, "preferred_to": 1}
    yield other


_ASKED = ("tools", "functions", "parallel_tool_calls")


def _create_call(
    row: Mapping[str, Any], messages: Sequence[dict[str, Any]], answer: Mapping[str, Any]
) -> LoggedCall:
    # A line has no id, so it is known by what it says.
    said = json.encode([messages, row.get("tools"), answer])
    id = hashlib.sha256(said).hexdigest()[:32]
    asked = {
        name: row[name] for name in ("tools", "functions", "parallel_tool_calls") if name in row
    }
    return {
        "source_id": f"openai-fine-tuning:{id}",
        "status": "finished",
        "kind": "chat",
        "request": {
            "model": "unknown",
            "messages": [_drop_weight(each) for each in messages],
            **asked,
        },
        "response": create_answer(
            id=id,
            model="unknown",
            created_ms=None,
            message=_drop_weight(answer),
            finish_reason=None,
            usage=None,
        ),
        "is_made": True,
    }


def _drop_weight(message: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "weight"}


BATCH = LogFormat("openai-batch", lambda row: "custom_id" in row, _read_batch)
FINE_TUNING = LogFormat(
    "openai-fine-tuning",
    lambda row: "messages" in row or "preferred_output" in row,
    _read_fine_tuning,
)
