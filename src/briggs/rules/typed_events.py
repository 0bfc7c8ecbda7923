"""The events of a stream that says the type of each, in its line `event:` and in its object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from briggs.rules.answer import CheckedBody
from briggs.rules.book import Broken, Severity
from briggs.types.any_json import Members, text
from briggs.types.sse import EventReader

_UNNAMED = "message"
"""The name of an event without a line `event:`."""


class TypedEvent(NamedTuple):
    """An event of a stream."""

    path: str
    name: str
    """What the line `event:` says."""
    body: CheckedBody

    @property
    def value(self) -> Members:
        return self.body.members

    @property
    def type(self) -> str:
        return text(self.value.get("type")) or ""


def read_events(received: bytes) -> tuple[list[TypedEvent], bool]:
    """The events of a stream, and whether `[DONE]` came, which ends chat completions."""
    reader = EventReader(event_bytes_max=len(received) + 1)
    found = [*reader.feed(received), *reader.feed(b"\n\n")]
    said = [event for event in found if event.data.strip() != b"[DONE]"]
    events = [
        TypedEvent(f"events[{place}]", event.event, CheckedBody(event.data))
        for place, event in enumerate(said)
    ]
    return events, len(said) < len(found)


def check_events(
    events: Sequence[TypedEvent], *, content_type: str | None, unnamed: Severity = "warning"
) -> Iterator[Broken]:
    """They are JSON objects with a type. `unnamed` is how bad it is to have no line `event:`."""
    if content_type is not None and not content_type.lower().startswith("text/event-stream"):
        yield Broken("", "The content type is not text/event-stream.", content_type)
    if not events:
        yield Broken("", "There is no event.")
    for event in events:
        if event.body.fault is not None or not event.type:
            yield Broken(event.path, "It is not a JSON object with a type.")
        elif event.name == _UNNAMED:
            yield Broken(event.path, "The line event: is missing.", event.type, unnamed)
        elif event.name != event.type:
            yield Broken(event.path, f"The event is named {event.name[:80]}.", event.type)
