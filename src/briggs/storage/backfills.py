"""Finds for old completions, step by step, what newer ones are recorded with."""

from __future__ import annotations

import time

import msgspec
from sqlalchemy import Connection, bindparam, delete, select, tuple_, update

from briggs.storage import rollups
from briggs.storage.bodies import Bodies
from briggs.storage.database import database_of
from briggs.storage.pieces import find_pieces
from briggs.storage.previews import encode_preview
from briggs.storage.records import SELECT, decode
from briggs.storage.tables import backfills, completions
from briggs.types.completions import Completion
from briggs.types.probabilities import read_certainty
from briggs.types.tokens import read_answers

NAME = "derived"
_Key = tuple[str, str]
"""An organization, and the id of one of its completions."""

STEP_ROWS = 20
STEP_BYTES = 256 * 1024
"""Bodies that are read in one step. A call may have to wait for it."""

EVERY_S = 1.0
"""How often a step is taken while there is no idle moment."""
RETRY_S = 60.0


class Backfill:
    """Goes through the old completions in the order of their keys. Belongs to the writer's thread.

    Its place is recorded with each step, so a process that is killed goes on where it was.
    """

    def __init__(self, connection: Connection, *, bodies: Bodies) -> None:
        self._connection = connection
        self._bodies = bodies
        self._at = 0.0
        place = select(*_PLACE.values()).where(backfills.c.name == NAME)
        row = connection.execute(place).first()
        self._after: _Key | None = None if row is None else tuple(row)

    @property
    def waits(self) -> bool:
        """Whether there are completions left."""
        return self._after is not None

    def go_on(self, *, idle: bool) -> bool:
        """Take a step if it is time. Returns whether it was. An error is tried again later."""
        if not self.waits or (not idle and time.monotonic() < self._at):
            return False
        self._at = time.monotonic() + RETRY_S
        assert self._after is not None, "nothing waits otherwise"
        self._after = step(self._connection, after=self._after, bodies=self._bodies)
        self._at = time.monotonic() + EVERY_S
        return True


def step(connection: Connection, *, after: _Key, bodies: Bodies) -> _Key | None:
    """Fill the next few completions. Returns the last place, or None if they were the last."""
    # Nothing may change between reading them and writing what was found.
    with database_of(connection).transaction(connection):
        return _step(connection, after=after, bodies=bodies)


def _step(connection: Connection, *, after: _Key, bodies: Bodies) -> _Key | None:
    before, is_last = _read_some(connection, after=after, bodies=bodies)
    measured = [_measure(each) or each for each in before]
    changed = [(old, new) for old, new in zip(before, measured, strict=True) if new is not old]
    changes = [
        {
            "of_owner": new.organization_id,
            "of": new.id,
            "mean": new.p_mean,
            "least": new.p_least,
            "shown": shown,
        }
        for old, new in zip(before, measured, strict=True)
        if (shown := encode_preview(new.request, new.response)) is not None or new is not old
    ]
    last = None if is_last else (before[-1].organization_id, before[-1].id)
    if changes:
        connection.execute(_CHANGE, changes)
    rollups.record(
        connection, added=[new for _, new in changed], removed=[old for old, _ in changed]
    )
    row = backfills.c.name == NAME
    if last is None:
        connection.execute(delete(backfills).where(row))
    else:
        place = dict(zip(_PLACE.keys(), last, strict=True))
        connection.execute(update(backfills).where(row).values(place))
    return last


def _read_some(
    connection: Connection, *, after: _Key, bodies: Bodies
) -> tuple[list[Completion], bool]:
    """The next few completions, at least one, and whether they are the last."""
    page = SELECT.where(tuple_(*_COLUMNS) > after).order_by(*_COLUMNS).limit(STEP_ROWS)
    found: list[Completion] = []
    size = 0
    with database_of(connection).stream(connection, page) as rows:
        for row in rows:
            found.append(decode(row, bodies=find_pieces(connection, [row], bodies=bodies)))
            size += len(found[-1].request) + len(found[-1].response or b"")
            if size > STEP_BYTES:
                return found, False
    return found, len(found) < STEP_ROWS


_PLACE = {each.name: each for each in (backfills.c.after_organization_id, backfills.c.after_id)}
_COLUMNS = tuple(completions.primary_key)
_CHANGE = (
    update(completions)
    .where(
        completions.c.organization_id == bindparam("of_owner"), completions.c.id == bindparam("of")
    )
    .values(p_mean=bindparam("mean"), p_least=bindparam("least"), preview=bindparam("shown"))
)


def _measure(completion: Completion) -> Completion | None:
    """The completion with its certainty. None if that is known already, or cannot be."""
    if completion.p_mean is not None or not completion.response:
        return None
    if b'"logprob"' not in completion.response:
        return None
    answers = read_answers(completion.response)
    logprobs = [token.logprob for answer in answers for token in answer.tokens]
    if not logprobs:
        return None
    p_mean, p_least = read_certainty(logprobs)
    return msgspec.structs.replace(completion, p_mean=p_mean, p_least=p_least)
