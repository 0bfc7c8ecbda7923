"""A completion without what tells which model answered, for the reviewers of such tasks."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from briggs.record.bodies import read_answered, read_asked
from briggs.types import json
from briggs.types.any_json import members
from briggs.types.completions import Completion

HIDDEN = "hidden"
"""Stands where a completion must name its model."""

_MESSAGE = ("role", "name", "content", "refusal", "tool_calls", "tool_call_id")
_CALLED = ("name", "description", "parameters", "arguments", "input", "format")


def hide_model(completion: Completion, *, tags: Collection[str]) -> Completion:
    """Keep the messages, the tools, the answer, and the members that every answer has.

    Ids of tool calls are renumbered, because vendors write them in different ways. Only the tags
    in `tags` are kept, which every completion of the task has.
    """
    calls = _Calls()
    asked, answered = read_asked(completion), read_answered(completion)
    request = {
        "messages": [_show_message(each, calls) for each in _list(asked.get("messages"))],
        "tools": [_show_call(each) for each in _list(asked.get("tools"))],
    }
    response = {
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created_at // 1_000_000,
        "model": HIDDEN,
        "choices": [_show_choice(each, calls) for each in _list(answered.get("choices"))],
    }
    return Completion(
        id=completion.id,
        organization_id=completion.organization_id,
        created_at=completion.created_at,
        status=completion.status,
        model=HIDDEN,
        tags=[tag for tag in completion.tags if tag in tags],
        request=json.encode({name: value for name, value in request.items() if value}),
        response=json.encode(response),
    )


class _Calls:
    """New ids for tool calls, in the order in which they come."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def rename(self, id: Any) -> str:
        return self._ids.setdefault(str(id), f"call_{len(self._ids) + 1}")


def _show_choice(choice: Mapping[str, Any], calls: _Calls) -> dict[str, Any]:
    return {
        "index": choice.get("index", 0),
        "message": {"content": None, "refusal": None}
        | _show_message(members(choice.get("message")), calls),
        "finish_reason": choice.get("finish_reason"),
        "logprobs": None,
    }


def _show_message(message: Mapping[str, Any], calls: _Calls) -> dict[str, Any]:
    shown = {name: message[name] for name in _MESSAGE if name in message}
    if isinstance(shown.get("content"), list):
        shown["content"] = [
            {name: part[name] for name in ("type", str(part.get("type"))) if name in part}
            for part in _list(shown["content"])
        ]
    if "tool_calls" in shown:
        called = _list(shown["tool_calls"])
        shown["tool_calls"] = [
            {"id": calls.rename(each.get("id")), **_show_call(each)} for each in called
        ]
    if "tool_call_id" in shown:
        shown["tool_call_id"] = calls.rename(shown["tool_call_id"])
    return shown


def _show_call(call: Mapping[str, Any]) -> dict[str, Any]:
    """A tool, or the call of one."""
    kind = "custom" if "custom" in call else "function"
    called = members(call.get(kind))
    return {"type": kind, kind: {name: called[name] for name in _CALLED if name in called}}


def _list(values: Any) -> list[dict[str, Any]]:
    """Those of a list that are objects."""
    values = values if isinstance(values, list) else []
    return [value for value in values if isinstance(value, dict)]
