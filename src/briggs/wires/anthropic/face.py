"""Anthropic's messages as callers get them.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from briggs.types import json
from briggs.types.any_json import Members
from briggs.types.completions import CallKind, Completion
from briggs.types.envelope import Envelope, Original, open_envelope
from briggs.types.errors import BriggsError
from briggs.wires.anthropic.answer import STATUSES
from briggs.wires.anthropic.chat import read_message_request
from briggs.wires.anthropic.events import MessageFrames, write_event
from briggs.wires.anthropic.message import write_message
from briggs.wires.anthropic.plain import fit
from briggs.wires.anthropic.wire import AnthropicWire

_TYPES = {status: type for type, status in STATUSES.items()}
# What others answer where Anthropic has another status: Bedrock's models that are late or fail, and
# servers that are overloaded.
_ALIKE = {408: 504, 424: 500, 503: 529}


class MessageFace:
    """`POST /v1/messages`."""

    kind: CallKind = "message"
    stream_type = b"text/event-stream; charset=utf-8"
    id_headers = (b"request-id", b"x-request-id")
    passed_headers = ("anthropic-version", "anthropic-beta")
    names: Mapping[str, str] = {
        "max_completion_tokens": "max_tokens",
        "messages": "messages",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "reasoning_effort": "output_config.effort",
        "response_format": "output_config.format",
        "stop": "stop_sequences",
    }

    def read_request(self, body: bytes) -> Envelope:
        read = read_message_request(body)
        envelope = open_envelope(json.encode_plain(read.chat))
        original = Original(
            AnthropicWire.format,
            read.body,
            refusal=read.refusal,
            unsaid=read.unsaid,
            fit=fit,
        )
        return msgspec.structs.replace(envelope, original=original)

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        return json.encode_plain(write_message(json.decode(body)))

    def open_stream(self, envelope: Envelope, completion: Completion) -> MessageFrames:
        return MessageFrames()

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        described = {**describe_error(error), "request_id": id}
        return write_event(**described) if streamed else json.encode_plain(described)


def describe_error(error: BriggsError) -> Members:
    """The error as Anthropic's clients expect it."""
    details = {"type": _find_type(error), "message": error.message}
    return {"type": "error", "error": details}


def _find_type(error: BriggsError) -> str:
    """Anthropic's type for an error: its own if it has one, or else that of its status."""
    if error.type in STATUSES and STATUSES[error.type] == error.http_status:
        return error.type
    status = _ALIKE.get(error.http_status, error.http_status)
    return _TYPES.get(status) or ("api_error" if status >= 500 else "invalid_request_error")


MESSAGE_FACE = MessageFace()
