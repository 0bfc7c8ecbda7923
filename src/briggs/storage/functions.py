"""SQL functions and hints that each database has under a name of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Integer, Select, Table
from sqlalchemy.sql.functions import FunctionElement

from briggs.storage.types import KeyText

BY_KEY = "by key"


def by_key(statement: Select[Any], table: Table) -> Select[Any]:
    """Look for the rows of a table by its primary key.

    Only SQLite has to be told. It takes an organization for ten rows, and may go through all of
    one in an index that has the columns.
    """
    return statement.with_hint(table, BY_KEY, dialect_name="sqlite")


class contains(FunctionElement[bool]):  # noqa: N801
    """Whether bytes contain other bytes."""

    inherit_cache = True
    name = "contains"
    type = Boolean()


class in_no_index(FunctionElement[int]):  # noqa: N801
    """The same integer, by whose order no index is read.

    Only PostgreSQL has to be told. It may go through an index in order until it has a page,
    although what is asked for is rare.
    """

    inherit_cache = True
    name = "in_no_index"
    type = BigInteger()


class index_key(FunctionElement[str]):  # noqa: N801
    """What a `KeyText` has of a text. An index of it, and whatever is compared with it, has room
    for a text of any length.
    """

    inherit_cache = True
    name = "index_key"
    type = KeyText()


class json_elements(FunctionElement[Any]):  # noqa: N801
    """The elements of a JSON array, as rows with a `value`. NULL has none."""

    inherit_cache = True
    name = "json_elements"


class json_length(FunctionElement[int]):  # noqa: N801
    """How many elements a JSON array has. NULL of NULL."""

    inherit_cache = True
    name = "json_length"
    type = Integer()


class json_members(FunctionElement[Any]):  # noqa: N801
    """The members of a JSON object, or the elements of an array, as rows with a `key`, a `value`
    and a `type`: `object`, `array`, `text`, `integer`, `real`, `true`, `false` or `null`.
    """

    inherit_cache = True
    name = "json_members"


class json_number(FunctionElement[Any]):  # noqa: N801
    """The number that a `value` of `json_members` is. Only for `integer` and `real`."""

    inherit_cache = True
    name = "json_number"
