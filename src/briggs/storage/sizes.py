"""Measures how much room the record takes, and how much is left."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
from sqlalchemy import func, select

from briggs.storage.access import Access
from briggs.storage.tables import completions


class Size(msgspec.Struct, kw_only=True, frozen=True):
    """The room that the record of all organizations takes."""

    bytes: int
    free_bytes: int
    """On the disk with the record."""


class Sizes:
    """`store.sizes`."""

    def __init__(self, access: Access, *, path: Path) -> None:
        self._access = access
        self._path = path

    async def measure(self) -> Size:
        """The size of the files, and the room that is left for them."""
        return await asyncio.to_thread(self._measure)

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

    def _measure(self) -> Size:
        files = self._path.parent.glob(f"{self._path.name}*")
        return Size(
            bytes=sum(file.stat().st_size for file in files),
            free_bytes=shutil.disk_usage(self._path.parent).free,
        )
