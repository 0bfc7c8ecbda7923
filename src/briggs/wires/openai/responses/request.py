"""Reads a request for a response as one for a chat completion.

https://platform.openai.com/docs/api-reference/responses/create
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import Members, text
from briggs.types.envelope import Envelope, Original, decode_bounded, open_envelope
from briggs.types.errors import InvalidRequest
from briggs.wires.openai.responses.items import InputReader
from briggs.wires.openai.responses.tools import read_choice, read_tools, refuse_unread
from briggs.wires.requests import convert, refuse

FORMAT = "responses"
"""The name of the format, for vendors who speak it."""


class _Given(msgspec.Struct):
    """The members that have the same type for every vendor. The vendor checks the others."""

    model: str = ""
    input: str | list[dict[str, Any]] | None = None
    background: bool | None = None
    conversation: str | dict[str, Any] | None = None
    include: list[str] | None = None
    instructions: str | None = None
    max_output_tokens: int | None = None
    previous_response_id: str | None = None
    reasoning: dict[str, Any] | None = None
    store: bool | None = None
    stream: bool | None = None
    text: dict[str, Any] | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    truncation: str | None = None


# What both APIs say in the same words.
_SAME = frozenset(
    {
        *("metadata", "model", "parallel_tool_calls", "prompt_cache_key", "prompt_cache_options"),
        *("prompt_cache_retention", "safety_identifier", "service_tier", "stream"),
        *("temperature", "top_logprobs", "top_p", "user"),
    }
)
# What a chat completion says in other words, or Briggs does itself.
_TRANSLATED = frozenset(
    {
        *("background", "conversation", "include", "input", "instructions", "max_output_tokens"),
        *("previous_response_id", "reasoning", "store", "text", "tool_choice", "tools"),
    }
)
# These change nothing without tools that the vendor runs, or only how a stream is padded.
_WITHOUT_EFFECT = frozenset({"background_options", "max_tool_calls", "stream_options"})
# What a chat completion cannot say, with the value that says nothing.
_UNSAID: dict[str, Any] = {
    "access_programs": None,
    "context_management": None,
    "image": None,
    "moderation": None,
    "prompt": None,
    "truncation": "disabled",
}
# What a response lacks, or says in other words.
_CHATS = {
    "audio": "a response has no audio",
    "function_call": "write 'tool_choice'",
    "functions": "write 'tools'",
    "logprobs": "add 'message.output_text.logprobs' to 'include'",
    "max_completion_tokens": "write 'max_output_tokens'",
    "max_tokens": "write 'max_output_tokens'",
    "messages": "write 'input'",
    "modalities": "a response is text",
    "n": "a response has one answer",
    "reasoning_effort": "write 'reasoning.effort'",
    "response_format": "write 'text.format'",
    "verbosity": "write 'text.verbosity'",
}
LOGPROBS = "message.output_text.logprobs"
_INCLUDABLE = frozenset(
    {
        LOGPROBS,
        *("code_interpreter_call.outputs", "computer_call_output.output.image_url"),
        *("file_search_call.results", "message.input_image.image_url"),
        *("reasoning.encrypted_content", "web_search_call.action.sources"),
        "web_search_call.results",
    }
)


def read_request(body: bytes) -> Envelope:
    """Read a request. Raises `InvalidRequest`.

    What only a vendor of this format can do is no error yet, but in the original's `refusal` and
    `unsaid`.
    """
    asked = decode_request(body)
    given = convert(asked, _Given)
    if given.background:
        raise InvalidRequest(
            "Briggs answers while the caller waits, so it has no background mode: leave out "
            "'background', or stream the response.",
            param="background",
        )
    if isinstance(given.conversation, dict) and not text(given.conversation.get("id")):
        raise refuse("conversation.id", "it must be the id of a conversation.")
    for place, name in enumerate(given.include or ()):
        if name not in _INCLUDABLE:
            choices = ", ".join(sorted(_INCLUDABLE))
            raise refuse(f"include[{place}]", f"it must be one of {choices}.")
    chat, refusal = _translate(asked)
    original = Original(
        FORMAT,
        body,
        refusal=refusal,
        refers=_refers(given),
        unsaid=[
            name for name, nothing in _UNSAID.items() if asked.get(name) not in (None, nothing)
        ],
    )
    envelope = open_envelope(json.encode_plain(chat))
    envelope.original = original
    return envelope


def decode_request(body: bytes) -> Members:
    """Decode a body that must be a JSON object. Raises `InvalidRequest`."""
    asked = decode_bounded(body)
    if "messages" in asked and "input" not in asked:
        raise InvalidRequest(
            "A response is asked for with 'input', not 'messages': POST this request to "
            "/v1/chat/completions.",
            param="messages",
        )
    return asked


def is_well_formed(asked: Members) -> bool:
    """Whether the members have the types that every request for a response has."""
    try:
        convert(asked, _Given)
    except InvalidRequest:
        return False
    return bool(asked)


def asks_logprobs(asked: Members) -> bool:
    """Whether the answer shall have logprobs."""
    return LOGPROBS in (asked.get("include") or ())


def _refers(given: _Given) -> bool:
    """Whether a request refers to what is on record."""
    items = given.input if isinstance(given.input, list) else ()
    return bool(given.previous_response_id or given.conversation) or any(
        item.get("type") in ("item_reference", None) and "role" not in item for item in items
    )


def _translate(asked: Members) -> tuple[dict[str, Any], InvalidRequest | None]:
    """A request for a chat completion, and the first thing that it cannot say."""
    reader = InputReader(asked)
    chat = {name: value for name, value in asked.items() if name not in _KNOWN}
    chat |= {name: asked[name] for name in asked if name in _SAME and asked[name] is not None}
    chat["messages"] = reader.messages
    refusals = [reader.refusal]
    refusals += [
        refuse_unread(name, f"{_CHATS[name]}.") for name in _CHATS if asked.get(name) is not None
    ]
    if asked.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    if asked.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = asked["max_output_tokens"]
    if asks_logprobs(asked):
        chat["logprobs"] = True
    elif "top_logprobs" in chat:
        # Without `include`, no logprobs are returned, whatever their number.
        del chat["top_logprobs"]
    if effort := (asked.get("reasoning") or {}).get("effort"):
        chat["reasoning_effort"] = effort
    chat |= _read_text(asked.get("text") or {})
    parts: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("tools", read_tools),
        ("tool_choice", read_choice),
    )
    for name, read in parts:
        if asked.get(name):
            try:
                chat[name] = read(asked[name])
            except InvalidRequest as error:
                refusals.append(error)
    return chat, next(filter(None, refusals), None)


_KNOWN = _SAME | _TRANSLATED | _WITHOUT_EFFECT | _UNSAID.keys() | _CHATS.keys()


def _read_text(text: dict[str, Any]) -> dict[str, Any]:
    read = {}
    if (verbosity := text.get("verbosity")) is not None:
        read["verbosity"] = verbosity
    match text.get("format"):
        case {"type": "json_schema", **schema}:
            read["response_format"] = {"type": "json_schema", "json_schema": schema}
        case {"type": "text"} | None:
            pass
        case format:
            read["response_format"] = format
    return read
