"""Opens a record to read it beside the servers that use it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from briggs.storage.errors import needing_driver
from briggs.storage.folders import create_private
from briggs.storage.sqlite.reading import SqliteReader
from briggs.storage.verify import RecordReader


@contextmanager
def open_reader(
    folder: Path, *, address: str | None = None, password: str | None = None
) -> Iterator[RecordReader]:
    """The record of a data folder, or the one at the `address` of a PostgreSQL database.

    It must have the tables of this Briggs. Raises `StoreError` if there is none.
    """
    reader: RecordReader
    reader = SqliteReader(folder) if address is None else _open_postgres(address, password)
    try:
        yield reader
    finally:
        reader.close()


def find_catalog(folder: Path, *, address: str | None = None, password: str | None = None) -> str:
    """The address of the database that has the lake's catalog: a file of its own beside the
    record, which is made (0600) if it is not there, or the PostgreSQL that has the record.
    """
    if address is None:
        path = folder.absolute() / "lake.db"
        create_private(path)
        return f"sqlite:///{path}"
    from briggs.storage.postgres.addresses import read_address

    _, url = read_address(address, password=password)
    return url.render_as_string(hide_password=False)


def _open_postgres(address: str, password: str | None) -> RecordReader:
    with needing_driver():
        from briggs.storage.postgres.reading import PostgresReader
    return PostgresReader(address, password=password)
