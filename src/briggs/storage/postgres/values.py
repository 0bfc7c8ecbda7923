"""Values that PostgreSQL cannot store as they are, such as NUL, half a surrogate pair or 2**70.

Texts keep such characters behind an escape, so that equal texts stay equal, and any other text
stands in the database as it is. The strings within JSON are written in the same way, so they can
be compared with texts. Integers of any size are NUMERIC.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from sqlalchemy import Dialect, LargeBinary
from sqlalchemy.ext.compiler import compiles

from briggs.storage.types import AnyBigInteger, AnyInteger, AnyText, JsonText, KeyText

ESCAPE = "\x1a"
"""Followed by the four hexadecimal digits of a character."""


KEY_BYTES_MAX = 1000
"""An entry of an index has room for 2,700 bytes, and has two texts of this length at most."""
KEY_BEGIN_CHARACTERS = 200
KEY_MARK = ESCAPE + "#"
"""What stands before the hash of a text that is longer. No escape looks like it."""


class LongKey(str):
    """What stands in a table for a text that is too long for an index."""


class PostgresText(AnyText):
    """A text, with escapes. It sorts by its bytes, whatever the locale of the server."""

    render_bind_cast = True

    def bind_processor(self, dialect: Dialect) -> Any:
        return storable

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return read_text


class PostgresKeyText(KeyText):
    """A text that fits into an index, or what stands for it."""

    render_bind_cast = True

    def bind_processor(self, dialect: Dialect) -> Any:
        return storable_key

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _read_key


class PostgresInteger(AnyInteger):
    """An integer of any size."""

    render_bind_cast = True

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _read_integer


class PostgresJson(JsonText):
    """JSON, whose strings have escapes."""

    render_bind_cast = True

    def bind_processor(self, dialect: Dialect) -> Any:
        return storable_json

    def result_processor(self, dialect: Dialect, coltype: object) -> Any:
        return _read_json


class PostgresBytes(LargeBinary):
    """Bytes, which the driver takes and gives as they are."""

    render_bind_cast = True

    def bind_processor(self, dialect: Dialect) -> None:
        return None

    def result_processor(self, dialect: Dialect, coltype: object) -> None:
        return None


TYPES = {
    AnyText: PostgresText,
    KeyText: PostgresKeyText,
    AnyInteger: PostgresInteger,
    JsonText: PostgresJson,
    LargeBinary: PostgresBytes,
}


@compiles(AnyText, "postgresql")
def compile_text(element: AnyText, compiler: Any, **options: Any) -> str:
    return "TEXT" if "type_expression" not in options else 'TEXT COLLATE "C"'


# The outer decorator comes last: the inherited way of the other type would take its place.
@compiles(AnyInteger, "postgresql")
@compiles(AnyBigInteger, "postgresql")
def compile_integer(element: AnyInteger, compiler: Any, **options: Any) -> str:
    return "NUMERIC"


def storable(value: Any) -> Any:
    """A text with escapes. Any other value stays."""
    if isinstance(value, str) and _ODD.search(value):
        return _ODD.sub(lambda found: f"{ESCAPE}{ord(found[0]):04x}", value)
    return value


def storable_key(value: Any) -> Any:
    """A text with escapes, or what stands for it: what `briggs_index_key` makes of that text."""
    if value is None or isinstance(value, LongKey):
        return value if value is None else str(value)
    text: str = storable(value)
    # Most are so short that nobody has to count their bytes.
    if len(text) * 4 <= KEY_BYTES_MAX or len(encoded := text.encode()) <= KEY_BYTES_MAX:
        return text
    return text[:KEY_BEGIN_CHARACTERS] + KEY_MARK + hashlib.sha256(encoded).hexdigest()


def _read_key(value: Any) -> Any:
    return LongKey(value) if value is not None and KEY_MARK in value else read_text(value)


def read_text(value: Any) -> Any:
    """The text that `storable` was given."""
    if value is None or ESCAPE not in value:
        return value
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), value)


def storable_json(value: Any) -> Any:
    """JSON in ASCII, whose strings have escapes."""
    if value is None or "\\u" not in value:
        return value
    return _ODD_JSON.sub(
        lambda found: f"\\u001a{found[1].lower()}" if found[1] else found[0], value
    )


def _read_json(value: Any) -> Any:
    if value is None or "\\u001a" not in value:
        return value
    return _ESCAPED_JSON.sub(lambda found: f"\\u{found[1]}" if found[1] else found[0], value)


def _read_integer(value: Any) -> Any:
    return value if value is None else int(value)


_ODD = re.compile("[\0\x1a\ud800-\udfff]")
_ESCAPED = re.compile("\x1a([0-9a-f]{4})")
# The first alternative is a whole surrogate pair, and the last any other escape. Both stay.
_ODD_JSON = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\u(0000|001[aA]|[dD][89a-fA-F][0-9a-fA-F]{2})"
    r"|\\."
)
_ESCAPED_JSON = re.compile(r"\\u001a([0-9a-f]{4})|\\.")
