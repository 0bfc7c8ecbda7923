"""SQL functions and hints that each database has under a name of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy.sql.functions import FunctionElement

BY_KEY = "by key"
"""A hint: the rows of a table are to be looked for by its primary key."""


class json_elements(FunctionElement[Any]):  # noqa: N801
    """The elements of a JSON array, as rows with a `value`. NULL has none."""

    inherit_cache = True
    name = "json_elements"


class json_members(FunctionElement[Any]):  # noqa: N801
    """The members of a JSON object, or the elements of an array, as rows with a `key`, a `value`
    and a `type`: `object`, `array`, `text`, `integer`, `real`, `true`, `false` or `null`.
    """

    inherit_cache = True
    name = "json_members"
