"""Old completions are filled step by step after an upgrade."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import select

from briggs.storage import Query, backfills, tables
from briggs.storage.backfills import STEP_ROWS
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.test_backfills import create_answer
from tests.waiting import until

VERSIONS = Path(__file__).parents[1] / "versions"


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
    await until(lambda: not read_rows(store, select(tables.backfills)))
    page = await store.completions.list(Query(organization_id="default", limit=100))
    found = {each.id: each for each in page.completions if each.id.startswith("old-")}
    assert len(found) == count
    for number in range(count):
        each = found[f"old-{number}"]
        means = [None, math.exp(-1), math.exp(-2)]
        leasts = [None, math.exp(-1), math.exp(-3)]
        assert each.p_mean == pytest.approx(means[number % 3])
        assert each.p_least == pytest.approx(leasts[number % 3])
    kept = tables.completions.c.preview
    [(preview,)] = read_rows(store, select(kept).where(kept.is_not(None)))
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
