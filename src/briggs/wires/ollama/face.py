"""Ollama's own API as callers get it: `/api/chat` and `/api/generate`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from briggs.types import json
from briggs.types.completions import CallKind, Completion
from briggs.types.envelope import Envelope
from briggs.types.errors import BriggsError
from briggs.wires.base import LINES
from briggs.wires.ollama.chat import read_chat, read_generate
from briggs.wires.ollama.lines import Lines, Style, write_whole

_READERS: dict[Style, Callable[[bytes], Envelope]] = {
    "chat": read_chat,
    "generate": read_generate,
}


class OllamaFace:
    """`POST /api/chat` or `POST /api/generate`. Without `stream`, the answer is a stream."""

    kind: CallKind = "chat"
    stream_type = LINES
    id_headers = (b"x-request-id",)
    passed_headers: Sequence[str] = ()
    names: Mapping[str, str] = {
        **{name: f"options.{name}" for name in ("seed", "stop", "temperature", "top_p")},
        "frequency_penalty": "options.frequency_penalty",
        "max_completion_tokens": "options.num_predict",
        "presence_penalty": "options.presence_penalty",
        "reasoning_effort": "think",
        "response_format": "format",
    }

    def __init__(self, style: Style) -> None:
        self._style = style

    def read_request(self, body: bytes) -> Envelope:
        return _READERS[self._style](body)

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        return write_whole(body, style=self._style, completion=completion)

    def open_stream(self, envelope: Envelope, completion: Completion) -> Lines:
        return Lines(style=self._style, completion=completion)

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        body = json.encode_plain({"error": error.message})
        return body + b"\n" if streamed else body
