"""Reads what bodies say that are stored in pieces, each piece by itself.

No text is cut where a piece begins or ends. A body for which that does not hold has to be read as a
whole, and is noticed: some part of it is no JSON then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from briggs.storage.pieces import MARK, Reference, read_references
from briggs.storage.said import read_elements, read_said


class Opener(Protocol):
    """Expands frames."""

    def expand(self, frame: bytes) -> bytes:
        """The content of a frame."""
        ...


class SaidApart(NamedTuple):
    """What a row says."""

    texts: Sequence[str]
    pieces: Sequence[bytes]
    """The hashes of pieces that say more, and so does each piece before one of these."""


class PieceText(NamedTuple):
    """What one piece says."""

    texts: Sequence[str]
    before: bytes | None
    """The hash of the piece before it."""


def is_apart(row: Any) -> bool:
    """Whether a row has bodies in pieces, if its encoding says that they are compressed."""
    return bool(row.request.startswith(MARK) or (row.response or b"").startswith(MARK))


def read_row(row: Any, *, bodies: Opener) -> SaidApart | None:
    """What a row says apart from its pieces. None if it has to be read as a whole."""
    texts: list[str] = []
    found: list[bytes] = []
    for stored, is_answer in ((row.request, False), (row.response, True)):
        if not stored:
            continue
        references, frame = read_references(stored)
        rest, marks = _mark(bodies.expand(frame), references)
        said = read_said(rest, is_answer=is_answer) if rest else []
        if said is None:
            if references:
                return None
            said = [rest.decode("utf-8", "replace")]
        for text in said:
            if text in marks:
                found.append(marks[text])
            else:
                texts.append(text)
    return SaidApart(texts, found)


def read_piece(stored: bytes, *, bodies: Opener) -> PieceText:
    """What a piece says, apart from those before it. Raises `ValueError` if it cannot be told."""
    references, frame = read_references(stored)
    texts = read_elements(bodies.expand(frame))
    if texts is None or any(each.offset for each in references) or len(references) > 1:
        raise ValueError("the piece cannot be read by itself")
    return PieceText(texts, references[0].hash if references else None)


def _mark(rest: bytes, references: Iterable[Reference]) -> tuple[bytes, Mapping[str, bytes]]:
    """The rest of a body with a text for each piece, and which piece each of these texts is."""
    marks: dict[str, bytes] = {}
    parts: list[bytes] = []
    at = 0
    for each in references:
        mark = f"piece {each.hash.hex()}"
        marks[mark] = each.hash
        # A line feed can stand before and after a value of JSON, and in no text.
        parts += [rest[at : each.offset], b'\n"%b"\n' % mark.encode()]
        at = each.offset
    return b"".join([*parts, rest[at:]]), marks
