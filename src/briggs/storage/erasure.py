"""Removes what was deleted from the database's files, step by step, while calls are answered."""

from __future__ import annotations

import time

from sqlalchemy import Connection, select

from briggs.storage.database import database_of
from briggs.storage.tables import backfills

NAME = "erasure"
EVERY_S = 1.0
"""How often a step is taken while there is no idle moment, and how soon one is tried again."""


class Erasure:
    """Goes through the files once after the last deletion. Belongs to the writer's thread.

    A process that is killed begins anew, because the demand is recorded with the deletion.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._demand: str | None = None
        """The demand that this round began with."""
        self._place: int | None = 0
        self._at = 0.0

    @property
    def waits(self) -> bool:
        """Whether anything that was deleted may still be in the files."""
        return _find_demand(self._connection) is not None

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was. An error is tried again later."""
        demand = _find_demand(self._connection)
        now = time.monotonic()
        if demand is None or now < self._at:
            return False
        self._at = now + EVERY_S
        if self._demand is None:
            self._demand, self._place = demand, 0
        database = database_of(self._connection)
        place = database.erase(self._place or 0)
        if place == self._place:
            return False
        self._place = place
        if place is None:
            self._end()
        if idle:
            self._at = 0.0
        return True

    def _end(self) -> None:
        """End the round. If more was deleted meanwhile, another one follows."""
        row = (backfills.c.name == NAME) & (backfills.c.after_id == self._demand)
        self._connection.execute(backfills.delete().where(row))
        self._demand = None
        _forget(self._connection)


def demand(connection: Connection) -> None:
    """Note, in the transaction that deletes something, that it must leave the files."""
    connection.execute(backfills.delete().where(backfills.c.name == NAME))
    connection.execute(backfills.insert().values(name=NAME, after_id=f"{time.time_ns()}"))
    _forget(connection)


def _find_demand(connection: Connection) -> str | None:
    remembered = database_of(connection).remembered
    if NAME not in remembered:
        row = select(backfills.c.after_id).where(backfills.c.name == NAME)
        remembered[NAME] = connection.scalar(row)
    found: str | None = remembered[NAME]
    return found


def _forget(connection: Connection) -> None:
    database_of(connection).remembered.pop(NAME, None)
