"""Follows a conversation over several calls, and finds what each call adds to it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from briggs.types.any_json import list_objects
from briggs.types.texts import content_text, read_called


class Turns:
    """Takes the calls of a session in order. Each message is new once."""

    def __init__(self) -> None:
        self._said: set[int] = set()
        """The keys of all messages and answers so far."""
        self._answers: set[int] = set()
        self._histories: set[int] = set()
        """Every prefix of every request so far, as a hash of its messages' keys."""
        self._tools: dict[str, str] = {}

    def take_new(self, messages: Sequence[Any]) -> list[Any]:
        """The messages of the next request that have not come before, in order.

        A request repeats the conversation so far. So every message after the last answer that
        has come is new, even if its words are not. Before that answer, a message is new only if
        its words are.
        """
        keys = [_key(message) for message in messages]
        start = history = 0
        for place, key in enumerate(keys):
            history = hash((history, key))
            if history in self._histories:
                start = max(start, place + 1)
            self._histories.add(history)
            if key in self._answers:
                start = place + 1
        new = [
            message
            for place, (message, key) in enumerate(zip(messages, keys, strict=True))
            if place >= start or key not in self._said
        ]
        self._said.update(keys)
        for message, key in zip(messages, keys, strict=True):
            self._remember_tools(message)
            if isinstance(message, dict) and message.get("role") == "assistant":
                self._answers.add(key)
        return new

    def take_answer(self, answer: dict[str, Any]) -> None:
        """The answer to the last request. Later requests repeat it."""
        key = _key(answer)
        self._said.add(key)
        self._answers.add(key)
        self._remember_tools(answer)

    def find_tool(self, call_id: str) -> str | None:
        """The name of the tool that was called with this id."""
        return self._tools.get(call_id)

    def _remember_tools(self, message: Any) -> None:
        calls = list_objects(message.get("tool_calls")) if isinstance(message, dict) else []
        for call in calls:
            self._tools[str(call.get("id"))] = str(read_called(call).get("name"))


def _key(message: Any) -> int:
    """A key that is equal for messages with the same content, whatever else clients add."""
    if not isinstance(message, dict):
        return hash(str(message))
    calls = tuple(_call_key(call) for call in list_objects(message.get("tool_calls")))
    said = content_text(message.get("content")) or str(message.get("refusal") or "")
    return hash((message.get("role"), said.strip(), calls, str(message.get("tool_call_id"))))


def _call_key(call: dict[str, Any]) -> tuple[str, str]:
    called = read_called(call)
    arguments = str(called.get("arguments", called.get("input", "")))
    with suppress(ValueError, RecursionError):
        arguments = json.dumps(json.loads(arguments), sort_keys=True)
    return str(called.get("name")), arguments
