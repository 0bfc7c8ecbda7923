"""Asks Claude at Bedrock in Anthropic's own format, for callers who speak it.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from briggs.types import json
from briggs.types.any_json import integer
from briggs.types.envelope import Envelope, Original
from briggs.types.errors import UpstreamInvalid, UpstreamRejected
from briggs.wires.addresses import quote_model
from briggs.wires.anthropic import tokens
from briggs.wires.anthropic.answer import AnthropicReader
from briggs.wires.anthropic.events import frame_event, write_event
from briggs.wires.anthropic.face import describe_error
from briggs.wires.anthropic.wire import AnthropicWire
from briggs.wires.base import Ability, Encoded, Prepared, StreamDecoder
from briggs.wires.bedrock.answer import BedrockEvent, split_frames
from briggs.wires.bedrock.invoke import encode_count, encode_message
from briggs.wires.bedrock.wire import BedrockWire, find_model
from briggs.wires.chunks import MALFORMED, Chunk, decode_answer
from briggs.wires.events import EventStream


class ClaudeMessages:
    """`POST {base_url}/model/{model}/invoke`."""

    format = AnthropicWire.format
    passes = True
    stream_types = BedrockWire.stream_types

    def __init__(self, takes: Callable[[str], bool]) -> None:
        self._takes = takes

    def takes(self, model: str) -> bool:
        return self._takes(model)

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        suffix = "-with-response-stream" if stream else ""
        return f"{base_url}/model/{quote_model(model)}/invoke{suffix}"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_message(_find_original(envelope))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        reader = AnthropicReader(prepared)

        def read(message: dict[str, Any]) -> Iterable[Chunk]:
            # The name that was asked for says more: Bedrock's prices depend on the region in it.
            return reader.read_whole({**message, "model": prepared.model})

        return decode_answer(body, read, vendor="Anthropic")

    def open_stream(self, prepared: Prepared) -> MessageStream:
        return MessageStream(prepared)


class MessageStream(EventStream):
    """Reads a stream whose frames hold Anthropic's events, and gives out these for the caller."""

    def __init__(self, prepared: Prepared) -> None:
        self._unwrapping = _Unwrapping(prepared)
        super().__init__(self._unwrapping, split=split_frames(), vendor="Bedrock")

    def take_passed(self) -> bytes:
        """The events since the last call, framed as Anthropic frames them."""
        passed = bytes(self._unwrapping.passed)
        self._unwrapping.passed.clear()
        return passed


class _Unwrapping:
    """Takes Anthropic's events out of AWS's, and reads them."""

    def __init__(self, prepared: Prepared) -> None:
        self.done = False
        self.passed = bytearray()
        self._model = prepared.model
        self._reader = AnthropicReader(prepared)

    def read(self, typed: BedrockEvent) -> Iterable[Chunk]:
        """The chunks for an event. An unknown event has none."""
        type, event = typed
        if type == "chunk":
            return self._unwrap(binascii.a2b_base64(event["bytes"], strict_mode=True))
        return self._fail(event) if type == "error" else ()

    def _unwrap(self, data: bytes) -> Iterable[Chunk]:
        event = json.decode(data)
        chunks = [*self._reader.read(self._name_model(event))]
        # Only what could be read goes on.
        self.passed += frame_event(event["type"], data)
        self.done = self._reader.done
        return chunks

    def _name_model(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["type"] != "message_start":
            return event
        return {**event, "message": {**event["message"], "model": self._model}}

    def _fail(self, error: dict[str, Any]) -> list[Chunk]:
        """AWS gave up. The caller is told as Anthropic would tell it."""
        self.done = True
        told = UpstreamRejected(error["message"], upstream_status=error["code"])
        self.passed += write_event(**describe_error(told))
        return [{"error": error}]


class ClaudeCounting:
    """`POST {base_url}/model/{model}/count-tokens`."""

    format = tokens.FORMAT
    passes = False
    stream_types = ()

    def __init__(self, takes: Callable[[str], bool]) -> None:
        self._takes = takes

    def takes(self, model: str) -> bool:
        return self._takes(model)

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        # Bedrock counts by the model's own name only, not by an inference profile's:
        # https://github.com/pydantic/pydantic-ai/pull/3367, 2026-11-30
        return f"{base_url}/model/{quote_model(find_model(model) or model)}/count-tokens"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        return encode_count(_find_original(envelope))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            count = integer(json.decode(body)["inputTokens"])
        except MALFORMED:
            count = None
        if count is None:
            raise UpstreamInvalid("the upstream's answer is no count of tokens")
        return json.encode_plain({"input_tokens": count})

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        raise AssertionError("a count is never streamed")


def open_abilities(wire: BedrockWire) -> Sequence[Ability]:
    """What Bedrock does beside Converse."""
    return ClaudeMessages(wire.speaks_anthropic), ClaudeCounting(wire.speaks_anthropic)


def _find_original(envelope: Envelope) -> Original:
    assert envelope.original is not None, "only calls of Anthropic's format get here"
    return envelope.original
