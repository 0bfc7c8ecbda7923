"""The tables that completions are found by: tags, metadata, rules, sessions and queues."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, bindparam

from briggs.storage import feedback_matches
from briggs.storage.database import database_of
from briggs.storage.tables import (
    completion_metadata,
    completion_rules,
    completion_tags,
    sessions,
)
from briggs.types.completions import Completion

FOUND_BY_MAX = 1000
"""How many tags, and pairs of metadata, a completion is indexed by. It stores all of them."""


def create(connection: Connection, *, of: Sequence[Completion]) -> None:
    """Create the index rows for tags, metadata and rules, the named sessions, and the places in
    the queues of tasks that select these completions.
    """
    named = [
        (each.organization_id, each.session_id, each.created_at)
        for each in of
        if each.session_id is not None
    ]
    for table, rows in (*list_rows(of), (sessions, named)):
        if rows:
            database_of(connection).insert_missing(connection, table, rows)
    feedback_matches.enlist(connection, of=of)


def delete(connection: Connection, *, of: Sequence[Completion]) -> None:
    """Delete the index rows by their whole keys, so that no other index is needed."""
    by_organization: dict[str, list[str]] = {}
    for each in of:
        by_organization.setdefault(each.organization_id, []).append(each.id)
    for organization_id, ids in by_organization.items():
        feedback_matches.withdraw(connection, ids, organization_id=organization_id)
    for table, rows in list_rows(of):
        if rows:
            names = table.primary_key.columns.keys()
            keys = [dict(zip(names, row, strict=True)) for row in rows]
            connection.execute(_DELETE[table.name], keys)


def list_rows(of: Sequence[Completion]) -> Sequence[tuple[Table, Sequence[tuple[Any, ...]]]]:
    """The rows that completions have in the tables for tags, metadata and rules."""
    tags = [
        (each.organization_id, tag, each.created_at, each.id)
        for each in of
        for tag in each.tags[:FOUND_BY_MAX]
    ]
    pairs = [
        (each.organization_id, key, value, each.created_at, each.id)
        for each in of
        for key, value in islice(each.metadata.items(), FOUND_BY_MAX)
    ]
    rules = [
        (each.organization_id, rule, each.created_at, each.id)
        for each in of
        for rule in each.violates
    ]
    return ((completion_tags, tags), (completion_metadata, pairs), (completion_rules, rules))


_DELETE = {
    table.name: table.delete().where(
        *(column == bindparam(column.name) for column in table.primary_key)
    )
    for table in (completion_tags, completion_metadata, completion_rules)
}
