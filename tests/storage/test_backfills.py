"""Large bodies have a preview, and only old completions are filled."""

from __future__ import annotations

import json

from sqlalchemy import select

from briggs.storage import Query
from briggs.storage.previews import SMALL_BYTES
from briggs.storage.tables import backfills, completions
from briggs.types.completions import Completion
from tests.storage.conftest import OpenStore, read_rows, until


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
