"""Finds and restores the signatures that vendors require with earlier tool calls.

Callers that keep only OpenAI's members drop the signatures between turns. The record keeps
them, and the ids of the tool calls find them there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.envelope import Envelope, open_envelope
from briggs.types.messages import (
    ChatCompletionRequestAssistantMessage,
    ChatCompletionRequestMessage,
)
from briggs.types.tools import ChatCompletionMessageToolCall
from briggs.wires.requests import list_objects

Signed = Mapping[str, dict[str, Any]]
"""The messages that vendors signed, by the ids of the tool calls in them."""

LOOKUPS_MAX = 64
"""How many tool calls of one request are looked up, the newest first."""

_IN_MESSAGE = ("reasoning_details", "extra_content")
_IN_CALL = "extra_content"


def list_unsigned(messages: Sequence[ChatCompletionRequestMessage]) -> list[str]:
    """The ids of tool calls that come without a signature, newest first."""
    found = (_list_unsigned_calls(message) for message in reversed(messages))
    return list(islice(chain.from_iterable(found), LOOKUPS_MAX))


def list_signed(response: bytes) -> list[str]:
    """The ids of the tool calls in an answer with a signature."""
    if b'"tool_calls"' not in response or not any(name in response for name in _SIGNED):
        return []
    return list(read_signed(response))


_SIGNED = (b'"reasoning_details"', b'"thought_signature"')


def read_signed(response: bytes) -> dict[str, dict[str, Any]]:
    """The signed messages of an answer, by the ids of their tool calls. Never raises."""
    found: dict[str, dict[str, Any]] = {}
    try:
        answer = json.decode(response)
    except (msgspec.DecodeError, RecursionError):
        return found
    for choice in list_objects(answer, "choices"):
        message = choice.get("message")
        calls = list_objects(message, "tool_calls")
        if isinstance(message, dict) and any(_is_signed(one) for one in (message, *calls)):
            found |= {call["id"]: message for call in calls if isinstance(call.get("id"), str)}
    return found


def restore(envelope: Envelope, signed: Signed) -> Envelope:
    """Add to a request the signatures that its tool calls had when the vendor made them."""
    if not signed:
        return envelope
    messages = [_restore(message, signed) for message in json.decode(envelope.members["messages"])]
    body = envelope.encode(messages=msgspec.Raw(json.encode_plain(messages)))
    return msgspec.structs.replace(open_envelope(body), original=envelope.original)


def _restore(message: Any, signed: Signed) -> Any:
    calls = list_objects(message, "tool_calls")
    ids = (str(call.get("id")) for call in calls)
    origin = next((signed[id] for id in ids if id in signed), None)
    if origin is None:
        return message
    made = {str(call.get("id")): call for call in list_objects(origin, "tool_calls")}
    carried = {name: origin[name] for name in _IN_MESSAGE if name in origin}
    restored = [
        {_IN_CALL: made[call["id"]][_IN_CALL], **call} if _has_signature(call, made) else call
        for call in calls
    ]
    return {**carried, **message, "tool_calls": restored}


def _has_signature(call: dict[str, Any], made: dict[str, dict[str, Any]]) -> bool:
    """Whether a call had its own signature when the vendor made it."""
    return _IN_CALL in made.get(str(call.get("id")), {})


def _is_signed(value: dict[str, Any]) -> bool:
    return any(name in value for name in _IN_MESSAGE)


def _list_unsigned_calls(message: ChatCompletionRequestMessage) -> Iterator[str]:
    if not isinstance(message, ChatCompletionRequestAssistantMessage):
        return
    calls = [
        call for call in message.tool_calls or () if isinstance(call, ChatCompletionMessageToolCall)
    ]
    if not any(_is_signed(one.extra) for one in (message, *calls)):
        yield from (call.id for call in calls)
