"""Writes completions as rows, and reads rows as completions."""

from __future__ import annotations

import contextlib
import json as stdlib_json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, get_origin

import msgspec
from sqlalchemy import Connection, select, text, update

from briggs.storage import rollups
from briggs.storage.bodies import RAW, ZSTD, Bodies
from briggs.storage.owners import list_dead, name_owner
from briggs.storage.sqlite.connections import driver, transaction
from briggs.storage.sqlite.statements import insert_sql
from briggs.storage.sqlite.values import original, storable
from briggs.storage.tables import completions
from briggs.types import json
from briggs.types.completions import Completion


def encode(completion: Completion, *, started: bool, bodies: Bodies | None) -> list[Any]:
    """The row of a completion, for `INSERT_SQL`. Compresses its bodies if `bodies` is given.

    A `started` call that Briggs answers gets this process as its owner.
    """
    row: list[Any] = [*msgspec.structs.astuple(completion), RAW if bodies is None else ZSTD, None]
    if bodies is not None:
        for place in _BODY_PLACES:
            if row[place] is not None:
                row[place] = bodies.compress(row[place])
    if started:
        row[_STATUS] = "started"
    if row[_STATUS] == "started" and completion.source == "gateway":
        row[-1] = name_owner(os.getpid())
    for place in _JSON_PLACES:
        row[place] = encode_json(row[place]) if row[place] else None
    return row


def insert(connection: Connection, rows: Sequence[list[Any]]) -> int:
    """Write rows. Returns how many were written, which excludes those settled before."""
    inner = driver(connection)
    written = begin = 0
    for size, sql in _INSERT_SQL.items():
        while begin + size <= len(rows):
            values = chain.from_iterable(rows[begin : begin + size])
            written += inner.execute(sql, list(values)).rowcount
            begin += size
    return written


def forget_values(connection: Connection) -> None:
    """Free the rows that were written last. SQLite keeps a statement's values until it gets new
    ones, so this binds nulls. A row without an id is refused, so nothing is written.
    """
    inner = driver(connection)
    for size, sql in _INSERT_SQL.items():
        with contextlib.suppress(sqlite3.IntegrityError):
            inner.execute(sql, [None] * (size * len(_COLUMNS)))


def fail_started(connection: Connection, *, ids: Iterable[str], kind: str, reason: str) -> int:
    """Mark these completions as failed, if they are `started`. Returns how many were."""
    return sum(
        _fail(connection, completions.c.id == storable(id), kind=kind, reason=reason) for id in ids
    )


def fail_left(connection: Connection, *, kind: str, reason: str) -> int:
    """Mark the completions as failed that dead processes left `started`. Returns how many."""
    owner = completions.c.owner
    owners = connection.scalars(select(owner).where(STARTED, _ANSWERED_HERE).distinct()).all()
    with transaction(connection):
        return sum(
            _fail(connection, owner.is_not_distinct_from(each), kind=kind, reason=reason)
            for each in list_dead(owners)
        )


def decode(row: Any, *, bodies: Bodies) -> Completion:
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
    values = {
        name: original(value, type=type) for (name, type), value in zip(_HEAD, row, strict=False)
    }
    for name in _BOOLEANS:
        values[name] = bool(values[name])
    for name, type in _JSON.items():
        text = values.pop(name)
        if text is not None:
            values[name] = msgspec.convert(stdlib_json.loads(text), type)
    return Completion(**values)


def encode_json(value: Sequence[Any] | dict[str, str]) -> str | None:
    """Encode as JSON text; None for an empty value."""
    return json.encode_plain(value).decode() if value else None


_BODIES = ("request", "response", "received")
_MEMBERS = Completion.__struct_fields__
_BODY_PLACES = [_MEMBERS.index(name) for name in _BODIES]
_STATUS = _MEMBERS.index("status")
_JSON = {
    field.name: field.type
    for field in msgspec.structs.fields(Completion)
    if get_origin(field.type) in (list, dict)
}
_BOOLEANS = ("stream", "start_reported")
_JSON_PLACES = [_MEMBERS.index(name) for name in _JSON]
_HEAD = [
    (column.name, column.type.python_type)
    for column in completions.columns
    if column.name in _MEMBERS and column.name not in _BODIES
]

# These members do not change while a call runs, and may have been updated in the meantime.
_KEPT = (
    *("id", "organization_id", "created_at", "kind", "source"),
    *("session_id", "tags", "metadata", "call_site", "start_reported"),
)
_COLUMNS = [*_MEMBERS, "encoding", "owner"]
# The driver releases the interpreter lock for every statement and then has to wait for it, so a
# batch uses few statements, each with at most this many rows.
_INSERT_SQL = {
    rows: insert_sql(completions, columns=_COLUMNS, kept=_KEPT, rows=rows)
    for rows in (32, 16, 8, 4, 2, 1)
}

SELECT_HEADS = select(*(completions.c[name] for name, _ in _HEAD))
SELECT = select(
    *(completions.c[name] for name, _ in _HEAD),
    completions.c.encoding,
    *(completions.c[name] for name in _BODIES),
)

STARTED = text("status = 'started'")
# Only its client knows whether a reported call still runs.
_ANSWERED_HERE = completions.c.source == "gateway"
_FAIL_STARTED = (
    update(completions).where(STARTED, _ANSWERED_HERE).values(status="failed", owner=None)
)
_SELECT_STARTED = SELECT_HEADS.where(STARTED, _ANSWERED_HERE)


def _fail(connection: Connection, condition: Any, *, kind: str, reason: str) -> int:
    failed = [decode_head(row) for row in connection.execute(_SELECT_STARTED.where(condition))]
    if failed:
        statement = _FAIL_STARTED.values(failure_kind=kind, failure_reason=reason)
        connection.execute(statement.where(condition))
    for each in failed:
        each.status, each.failure_kind = "failed", kind
    rollups.record(connection, added=failed)
    return len(failed)
