"""Measures how much room the record takes, and how much is left."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select

from briggs.storage.access import Access
from briggs.storage.database import Database, Room
from briggs.storage.tables import completions


class Sizes:
    """`store.sizes`."""

    def __init__(self, access: Access, *, database: Database) -> None:
        self._access = access
        self._database = database

    async def measure(self) -> Room:
        """The room that the record of all organizations takes, and what is left for it."""
        return await asyncio.to_thread(self._database.measure)

    async def count_completions(self, *, organization_id: str) -> int:
        """How many completions an organization has on record."""
        statement = (
            select(func.count())
            .select_from(completions)
            .where(completions.c.organization_id == organization_id)
        )
        counted: int | None = await self._access.read(
            lambda connection: connection.scalar(statement)
        )
        return counted or 0
