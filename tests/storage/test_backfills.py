"""Old completions are filled step by step, and large bodies have a preview."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from briggs.storage import Query, backfills
from briggs.storage.backfills import STEP_ROWS
from briggs.storage.previews import SMALL_BYTES
from briggs.types.completions import Completion
from tests.storage.conftest import OpenStore, until

VERSIONS = Path(__file__).parent / "versions"


def create_answer(*logprobs: float, padding: int = 0) -> bytes:
    tokens = [{"token": "a", "logprob": each, "bytes": None} for each in logprobs]
    choice = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": "Hello there" + " you" * padding},
        "logprobs": {"content": tokens, "refusal": None} if tokens else None,
    }
    return json.dumps({"id": "x", "choices": [choice]}).encode()


def read_rows(path: Path, statement: str) -> list[Any]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute(statement).fetchall()
    connection.close()
    return rows


@pytest.mark.parametrize("step_bytes", [1, 10**9])
async def test_old_completions_get_their_certainty(
    open_store: OpenStore, tmp_path: Path, step_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade all old rows are measured, those with large bodies get a preview, and the
    rollups count what was found, however small the steps are."""
    monkeypatch.setattr(backfills, "STEP_BYTES", step_bytes)
    folder = tmp_path / "data"
    folder.mkdir()
    count = 2 * STEP_ROWS + 3
    with sqlite3.connect(folder / "briggs.db") as connection:
        connection.executescript((VERSIONS / "version_16.sql").read_text())
        for number in range(count):
            connection.execute(
                "INSERT INTO completions (id, organization_id, created_at, status, kind, source, "
                "stream, model, retry_count, request, response) VALUES "
                "(?, 'default', 1790000000000000, 'finished', 'chat', 'gateway', 0, 'm', 0, ?, ?)",
                [
                    f"old-{number}",
                    b'{"model":"m","messages":[{"role":"user","content":"Why?"}]}',
                    create_answer(*[-1.0, -3.0][: number % 3], padding=20_000 * (number == 4)),
                ],
            )
    connection.close()
    store = await open_store()
    await until(lambda: not read_rows(store.path, "SELECT * FROM backfills"), timeout_s=20)
    page = await store.completions.list(Query(organization_id="default", limit=100))
    found = {each.id: each for each in page.completions if each.id.startswith("old-")}
    assert len(found) == count
    for number in range(count):
        each = found[f"old-{number}"]
        means = [None, math.exp(-1), math.exp(-2)]
        leasts = [None, math.exp(-1), math.exp(-3)]
        assert each.p_mean == pytest.approx(means[number % 3])
        assert each.p_least == pytest.approx(leasts[number % 3])
    [(preview,)] = read_rows(store.path, "SELECT preview FROM completions WHERE preview NOTNULL")
    assert json.loads(preview)["asked"] == "Why?"
    assert json.loads(preview)["answered"].startswith("Hello there you")

    async def count_measured() -> int:
        rolled = await store.rollups.list_all(
            organization_id="default", span="hour", created_from=0, created_to=2**60
        )
        return sum(each.tally.with_logprobs for each in rolled)

    for _ in range(200):
        if await count_measured() == sum(number % 3 > 0 for number in range(count)):
            return
        await until(lambda: True)
    raise AssertionError(await count_measured())


async def test_a_new_store_has_nothing_to_fill(open_store: OpenStore) -> None:
    """No backfill is left to do where nothing is old."""
    store = await open_store()
    assert read_rows(store.path, "SELECT * FROM backfills") == []


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
    kept = read_rows(store.path, "SELECT id, preview FROM completions WHERE preview NOTNULL")
    assert sorted(id for id, _ in kept) == ["large", "told"]
    page = await store.completions.list_summaries(Query(organization_id="default"))
    for each in page.summaries:
        assert each.preview is not None
        assert each.preview.asked == "How long?"
        assert each.preview.levels == "2"
