"""Finds the parts of a body that other bodies may repeat: its arrays of objects, its long texts."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from msgspec import Raw

from briggs.types.envelope import check_size
from briggs.types.errors import InvalidRequest

BODY_BYTES_MIN = 2048
PART_BYTES_MIN = 512
"""What is smaller compresses well where it stands."""

PARTS_MAX = 16
ELEMENTS_MAX = 4096

_MEMBERS = msgspec.json.Decoder(dict[str, Raw])
_ELEMENTS = msgspec.json.Decoder(list[Raw])
_BETWEEN = b" \t\r\n,"
_QUOTE, _BACKSLASH, _BRACKET, _BRACE = b'"\\[{'


class BodyPart(NamedTuple):
    """A range of bytes in a body, of one element or more."""

    begin: int
    ends: list[int]
    """Where each element ends. The separators before an element belong to it."""


def find_parts(body: bytes) -> list[BodyPart]:
    """The parts of a JSON object, in order. None if it is small, or no object.

    Wherever a part begins and ends, the body is the same when it is put together again. So strange
    JSON, such as an object that has a name twice, costs only room.
    """
    if len(body) < BODY_BYTES_MIN:
        return []
    try:
        check_size(body)
    except InvalidRequest:
        # Nothing else could run while millions of values are told apart.
        return []
    parts: list[BodyPart] = []
    try:
        at = body.index(b"{") + 1
        for value in _MEMBERS.decode(body).values():
            at = _skip_name(body, at)
            end = at + len(value)
            if len(value) >= PART_BYTES_MIN and len(parts) < PARTS_MAX and end < len(body):
                part = _find_part(body, at, value)
                if part is not None:
                    parts.append(part)
            at = end
    except (msgspec.DecodeError, UnicodeError, RecursionError, ValueError, IndexError):
        # The body is no JSON object, or one of those that are read here in a wrong way.
        return parts
    return parts


def _skip_name(body: bytes, at: int) -> int:
    """Where the value begins whose name comes next."""
    end = body.index(_QUOTE, body.index(_QUOTE, at) + 1)
    while body[end - 1] == _BACKSLASH:
        end = body.index(_QUOTE, end + 1)
    return _skip(body, body.index(b":", end) + 1)


def _skip(body: bytes, at: int) -> int:
    while body[at] in _BETWEEN:
        at += 1
    return at


def _find_part(body: bytes, at: int, value: Raw) -> BodyPart | None:
    if body[at] == _QUOTE:
        return BodyPart(at, [at + len(value)])
    if body[at] != _BRACKET or body[_skip(body, at + 1)] != _BRACE:
        return None
    elements = _ELEMENTS.decode(value)
    ends, end = [], at + 1
    for each in elements[: ELEMENTS_MAX + 1]:
        end = _skip(body, end) + len(each)
        ends.append(end)
    # What was read in a wrong way must not reach into the next part.
    if 0 < len(ends) <= ELEMENTS_MAX and end < at + len(value):
        return BodyPart(at + 1, ends)
    return None
