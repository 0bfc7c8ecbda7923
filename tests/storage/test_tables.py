"""What a distributed database needs of the tables, and of every statement of this suite."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, UniqueConstraint, and_, delete, exists, select, update

from briggs.storage.tables import (
    REFERENCE_TABLES,
    completion_tags,
    completions,
    feedback,
    keys,
    metadata,
    sessions,
)
from tests.storage.sharding import Reach, measure

SCALE = Path(__file__).parents[2] / "docs/scale.md"
SHARDED = [table for table in metadata.sorted_tables if table not in REFERENCE_TABLES]


@pytest.mark.parametrize("table", SHARDED, ids=lambda table: table.name)
def test_a_table_leads_with_the_organization(table: Table) -> None:
    """Its key and its indexes begin with it, and whatever is unique is so in an organization."""
    assert not table.c.organization_id.nullable
    leading = [table.primary_key.columns.keys(), *(each.columns.keys() for each in table.indexes)]
    assert {names[0] for names in leading} == {"organization_id"}
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            assert "organization_id" in constraint.columns
    assert not table.foreign_key_constraints


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=lambda table: table.name)
def test_the_database_counts_nothing(table: Table) -> None:
    """Ids are made by Briggs, so that no two nodes have to ask who is next."""
    assert table.autoincrement_column is None
    assert all(column.identity is None and column.default is None for column in table.columns)


def test_completions_can_be_partitioned() -> None:
    """Whatever is unique has the id, by which PostgreSQL finds the partition of a row."""
    unique = [each.columns.keys() for each in completions.indexes if each.unique]
    assert all("id" in names for names in (completions.primary_key.columns.keys(), *unique))


def test_the_commands_for_a_distributed_database_name_every_table() -> None:
    """`docs/scale.md` distributes each table, or gives every node a copy. What says how far the
    database is stays where it is."""
    page = SCALE.read_text()
    shared = re.findall(r"create_reference_table\('(\w+)'\)", page)
    distributed = re.findall(r"create_distributed_table\('(\w+)', 'organization_id'", page)
    assert sorted(distributed) == sorted(table.name for table in SHARDED)
    kept = {"backfills", "copied_from", "migrations", "probes"}
    assert {*shared, *kept} == {table.name for table in REFERENCE_TABLES}


_C, _S, _T = completions.c, sessions.c, completion_tags.c
_OURS = _C.organization_id == "o"
_JOINED = select(_C.id).join(sessions, _S.id == _C.session_id)


@pytest.mark.parametrize(
    ("statement", "unpinned", "apart"),
    [
        (select(_C.id).where(_OURS), "", ""),
        (select(_C.id), "completions", ""),
        (select(_C.id).where(_OURS | (_C.id == "i")), "completions", ""),
        (select(keys.c.id), "", ""),
        (_JOINED, "completions sessions", "completions sessions"),
        (_JOINED.where(_OURS), "sessions", "sessions"),
        (_JOINED.where(_OURS, _S.organization_id == "p"), "", ""),
        (_JOINED.where(_OURS, _S.organization_id == _C.organization_id), "", ""),
        (
            _JOINED.where(_S.organization_id == _C.organization_id),
            "completions sessions",
            "",
        ),
        (
            select(_C.id).where(_OURS, exists().where(_T.completion_id == _C.id)),
            "completion_tags",
            "completion_tags",
        ),
        (
            select(_C.id).where(
                _OURS, exists().where(and_(_T.organization_id == _C.organization_id))
            ),
            "",
            "",
        ),
        (
            select(_C.id).where(_OURS, _C.id.in_(select(feedback.c.id))),
            "feedback",
            "feedback",
        ),
        (update(completions).where(_C.id == "i").values(tags=[]), "completions", ""),
        (delete(completions).where(_OURS), "", ""),
    ],
)
def test_what_a_statement_reaches(statement: Any, unpinned: str, apart: str) -> None:
    """A table is within an organization if a value pins it, or another table of that one."""
    assert measure(statement) == Reach(tuple(unpinned.split()), tuple(apart.split()))
