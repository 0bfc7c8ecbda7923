"""What is deleted leaves every table."""

from __future__ import annotations

import asyncio
import random

import pytest
from sqlalchemy import func, select

from briggs.storage import Store
from briggs.storage.tables import backfills, metadata
from briggs.types.completions import Completion
from briggs.types.errors import Gone
from tests.storage.conftest import read_rows
from tests.waiting import PATIENCE_S


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
    async with asyncio.timeout(PATIENCE_S):
        while await store.read(lambda connection: connection.scalar(count)):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_nothing_stays_in_the_tables(store: Store) -> None:
    """No row of any table says anything of a deleted call, and those of others stay."""
    chance = random.Random(4)
    recorded = [record(number, chance) for number in range(60)]
    for each in recorded:
        await store.settle(each)
    gone, kept = recorded[:40], recorded[40:]
    for each in gone:
        assert await store.completions.delete(each.id, organization_id="default")
    await erased(store)
    stored = str([read_rows(store, select(table)) for table in metadata.sorted_tables])
    assert [each for each in gone if name(each) in stored] == []
    assert [each for each in kept if name(each) not in stored] == []


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
