"""Large bodies have a preview, and only old completions are filled."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from sqlalchemy import Connection, select

from briggs.storage import Query, Store, search_index
from briggs.storage.backfills import NAME
from briggs.storage.backlogs import _list
from briggs.storage.previews import SMALL_BYTES
from briggs.storage.tables import backfills, completions, rollup_fills
from briggs.types.completions import Completion
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.records import finished
from tests.waiting import until


def create_answer(*logprobs: float, padding: int = 0) -> bytes:
    tokens = [{"token": "a", "logprob": each, "bytes": None} for each in logprobs]
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello there" + " you" * padding},
        "logprobs": {"content": tokens, "refusal": None} if tokens else None,
    }
    return json.dumps({"id": "x", "choices": [choice]}).encode()


async def test_a_new_store_has_nothing_to_fill(open_store: OpenStore) -> None:
    """No backfill is left to do where nothing is old."""
    store = await open_store()
    assert read_rows(store, select(backfills)) == []


async def test_large_bodies_get_a_preview(open_store: OpenStore) -> None:
    """A list never has to read large bodies: they get a preview when they are compressed, and
    when a client reports them. Small ones are read."""
    store = await open_store()
    request = b'{"model":"m","messages":[{"role":"user","content":"How long?"}]}'
    large = create_answer(-0.5, padding=SMALL_BYTES // 4)
    for id, response in (("large", large), ("small", create_answer(-0.5))):
        await store.settle(
            Completion(
                id=id,
                organization_id="default",
                status="finished",
                request=request,
                response=response,
            )
        )
    told = Completion(id="told", organization_id="default", request=request, response=large)
    await store.completions.merge("told", organization_id="default", change=lambda _: told)
    await until(lambda: store.statistics().uncompressed == 0)
    kept = read_rows(
        store,
        select(completions.c.id, completions.c.preview).where(completions.c.preview.is_not(None)),
    )
    assert sorted(id for id, _ in kept) == ["large", "told"]
    page = await store.completions.list_summaries(Query(organization_id="default"))
    for each in page.summaries:
        assert each.preview is not None
        assert each.preview.asked == "How long?"
        assert each.preview.levels == "2"


async def test_work_that_is_not_finished(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each says about how far it is, by the time that the completions span."""
    assert await store.backlogs.list() == []
    for number in range(5):
        await store.settle(finished(id=f"c{number}", created_at=number * 1_000_000))
    fill = {"organization_id": "default", "begun_at": 100, "oldest_at": 0, "until_at": 25}
    monkeypatch.setattr(search_index, "SMALL_ROWS", 0)

    def look(connection: Connection) -> Sequence[tuple[str, float]]:
        connection.execute(
            backfills.insert().values(name=NAME, after_organization_id="default", after_id="c2")
        )
        connection.execute(rollup_fills.insert().values(fill))
        found = [(each.work, each.share) for each in _list(connection)]
        connection.execute(backfills.delete().where(backfills.c.name == NAME))
        connection.execute(rollup_fills.delete())
        return found

    assert await store.act(look) == [("derived", 0.5), ("figures", 0.75), ("words", 0.0)]
    monkeypatch.undo()
    assert await store.backlogs.list() == [], "it is remembered for some seconds"
