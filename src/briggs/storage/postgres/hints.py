"""What PostgreSQL makes of the hints in `storage/functions.py`: nothing, as it knows its rows."""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg

from briggs.storage.functions import BY_KEY


class HintCompiler(PGCompiler_psycopg):
    """SQLAlchemy's compiler, which refuses hints that it does not know."""

    def format_from_hint_text(self, sqltext: Any, table: Any, hint: Any, iscrud: Any) -> Any:
        if hint == BY_KEY:
            return sqltext
        return super().format_from_hint_text(sqltext, table, hint, iscrud)  # type: ignore[no-untyped-call]
