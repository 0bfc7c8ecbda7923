"""Converts structs to rows and back. The types of the columns convert the values."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from sqlalchemy import Row, Table

AnyStruct = TypeVar("AnyStruct", bound=msgspec.Struct)


def encode(value: msgspec.Struct, *, table: Table) -> dict[str, Any]:
    """The members of a struct that the table has columns for."""
    return {name: getattr(value, name) for name in value.__struct_fields__ if name in table.columns}


def decode(row: Row[Any], type: type[AnyStruct]) -> AnyStruct:
    """The struct in a row. Members without a column get their defaults."""
    members = row._mapping
    return type(**{name: members[name] for name in type.__struct_fields__ if name in members})
