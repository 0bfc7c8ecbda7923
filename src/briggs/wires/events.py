"""Turns a stream in another vendor's format into the payloads of chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from briggs.types import json
from briggs.types.errors import UpstreamInvalid
from briggs.types.sse import EventReader
from briggs.wires.chunks import MALFORMED, Chunk

Split = Callable[[bytes], Iterable[Any]]
"""Returns the events that end in one read of a stream."""


class Reader(Protocol):
    """Reads the events of one answer."""

    done: bool
    """Whether the vendor has marked the end."""

    def read(self, event: Any) -> Iterable[Chunk]:
        """The chunks for an event. A malformed event may raise any of `MALFORMED`."""
        ...


class EventStream:
    """Reads one stream. Chunks before an unreadable event go out before the error."""

    def __init__(self, reader: Reader, *, split: Split, vendor: str) -> None:
        self.done = False
        self._reader = reader
        self._split = split
        self._vendor = vendor
        self._failure: UpstreamInvalid | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the chunks for the events that end in this read."""
        payloads: list[bytes] = []
        try:
            for event in self._split(data) if self._failure is None else ():
                payloads += map(json.encode_plain, self._reader.read(event))
                self.done = self._reader.done
                if self.done:
                    break
        except UpstreamInvalid as error:
            self._failure = error
        except MALFORMED:
            message = f"the upstream sent an event that is not in {self._vendor}'s format"
            self._failure = UpstreamInvalid(message)
        if self._failure is not None and not payloads:
            raise self._failure
        return payloads


def split_events() -> Split:
    """Read server-sent events whose data is JSON."""
    events = EventReader()

    def split(data: bytes) -> Iterator[Any]:
        for event in events.feed(data):
            yield json.decode(event.data)

    return split
