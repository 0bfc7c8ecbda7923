"""Speaks llama.cpp's wire: OpenAI's, but for the fingerprint, missing members and long prompts."""

from __future__ import annotations

import re

import msgspec

from briggs.types import json
from briggs.types.any_json import integer, members
from briggs.wires.base import ErrorWords, Prepared
from briggs.wires.llama.answer import complete_answer, complete_chunk
from briggs.wires.openai.wire import OpenAIStream, OpenAIWire

_TOO_LONG = re.compile(r"input \((\d+) tokens\) is too large .*\(current batch size: (\d+)\)")
# What the caller wrote wrong, and llama.cpp calls its own error (b10549, seen 2026-11-30).
_MALFORMED = re.compile(r"Failed to parse (tools|messages): (.*?)(?:; tools = .*)?", re.DOTALL)
# The wheel's build calls itself `b0-unknown`. These patterns cannot match inside a text, since
# quotes are escaped there.
_CREATED = re.compile(rb'"created": ?\d+')
_FINGERPRINT = re.compile(rb'"system_fingerprint": ?"[^"\\]*"')


class LocalWire(OpenAIWire):
    """The wire to the child process of one model.

    `name` is the callers' name of the model. `fingerprint` is put into its answers.
    """

    def __init__(self, *, name: str, fingerprint: str) -> None:
        super().__init__()
        self._name = name
        self._mark = b'"system_fingerprint":' + msgspec.json.encode(fingerprint)

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        return complete_answer(_mark(body, self._mark), top_logprobs=_count_asked(prepared))

    def open_stream(self, prepared: Prepared) -> OpenAIStream:
        return _LocalStream(self._mark, top_logprobs=_count_asked(prepared))

    def read_error(self, body: bytes) -> ErrorWords:
        words = super().read_error(body)
        if words.type == "exceed_context_size_error":
            return self._refuse_length(_explain_length(body), param="messages")
        if found := _TOO_LONG.match(words.message):
            length, limit = found.groups()
            explained = f"embeds texts of at most {limit} tokens, but one has {length}"
            return self._refuse_length(explained, param="input")
        if found := _MALFORMED.fullmatch(words.message):
            return ErrorWords(
                f"'{found[1]}' cannot be read: {found[2]}.",
                type="invalid_request_error",
                param=found[1],
                status=400,
            )
        # Its codes are numbers: the status again.
        return words._replace(code=None)

    def _refuse_length(self, explained: str, *, param: str) -> ErrorWords:
        return ErrorWords(
            f"{self._name} {explained}: send less, or raise context_tokens in [local] of "
            "briggs.toml. If it is not set, the context is as long as the model was made for.",
            type="invalid_request_error",
            code="context_length_exceeded",
            param=param,
            status=400,
        )


class _LocalStream(OpenAIStream):
    def __init__(self, mark: bytes, *, top_logprobs: int) -> None:
        super().__init__()
        self._marked = mark
        self._top_logprobs = top_logprobs
        self._created = b""

    def feed(self, data: bytes) -> list[bytes]:
        return [
            complete_chunk(
                self._keep_time(_mark(payload, self._marked)), top_logprobs=self._top_logprobs
            )
            for payload in super().feed(data)
        ]

    def _keep_time(self, payload: bytes) -> bytes:
        """The chunk with the time of the first. llama.cpp writes that of each (b10549)."""
        found = _CREATED.search(payload)
        if found is None:
            return payload
        self._created = self._created or found[0]
        return payload[: found.start()] + self._created + payload[found.end() :]


def _mark(body: bytes, mark: bytes) -> bytes:
    return _FINGERPRINT.sub(lambda _: mark, body, count=1)


def _count_asked(prepared: Prepared) -> int:
    """How many alternatives for each token the caller asked for."""
    return prepared.envelope.values.get("top_logprobs") or 0


def _explain_length(body: bytes) -> str:
    error = members(members(json.decode(body)).get("error"))
    prompt, context = integer(error.get("n_prompt_tokens")), integer(error.get("n_ctx"))
    if prompt is None or context is None:
        return "cannot read a prompt of this length"
    return f"reads at most {context} tokens, but the prompt has {prompt}"
