"""The tables that completions are found by: tags, metadata, rules, sessions and queues."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection

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
    named = [
        (each.organization_id, each.session_id, each.created_at)
        for each in of
        if each.session_id is not None
    ]
    for table, rows in (
        (completion_tags, tags),
        (completion_metadata, pairs),
        (completion_rules, rules),
        (sessions, named),
    ):
        if rows:
            database_of(connection).insert_missing(connection, table, rows)
    feedback_matches.enlist(connection, of=of)


def delete(connection: Connection, *, completion: Completion) -> None:
    """Delete the index rows by their whole keys, so that no other index is needed."""
    feedback_matches.withdraw(connection, completion=completion)
    for tag in completion.tags:
        connection.execute(
            completion_tags.delete().where(
                *_placed(completion_tags, completion), completion_tags.c.tag == tag
            )
        )
    for rule in completion.violates:
        connection.execute(
            completion_rules.delete().where(
                *_placed(completion_rules, completion), completion_rules.c.rule == rule
            )
        )
    for key, value in completion.metadata.items():
        connection.execute(
            completion_metadata.delete().where(
                *_placed(completion_metadata, completion),
                completion_metadata.c.key == key,
                completion_metadata.c.value == value,
            )
        )


def _placed(table: Any, completion: Completion) -> tuple[Any, ...]:
    return (
        table.c.organization_id == completion.organization_id,
        table.c.created_at == completion.created_at,
        table.c.completion_id == completion.id,
    )
