"""OpenAI's chat completions as callers get them: everything passes as it is.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from briggs.types.completions import CallKind, Completion
from briggs.types.envelope import Envelope, open_envelope
from briggs.types.errors import BriggsError


class ChatFace:
    """`POST /v1/chat/completions`."""

    kind: CallKind = "chat"
    stream_type = b"text/event-stream; charset=utf-8"
    id_headers = (b"x-request-id",)
    passed_headers = ()
    names: Mapping[str, str] = {}

    def read_request(self, body: bytes) -> Envelope:
        return open_envelope(body)

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        return body

    def open_stream(self, envelope: Envelope, completion: Completion) -> ChatFrames:
        return _FRAMES

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        body = error.encode()
        return b"data: %b\n\n" % body if streamed else body


class ChatFrames:
    """Server-sent events: a chunk each, and `[DONE]`."""

    def write(self, chunks: Sequence[bytes]) -> bytes:
        if len(chunks) == 1:
            return b"data: %b\n\n" % chunks[0]
        return b"".join([b"data: %b\n\n" % chunk for chunk in chunks])

    def end(self) -> bytes:
        return b"data: [DONE]\n\n"


_FRAMES = ChatFrames()
CHAT_FACE = ChatFace()
