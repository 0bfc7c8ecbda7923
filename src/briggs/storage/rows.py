"""Converts structs to rows and back. Lists, dicts and values of any type are stored as JSON."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeVar, get_origin

import msgspec
from sqlalchemy import Row, Table

from briggs.storage.sqlite.values import original, storable
from briggs.types import json

AnyStruct = TypeVar("AnyStruct", bound=msgspec.Struct)


def encode(value: msgspec.Struct, *, table: Table) -> dict[str, Any]:
    """The members of a struct that the table has columns for."""
    return {
        name: encode_json(member) if is_json else storable(member)
        for name, is_json in _members(type(value)).items()
        if name in table.columns
        for member in (getattr(value, name),)
    }


def decode(row: Row[Any], type: type[AnyStruct]) -> AnyStruct:
    """The struct in a row. Members without a column, and lists and dicts that are NULL, get
    their defaults.
    """
    known = _members(type)
    members: dict[str, Any] = {}
    for name, value in row._mapping.items():
        if known.get(name):
            if value is not None:
                members[name] = json.decode(value)
        elif name in known:
            members[name] = original(value, type=str)
    return type(**members)


def encode_json(value: Any) -> str:
    """Encode a value as JSON text."""
    return json.encode_plain(value).decode()


@cache
def _members(type: type[msgspec.Struct]) -> dict[str, bool]:
    """The members of a struct, and whether each is stored as JSON."""
    return {
        field.name: field.type is Any or get_origin(field.type) in (list, dict)
        for field in msgspec.structs.fields(type)
    }
