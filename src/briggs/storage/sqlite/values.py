"""Values that SQLite cannot store as they are, such as half a surrogate pair or 2**70.

They become bytes with the same content. A BLOB keeps its type in a column of any type, so it is
recognised when it is read.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Dialect

from briggs.storage.types import AnyInteger, AnyText


class SqliteText(AnyText):
    """A text, or its UTF-8 with half surrogate pairs."""

    def bind_processor(self, dialect: Dialect) -> Any:
        return storable

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _read_text


class SqliteInteger(AnyInteger):
    """An integer, or its decimal digits."""

    def bind_processor(self, dialect: Dialect) -> Any:
        return storable

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _read_integer


TYPES = {AnyText: SqliteText, AnyInteger: SqliteInteger}


def storable(value: Any) -> Any:
    """The value, or bytes with the same content if SQLite cannot store such a text or integer."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value).encode()
    return value


def _read_text(value: Any) -> Any:
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else value


def _read_integer(value: Any) -> Any:
    return int(value) if isinstance(value, bytes) else value
