"""Keeps what lists show of large bodies, and reads it from small ones when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Select, case, func, select, update

from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.pieces import StoredPieces, read_references, read_rows
from briggs.storage.tables import completions
from briggs.types.completions import Completion
from briggs.wires.recorded.preview import Preview, read_preview

SMALL_BYTES = 64 * 1024
"""Bodies of at most this size are read for every list: 50 typical ones take about 10 ms. The limit
is that of bodies which are compressed at once; larger ones get a preview when they are."""

_DECODER = msgspec.json.Decoder(Preview)


def encode_preview(request: bytes, response: bytes | None) -> str | None:
    """What is kept for a list. None for small bodies."""
    if len(request) + len(response or b"") <= SMALL_BYTES:
        return None
    return msgspec.json.encode(read_preview(request, response)).decode()


def keep_preview(connection: Connection, *, of: Completion) -> None:
    """Keep what lists show of a completion that was just written."""
    preview = encode_preview(of.request, of.response)
    if preview is not None:
        row = (_COLUMNS.organization_id == of.organization_id, _COLUMNS.id == of.id)
        connection.execute(update(completions).where(*row).values(preview=preview))


_COLUMNS = completions.c
_SIZE = func.length(_COLUMNS.request) + func.coalesce(func.length(_COLUMNS.response), 0)
_IS_SMALL = _SIZE <= SMALL_BYTES
_SELECT = select(
    _COLUMNS.id,
    _COLUMNS.organization_id,
    _COLUMNS.preview,
    _COLUMNS.encoding,
    case((_IS_SMALL, _COLUMNS.request)).label("request"),
    case((_IS_SMALL, _COLUMNS.response)).label("response"),
)


def read_previews(
    connection: Connection, *, ids: Sequence[str], organization_id: str, bodies: Bodies
) -> dict[str, Preview | None]:
    """What a list shows of these completions, by their ids. None for one whose large bodies
    were written just now."""
    ours = _COLUMNS.organization_id == organization_id
    statement: Select[Any] = _SELECT.where(ours, _COLUMNS.id.in_(ids))
    rows, pieces = read_rows(connection, statement, bodies=bodies)
    return {row.id: _read(row, bodies=bodies, pieces=pieces) for row in rows}


def _read(row: Any, *, bodies: Bodies, pieces: StoredPieces) -> Preview | None:
    if row.preview is not None:
        return _DECODER.decode(row.preview)
    if row.request is None:
        return None
    if row.encoding != ZSTD:
        return read_preview(row.request, row.response)
    # Of a body in pieces only the rest. If it is large, there is a preview.
    answered = 0 if row.response is None else _measure(row.response, bodies=bodies)
    if _measure(row.request, bodies=bodies) + answered > SMALL_BYTES:
        return None
    return read_preview(pieces.expand(row.request), row.response and pieces.expand(row.response))


def _measure(stored: bytes, *, bodies: Bodies) -> int:
    return bodies.measure(read_references(stored)[1])
