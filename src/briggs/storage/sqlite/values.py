"""Values that SQLite cannot store as they are, such as half a surrogate pair or 2**70."""

from __future__ import annotations

from typing import Any


def storable(value: Any) -> Any:
    """The value, or bytes with the same content if SQLite cannot store such a text or integer.

    A BLOB keeps its type in a column of any type, so `original` can recognise it.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-8", "surrogatepass")
    elif isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value).encode()
    return value


def original(value: Any, *, type: type) -> Any:
    """The value that `storable` was given. `type` is that of the column."""
    if isinstance(value, bytes) and type is not bytes:
        return int(value) if type is int else value.decode("utf-8", "surrogatepass")
    return value
