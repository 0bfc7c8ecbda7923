"""Reads bodies that are stored in pieces, which they share with other bodies."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from typing import Any, NamedTuple, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    bindparam,
    func,
    literal,
    select,
)

from briggs.storage.batches import split
from briggs.storage.bodies import RAW, ZSTD, Bodies
from briggs.storage.database import database_of
from briggs.storage.parts import PARTS_MAX
from briggs.storage.tables import completions, pieces
from briggs.storage.types import AnyText

HASH_BYTES = 20

# What is stored of a body or a piece is a zstd frame. If pieces belong into its text, a frame
# precedes it that zstd skips. It lists them: for each, where in the frame's text its own text is
# inserted (4 bytes, the highest first), and its hash.
MARK = bytes.fromhex("502a4d18")
_SIZE = Struct("<I")
_ENTRY = Struct(f">I{HASH_BYTES}s")
_HEADER_BYTES = len(MARK) + _SIZE.size

REFERENCES_MAX = PARTS_MAX
HEAD_BYTES = _HEADER_BYTES + REFERENCES_MAX * _ENTRY.size
"""So many bytes of what is stored contain all references."""

HASHES_MAX = 500
"""How many hashes one statement may contain."""


class Reference(NamedTuple):
    """A piece that belongs into a text."""

    offset: int
    hash: bytes


class Expander(Protocol):
    """Restores bodies."""

    def expand(self, stored: bytes) -> bytes:
        """The bytes of which this is stored."""
        ...


def write_references(references: Sequence[Reference], frame: bytes) -> bytes:
    """What is stored of a text, given as a frame, into which pieces are to be inserted."""
    entries = b"".join([_ENTRY.pack(*each) for each in references])
    return MARK + _SIZE.pack(len(entries)) + entries + frame


def read_references(stored: bytes) -> tuple[list[Reference], bytes]:
    """The pieces that belong into a text, and its frame."""
    if not stored.startswith(MARK):
        return [], stored
    [size] = _SIZE.unpack_from(stored, len(MARK))
    end = _HEADER_BYTES + size
    entries = _ENTRY.iter_unpack(stored[_HEADER_BYTES:end])
    return [*map(Reference._make, entries)], stored[end:]


def list_hashes(stored: bytes | None) -> list[bytes]:
    """The hashes of the pieces that belong into a text. Its first `HEAD_BYTES` are enough."""
    return [] if stored is None else [each.hash for each in read_references(stored)[0]]


class StoredPieces:
    """StoredPieces that were read, and what expands bodies with them."""

    def __init__(self, stored: Mapping[bytes, bytes], *, bodies: Bodies) -> None:
        self._stored = stored
        self._bodies = bodies
        self._texts: dict[bytes, tuple[Sequence[Reference], bytes]] = {}

    def expand(self, stored: bytes) -> bytes:
        """Restore a body."""
        texts: list[bytes] = []
        # From the end to the beginning, because a chain of pieces begins with its last one.
        left: list[bytes | Reference] = self._cut(*self._open(stored))
        while left:
            each = left.pop()
            while not isinstance(each, bytes):
                # Nearly always one piece comes first, and the text that follows it.
                references, text = self._read(each.hash)
                if len(references) == 1 and not references[0].offset:
                    texts.append(text)
                    [each] = references
                    continue
                left += self._cut(references, text)
                each = left.pop()
            texts.append(each)
        texts.reverse()
        return b"".join(texts)

    def measure(self, stored: bytes) -> int:
        """The size of a body."""
        size = 0
        left = [stored]
        while left:
            references, frame = read_references(left.pop())
            size += self._bodies.measure(frame)
            left += [self._stored[each.hash] for each in references]
        return size

    def _read(self, hash: bytes) -> tuple[Sequence[Reference], bytes]:
        found = self._texts.get(hash)
        if found is None:
            found = self._texts[hash] = self._open(self._stored[hash])
        return found

    def _open(self, stored: bytes) -> tuple[Sequence[Reference], bytes]:
        references, frame = read_references(stored)
        return references, self._bodies.expand(frame)

    def _cut(self, references: Sequence[Reference], text: bytes) -> list[bytes | Reference]:
        """The text in parts, with the references between them."""
        parts: list[bytes | Reference] = []
        at = 0
        for each in references:
            parts += [text[at : each.offset], each]
            at = each.offset
        return [*parts, text[at:]]


def read_rows(
    connection: Connection, statement: Select[Any], *, bodies: Bodies
) -> tuple[Sequence[Any], StoredPieces]:
    """Rows with bodies, and what expands these, as of one moment."""
    with database_of(connection).snapshot(connection):
        rows = connection.execute(statement).all()
        return rows, find_pieces(connection, rows, bodies=bodies)


def find_pieces(connection: Connection, rows: Iterable[Any], *, bodies: Bodies) -> StoredPieces:
    """Read the pieces of some rows. Each needs `organization_id`, `encoding`, and its bodies."""
    hashes: dict[str, set[bytes]] = defaultdict(set)
    for row in rows:
        for stored in list_stored(row):
            if stored.startswith(MARK):
                hashes[row.organization_id].update(list_hashes(stored))
    found: dict[bytes, bytes] = {}
    for organization_id, wanted in hashes.items():
        found |= read_chains(connection, wanted, organization_id=organization_id)
    return StoredPieces(found, bodies=bodies)


def list_stored(row: Any) -> list[bytes]:
    """What is stored of a row's bodies, if they were selected and are frames."""
    if getattr(row, "encoding", RAW) != ZSTD:
        return []
    stored = (getattr(row, name, None) for name in ("request", "response", "received"))
    return [each for each in stored if each is not None]


