"""A stream as its rules see it: lines, events, chunks, and the response that they form."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any, NamedTuple

from briggs.rules.answer import CheckedAnswer, CheckedBody, CheckedChoice, CheckedRequest
from briggs.types.any_json import Members, integer, objects
from briggs.types.fold import Fold
from briggs.types.sse import Event, EventReader
from briggs.wires.words.errors import is_error
from briggs.wires.words.places import GROQ

DONE = b"[DONE]"
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")


class CheckedChunk(NamedTuple):
    """An event with a chunk."""

    path: str
    body: CheckedBody
    answer: CheckedAnswer
    event: str
    """The type of its event."""


class CheckedStream:
    """The bytes that were received for a streamed call."""

    def __init__(
        self,
        received: bytes,
        request: CheckedRequest | None,
        *,
        content_type: str | None,
        whole: bool,
    ) -> None:
        self.received = received
        self.request = request
        self.content_type = content_type
        self._whole = whole
        self.events, self.unterminated = _read_events(received)
        data = [event.data.strip() for event in self.events]
        self.ends = [place for place, payload in enumerate(data) if payload == DONE]
        """The places of `[DONE]` among the events."""
        before = self.events[: self.ends[0]] if self.ends else self.events
        self.chunks = [_read_chunk(place, event, request) for place, event in enumerate(before)]

    @property
    def is_whole(self) -> bool:
        """Whether it should have an end, because neither side broke it off."""
        return self._whole and not self.errors

    @cached_property
    def lines(self) -> list[bytes]:
        return _LINE_ENDS.split(self.received)

    @cached_property
    def errors(self) -> list[tuple[str, Any]]:
        """The failures that the stream reports, with their paths."""
        found = [(chunk.path, _find_error(chunk)) for chunk in self.chunks]
        return [(path, error) for path, error in found if error is not None]

    @cached_property
    def turns(self) -> dict[int, list[tuple[str, CheckedChoice]]]:
        """The pieces of each choice, by index, with their paths from the stream's root."""
        turns: dict[int, list[tuple[str, CheckedChoice]]] = {}
        for chunk in self.chunks:
            for choice in chunk.answer.choices:
                index = integer(choice.value.get("index")) or 0
                turns.setdefault(index, []).append((f"{chunk.path}.{choice.path}", choice))
        return turns

    @cached_property
    def usages(self) -> list[tuple[str, Members, CheckedChunk]]:
        """The usage objects of chunks, with their paths."""
        return [
            (f"{chunk.path}.usage", chunk.answer.usage, chunk)
            for chunk in self.chunks
            if chunk.answer.usage
        ]

    @cached_property
    def folded(self) -> Members:
        """The response that the chunks form."""
        folded = Fold()
        for chunk in self.chunks:
            folded.add(chunk.answer.value)
        return folded.response()


def _read_events(received: bytes) -> tuple[list[Event], bytes]:
    """The events, and the data of a last one that no blank line ends."""
    reader = EventReader(event_bytes_max=len(received) + 1)
    events = reader.feed(received)
    rest = reader.feed(b"\n\n")
    return events, rest[-1].data if rest else b""


def _read_chunk(place: int, event: Event, request: CheckedRequest | None) -> CheckedChunk:
    body = CheckedBody(event.data)
    answer = CheckedAnswer(body.members, request, member="delta")
    return CheckedChunk(f"chunks[{place}]", body, answer, event.event)


def _find_error(chunk: CheckedChunk) -> Any:
    """The error that a chunk, one of its choices, or its event reports."""
    value = chunk.answer.value
    groq = value.get(GROQ)
    choices = [choice for _, choice in objects(value.get("choices"), "")]
    for place in (value, groq if isinstance(groq, dict) else {}, *choices):
        if place.get("error"):
            return place["error"]
    return value if chunk.event == "error" or is_error(value) else None


def is_chunk(chunk: CheckedChunk) -> bool:
    """Whether it is checked as a chunk. A bare report of a failure is not a chunk."""
    value = chunk.answer.value
    has_failed = chunk.event == "error" or value.get("error") or is_error(value)
    return chunk.body.fault is None and ("choices" in value or not has_failed)
