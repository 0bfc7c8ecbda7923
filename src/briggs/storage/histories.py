"""Stores once what many bodies repeat, such as the history that an agent sends with every call."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, LargeBinary, Select, and_, func, select

from briggs.storage.batches import split
from briggs.storage.bodies import Bodies
from briggs.storage.database import Database, database_of
from briggs.storage.parts import PART_BYTES_MIN, BodyPart, find_parts
from briggs.storage.pieces import (
    HASH_BYTES,
    HASHES,
    HASHES_MAX,
    HEAD_BYTES,
    ORGANIZATION,
    Reference,
    first_reference,
    has_references,
    list_hashes,
    list_stored,
    select_users,
    write_references,
)
from briggs.storage.tables import completions, pieces

PIECE_BYTES = 4 * 1024
"""Elements are stored together until there is so much of them. A body that goes on differently in
between shares none of these."""

REMEMBERED_MAX = 32_768
"""How many places in arrays are remembered, which takes about 5 MB."""

LAST = 8
"""A known place is first looked for among so many at the end."""

LOOKED_UP_MIN, LOOKED_UP_MAX = 8, 64
"""An array of so many elements is looked up in the database if it has no known place near its end,
by so many of its last places."""


class StalePieces(Exception):
    """What was remembered of the pieces is not true any more. Nothing was written."""


class _Planned(NamedTuple):
    """A piece that is to be stored, if it is not there."""

    organization_id: str
    stored: bytes


class _Places:
    """The places in an array, each known by the hash of all that is before it."""

    def __init__(self, body: bytes, part: BodyPart, *, organization_id: str) -> None:
        self.part = part
        self.last = len(part.ends) - 1
        self.hashes: list[bytes] = []
        """Empty for a place that was not asked for."""
        self._text = memoryview(body)
        self._seed = organization_id.encode("utf-8", "surrogatepass") + b"\0"

    def hash(self, *, first: int) -> None:
        """Hash from a place on. To hash few places of many takes a third of the time."""
        begin, ends = self.part.begin, self.part.ends
        running = hashlib.sha256(self._seed)
        if first:
            running.update(self._text[begin : ends[first - 1]])
            begin = ends[first - 1]
        self.hashes = [b""] * first
        for end in ends[first:]:
            running.update(self._text[begin:end])
            begin = end
            self.hashes.append(running.copy().digest()[:HASH_BYTES])

    def hash_all(self) -> None:
        if not all(self.hashes):
            self.hash(first=0)


class Packing:
    """Packs the bodies of one transaction. Belongs to the thread that writes.

    The place at the end of an array's element is known by the hash of all before it. When a body
    comes to a place that an earlier body had, what is before the place becomes a piece, which
    both the later bodies and longer pieces refer to. So a text that comes only once makes no
    piece, and of a history that grows, each piece adds what is new.
    """

    def __init__(self, connection: Connection, *, bodies: Bodies) -> None:
        self._connection = connection
        self._bodies = bodies
        self._seen = _remember_seen(connection)
        self._stored = _remember_stored(connection)
        self._planned: dict[bytes, _Planned] = {}
        self._used: Counter[tuple[str, bytes]] = Counter()

    def pack(self, body: bytes, *, organization_id: str) -> bytes:
        """What to store of a body. It refers to pieces that `write` stores."""
        references: list[Reference] = []
        kept: list[bytes] = []
        at = offset = 0
        for part in find_parts(body):
            places = _Places(body, part, organization_id=organization_id)
            place = self._share(body, places, organization_id=organization_id)
            if place is None:
                continue
            kept.append(body[at : part.begin])
            offset += part.begin - at
            at = part.ends[place]
            references.append(Reference(offset, places.hashes[place]))
        if not references:
            return self._bodies.compress(body)
        self._used.update((organization_id, each.hash) for each in references)
        return write_references(references, self._bodies.compress(b"".join([*kept, body[at:]])))

    def write(self) -> None:
        """Store the pieces that are not there, and count how often each is used.

        Called in the transaction that stores the bodies. Raises `StalePieces`.
        """
        database = database_of(self._connection)
        left = [(*key, count) for key, count in self._used.items()]
        uses: Counter[tuple[str, bytes]] = Counter()
        while left:
            organization_id, hash, count = left.pop()
            planned = self._planned.pop(hash, None)
            row = (organization_id, hash, count, planned.stored if planned else b"")
            if planned and database.insert_missing(self._connection, pieces, [row]):
                left += [(organization_id, each, 1) for each in list_hashes(planned.stored)]
            else:
                uses[organization_id, hash] += count
            self._stored.add(hash)
        if count_more(self._connection, uses) != len(uses):
            raise StalePieces("a piece that was remembered is not there any more")
        _forget_oldest(self._seen, self._stored)

    def _share(self, body: bytes, places: _Places, *, organization_id: str) -> int | None:
        """Find or plan the piece up to a place, and return the place. None if there is no piece."""
        last, ends = places.last, places.part.ends
        places.hash(first=max(0, last + 1 - LAST))
        known = self._find_known(places, organization_id=organization_id)
        if known is None:
            places.hash_all()
            self._see(places, first=0)
            return None
        # As many elements at the end as the earlier body had after this place are likely to
        # change with the next body as well. They stay in this one.
        place = max(known, last - self._seen[places.hashes[known]])
        self._see(places, first=known)
        if ends[place] - places.part.begin < PART_BYTES_MIN:
            return None
        self._plan(body, places, known=known, place=place, organization_id=organization_id)
        return place

    def _find_known(self, places: _Places, *, organization_id: str) -> int | None:
        """The last place that is known."""
        known = self._find_remembered(places)
        if known is None and not places.hashes[0]:
            places.hash_all()
            known = self._find_remembered(places)
        unknown = places.last - (-1 if known is None else known)
        if unknown < LOOKED_UP_MIN:
            return known
        places.hash_all()
        self._look_up(places, last=places.last, organization_id=organization_id)
        for place in range(places.last, -1 if known is None else known, -1):
            if places.hashes[place] in self._stored:
                # It may be from another process, whose history goes on here.
                self._seen[places.hashes[place]] = 0
                return place
        return known

    def _find_remembered(self, places: _Places) -> int | None:
        for place in range(places.last, -1, -1):
            if places.hashes[place] in self._seen:
                return place
        return None

    def _see(self, places: _Places, *, first: int) -> None:
        """Remember the places from one on, the newest last, and how far each is from the end."""
        for place in range(first, places.last + 1):
            hash = places.hashes[place]
            self._seen.pop(hash, None)
            self._seen[hash] = places.last - place

    def _plan(
        self, body: bytes, places: _Places, *, known: int, place: int, organization_id: str
    ) -> None:
        """Plan the pieces between the last one that is stored and a place."""
        before = self._find_stored(places, known)
        if before is None:
            places.hash_all()
            self._look_up(places, last=known, organization_id=organization_id)
            before = self._find_stored(places, known)
        begin = places.part.begin if before is None else places.part.ends[before]
        hash = None if before is None else places.hashes[before]
        for at in range(0 if before is None else before + 1, place + 1):
            end = places.part.ends[at]
            if at in (known, place) or (end - begin >= PIECE_BYTES and places.hashes[at]):
                stored = self._bodies.compress(body[begin:end])
                if hash is not None:
                    stored = write_references([Reference(0, hash)], stored)
                hash, begin = places.hashes[at], end
                self._planned[hash] = _Planned(organization_id, stored)

    def _find_stored(self, places: _Places, known: int) -> int | None:
        """The last place up to a known one whose piece is stored, or will be."""
        for place in range(known, -1, -1):
            hash = places.hashes[place]
            if hash in self._stored or hash in self._planned:
                return place
        return None

    def _look_up(self, places: _Places, *, last: int, organization_id: str) -> None:
        """Find in the database which pieces are stored, of the last places up to one."""
        values = {
            "organization": organization_id,
            "hashes": places.hashes[max(0, last + 1 - LOOKED_UP_MAX) : last + 1],
        }
        self._stored.update(self._connection.scalars(_SELECT_STORED, values))


def release(connection: Connection, *, ids: Sequence[str], organization_id: str) -> None:
    """Delete what only these completions use. Their bodies must be deleted or replaced next."""
    theirs = (completions.c.organization_id == organization_id, completions.c.id.in_(ids))
    rows = connection.execute(select_users().where(*theirs))
    release_rows(connection, rows, organization_id=organization_id)


def release_rows(connection: Connection, rows: Iterable[Any], *, organization_id: str) -> None:
    """As `release`, for rows that have the columns of `select_users`."""
    uses: Counter[bytes] = Counter()
    for row in rows:
        uses.update(hash for stored in list_stored(row) for hash in list_hashes(stored))
    give_back(connection, uses, organization_id=organization_id)


def give_back(connection: Connection, uses: Counter[bytes], *, organization_id: str) -> None:
    """Use pieces less often by so much, and delete those that nothing uses then."""
    stored_here = _remember_stored(connection)
    while uses:
        count_more(connection, {(organization_id, hash): -count for hash, count in uses.items()})
        dead: dict[bytes, bytes] = {}
        for some in split(list(uses), HASHES_MAX):
            values = {"organization": organization_id, "hashes": some}
            dead |= {row.hash: row.head for row in connection.execute(_SELECT_DEAD, values)}
        for some in split(list(dead), HASHES_MAX):
            connection.execute(_DELETE, {"organization": organization_id, "hashes": some})
        for hash in dead:
            stored_here.discard(hash)
        uses = Counter(
            hash for head in dead.values() for hash in list_hashes(head) if hash not in dead
        )


def count_more(connection: Connection, uses: Mapping[tuple[str, bytes], int]) -> int:
    """Add to how often pieces are used. Returns how many of them there are."""
    # Always in the same order, so that two nodes do not wait for each other.
    rows = [(count, *key) for key, count in sorted(uses.items())]
    return database_of(connection).add(connection, pieces, rows, column="uses") if rows else 0


def _remember_seen(connection: Connection) -> dict[bytes, int]:
    """The places in arrays that bodies had, the oldest first, with how many elements came after
    each. Whether there are pieces of them is another question, so this is never wrong.
    """
    return _SEEN.setdefault(database_of(connection), {})


def _remember_stored(connection: Connection) -> set[bytes]:
    """Pieces that are stored, unless another process has deleted them just now."""
    stored: set[bytes] = database_of(connection).remembered.setdefault("pieces", set())
    return stored


def _forget_oldest(seen: dict[bytes, int], stored: set[bytes]) -> None:
    if len(seen) > REMEMBERED_MAX:
        for hash in list(islice(seen, len(seen) - REMEMBERED_MAX + REMEMBERED_MAX // 16)):
            del seen[hash]
    if len(stored) > REMEMBERED_MAX:
        stored.clear()


_SEEN: WeakKeyDictionary[Database, dict[bytes, int]] = WeakKeyDictionary()
_PIECES = pieces.c
_THESE = and_(_PIECES.organization_id == ORGANIZATION, _PIECES.hash.in_(HASHES))
_SELECT_STORED = select(_PIECES.hash).where(_THESE)
_DELETE = pieces.delete().where(_THESE)


def _select_dead() -> Select[Any]:
    """Of these pieces those that nothing uses, and the first pieces in them that only they use,
    and so on."""
    head = func.substr(_PIECES.content, 1, HEAD_BYTES, type_=LargeBinary).label("head")
    dead = select(_PIECES.hash, head).where(_THESE, _PIECES.uses <= 0).cte("dead", recursive=True)
    only_used_by_it = (
        select(_PIECES.hash, head)
        .select_from(dead.join(pieces, _PIECES.hash == first_reference(dead.c.head)))
        .where(
            _PIECES.organization_id == ORGANIZATION,
            _PIECES.uses == 1,
            has_references(dead.c.head),
        )
    )
    return select(dead.union_all(only_used_by_it))


_SELECT_DEAD = _select_dead()
