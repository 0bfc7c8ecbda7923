"""What is deleted leaves every table and every byte of the files."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from sqlalchemy import func, select

from briggs.storage import Query, Store
from briggs.storage.tables import backfills
from briggs.types.completions import Completion
from briggs.types.errors import Gone
from tests.files import find_texts
from tests.storage.conftest import OpenStore


def record(number: int, chance: random.Random) -> Completion:
    """A completion with a canary in everything that may be found in the files."""
    padding = chance.randbytes(chance.randrange(3000)).hex()
    name = f"{number:05d}-{chance.random()}"
    return Completion(
        organization_id="default",
        created_at=10**15 + chance.randrange(10**12),
        status="failed",
        model=f"canary-model-{name}",
        user=f"canary-user-{name}",
        session_id=f"canary-session-{name}",
        tags=[f"canary-tag-{name}", f"{chance.random()}-canary-tag-{name}"],
        metadata={f"canary-key-{name}": f"canary-value-{name}"},
        failure_kind=f"canary-kind-{name}",
        failure_reason=f"canary-reason-{name}",
        request=f'{{"canary-request": "{name} {padding}"}}'.encode(),
        response=f'{{"canary-response": "{name} {padding[::-1]}"}}'.encode(),
        received=f'{{"canary-received": "{name}"}}'.encode(),
    )


def name(completion: Completion) -> str:
    return str(completion.model).removeprefix("canary-model-")


async def erased(store: Store) -> None:
    """Wait until a round has ended, and none is due."""
    count = select(func.count()).select_from(backfills).where(backfills.c.name.like("eras%"))
    async with asyncio.timeout(30):
        while await store.read(lambda connection: connection.scalar(count)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("compress", [True, False])
async def test_nothing_stays_in_the_files(
    open_store: OpenStore, tmp_path: Path, compress: bool
) -> None:
    """Rows that moved between pages leave nothing behind, among rows that stay."""
    chance = random.Random(4)
    store = await open_store(compress=compress)
    recorded = [record(number, chance) for number in range(1500)]
    for each in recorded:
        await store.settle(each)
    chance.shuffle(recorded)
    gone, kept = recorded[:700], recorded[700:]
    for each in gone:
        assert await store.completions.delete(each.id, organization_id="default")
    await erased(store)
    assert find_texts(tmp_path / "data", [name(each) for each in gone]) == []
    assert len(find_texts(tmp_path / "data", [name(each) for each in kept])) == len(kept)
    found = await store.completions.retrieve(kept[0].id, organization_id="default")
    assert found is not None and found.request == kept[0].request
    check = store._database.writer.exec_driver_sql("PRAGMA integrity_check").scalar()
    assert check == "ok"


async def test_writes_go_on_meanwhile(open_store: OpenStore, tmp_path: Path) -> None:
    """What is written during the erasure neither suffers nor brings back what was deleted."""
    chance = random.Random(5)
    store = await open_store()
    gone = [record(number, chance) for number in range(300)]
    for each in gone:
        await store.settle(each)
    kept = []
    assert await store.completions.delete_all(Query(organization_id="default")) == 300
    for number in range(300, 900):
        kept.append(record(number, chance))
        await store.settle(kept[-1])
    await erased(store)
    assert find_texts(tmp_path / "data", [name(each) for each in gone]) == []
    page = await store.completions.list(Query(organization_id="default", limit=1000))
    assert {each.id for each in page.completions} == {each.id for each in kept}


async def test_nothing_stays_in_the_rollups(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The names in rollups leave the files with their calls, even if no fold is due for long."""
    monkeypatch.setattr("briggs.storage.rollups.FOLD_ROWS", 70)
    monkeypatch.setattr("briggs.storage.rollups.Upkeep.go_on", lambda self, idle: False)
    chance = random.Random(9)
    store = await open_store()
    gone = [record(number, chance) for number in range(300)]
    for each in gone:
        await store.settle(each)
    await store.completions.delete_all(Query(organization_id="default"))
    await erased(store)
    assert find_texts(tmp_path / "data", [name(each) for each in gone]) == []


async def test_a_kill_between_deletion_and_erasure(
    open_store: OpenStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The demand is recorded with the deletion, so the next process erases."""
    chance = random.Random(6)
    store = await open_store()
    with monkeypatch.context() as patch:
        patch.setattr("briggs.storage.erasure.Erasure.go_on", lambda self, idle: False)
        gone = [record(number, chance) for number in range(200)]
        for each in gone:
            await store.settle(each)
        await store.completions.delete_all(Query(organization_id="default"))
        await store.close()
    await erased(await open_store())
    assert find_texts(tmp_path / "data", [name(each) for each in gone]) == []


async def test_a_session_goes_with_its_last_completion(store: Store) -> None:
    """A session exists as long as one of its completions does."""
    chance = random.Random(7)
    first, second = record(1, chance), record(2, chance)
    second.session_id = first.session_id
    assert first.session_id is not None
    for each in (first, second):
        await store.settle(each)
    await store.completions.delete(first.id, organization_id="default")
    assert await store.sessions.retrieve(first.session_id, organization_id="default")
    await store.completions.delete(second.id, organization_id="default")
    assert await store.sessions.retrieve(first.session_id, organization_id="default") is None


async def test_what_was_deleted_is_not_recorded_again(store: Store) -> None:
    """A client that still has a deleted call cannot bring it back."""
    call = record(1, random.Random(8))
    await store.settle(call)
    await store.completions.delete(call.id, organization_id="default")
    with pytest.raises(Gone, match="was deleted"):
        await store.completions.merge(
            call.id, organization_id="default", change=lambda before: call
        )
