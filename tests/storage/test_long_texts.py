"""Texts of any length by which completions are found. No index of PostgreSQL has room for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from briggs.storage import Query, Store
from briggs.storage.reading import open_reader
from briggs.storage.tables import completion_metadata, completion_tags, sessions, signed_calls
from briggs.storage.verify import verify
from briggs.types.completions import Completion
from briggs.types.filters import Comparison, Value
from tests.storage.conftest import read_rows
from tests.storage.records import finished

# It cannot be compressed, and has whatever a database may store in another way.
LONG = "".join(chr(0x4E00 + at * 7919 % 20_000) for at in range(9_000)) + "\\\0\x1a#\ud800"
TWIN = LONG + "!"
"""Begins as the other, for longer than any index has room for."""


def create(text: str) -> Completion:
    return finished(
        status="failed",
        tags=["short", text],
        metadata={text: text, "k": "v"},
        session_id=text,
        user=text,
        model=text,
        provider=text,
        failure_kind=text,
        failure_reason=text,
    )


QUERIES: tuple[Callable[[str], dict[str, Any]], ...] = (
    lambda text: {"tags": [text]},
    lambda text: {"without_tags": [TWIN if text == LONG else LONG]},
    lambda text: {"metadata": {text: text}},
    lambda text: {"session_id": text},
    lambda text: {"model": text},
    *(
        lambda text, field=field: {"filter": Comparison(field, "=", Value(text=text))}
        for field in ("tag", "session", "user", "model", "provider", "error")
    ),
)


async def test_found_by_a_long_text(store: Store, address: str | None, tmp_path: Path) -> None:
    """A text of any length is recorded as it is, and told from one that only ends otherwise. The
    tables by which it is found are right, and are left without it."""
    of = {text: create(text) for text in (LONG, TWIN)}
    for each in of.values():
        await store.settle(each)
    for query in QUERIES:
        for text, each in of.items():
            assert await _find(store, **query(text)) == [each]
    assert await store.completions.relabel(of[TWIN].id, organization_id="default", tags=[LONG])
    assert len(await _find(store, tags=[LONG])) == 2
    assert not await _find(store, tags=[TWIN])
    await store.completions.delete(of[LONG].id, organization_id="default")
    assert len(await _find(store, metadata={TWIN: TWIN})) == 1
    with open_reader(tmp_path / "data", address=address) as reader:
        assert not [*verify(reader, show=lambda what, done: None)]
    left = {completion_tags: 1, completion_metadata: 2, sessions: 1}
    for table, count in left.items():
        assert len(read_rows(store, select(table))) == count


async def _find(store: Store, **members: Any) -> list[Completion]:
    query = Query(organization_id="default", **members)
    return list((await store.completions.list(query)).completions)


async def test_a_long_session(store: Store) -> None:
    """Its whole id is shown, its calls are counted, and it goes with its last call."""
    calls = [finished(session_id=LONG), finished(session_id=TWIN), finished(session_id=LONG)]
    for each in calls:
        await store.settle(each)
    listed = await store.sessions.list(organization_id="default", limit=9)
    assert {each.id: each.completions for each in listed} == {LONG: 2, TWIN: 1}
    found = await store.sessions.retrieve(LONG, organization_id="default")
    assert found is not None and (found.id, found.completions) == (LONG, 2)
    openings = await store.sessions.list_openings([LONG, TWIN], organization_id="default")
    assert openings.keys() == {LONG, TWIN}
    for each in (calls[0], calls[2]):
        await store.completions.delete(each.id, organization_id="default")
    assert read_rows(store, select(func.count()).select_from(sessions)) == [(1,)]


async def test_a_long_id_of_an_upstream(store: Store) -> None:
    """A call is found by the id that its upstream gave it, before and after it is compressed."""
    call, other = finished(response_id=LONG), finished(response_id=TWIN)
    for each in (call, other):
        await store.settle(each)
    assert await store.completions.retrieve(LONG, organization_id="default") == call
    assert await store.completions.retrieve(TWIN, organization_id="default") == other


async def test_a_long_id_of_a_signed_call(store: Store) -> None:
    """A signature is found by the id of its tool call, however long its vendor made it."""
    call = finished(response=b"signed")
    store.signed_calls.create(call, call_ids=[LONG, TWIN])
    await store.settle(call)
    for id in (LONG, TWIN):
        [body] = await store.signed_calls.read([id], organization_id="default", read=bytes)
        assert body == b"signed"
    await store.completions.delete(call.id, organization_id="default")
    assert read_rows(store, select(signed_calls.c.completion_id)) == []


async def test_tags_that_are_suggested(store: Store) -> None:
    """A tag that no list has room for is passed over."""
    await store.settle(finished(tags=["a", "z", LONG, "\u4e00"]))
    tags = await store.completions.list_tags(organization_id="default", text="", limit=9)
    assert tags == ["a", "z", "\u4e00"]
