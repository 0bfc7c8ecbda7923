"""SQL functions that each database has under a name of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy.sql.functions import FunctionElement


class json_elements(FunctionElement[Any]):  # noqa: N801
    """The elements of a JSON array, as rows with a `value`. NULL has none."""

    inherit_cache = True
    name = "json_elements"
