"""Text completions of vendors who have them, read as chat completions for the record."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from briggs.types import json
from briggs.types.any_json import list_objects, members
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid
from briggs.wires.base import Encoded, Prepared, StreamDecoder
from briggs.wires.chunks import MALFORMED
from briggs.wires.openai.text.face import FORMAT
from briggs.wires.openai.wire import OpenAIWire

# OpenAI has these for chats only, at whichever address.
# https://platform.openai.com/docs/models, 2026-11-29
_CHATS = re.compile(r"(.*/)?(gpt-[4-9]|gpt-3\.5-turbo(?!-instruct)|chatgpt|o[1-9])")
_BYTE = re.compile(r"\\x([0-9a-f]{2})")


class TextCompletions:
    """`POST {base_url}/completions`."""

    format = FORMAT
    passes = True
    stream_types = ("text/event-stream",)

    def __init__(self, wire: OpenAIWire) -> None:
        self._wire = wire

    def takes(self, model: str) -> bool:
        return _CHATS.match(model) is None

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return self._wire.address(base_url, model=model, path="/completions")

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        assert envelope.original is not None, "a text completion keeps its own request"
        return Encoded(envelope.original.encode(model=model))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        try:
            answer = json.decode(self._wire.decode(body, prepared=prepared))
            return json.encode_plain(_read(answer, "message", "chat.completion"))
        except MALFORMED as error:
            raise UpstreamInvalid("the upstream's answer is not a text completion") from error

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        return _TextStream(self._wire.open_stream(prepared))


class _TextStream:
    """Reads chunks of texts as chunks of chats."""

    def __init__(self, stream: StreamDecoder) -> None:
        self._stream = stream
        self._begun: set[int] = set()
        self._failure: UpstreamInvalid | None = None

    @property
    def done(self) -> bool:
        return self._stream.done

    @done.setter
    def done(self, value: bool) -> None:
        self._stream.done = value

    def feed(self, data: bytes) -> Sequence[bytes]:
        if self._failure is not None:
            raise self._failure
        payloads: list[bytes] = []
        for payload in self._stream.feed(data):
            if payload == b"null":
                # llama.cpp begins so if there are several prompts (b10549, seen 2026-11-29).
                continue
            try:
                payloads.append(self._read(json.decode(payload)))
            except MALFORMED:
                self._failure = UpstreamInvalid("the upstream sent a chunk that is no text")
                if not payloads:
                    raise self._failure from None
                break
        return payloads

    def _read(self, chunk: dict[str, Any]) -> bytes:
        if chunk.get("error"):
            return json.encode_plain(chunk)
        read = read_chunk(chunk)
        for choice in read["choices"]:
            if choice["index"] in self._begun:
                del choice["delta"]["role"]
            self._begun.add(choice["index"])
        return json.encode_plain(read)


def read_chunk(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk of a text as a chunk of a chat. May raise any of `MALFORMED`."""
    return _read(chunk, "delta", "chat.completion.chunk")


def _read(answer: dict[str, Any], holder: str, object: str) -> dict[str, Any]:
    beside = {"refusal": None} if holder == "message" else {}
    choices = [
        {
            "index": choice["index"],
            holder: {"role": "assistant", "content": str(choice["text"]), **beside},
            "logprobs": _read_logprobs(members(choice.get("logprobs"))),
            "finish_reason": choice.get("finish_reason"),
        }
        for choice in answer["choices"]
    ]
    return {**answer, "object": object, "choices": choices}


def _read_logprobs(given: dict[str, Any]) -> dict[str, Any] | None:
    """Read the older form of logprobs. The newer one, which llama.cpp has, stays."""
    if "content" in given:
        return {"refusal": None, "content": list_objects(given["content"])}
    tokens = [
        {
            **_read_token(token, logprob),
            "top_logprobs": [_read_token(*each) for each in members(top).items()],
        }
        for token, logprob, top in zip(
            given.get("tokens") or [],
            given.get("token_logprobs") or [],
            given.get("top_logprobs") or [None] * len(given.get("tokens") or []),
            strict=True,
        )
        # The first token of a text that is echoed has none.
        if logprob is not None
    ]
    return {"content": tokens, "refusal": None} if tokens else None


def _read_token(token: str, logprob: float) -> dict[str, Any]:
    if token.startswith("bytes:"):
        spelled = [int(digits, 16) for digits in _BYTE.findall(token)]
    else:
        spelled = list(token.encode("utf-8", "surrogatepass"))
    return {"token": token, "logprob": logprob, "bytes": spelled}
