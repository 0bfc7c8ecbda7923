"""Joins the events of a stream that a program read elsewhere, in the vendor's own format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from briggs.types import json
from briggs.types.any_json import integer
from briggs.types.completions import CallKind
from briggs.types.errors import BriggsError
from briggs.types.fold import Fold
from briggs.types.sse import EventReader, EventTooLarge
from briggs.wires.anthropic.fold import fold_events
from briggs.wires.chunks import MALFORMED
from briggs.wires.openai.embeddings import EmbeddingsFace
from briggs.wires.openai.responses.ability import fold_response
from briggs.wires.openai.text.ability import read_chunk

Speaks = Literal["openai", "anthropic", "responses"]

_EMBEDDINGS = EmbeddingsFace()

# The last event of a stream: OpenAI's, Anthropic's, and that of a response.
_ENDS = re.compile(
    rb"^(data: ?\[DONE\]|event: ?message_stop|event: ?response\.(completed|incomplete|failed))",
    re.MULTILINE,
)


def recognise(path: str, headers: Mapping[str, str]) -> Speaks | None:
    """The format of a request that is recorded. None for any other request."""
    if path.endswith(("/completions", "/embeddings")):
        return "openai"
    if path.endswith("/responses"):
        return "responses"
    return "anthropic" if path.endswith("/messages") and "anthropic-version" in headers else None


def find_kind(path: str) -> CallKind:
    """What a recognised request asks for."""
    kinds: dict[str, CallKind] = {
        "/embeddings": "embedding",
        "/completions": "completion",
        "/responses": "response",
    }
    if path.endswith("/chat/completions"):
        return "chat"
    return next((kind for end, kind in kinds.items() if path.endswith(end)), "chat")


def leave_out_vectors(response: bytes, *, request: bytes) -> bytes:
    """An answer with the lengths of its vectors instead of the vectors. Any other is unchanged."""
    try:
        envelope = _EMBEDDINGS.read_request(request)
        return _EMBEDDINGS.read_answer(response, envelope=envelope).kept or response
    except BriggsError:
        return response


def has_end(received: bytes) -> bool:
    """Whether a stream has its last event."""
    return bool(_ENDS.search(received))


def fold_stream(received: bytes, *, speaks: Speaks, request: bytes) -> tuple[bytes | None, bool]:
    """The answer so far, as JSON in the vendor's format, and whether it is complete."""
    events = list(_read_events(received))
    if speaks == "anthropic":
        message = fold_events(events)
        is_whole = bool(message and message.get("stop_reason"))
        return (json.encode(message) if message else None), is_whole
    if speaks == "responses":
        return fold_response(events)
    folded = Fold()
    chunks = [event for event in events if "choices" in event]
    if any(chunk.get("object") == "text_completion" for chunk in chunks):
        chunks = [chunk for chunk in map(_read_text, chunks) if chunk]
    for chunk in chunks:
        folded.add(chunk)
    response = folded.response()
    is_whole = has_end(received) or _has_finished(response, request)
    return (json.encode(response) if chunks else None), is_whole


def _read_text(chunk: dict[str, Any]) -> dict[str, Any] | None:
    try:
        return read_chunk(chunk)
    except MALFORMED:
        return None


def _has_finished(response: Mapping[str, Any], request: bytes) -> bool:
    """Whether every requested choice has ended. Many programs stop reading at that point."""
    try:
        asked = json.decode(request)["n"] or 1
    except (msgspec.DecodeError, KeyError, TypeError):
        asked = 1
    ended = [choice for choice in response["choices"] if choice.get("finish_reason")]
    return len(ended) == len(response["choices"]) >= max(integer(asked) or 1, 1)


def _read_events(received: bytes) -> Iterator[dict[str, Any]]:
    reader = EventReader()
    try:
        for event in reader.feed(received + b"\n\n"):
            if event.data.startswith(b"{"):
                yield json.decode(event.data)
    except (msgspec.DecodeError, EventTooLarge):
        # Keep the events that came before.
        return
