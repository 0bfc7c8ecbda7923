"""The types of columns. They alone convert values between Python and a database."""

from __future__ import annotations

import json as stdlib_json
from collections.abc import Sequence
from typing import Any, get_origin

import msgspec
from sqlalchemy import BigInteger, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator

from briggs.types import json


class AnyText(Text):
    """Any text of Python's, with half surrogate pairs and NUL. Each database has its own way to
    store what is no text to it.
    """


class KeyText(AnyText):
    """Any text in a table that finds rows by it. If the indexes of a database have no room for a
    long one, its beginning and its hash stand for it there: see `functions.index_key`.
    """


class AnyInteger(Integer):
    """Any integer, even one of more than 64 bits. Each database has its own way to store those."""


class AnyBigInteger(AnyInteger, BigInteger):
    """As `AnyInteger`, in a column that is declared as a big integer."""


class JsonText(Text):
    """JSON in ASCII. Each database has its own way to store what is no text to it."""


class Json(TypeDecorator[Any]):
    """A value as JSON text.

    With `empty_is_null`, an empty list or dict is stored as NULL; with `none_is_null`, None is.
    """

    impl = JsonText
    cache_ok = True

    def __init__(
        self, of: Any = Any, *, empty_is_null: bool = False, none_is_null: bool = False
    ) -> None:
        super().__init__()
        self.of = of
        self.empty_is_null = empty_is_null
        self.none_is_null = none_is_null

    def encode(self, value: Any) -> str | None:
        """The text, which is plain ASCII."""
        if (self.empty_is_null and not value) or (self.none_is_null and value is None):
            return None
        return json.encode_plain(value).decode()

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return self.encode(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        if value is None:
            return get_origin(self.of)() if self.empty_is_null else None
        if self.of is Any:
            return json.decode(value)
        return msgspec.convert(stdlib_json.loads(value), self.of)


class Names(TypeDecorator[list[str]]):
    """A list of names without commas, separated by commas."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> str:
        return ",".join(value or ())

    def process_result_value(self, value: str | None, dialect: Dialect) -> list[str]:
        return [name for name in (value or "").split(",") if name]
