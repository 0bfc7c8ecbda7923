"""Writes completions as rows, and reads rows as completions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec
from sqlalchemy import ColumnElement, Connection, Table, and_, func, select, update

from briggs.storage import rollups
from briggs.storage.bodies import RAW, ZSTD
from briggs.storage.database import database_of
from briggs.storage.pieces import Expander
from briggs.storage.tables import IS_STARTED, completions
from briggs.storage.types import Json
from briggs.types.completions import Completion


class Packer(Protocol):
    """Says what to store of bodies."""

    def pack(self, body: bytes, *, organization_id: str) -> bytes:
        """What to store of a body."""
        ...


def encode(
    completion: Completion, *, started: bool, packing: Packer | None, owner: str | None = None
) -> list[Any]:
    """The row of a completion, for `insert_records`. Its bodies are packed if `packing` is given.

    A `started` call that Briggs answers needs the process that answers it as its `owner`.
    """
    row: list[Any] = [*msgspec.structs.astuple(completion), RAW if packing is None else ZSTD, None]
    if packing is not None:
        for place in _BODY_PLACES:
            if row[place] is not None:
                row[place] = packing.pack(row[place], organization_id=completion.organization_id)
    if started:
        row[_STATUS] = "started"
    if row[_STATUS] == "started" and completion.source == "gateway":
        row[-1] = owner
    for place, encode_json in _JSON:
        if row[place]:
            row[place] = encode_json(row[place])
        else:
            row[place] = None
    return row


def fail_started(
    connection: Connection, *, keys: Iterable[tuple[str, str]], kind: str, reason: str
) -> int:
    """Mark completions as failed, if they are `started`, by organization and id. Returns how many
    were.
    """
    columns = completions.c
    return sum(
        _fail(
            connection,
            and_(columns.organization_id == organization_id, columns.id == id),
            kind=kind,
            reason=reason,
        )
        for organization_id, id in keys
    )


def fail_left(connection: Connection, *, is_new: bool = False) -> int:
    """Mark the completions as failed that dead processes left `started`. Returns how many.

    `is_new` says that this process answers no call yet, so that an owner with its name has died.
    """
    dead = _list_dead(connection, is_new=is_new)
    owner = completions.c.owner
    return sum(
        _fail(connection, owner.is_not_distinct_from(each), kind=INTERRUPTED, reason=_DIED)
        for each in dead
    )


def has_left(connection: Connection) -> bool:
    """Whether there is something to do for `fail_left`."""
    return bool(_list_dead(connection, is_new=False))


def _list_dead(connection: Connection, *, is_new: bool) -> set[str | None]:
    """The owners of `started` calls that have died."""
    owner, database = completions.c.owner, database_of(connection)
    owners = connection.scalars(select(owner).where(IS_STARTED, _ANSWERED_HERE).distinct()).all()
    dead = {*database.list_dead(connection, owners)}
    if is_new:
        dead |= {database.owner} & {*owners}
    return dead


def decode(row: Any, *, bodies: Expander) -> Completion:
    """The completion in a row, with its bodies if they were selected."""
    completion = decode_head(row)
    if len(row) > len(_HEAD):
        expand = bodies.expand if row.encoding == ZSTD else bytes
        completion.request = expand(row.request)
        completion.response = None if row.response is None else expand(row.response)
        completion.received = None if row.received is None else expand(row.received)
    return completion


def decode_head(row: Any) -> Completion:
    """The completion in a row, without its bodies."""
    return Completion(**dict(zip(_HEAD, row, strict=False)))


INTERRUPTED = "interrupted"
_DIED = "the server died before this call ended"

_BODIES = ("request", "response", "received")
_MEMBERS = Completion.__struct_fields__
_BODY_PLACES = [_MEMBERS.index(name) for name in _BODIES]
_STATUS = _MEMBERS.index("status")
_JSON = [
    (_MEMBERS.index(column.name), column.type.encode)
    for column in completions.columns
    if isinstance(column.type, Json)
]
_HEAD = [
    column.name
    for column in completions.columns
    if column.name in _MEMBERS and column.name not in _BODIES
]


def list_heads(of: Table) -> list[ColumnElement[Any]]:
    """The columns that `decode_head` reads, of a table of completions."""
    return [of.c[name] for name in _HEAD]


SELECT_HEADS = select(*list_heads(completions))
SELECT = select(
    *(completions.c[name] for name in _HEAD),
    completions.c.encoding,
    *(completions.c[name] for name in _BODIES),
)

BODY_BYTES = (
    func.length(completions.c.request)
    + func.coalesce(func.length(completions.c.response), 0)
    + func.coalesce(func.length(completions.c.received), 0)
)
"""How many bytes are stored of a completion's bodies."""

# Only its client knows whether a reported call still runs.
_ANSWERED_HERE = completions.c.source == "gateway"
_FAIL_STARTED = (
    update(completions).where(IS_STARTED, _ANSWERED_HERE).values(status="failed", owner=None)
)
_SELECT_STARTED = SELECT_HEADS.where(IS_STARTED, _ANSWERED_HERE)


def _fail(connection: Connection, condition: Any, *, kind: str, reason: str) -> int:
    failed = [decode_head(row) for row in connection.execute(_SELECT_STARTED.where(condition))]
    if failed:
        statement = _FAIL_STARTED.values(failure_kind=kind, failure_reason=reason)
        connection.execute(statement.where(condition))
    for each in failed:
        each.status, each.failure_kind = "failed", kind
    rollups.record(connection, added=failed)
    return len(failed)