def select_users() -> Select[Any]:
    """What is stored of bodies, as far as it contains references."""
    return _SELECT_USERS


def count_uses(connection: Connection, *, organization_id: str) -> dict[bytes, int]:
    """How often each piece is used by completions and by other pieces, counted anew.

    Equals the column `uses`, row by row.
    """
    uses: Counter[bytes] = Counter()
    ours = completions.c.organization_id == organization_id
    for row in connection.execute(select_users().where(ours)):
        for stored in list_stored(row):
            uses.update(list_hashes(stored))
    ours = _PIECES.organization_id == organization_id
    for stored in connection.scalars(select(_PIECES.content).where(ours)):
        uses.update(list_hashes(stored))
    return dict(uses)


def read_chains(
    connection: Connection, hashes: set[bytes], *, organization_id: str
) -> dict[bytes, bytes]:
    """What is stored of these pieces, and of all that belong into them."""
    found: dict[bytes, bytes] = {}
    while hashes:
        read: dict[bytes, bytes] = {}
        for some in split(sorted(hashes), HASHES_MAX):
            values = {"organization": organization_id, "hashes": some}
            for row in connection.execute(_SELECT_CHAINS, values).all():
                read[row[0]] = row[1]
        found |= read
        hashes = {
            each.hash
            for content in read.values()
            for each in read_references(content)[0]
            if each.hash not in found
        }
    return found


def read_stored(
    connection: Connection, hashes: Sequence[bytes], *, organization_id: str
) -> dict[bytes, bytes]:
    """What is stored of these pieces. Those that are not there are left out."""
    found: dict[bytes, bytes] = {}
    for some in split(hashes, HASHES_MAX):
        values = {"organization": organization_id, "hashes": some}
        found |= {row.hash: row.content for row in connection.execute(_SELECT_THESE, values)}
    return found


_PIECES = pieces.c
ORGANIZATION = bindparam("organization", type_=AnyText)
HASHES = bindparam("hashes", expanding=True, type_=LargeBinary)


def first_reference(content: Any) -> Any:
    """The hash of the first piece that belongs into what is stored, in SQL."""
    begin = _HEADER_BYTES + _ENTRY.size - HASH_BYTES + 1
    return func.substr(content, begin, HASH_BYTES, type_=LargeBinary)


def has_references(content: Any) -> Any:
    """Whether any piece belongs into what is stored, in SQL."""
    return func.substr(content, 1, len(MARK), type_=LargeBinary) == literal(MARK, LargeBinary)


def _select_chains() -> Select[Any]:
    """These pieces, the first pieces in them, the first in those, and so on."""
    these = select(_PIECES.hash).where(
        _PIECES.organization_id == ORGANIZATION, _PIECES.hash.in_(HASHES)
    )
    chain = these.cte("chain", recursive=True)
    next_ = (
        select(first_reference(_PIECES.content))
        .select_from(chain.join(pieces, _PIECES.hash == chain.c.hash))
        .where(_PIECES.organization_id == ORGANIZATION, has_references(_PIECES.content))
    )
    chain = chain.union(next_)
    return (
        select(_PIECES.hash, _PIECES.content)
        .select_from(chain.join(pieces, _PIECES.hash == chain.c.hash))
        .where(_PIECES.organization_id == ORGANIZATION)
    )


_SELECT_CHAINS = _select_chains()
_SELECT_THESE = select(_PIECES.hash, _PIECES.content).where(
    _PIECES.organization_id == ORGANIZATION, _PIECES.hash.in_(HASHES)
)


def list_users(of: Table) -> list[ColumnElement[Any]]:
    """What is stored of the bodies of a table of completions, as far as it contains references."""
    bodies = (of.c[name] for name in ("request", "response", "received"))
    heads = (
        func.substr(each, 1, HEAD_BYTES, type_=LargeBinary).label(each.name) for each in bodies
    )
    return [of.c.encoding, *heads]


_SELECT_USERS = select(completions.c.organization_id, *list_users(completions))
