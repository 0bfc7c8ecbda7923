"""What a row says in pieces is what its whole bodies say."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, select

from briggs.storage import Store
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.pieces import read_chains, read_rows
from briggs.storage.said import list_said
from briggs.storage.said_apart import is_apart, read_piece, read_row
from briggs.storage.search_index import read_bodies
from briggs.storage.tables import completions
from tests.storage.histories import create_history
from tests.storage.records import finished
from tests.storage.test_histories import BODIES, short

__all__ = ["short"]

COLUMNS = [
    completions.c[name]
    for name in ("id", "organization_id", "encoding", "request", "response", "received")
]


def compare(connection: Connection, *, ids: list[str]) -> int:
    """Compare what rows say in both ways. Returns how many are in pieces."""
    bodies = Bodies()
    ours = completions.c.organization_id == "default"
    statement = select(*COLUMNS).where(ours, completions.c.id.in_(ids))
    rows, pieces = read_rows(connection, statement, bodies=bodies)
    count = 0
    for row in rows:
        if row.encoding == ZSTD and is_apart(row):
            texts = read_apart(row, connection, bodies)
            if texts is not None:
                count += 1
                whole = read_bodies(row, bodies=pieces)
                assert texts == set(list_said(*whole)), whole
    return count


def read_apart(row: Any, connection: Connection, bodies: Bodies) -> set[str] | None:
    apart = read_row(row, bodies=bodies)
    if apart is None:
        return None
    stored = read_chains(connection, set(apart.pieces), organization_id="default")
    texts = set(apart.texts)
    for last in apart.pieces:
        each: bytes | None = last
        while each is not None:
            try:
                piece = read_piece(stored[each], bodies=bodies)
            except ValueError:
                return None
            texts.update(piece.texts)
            each = piece.before
    return texts


async def record(store: Store, requests: list[bytes]) -> list[str]:
    made = [
        finished(request=each, response=each[: number * 7] or None, source="client")
        for number, each in enumerate(requests)
    ]
    for completion in made:
        await store.settle(completion)
    return [each.id for each in made]


@pytest.mark.usefixtures("short")
@given(st.lists(BODIES, min_size=1, max_size=6))
@example([b'{"messages":[{"role": "user", "content": "Why?"}],"messages":[\n]}'])
@example([b'{"messages":[{"content":"a"},\n{"content":"piece"}], "system":"long, long text"}'])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60
)
async def test_any_bodies_in_pieces(store: Store, requests: list[bytes]) -> None:
    """Whatever bodies share, and however strange their JSON is."""
    ids = await record(store, [*requests, *requests, *requests])
    await store.read(partial(compare, ids=ids))


@pytest.mark.usefixtures("short")
async def test_what_is_read_apart(store: Store) -> None:
    """Histories, answers and long texts in pieces are read without restoring a body."""
    prompt = {"system": "A long prompt. " * 9, "prompt": "You will.", "tools": [{"x": "y" * 99}]}
    answer = {"choices": [{"message": {"content": "Once. " * 9}, "id": "no"}]}
    ids = await record(store, [create_history("a", turn) for turn in range(9)])
    ids += await record(store, [json.dumps(each).encode() for each in [prompt] * 3])
    for _ in range(3):
        completion = finished(request=b"{}", response=json.dumps(answer).encode(), source="client")
        await store.settle(completion)
        ids.append(completion.id)
    assert await store.read(partial(compare, ids=ids)) >= 12
