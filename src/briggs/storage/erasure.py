"""Removes what was deleted from the database's files, step by step, while calls are answered."""

from __future__ import annotations

import time

from sqlalchemy import Connection, select

from briggs.storage import rollups
from briggs.storage.database import database_of
from briggs.storage.tables import backfills

DEMANDED, BEGUN = "erasure", "erasing"
"""The names of two rows: one says when the next round is due, the other that one is running."""

EVERY_S = 1.0
"""How often a step is taken while there is no idle moment, and how soon one is tried again."""


class Erasure:
    """Goes through the files once after the last deletion. Belongs to the writer's thread.

    A process that is killed begins the round anew, because the rows are recorded.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._place = 0
        self._at = 0.0

    @property
    def waits(self) -> bool:
        """Whether a round is running or due."""
        due_at = _find(self._connection, DEMANDED)
        is_due = due_at is not None and due_at <= time.time()
        return is_due or _find(self._connection, BEGUN) is not None

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was. An error is tried again later."""
        now = time.monotonic()
        if now < self._at or not self.waits:
            return False
        self._at = now + EVERY_S
        if _find(self._connection, BEGUN) is None:
            self._begin()
        if self._place == 0 and rollups.fold(self._connection) == rollups.FOLD_ROWS:
            # Changes that are not folded yet name models and kinds of failure of deleted calls,
            # and folding them takes these names out of the rollups.
            return True
        place = database_of(self._connection).erase(self._place)
        if place == self._place:
            return False
        if place is None:
            with database_of(self._connection).transaction(self._connection):
                _delete(self._connection, BEGUN)
        self._place = place or 0
        self._at = 0.0 if idle else self._at
        return True

    def _begin(self) -> None:
        """Begin a round. What is deleted from now on needs another one."""
        self._place = 0
        with database_of(self._connection).transaction(self._connection):
            _delete(self._connection, DEMANDED)
            _write(self._connection, BEGUN, time.time())


def demand(connection: Connection, *, within_s: float = 0) -> None:
    """Note, in the transaction that deletes something, that it must leave the files in time."""
    before, due_at = _find(connection, DEMANDED), time.time() + within_s
    if before is None or due_at < before:
        _delete(connection, DEMANDED)
        _write(connection, DEMANDED, due_at)


def _find(connection: Connection, name: str) -> float | None:
    """The time in a row, which is remembered. None if there is no such row."""
    remembered = database_of(connection).remembered
    if name not in remembered:
        found = connection.scalar(select(backfills.c.after_id).where(backfills.c.name == name))
        remembered[name] = None if found is None else float(found)
    at: float | None = remembered[name]
    return at


def _write(connection: Connection, name: str, at: float) -> None:
    connection.execute(backfills.insert().values(name=name, after_id=f"{at}"))
    _forget(connection, name)


def _delete(connection: Connection, name: str) -> None:
    connection.execute(backfills.delete().where(backfills.c.name == name))
    _forget(connection, name)


def _forget(connection: Connection, name: str) -> None:
    database_of(connection).remembered.pop(name, None)
    database_of(connection).note_change(connection)
