"""Ollama's `/api/generate` for callers who speak it, read as chat completions for the record.

https://docs.ollama.com/api/generate
"""

from __future__ import annotations

from typing import Any

from briggs.types import json
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid
from briggs.wires.base import Encoded, Prepared, StreamDecoder
from briggs.wires.chunks import MALFORMED, Chunk
from briggs.wires.events import EventStream
from briggs.wires.ollama.chat import GENERATE
from briggs.wires.ollama.wire import OllamaReader, OllamaWire, split_lines

# The tokens of the conversation are for the caller. They would fill the record.
_LEFT_OUT = ("response", "thinking", "context")


class OllamaGenerate:
    """`POST {base_url}/generate`."""

    format = GENERATE
    passes = True
    stream_types = OllamaWire.stream_types

    def __init__(self, wire: OllamaWire) -> None:
        self._wire = wire

    def takes(self, model: str) -> bool:
        return True

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/generate"

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        assert envelope.original is not None, "a request of Ollama's keeps its own body"
        return Encoded(envelope.original.encode(model=model))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            chat = json.encode_plain(_read_chat(json.decode(body)))
        except MALFORMED as error:
            raise UpstreamInvalid("the upstream's answer is not in Ollama's format") from error
        return self._wire.decode(chat, prepared=prepared)

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        return EventStream(_GenerateReader(), split=split_lines(), vendor="Ollama")


class _GenerateReader(OllamaReader):
    def read(self, line: dict[str, Any]) -> list[Chunk]:
        return super().read(line if line.get("error") else _read_chat(line))


def _read_chat(line: dict[str, Any]) -> dict[str, Any]:
    """A line as one of `/api/chat`. May raise any of `MALFORMED`."""
    message = {"role": "assistant", "content": str(line["response"])}
    if line.get("thinking"):
        message["thinking"] = line["thinking"]
    return {**{k: line[k] for k in line if k not in _LEFT_OUT}, "message": message}
