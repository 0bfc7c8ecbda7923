"""Speaks OpenAI's own wire: the request is passed on as it came, with `model` replaced.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.envelope import Envelope
from briggs.types.errors import UpstreamInvalid
from briggs.types.sse import EventReader, EventTooLarge
from briggs.wires.base import CHAT, Encoded, ErrorWords, ModelPage, Prepared, StreamDecoder
from briggs.wires.words.errors import describe_error

_SHOWN_CHARACTERS_MAX = 500
_NOTHING = "it gave no reason"

# Events that only keep the connection open.
_KEEP_ALIVE = frozenset({"ping", "keepalive", "keep-alive", "heartbeat"})


class OpenAIWire:
    """`POST {base_url}/chat/completions`."""

    format = CHAT
    names_deployments = False
    stream_types = ("text/event-stream",)

    def __init__(self, *, stream_options: bool = True) -> None:
        self._stream_options = stream_options

    def url(self, base_url: str, *, model: str, stream: bool) -> str:
        return f"{base_url}/chat/completions"

    def address(self, base_url: str, *, model: str, path: str) -> str:
        """The URL for something else than a chat completion."""
        return f"{base_url}{path}"

    def authorize(
        self, *, method: str, url: str, headers: dict[str, str], body: bytes, key: str | None
    ) -> dict[str, str]:
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        return headers

    def encode(self, envelope: Envelope, *, model: str) -> Encoded:
        if not self._stream_options:
            kept = {name: raw for name, raw in envelope.members.items() if name != "stream_options"}
            return Encoded(json.encode_plain({**kept, "model": model}))
        if envelope.stream:
            asked = envelope.ask_for_usage()
            return Encoded(envelope.encode(model=model, stream_options=asked))
        return Encoded(envelope.encode(model=model))

    def decode(self, body: bytes, *, prepared: Prepared) -> bytes:
        return body

    def open_stream(self, prepared: Prepared) -> StreamDecoder:
        return OpenAIStream()

    def read_error(self, body: bytes) -> ErrorWords:
        return read_error(body)

    def models_url(self, base_url: str) -> str:
        return f"{base_url}/models"

    def read_models(self, body: bytes) -> ModelPage:
        listed = msgspec.json.decode(body)
        models = listed if isinstance(listed, list) else listed["data"]
        return ModelPage([model for model in models if isinstance(model.get("id"), str)])


class OpenAIStream:
    """Reads the payloads of server-sent events, up to `[DONE]`."""

    def __init__(self) -> None:
        self.done = False
        self._reader = EventReader()

    def feed(self, data: bytes) -> Sequence[bytes]:
        one = self._reader.read_one(data)
        if one is not None and one[:1] == b"{":
            return (one,)
        payloads: list[bytes] = []
        try:
            events = self._reader.feed(data)
        except EventTooLarge as error:
            raise UpstreamInvalid("the upstream sent an event that is too large") from error
        for event in events:
            data = event.data.strip()
            if data == b"[DONE]":
                self.done = True
                break
            if event.event == "error":
                payloads.append(as_error(data))
            elif data and event.event not in _KEEP_ALIVE:
                payloads.append(event.data)
        return payloads


def as_error(data: bytes) -> bytes:
    """Turn the data of an `event: error` into a payload with `error`, whatever its shape."""
    try:
        value = json.decode(data)
    except msgspec.DecodeError:
        value = data.decode("utf-8", "replace")
    if not isinstance(value, dict) or not value.get("error"):
        value = {"error": value}
    return json.encode(value)


def read_error(body: bytes) -> ErrorWords:
    """Read an error body's message and, if it has OpenAI's shape, its members."""
    try:
        value = json.decode(body)
    except msgspec.DecodeError:
        text = " ".join(body.decode("utf-8", "replace").split())
        return ErrorWords(text[:_SHOWN_CHARACTERS_MAX] or _NOTHING)
    error = value.get("error") if isinstance(value, dict) else None
    details = error if isinstance(error, dict) else {}
    return ErrorWords(
        describe_error(value) or _NOTHING,
        type=_text(details.get("type")),
        code=_text(details.get("code")),
        param=_text(details.get("param")),
    )


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
