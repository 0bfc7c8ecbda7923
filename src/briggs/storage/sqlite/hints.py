"""SQLite's word for the hints in `storage/functions.py`."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.sqlite.base import SQLiteCompiler

from briggs.storage.functions import BY_KEY


class HintCompiler(SQLiteCompiler):
    """SQLAlchemy's compiler, which leaves hints out for SQLite."""

    def get_from_hint_text(self, table: Any, text: str | None) -> str | None:
        # The index of the primary key is the first that SQLite makes by itself.
        return f"INDEXED BY sqlite_autoindex_{table.name}_1" if text == BY_KEY else None
