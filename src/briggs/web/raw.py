"""The bytes of a call, byte for byte, in parts that a page can show."""

from __future__ import annotations

from typing import NamedTuple

from briggs.types.texts import printable

PART_BYTES = 64 * 1024

_ROW = 16
_SHOWN = bytes(code if 0x20 <= code < 0x7F else ord(".") for code in range(256))


class RawPart(NamedTuple):
    """One part of a body."""

    text: str
    number: int
    """From 0."""
    parts: int
    start: int
    end: int
    bytes: int
    """The size of the whole body."""


def cut_text(body: bytes, number: int) -> RawPart:
    """A part as text. A character is never cut in two."""
    start, end = _find_bounds(body, number)
    text = printable(body[start:end].decode("utf-8", "backslashreplace"))
    return RawPart(text, number, count_parts(body), start, end, len(body))


def cut_hex(body: bytes, number: int) -> RawPart:
    """A part as rows of 16 bytes: the offset, the bytes in hexadecimal, the ASCII characters."""
    start = min(number * PART_BYTES, len(body))
    end = min(start + PART_BYTES, len(body))
    rows = (
        f"{at:08x}  {body[at : min(at + _ROW, end)].hex(' '):<47}  "
        f"{body[at : min(at + _ROW, end)].translate(_SHOWN).decode('ascii')}"
        for at in range(start, end, _ROW)
    )
    return RawPart("\n".join(rows), number, count_parts(body), start, end, len(body))


def count_parts(body: bytes) -> int:
    """How many parts a body has: at least one."""
    return max(1, -(-len(body) // PART_BYTES))


def count_events(body: bytes) -> int:
    """How many events of a stream a body has. 0 if it is no stream."""
    return body.startswith(b"data:") + body.count(b"\ndata:")


def _find_bounds(body: bytes, number: int) -> tuple[int, int]:
    return _find_bound(body, number * PART_BYTES), _find_bound(body, (number + 1) * PART_BYTES)


def _find_bound(body: bytes, at: int) -> int:
    """The next place at which no character of UTF-8 is cut."""
    limit = at + 3
    while at < min(len(body), limit) and body[at] & 0xC0 == 0x80:
        at += 1
    return min(at, len(body))
