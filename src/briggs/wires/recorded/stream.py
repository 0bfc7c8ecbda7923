"""Joins the events of a stream that a program read elsewhere, in the vendor's own format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import msgspec

from briggs.types import json
from briggs.types.any_json import integer
from briggs.types.fold import Fold
from briggs.types.sse import EventReader, EventTooLarge
from briggs.wires.anthropic.fold import fold_events

Speaks = Literal["openai", "anthropic"]

# The last event of a stream: OpenAI's, and Anthropic's.
_ENDS = re.compile(rb"^(data: ?\[DONE\]|event: ?message_stop)", re.MULTILINE)


def recognise(path: str, headers: Mapping[str, str]) -> Speaks | None:
    """The format of a request for a chat completion. None for any other request."""
    if path.endswith("/chat/completions"):
        return "openai"
    return "anthropic" if path.endswith("/messages") and "anthropic-version" in headers else None


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
    folded = Fold()
    chunks = [event for event in events if "choices" in event]
    for chunk in chunks:
        folded.add(chunk)
    response = folded.response()
    is_whole = has_end(received) or _has_finished(response, request)
    return (json.encode(response) if chunks else None), is_whole


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
