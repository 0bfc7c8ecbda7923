"""What callers of `POST /v1/responses` speak.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from briggs.types import json
from briggs.types.completions import CallKind, Completion
from briggs.types.envelope import Envelope
from briggs.types.errors import BriggsError
from briggs.wires.openai.responses.answer import write_answer
from briggs.wires.openai.responses.request import read_request
from briggs.wires.openai.responses.stream import ResponseFrames


class ResponsesFace:
    """`POST /v1/responses`."""

    kind: CallKind = "response"
    stream_type = b"text/event-stream; charset=utf-8"
    id_headers: Sequence[bytes] = (b"x-request-id",)
    passed_headers: Sequence[str] = ("openai-beta",)
    names: Mapping[str, str] = {
        "logprobs": "include",
        "max_completion_tokens": "max_output_tokens",
        "max_tokens": "max_output_tokens",
        "messages": "input",
        "reasoning_effort": "reasoning.effort",
        "response_format": "text.format",
        "verbosity": "text.verbosity",
    }

    def read_request(self, body: bytes) -> Envelope:
        return read_request(body)

    def write_answer(self, body: bytes, *, envelope: Envelope, completion: Completion) -> bytes:
        return write_answer(body, completion=completion)

    def open_stream(self, envelope: Envelope, completion: Completion) -> ResponseFrames:
        return ResponseFrames(completion)

    def write_error(self, error: BriggsError, *, id: str, streamed: bool) -> bytes:
        if not streamed:
            return error.encode()
        details = error.to_object()["error"]
        event = {"sequence_number": 0, **details, "type": "error", "error": details}
        return b"event: error\ndata: %b\n\n" % json.encode_plain(event)


RESPONSES_FACE = ResponsesFace()
