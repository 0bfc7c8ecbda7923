"""Brings long texts, by which rows are found, from the form of one database to that of another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Table, literal, select

from briggs.storage.errors import StoreError
from briggs.storage.functions import index_key
from briggs.storage.tables import completions, metadata, sessions
from briggs.storage.types import KeyText

SHORT_CHARACTERS = 200
"""Any database stores a text of this length as it is."""

_TYPE = KeyText()


class LongKeys:
    """The long texts of a source, as its target stores them.

    A database whose indexes have no room for them has a short form of them. The texts themselves
    are in its `completions`.
    """

    def __init__(self, source: Connection, target: Connection) -> None:
        self._source = source
        self._dialect = target.dialect
        some = "x" * 100_000
        self._shortens = _as_stored(some, target.dialect) != some

    def adapt(self, table: Table, row: Sequence[Any]) -> Sequence[Any]:
        """A row of the source as it stands in the target. Raises `StoreError` if it cannot."""
        places = _PLACES[table]
        if not any(len(row[place]) > SHORT_CHARACTERS for place in places):
            return row
        adapted = [*row]
        for place in places:
            text = row[place]
            # A short form has a type of its own, which says that it is no text itself.
            if type(text) is not str and not self._shortens:
                text = self._find_whole(table, row, text)
            adapted[place] = _as_stored(text, self._dialect)
        return adapted

    def _find_whole(self, table: Table, row: Sequence[Any], short: str) -> str:
        for text in self._list_candidates(table, row, short):
            if _as_stored(text, self._source.dialect) == short:
                return text
        raise StoreError(
            f"{table.name} has a text of which only the beginning is known "
            f"({short[:20]!r}...): delete what has it in the source, and begin again"
        )

    def _list_candidates(self, table: Table, row: Sequence[Any], short: str) -> Iterator[str]:
        values = dict(zip(table.columns.keys(), row, strict=True))
        columns = completions.c
        ours = columns.organization_id == values["organization_id"]
        if table is sessions:
            is_this = index_key(columns.session_id) == literal(short, _TYPE)
            named = select(columns.session_id).where(ours, is_this, columns.session_id.is_not(None))
            yield from (each for each in self._source.scalars(named.limit(1)) if each is not None)
        elif "completion_id" in values:
            this = columns.id == values["completion_id"]
            found = select(columns.tags, columns.metadata).where(ours, this)
            for tags, pairs in self._source.execute(found):
                yield from tags
                for pair in pairs.items():
                    yield from pair


def _as_stored(text: str, dialect: Dialect) -> str:
    """What is read from a database in which a text was written."""
    stored: Any = _TYPE.dialect_impl(dialect)
    write, read = stored.bind_processor(dialect), stored.result_processor(dialect, None)
    assert write and read, "each database has its own way to store such a text"
    found: str = read(write(text))
    return found


_PLACES = {
    table: [place for place, each in enumerate(table.columns) if isinstance(each.type, KeyText)]
    for table in metadata.sorted_tables
}
