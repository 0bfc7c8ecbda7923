"""Reads server-sent events from bytes that arrive in pieces, by the WHATWG's rules."""

from __future__ import annotations

import msgspec

_BOM = b"\xef\xbb\xbf"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One event of https://html.spec.whatwg.org/multipage/server-sent-events.html."""

    event: str
    """The type. `message` if the stream does not name one."""
    data: bytes
    """The values of its `data` lines, joined by line feeds."""


class EventTooLarge(ValueError):
    """One event is larger than the reader accepts."""


class EventReader:
    """Turns the pieces of a stream into its events.

    Lines end only with LF, CR or CR LF. Comments, `id` and `retry` are skipped. An event without
    a `data` line is dropped. An `error` line makes an event of the type `error`.
    """

    def __init__(self, *, event_bytes_max: int = 32 * 1024 * 1024) -> None:
        self._event_bytes_max = event_bytes_max
        self._start: bytes | None = b""
        """The first bytes, while they may still be part of a byte order mark."""
        self._after_cr = False
        """Whether the last piece ended with CR. An LF that follows it belongs to it."""
        self._line = bytearray()
        """The line that has not ended yet."""
        self._is_between = False
        """Whether the last event has ended, and nothing of the next one has arrived."""
        self._event = "message"
        self._data: list[bytes] = []
        self._size = 0
        """The size of the event so far in bytes, without line ends."""
        self._too_large = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that end in this piece.

        Raises `EventTooLarge` for an event that is too large, after the events before it have
        been returned.
        """
        if self._too_large:
            raise self._refusal()
        if (one := self.read_one(data)) is not None:
            return [Event("message", one)]
        if self._start is not None:
            data = self._skip_bom(self._start + data)
        if self._after_cr or b"\r" in data:
            data = self._with_line_feeds(data)
        lines = data.split(b"\n")
        rest = lines.pop()
        if self._line and lines:
            lines[0] = bytes(self._line) + lines[0]
            self._line.clear()
        events = self._read(lines)
        if rest:
            self._line += rest
            self._too_large |= self._size + len(self._line) > self._event_bytes_max
        is_within = self._line or self._data or self._after_cr or self._size or self._too_large
        self._is_between = not is_within and self._start is None and self._event == "message"
        if self._too_large and not events:
            raise self._refusal()
        return events

    def read_one(self, data: bytes) -> bytes | None:
        """The data of a piece that is exactly one event; None for any other piece.

        Most servers write their events that way. The checks are those that cost least.
        """
        if not self._is_between or data[:6] != b"data: " or data[-2:] != b"\n\n":
            return None
        one = data[6:-2]
        is_line = 10 not in one and 13 not in one
        return one if is_line and len(data) <= self._event_bytes_max else None

    def close(self) -> Event | None:
        """The event that was not complete at the end of the stream. None if there is none.

        By the rules, such an event is dropped. Either the stream was cut, or its sender left
        out the last blank line. Only the caller can tell which.
        """
        if self._too_large:
            raise self._refusal()
        events = self._read([bytes(self._line), b""])
        self._line.clear()
        return events[0] if events else None

    def _read(self, lines: list[bytes]) -> list[Event]:
        events: list[Event] = []
        data = self._data
        size = self._size
        for line in lines:
            if line.startswith(b"data: "):
                data.append(line[6:])
            elif line:
                self._read_field(line)
            else:
                if data:
                    joined = data[0] if len(data) == 1 else b"\n".join(data)
                    events.append(Event(self._event, joined))
                    data.clear()
                self._event = "message"
                size = 0
            size += len(line)
            if size > self._event_bytes_max:
                self._too_large = True
                break
        self._size = size
        return events

    def _read_field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode("utf-8", "replace") or "message"
        elif name == b"error":
            # llama.cpp had its own field for errors (its issue 16109, 2025).
            self._event = "error"
            self._data.append(value)

    def _skip_bom(self, start: bytes) -> bytes:
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._start = start
            return b""
        self._start = None
        return start.removeprefix(_BOM)

    def _with_line_feeds(self, data: bytes) -> bytes:
        if not data:
            return data
        if self._after_cr:
            data = data.removeprefix(b"\n")
        # A CR ends its line at once, without waiting for an LF that may not come.
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _refusal(self) -> EventTooLarge:
        return EventTooLarge(f"an event is larger than {self._event_bytes_max} bytes")
