"""Server-sent events in another vendor's words, as the payloads of chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from briggs.providers.chunks import MALFORMED, Chunk, write_error
from briggs.types import wire
from briggs.types.errors import UpstreamInvalid
from briggs.types.sse import EventReader, EventTooLarge


class EventStream:
    """Reads events by `read`, up to one of type `last`; without such a type, as long as they come.

    JSON that is no event of the vendor's becomes an error in its place: what came before it
    goes out.
    """

    def __init__(
        self, read: Callable[[Any], Iterable[Chunk]], *, vendor: str, last: str | None = None
    ) -> None:
        self.done = False
        self._read = read
        self._vendor = vendor
        self._last = last
        self._events = EventReader()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads of the chunks for the events that end in this read."""
        payloads: list[bytes] = []
        try:
            for event in self._events.feed(data):
                value = wire.decode(event.data)
                payloads.extend(map(wire.encode_plain, self._read(value)))
                if self._last is not None and value["type"] == self._last:
                    self.done = True
                    break
        except EventTooLarge as error:
            raise UpstreamInvalid("the upstream sent an event that is too large") from error
        except msgspec.DecodeError as error:
            raise UpstreamInvalid("the upstream sent an event that is not JSON") from error
        except MALFORMED:
            message = f"it sent what is no event of {self._vendor}'s"
            payloads.append(wire.encode_plain(write_error(message, code="upstream_invalid")))
        return payloads
